"""What an answer of Grand Challenge means: one table from status and text to the error tree.

Rows are tried from the top; the first that fits decides. A text is a regular expression over the body. `source`
says where a row comes from: "recorded" is an answer of the server's own code (rse-grand-challenge 4e38c78b), "code"
was read there, "gcapi" is what the platform's official client repeats.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import StrEnum

from bridge.errors import BridgeError, Never, Refused, TryLater, Unauthorized, Unsure
from bridge.platforms.http import Answer
from bridge.platforms.scrub import scrub


class Call(StrEnum):
    """Kinds of request that read the same answer differently."""

    LOOK = "look"
    """GET of the API."""
    UPLOAD = "upload"
    """What begins, signs, lists or completes an upload."""
    SESSION = "session"
    """POST cases/upload-sessions/."""
    CREATE = "create"
    """POST algorithms/jobs/: the one call that costs credits."""
    PART = "part"
    """PUT to a presigned address."""
    MEDIA = "media"
    """GET of a file at the API's origin."""
    STORAGE = "storage"
    """GET of a file where the redirect led."""


API = frozenset({Call.LOOK, Call.UPLOAD, Call.SESSION, Call.CREATE})
ANY = frozenset(Call)
GONE = r"Invalid hyperlink - Object does not exist"
BUSY = (408, 429, 502, 503, 504, 507)
MINUTE, HOUR = 60.0, 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table. `after_s` is the pause before another try; a `Retry-After` goes before it."""

    calls: frozenset[Call]
    statuses: tuple[int, ...]
    text: str = ""
    error: type[BridgeError]
    code: str
    meaning: str
    remedy: str = ""
    after_s: float | None = None
    source: str

    def fits(self, call: Call, status: int, body: str) -> bool:
        return call in self.calls and status in self.statuses and re.search(self.text, body) is not None


def _on(*calls: Call) -> frozenset[Call]:
    return frozenset(calls)


TABLE: tuple[Row, ...] = (
    Row(
        calls=_on(Call.CREATE),
        statuses=(400,),
        text="too many active jobs",
        error=TryLater,
        code="GC-101",
        meaning="as many jobs of this account are active as the platform allows",
        after_s=2 * MINUTE,
        source="recorded; uploads stay good for a day",
    ),
    Row(
        calls=_on(Call.CREATE),
        statuses=(400,),
        text="run out of algorithm credits",
        error=TryLater,
        code="GC-102",
        meaning="the account has no credits left at the platform",
        remedy="Wait until credits return, or ask the platform for more",
        after_s=2 * HOUR,
        source="recorded; credits count over a rolling month",
    ),
    Row(
        calls=_on(Call.UPLOAD, Call.SESSION),
        statuses=(400,),
        text="created too many uploads",
        error=TryLater,
        code="GC-103",
        meaning="the account holds more than 2000 uploads",
        after_s=15 * MINUTE,
        source="code; uploads are swept hourly, a day after they were made",
    ),
    Row(
        calls=API,
        statuses=(400,),
        text="active image post processing tasks",
        error=TryLater,
        code="GC-104",
        meaning="images of this account are still being processed",
        after_s=2 * MINUTE,
        source="code; at most 16 tasks",
    ),
    Row(
        calls=_on(Call.UPLOAD),
        statuses=(403,),
        text="Upload limit reached",
        error=TryLater,
        code="GC-105",
        meaning="the account has as many bytes in uploads as it may, or the upload is complete already",
        after_s=15 * MINUTE,
        source="recorded; quota 2 GiB for an unverified account, 128 GiB for a verified one",
    ),
    Row(
        calls=_on(Call.CREATE),
        statuses=(400,),
        text="Algorithm image is not ready",
        error=TryLater,
        code="GC-106",
        meaning="the algorithm's version is being changed, or was withdrawn",
        remedy="Ask the algorithm's editors if this lasts for hours",
        after_s=30 * MINUTE,
        source="recorded",
    ),
    Row(
        calls=_on(Call.CREATE),
        statuses=(400,),
        text="current image and model already exists",
        error=Unsure,
        code="GC-107",
        meaning="a job with these inputs exists already",
        after_s=HOUR,
        source="recorded; only inputs by image and value count",
    ),
    Row(
        calls=_on(Call.CREATE),
        statuses=(400,),
        text=rf'"upload_session":\s*\["{GONE}',
        error=Unsure,
        code="GC-108",
        meaning="the upload session was used: an earlier request made the job",
        after_s=0.0,
        source="recorded; using the session and making the job are one transaction",
    ),
    Row(
        calls=_on(Call.CREATE),
        statuses=(400,),
        text=rf'"user_uploads?":.{{0,9}}"{GONE}',
        error=Unsure,
        code="GC-128",
        meaning="an input's upload was used by a job, or swept",
        after_s=0.0,
        source="recorded; found first, sent again where no job has it",
    ),
    Row(
        calls=_on(Call.CREATE),
        statuses=(400,),
        text=rf'"image":\s*\["{GONE}',
        error=Never,
        code="GC-129",
        meaning="an image that was named as input is gone, or not visible with this account's token",
        remedy="Look for it at the platform with this account, and mend the rule",
        source="recorded; links die when a permission is withdrawn",
    ),
    Row(
        calls=_on(Call.SESSION),
        statuses=(400,),
        text=rf'"uploads":\s*\["{GONE}',
        error=TryLater,
        code="GC-109",
        meaning="the upload was used or swept",
        after_s=0.0,
        source="recorded",
    ),
    Row(
        calls=_on(Call.CREATE),
        statuses=(400,),
        text=rf'"algorithm":\s*\["{GONE}',
        error=Never,
        code="GC-110",
        meaning="the algorithm is gone, or this account may not run it",
        remedy="Ask the algorithm's editors for access",
        source="recorded",
    ),
    Row(
        calls=_on(Call.CREATE),
        statuses=(400,),
        text="does not match any of the algorithm's interfaces",
        error=Never,
        code="GC-111",
        meaning="the algorithm no longer takes this set of inputs",
        remedy="Read what it takes (`bridge check`) and mend the rule",
        source="recorded",
    ),
    Row(
        calls=API,
        statuses=(400,),
        text="Filenames must be unique|JSON does not fulfill schema|is required|is not a valid filename",
        error=Refused,
        code="GC-112",
        meaning="the platform refuses the input",
        source="recorded",
    ),
    Row(
        calls=API,
        statuses=(400,),
        error=Never,
        code="GC-113",
        meaning="the platform refuses the request",
        source="rule: repeating a wrong request costs money and hides the mistake",
    ),
    Row(
        calls=API | {Call.MEDIA},
        statuses=(401,),
        error=Unauthorized,
        code="GC-114",
        meaning="the platform does not know the token",
        remedy="Make a new one at the platform (Settings, API tokens) and write it into the account's token_file",
        source="recorded; tokens have no expiry but are deleted with their user",
    ),
    Row(
        calls=_on(Call.UPLOAD),
        statuses=(404,),
        error=TryLater,
        code="GC-115",
        meaning="the upload is gone: used, aborted or swept",
        after_s=0.0,
        source="recorded",
    ),
    Row(
        calls=_on(Call.LOOK),
        statuses=(404,),
        error=Never,
        code="GC-116",
        meaning="it is gone, or not visible with this account's token",
        remedy="Look whether the token was exchanged for that of another user",
        source="recorded; a job is visible to its creator only",
    ),
    Row(
        calls=API,
        statuses=(301, 302, 307, 308),
        error=Never,
        code="GC-117",
        meaning="the API answered with a redirect",
        remedy="Mend the base URL of the account: https, the API's own host, ending in /api/v1/",
        source="recorded; following it would turn POST into GET",
    ),
    Row(
        calls=_on(Call.CREATE),
        statuses=(*BUSY, 500),
        error=Unsure,
        code="GC-118",
        meaning="the platform broke off while it made the job",
        source="gcapi, code; a proxy may give up after the effect, 500 comes from races",
    ),
    Row(
        calls=ANY - {Call.CREATE},
        statuses=BUSY,
        error=TryLater,
        code="GC-119",
        meaning="the platform is busy or down",
        source="gcapi; RFC 9110 15.5.9 for 408",
    ),
    Row(
        calls=_on(Call.PART),
        statuses=(403,),
        error=TryLater,
        code="GC-120",
        meaning="the address of a part has expired",
        after_s=0.0,
        source="code; S3 AccessDenied, Request has expired. Addresses live 3600 s",
    ),
    Row(
        calls=_on(Call.PART),
        statuses=(404,),
        error=TryLater,
        code="GC-121",
        meaning="storage no longer knows the upload",
        after_s=0.0,
        source="code; S3 NoSuchUpload",
    ),
    Row(
        calls=_on(Call.PART),
        statuses=(409, 423),
        error=TryLater,
        code="GC-122",
        meaning="storage did not take a part",
        source="gcapi",
    ),
    Row(
        calls=_on(Call.STORAGE),
        statuses=(403,),
        error=TryLater,
        code="GC-123",
        meaning="the signed address of a file has expired",
        after_s=0.0,
        source="code; 300 s by CloudFront, 3600 s by S3",
    ),
    Row(
        calls=_on(Call.MEDIA, Call.STORAGE),
        statuses=(403, 404),
        error=Never,
        code="GC-124",
        meaning="the file is gone, or not visible with this account's token",
        source="recorded; images answer 403, files of sockets 404",
    ),
    Row(
        calls=_on(Call.SESSION),
        statuses=(403, 405),
        error=Never,
        code="GC-125",
        meaning="the platform does not let this account make upload sessions; the job takes its uploads directly",
        source="models of gcapi 0.14 and later call sessions view-only",
    ),
)


def error_for(call: Call, answer: Answer) -> BridgeError | None:
    """What the answer means as an error; None where it is a success (2xx)."""
    if 200 <= answer.status < 300:
        return None
    body = _text(answer)
    for row in TABLE:
        if row.fits(call, answer.status, body):
            return _error(row, answer, body)
    return _error(_no_row(call, answer.status), answer, body)


def _no_row(call: Call, status: int) -> Row:
    """The rule for statuses that no source speaks of: 5xx may pass, the rest is a no."""
    down = status >= 500
    error = (Unsure if call is Call.CREATE else TryLater) if down else Never
    return Row(
        calls=ANY,
        statuses=(status,),
        error=error,
        code="GC-126" if down else "GC-127",
        meaning="the platform failed" if down else "the platform refuses the request",
        source="rule",
    )


def _error(row: Row, answer: Answer, body: str) -> BridgeError:
    said = scrub(body)
    found = f"{row.meaning} (HTTP {answer.status}{': ' + said if said else ''})"
    numbers = {"status": answer.status}
    if issubclass(row.error, TryLater):
        wish = answer.retry_after_s()
        after_s = wish if wish is not None else row.after_s
        return row.error(row.code, found, "", row.remedy, numbers, after_s=after_s)
    return row.error(row.code, found, "", row.remedy, numbers)


def _text(answer: Answer) -> str:
    """The body as one line of JSON; empty for the HTML of error pages and the XML of storage."""
    try:
        return json.dumps(json.loads(answer.body), ensure_ascii=False)
    except (ValueError, RecursionError):
        return ""
