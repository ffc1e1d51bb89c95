"""What an answer of the Virtual Patient Engine means: one table from status to the error tree.

Rows are tried from the top; the first that fits decides. `source`: "pages" and "quick start" are the vendor's,
"rule" is ours where they say nothing: repeating a wrong request costs money and hides the mistake.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum

from bridge.errors import BridgeError, Never, TryLater, Unauthorized, Unsure
from bridge.platforms.http import Answer
from bridge.platforms.protocol import RESTART
from bridge.platforms.scrub import scrub

CREATE_STEP = "create"


class Call(StrEnum):
    """Kinds of request that read the same answer differently."""

    CREATE = "create"
    UPLOAD = "upload"
    NOTIFY = "notify"
    """Work, and with it the bill, begins with the last one."""
    POLL = "poll"
    FETCH = "fetch"


ENGINE = frozenset({Call.CREATE, Call.NOTIFY, Call.POLL})
ANY = frozenset(Call)
BUSY = (408, 425, 429)
DEAD = (403, 404, 410)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table. `restart`: nothing was begun that counts, and the job is made anew."""

    calls: frozenset[Call]
    statuses: tuple[int, ...]
    error: type[BridgeError]
    code: str
    meaning: str
    remedy: str = ""
    after_s: float | None = None
    restart: bool = False
    source: str

    def fits(self, call: Call, status: int) -> bool:
        return call in self.calls and status in self.statuses


DOWN = tuple(range(500, 600))


def _on(*calls: Call) -> frozenset[Call]:
    return frozenset(calls)


TABLE: tuple[Row, ...] = (
    Row(
        calls=ENGINE,
        statuses=(401,),
        error=Unauthorized,
        code="VPE-101",
        meaning="the platform does not know the token, nor a new one",
        remedy="Look whether base_url, token_url and audience are of the same region",
        source="pages: 401; a token is asked for again once",
    ),
    Row(
        calls=_on(Call.CREATE),
        statuses=(402, 403),
        error=Unauthorized,
        code="VPE-102",
        meaning="the account may not make this job",
        remedy="Look at the licence, and at cloudPackage and endUserId of the rule, with the vendor",
        source="rule",
    ),
    Row(
        calls=_on(Call.CREATE),
        statuses=(404,),
        error=Never,
        code="VPE-103",
        meaning="the platform has no such version, or makes jobs of it by the other route",
        remedy="Look at the rule's version and at create_route of the account",
        source="pages: /job, and /generic-job for v2 and older",
    ),
    Row(
        calls=_on(Call.CREATE),
        statuses=(413,),
        error=Never,
        code="VPE-104",
        meaning="the job is too large for the platform",
        source="rule",
    ),
    Row(
        calls=_on(Call.CREATE),
        statuses=(400, 422),
        error=Never,
        code="VPE-105",
        meaning="the platform refuses the job",
        remedy="Mend inputs, outputs or options of the rule",
        source="pages: error handling",
    ),
    Row(
        calls=_on(Call.UPLOAD),
        statuses=DEAD,
        error=TryLater,
        code="VPE-110",
        meaning="the address of an upload has expired or was used",
        remedy="The job is made anew; the one without its inputs never runs",
        after_s=0.0,
        restart=True,
        source="rule: an address cannot be renewed alone",
    ),
    Row(
        calls=_on(Call.UPLOAD),
        statuses=(411, 501),
        error=Never,
        code="VPE-111",
        meaning="storage wants another way of sending",
        remedy="Look whether a proxy changes what is sent",
        source="S3: no Transfer-Encoding: chunked",
    ),
    Row(
        calls=_on(Call.UPLOAD),
        statuses=(400,),
        error=Never,
        code="VPE-112",
        meaning="storage refuses the upload",
        remedy="Look at upload_headers of the account",
        source="S3: two ways of authentication, an unsigned header",
    ),
    Row(
        calls=_on(Call.NOTIFY),
        statuses=DOWN,
        error=Unsure,
        code="VPE-120",
        meaning="the platform broke off when it was told that an input is there",
        source="rule: it may have begun",
    ),
    Row(
        calls=_on(Call.POLL),
        statuses=(403,),
        error=Unauthorized,
        code="VPE-121",
        meaning="the account may not look at the job",
        source="rule",
    ),
    Row(
        calls=_on(Call.POLL),
        statuses=(404, 410),
        error=Never,
        code="VPE-122",
        meaning="the platform no longer has the job",
        remedy="Look at base_url and version of the account; results are not kept for ever",
        source="rule",
    ),
    Row(
        calls=_on(Call.FETCH),
        statuses=DEAD,
        error=TryLater,
        code="VPE-130",
        meaning="the address of a file has expired",
        after_s=0.0,
        source="rule: asked for anew",
    ),
    Row(
        calls=ANY,
        statuses=(*BUSY, *DOWN),
        error=TryLater,
        code="VPE-106",
        meaning="the platform is busy or down",
        source="RFC 9110; a job without inputs never runs, so one too many costs nothing",
    ),
    Row(
        calls=ANY,
        statuses=(301, 302, 303, 307, 308),
        error=Never,
        code="VPE-107",
        meaning="the platform answered with a redirect",
        remedy="Mend the base URL of the account: https and the engine's own host",
        source="rule: following it would turn POST into GET",
    ),
)


def error_for(call: Call, answer: Answer) -> BridgeError | None:
    """What the answer means as an error; None where it is a success (2xx)."""
    if 200 <= answer.status < 300:
        return None
    for row in TABLE:
        if row.fits(call, answer.status):
            return _error(row, answer)
    no_row = Row(
        calls=ANY,
        statuses=(answer.status,),
        error=Never,
        code="VPE-108",
        meaning="the platform refuses the request",
        source="rule",
    )
    return _error(no_row, answer)


def _error(row: Row, answer: Answer) -> BridgeError:
    said = scrub(_text(answer))
    found = f"{row.meaning} (HTTP {answer.status}{': ' + said if said else ''})"
    numbers: dict[str, float | int | str] = {"status": answer.status}
    if row.restart:
        numbers[RESTART] = CREATE_STEP
    if issubclass(row.error, TryLater):
        wish = answer.retry_after_s()
        return row.error(
            row.code, found, "", row.remedy, numbers, after_s=wish if wish is not None else row.after_s
        )
    return row.error(row.code, found, "", row.remedy, numbers)


def _text(answer: Answer) -> str:
    """The body as one line of JSON; empty for the HTML of error pages and the XML of storage."""
    try:
        return json.dumps(json.loads(answer.body), ensure_ascii=False)
    except (ValueError, RecursionError):
        return ""
