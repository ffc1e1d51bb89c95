"""Uploads against the sandbox, whose store has S3's rules: 5 MiB parts, ETags, one completion."""

from __future__ import annotations

import hashlib
import io
import json
import random
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.platforms.gc_kit import Token, account, run

from bridge.errors import Damaged, Never, TryLater, Unsure
from bridge.export.parcel import ParcelFile
from bridge.platforms import RemoteJob
from bridge.platforms.grand_challenge.api import Api
from bridge.platforms.grand_challenge.names import file_upload_name, is_named, key_of, upload_name
from bridge.platforms.grand_challenge.options import Options
from bridge.platforms.grand_challenge.shapes import StoredPart, Upload
from bridge.platforms.grand_challenge.upload import MIB, MOST_PARTS, Brought, Uploader, parts_of
from bridge.platforms.http import Http
from bridge.sandbox.grand_challenge import Sandbox

CONTENT = random.Random(7).randbytes(12 * MIB + 345)
"""Three parts of 5, 5 and a bit more than 2 MiB."""
JOB = RemoteJob(key="0f" * 16)


class Shelf:
    def __init__(self, content: bytes) -> None:
        self.content = content

    def open(self, ref: str) -> BinaryIO:
        return io.BytesIO(self.content)


class Cloud(httpx.AsyncBaseTransport):
    """The sandbox behind a wire that may answer by itself; keeps what was asked."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.asked: Counter[str] = Counter()
        self.fault: Callable[[str, httpx.Request], Any] = lambda what, request: None
        self.after: Callable[[str], Any] = lambda what: None
        given = account(
            base_url=sandbox.base_url, token=Token(sandbox.token), ca=str(sandbox.ca_file), timeout_s=20.0
        )
        self.http = Http(given, self)
        self._real = httpx.AsyncHTTPTransport()
        self.api = Api(self.http)
        self.now_s = datetime.now(UTC).timestamp()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        what = self._what(request)
        self.asked[what] += 1
        answer = self.fault(what, request)
        if answer is not None:
            return answer
        response = await self._real.handle_async_request(request)
        late = self.after(what)
        if late is not None:
            await response.aread()
            return late
        return response

    def _what(self, request: httpx.Request) -> str:
        if request.method == "PUT":
            return f"part {request.url.params['partNumber']}"
        return f"{request.method} {request.url.path.rstrip('/').rpartition('/')[2]}"

    def bring(self, content: bytes = CONTENT, shelf: Any = None, job: RemoteJob = JOB) -> Upload:
        return self.brought(content, shelf, job).upload

    def brought(self, content: bytes = CONTENT, shelf: Any = None, job: RemoteJob = JOB) -> Brought:
        uploader = Uploader(self.api, Options(part_mib=5, retry_s=0.0), lambda: self.now_s)
        self.asked.clear()
        # Connections belong to the loop of one `run`.
        self._real = httpx.AsyncHTTPTransport(verify=self.http._factory.trust)

        async def story() -> Brought:
            try:
                return await uploader.bring(job, parcel_file(content), shelf or Shelf(content))
            finally:
                await self.http.close()

        return run(story())

    def sandbox_upload(self) -> str:
        """The id of the only upload there is."""
        (pk,) = self.sandbox.platform.uploads
        return pk

    def stored(self, upload: Upload) -> bytes:
        """What the platform has when a session is made of the upload: read back as the store's file."""
        files = [path for path in (self.sandbox.folder / "store").rglob("*") if path.is_file()]
        whole = [path.read_bytes() for path in files if path.stat().st_size == len(CONTENT)]
        assert upload.status == "Completed"
        return whole[0] if whole else b""


def parcel_file(content: bytes, **changes: Any) -> ParcelFile:
    settings: dict[str, Any] = {
        "input": "ct-image",
        "ref": "parcel/ct-image.mha",
        "file_name": "ct-image.mha",
        "size_bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    return ParcelFile(**{**settings, **changes})


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    with Sandbox(tmp_path / "sandbox") as sandbox:
        yield Cloud(sandbox)
        assert not (sandbox.folder / "errors.log").exists()


def parts(cloud: Cloud) -> dict[str, int]:
    return {what: times for what, times in cloud.asked.items() if what.startswith("part")}


def test_file_of_three_parts_arrives_whole(cloud: Cloud) -> None:
    upload = cloud.bring()
    assert parts(cloud) == {"part 1": 1, "part 2": 1, "part 3": 1}
    assert cloud.stored(upload) == CONTENT
    assert upload.filename.startswith("ct-image-")
    assert upload.filename.endswith(".mha")


def test_finished_upload_is_used_again_and_nothing_is_sent(cloud: Cloud) -> None:
    first = cloud.bring()
    again = cloud.bring()
    assert again.pk == first.pk
    assert cloud.asked == {"GET uploads": 1}, "nothing else is asked"


def test_only_the_missing_part_is_sent_after_a_crash(cloud: Cloud) -> None:
    cloud.fault = lambda what, request: httpx.Response(503) if what == "part 2" else None
    with pytest.raises(TryLater) as caught:
        cloud.bring()
    assert caught.value.code == "GC-202"
    assert caught.value.numbers == {"missing": 1, "parts": 3}
    cloud.fault = lambda what, request: None
    upload = cloud.bring()
    assert parts(cloud) == {"part 2": 1}
    assert cloud.asked["POST uploads"] == 0
    assert cloud.stored(upload) == CONTENT


@pytest.mark.parametrize("status", [403, 404, 409, 423, 500, 503])
def test_part_that_failed_gets_a_fresh_address(cloud: Cloud, status: int) -> None:
    cloud.fault = lambda what, request: (
        httpx.Response(status) if what == "part 2" and cloud.asked[what] == 1 else None
    )
    upload = cloud.bring()
    assert parts(cloud) == {"part 1": 1, "part 2": 2, "part 3": 1}
    assert cloud.asked["PATCH generate-presigned-urls"] == 2
    assert cloud.stored(upload) == CONTENT


def test_lost_answer_to_a_part_costs_no_second_transfer(cloud: Cloud) -> None:
    cloud.after = lambda what: httpx.Response(502) if what == "part 2" else None
    upload = cloud.bring()
    assert parts(cloud) == {"part 1": 1, "part 2": 1, "part 3": 1}
    assert cloud.stored(upload) == CONTENT


def test_part_that_storage_refuses_for_good_is_never(cloud: Cloud) -> None:
    cloud.fault = lambda what, request: httpx.Response(400) if what == "part 2" else None
    with pytest.raises(Never):
        cloud.bring()


def test_completion_that_answered_500_is_looked_at_and_believed(cloud: Cloud) -> None:
    cloud.after = lambda what: httpx.Response(500) if what == "PATCH complete-multipart-upload" else None
    assert cloud.bring().status == "Completed"


def test_completion_that_did_not_happen_is_tried_later_without_sending_again(cloud: Cloud) -> None:
    cloud.fault = lambda what, request: (
        httpx.Response(500) if what == "PATCH complete-multipart-upload" else None
    )
    with pytest.raises(TryLater):
        cloud.bring()
    cloud.fault = lambda what, request: None
    assert cloud.bring().status == "Completed"
    assert parts(cloud) == {}


def test_parts_are_completed_in_order_whatever_order_they_were_listed_in() -> None:
    upload = {"pk": "u", "api_url": "x", "s3_upload_id": "s", "created": "2026-11-21T00:00:00Z"}
    sent: list[Any] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.extend(json.loads(request.content)["parts"])
        return httpx.Response(200, json=upload)

    listed = [StoredPart(ETag=f'"{number}"', PartNumber=number, Size=1) for number in (3, 1, 10, 2)]
    api = Api(Http(account(), httpx.MockTransport(answer)))
    run(api.complete_upload(Upload.model_validate(upload), tuple(listed)))
    assert sent == [{"ETag": f'"{number}"', "PartNumber": number} for number in (1, 2, 3, 10)]


def test_upload_of_yesterday_is_left_to_be_swept(cloud: Cloud) -> None:
    first = cloud.bring()
    cloud.now_s += timedelta(hours=21).total_seconds()
    assert cloud.bring().pk != first.pk


def test_another_job_or_attempt_is_another_upload(cloud: Cloud) -> None:
    first = cloud.bring()
    assert cloud.bring(job=RemoteJob(key="1e" * 16)).pk != first.pk
    assert cloud.bring(job=RemoteJob(key=JOB.key, attempt=2)).pk != first.pk


def test_part_that_another_version_of_the_file_left_is_not_mixed_in(cloud: Cloud) -> None:
    cloud.fault = lambda what, request: httpx.Response(503) if what == "part 2" else None
    with pytest.raises(TryLater):
        cloud.bring(CONTENT[::-1])
    cloud.fault = lambda what, request: None
    upload = cloud.bring()
    assert parts(cloud) == {"part 1": 1, "part 2": 1, "part 3": 1}
    assert cloud.asked["POST uploads"] == 0, "the same upload goes on"
    assert cloud.stored(upload) == CONTENT


def test_part_of_another_version_that_cannot_be_replaced_is_never_completed(cloud: Cloud) -> None:
    cloud.fault = lambda what, request: httpx.Response(503) if what == "part 2" else None
    with pytest.raises(TryLater):
        cloud.bring(CONTENT[::-1])
    cloud.fault = lambda what, request: httpx.Response(503) if what == "part 1" else None
    with pytest.raises(TryLater) as caught:
        cloud.bring()
    assert caught.value.numbers == {"missing": 1, "parts": 3}
    assert cloud.asked["PATCH complete-multipart-upload"] == 0


def test_upload_that_the_store_forgot_is_begun_anew(cloud: Cloud) -> None:
    cloud.fault = lambda what, request: httpx.Response(503) if what == "part 2" else None
    with pytest.raises(TryLater):
        cloud.bring()
    cloud.fault = lambda what, request: (
        httpx.Response(500) if what == "GET list-parts" and cloud.asked[what] == 1 else None
    )
    upload = cloud.bring()
    assert cloud.asked["POST uploads"] == 1
    assert cloud.stored(upload) == CONTENT


def test_upload_that_was_aborted_while_it_was_read_is_begun_anew(cloud: Cloud) -> None:
    cloud.fault = lambda what, request: httpx.Response(503) if what == "part 2" else None
    with pytest.raises(TryLater):
        cloud.bring()
    gone = httpx.Response(404, json={"detail": "No UserUpload matches the given query."})
    cloud.fault = lambda what, request: gone if what == "GET list-parts" and cloud.asked[what] == 1 else None
    assert cloud.bring().status == "Completed"
    assert cloud.asked["POST uploads"] == 1


def test_full_quota_that_was_a_finished_upload_is_seen_by_its_status(cloud: Cloud) -> None:
    """Both answer 403 with the same sentence: only the upload itself tells them apart."""
    limit = httpx.Response(403, json={"detail": "Upload limit reached"})
    cloud.fault = lambda what, request: limit if what == "PATCH generate-presigned-urls" else None
    with pytest.raises(TryLater) as caught:
        cloud.bring()
    assert (caught.value.code, caught.value.after_s) == ("GC-105", 900.0)
    assert cloud.asked["GET " + cloud.sandbox_upload()] == 1


def test_earlier_upload_is_said_to_be_one(cloud: Cloud) -> None:
    assert not cloud.brought().is_earlier
    assert cloud.brought().is_earlier


def test_image_of_this_job_at_the_platform_stops_the_upload_before_a_byte_is_sent() -> None:
    file = parcel_file(b"abc")
    name = upload_name(JOB, file.file_name)
    image = {"pk": "i1", "name": name, "files": []}
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(f"{request.method} {request.url.path.rstrip('/').rpartition('/')[2]}")
        results = [image] if request.url.params.get("name") == name else []
        return httpx.Response(200, json={"count": len(results), "results": results})

    uploader = Uploader(Api(Http(account(), httpx.MockTransport(answer))), Options(), lambda: 0.0)
    with pytest.raises(Unsure) as caught:
        run(uploader.bring(JOB, file, Shelf(b"abc")))
    assert caught.value.code == "GC-224"
    assert asked == ["GET uploads", "GET images"]


def test_images_of_a_server_that_ignores_the_filter_stop_nothing() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"count": 1, "results": [{"pk": "i1", "name": "other.mha"}]})

    api = Api(Http(account(), httpx.MockTransport(answer)))
    assert run(api.images_named("ours.mha")) == ()


@pytest.mark.parametrize("shelf", [b"", CONTENT[:-1], CONTENT + b"x"])
def test_file_that_is_not_the_parcel_s_is_damaged_and_nothing_is_asked(cloud: Cloud, shelf: bytes) -> None:
    with pytest.raises(Damaged) as caught:
        cloud.bring(CONTENT, Shelf(shelf))
    assert caught.value.code == "GC-201"
    assert not cloud.asked


def test_file_that_is_gone_is_damaged(cloud: Cloud) -> None:
    class Bare:
        def open(self, ref: str) -> BinaryIO:
            raise FileNotFoundError(ref)

    with pytest.raises(Damaged):
        cloud.bring(CONTENT, Bare())


def test_memory_stays_flat(cloud: Cloud, tmp_path: Path) -> None:
    """48 MiB in eight parts on two lanes: no part is ever held whole."""
    path = tmp_path / "large.mha"
    with path.open("wb") as stream:
        stream.truncate(48 * MIB)
    file = parcel_file(b"", size_bytes=48 * MIB, sha256="0" * 64)

    class OnDisk:
        def open(self, ref: str) -> BinaryIO:
            return path.open("rb")

    read = _Drained()
    http = Http(account(), read)
    uploader = Uploader(Api(http), Options(part_mib=6, parallel_parts=2), lambda: 0.0)
    tracemalloc.start()
    try:
        run(uploader.bring(JOB, file, OnDisk()))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sum(read.sizes.values()) == 48 * MIB
    assert read.most_at_once == 2
    assert peak < 6 * MIB


class _Drained(httpx.AsyncBaseTransport):
    """A platform that counts the bytes of parts and keeps none."""

    def __init__(self) -> None:
        self.sizes: dict[int, int] = {}
        self.at_once = self.most_at_once = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        upload: dict[str, Any] = {
            "pk": "u",
            "api_url": "x",
            "s3_upload_id": "s",
            "created": "1970-01-01T00:00:00Z",
        }
        action = request.url.path.rstrip("/").rpartition("/")[2]
        if request.method == "PUT":
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            number = int(action)
            assert isinstance(request.stream, httpx.AsyncByteStream)
            async for chunk in request.stream:
                self.sizes[number] = self.sizes.get(number, 0) + len(chunk)
            self.at_once -= 1
            return httpx.Response(200)
        match action:
            case "uploads" | "images" if request.method == "GET":
                return httpx.Response(200, json={"count": 0, "results": []})
            case "list-parts":
                upload["parts"] = [
                    {"ETag": "e", "PartNumber": number, "Size": size} for number, size in self.sizes.items()
                ]
            case "generate-presigned-urls":
                wanted = json.loads(request.content)["part_numbers"]
                upload["presigned_urls"] = {str(n): f"https://store.example/{n}" for n in wanted}
            case "complete-multipart-upload":
                upload["status"] = "Completed"
        return httpx.Response(200, json=upload)


@given(size=st.integers(1, 20_000 * MIB), part_mib=st.integers(5, 64))
def test_parts_cover_the_file_once_within_the_rules_of_s3(size: int, part_mib: int) -> None:
    pieces = parts_of(size, part_mib * MIB)
    assert [piece.number for piece in pieces] == list(range(1, len(pieces) + 1))
    assert len(pieces) <= MOST_PARTS
    end = 0
    for piece in pieces:
        assert piece.start == end
        end += piece.size_bytes
    assert end == size
    assert all(5 * MIB <= piece.size_bytes <= 5 << 30 for piece in pieces[:-1])


def test_name_of_an_upload_holds_the_key_and_fits() -> None:
    name = upload_name(JOB, "s" * 200 + ".mha")
    assert key_of(name) == JOB.key
    assert len(name) <= 128
    assert name.endswith(".mha")


def test_name_of_a_file_has_the_key_first_and_fits() -> None:
    name = file_upload_name(JOB, "s" * 200 + ".mha")
    assert name.startswith(f"{JOB.key}-1-s")
    assert key_of(name) == JOB.key
    assert len(name) <= 128


@pytest.mark.parametrize("name_of", [upload_name, file_upload_name])
def test_two_long_sockets_that_begin_alike_are_two_uploads(name_of: Any) -> None:
    one, other = ("a-socket-of-many-words-" * 4 + end + ".json" for end in ("left", "right"))
    assert name_of(JOB, one) != name_of(JOB, other)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("0123456789abcdef0123456789abcdef-1-options-file.json", "0123456789abcdef0123456789abcdef"),
        ("0123456789abcdef0123456789abcdef-12-opt_fH91xh3.json", "0123456789abcdef0123456789abcdef"),
        ("0123456789abcdef0123456789abcdef.json", ""),
        ("ct-image-0123456789abcdef0123456789abcdef-1.mha", "0123456789abcdef0123456789abcdef"),
        ("options-0123456789abcdef0123456789abcdef-12_fH91xh3.json", "0123456789abcdef0123456789abcdef"),
        ("image10x10x10.mha", ""),
        ("chest-1.mha", ""),
        ("1.2.826.0.1.3680043.8.498.97186838107413637148238921599038725197-0", ""),
        ("", ""),
    ],
)
def test_key_is_read_from_names_of_ours_only(name: str, key: str) -> None:
    assert key_of(name) == key


@pytest.mark.parametrize(
    ("theirs", "is_ours"),
    [
        ("a-k-1.json", True),
        ("a-k-1_x7.json", True),
        ("a-k-11.json", False),
        ("a-k-1.csv", False),
        ("", False),
    ],
)
def test_file_of_ours_is_known_behind_the_mark_of_the_storage(theirs: str, is_ours: bool) -> None:
    assert is_named("a-k-1.json", theirs) is is_ours
    assert not is_named("", theirs)


KEY_FIRST = "0123456789abcdef0123456789abcdef-1-options-for-the-left-side"


@pytest.mark.parametrize(
    ("stem", "is_ours"),
    [
        (KEY_FIRST, True),
        (KEY_FIRST[:40], True),
        (f"{KEY_FIRST}_fH91xh3", True),
        (f"{KEY_FIRST[:40]}_fH91xh3", True),
        (KEY_FIRST[:34], False),
        (KEY_FIRST.replace("-1-", "-2-"), False),
        (KEY_FIRST.replace("0123", "3210"), False),
        (KEY_FIRST + "s", False),
    ],
)
def test_file_of_ours_is_known_though_storage_cut_the_end_of_its_name(stem: str, is_ours: bool) -> None:
    """A database that keeps 100 characters of a path leaves some 50 for the name."""
    assert is_named(f"{KEY_FIRST}.json", f"{stem}.json") is is_ours
    assert not is_named(f"{KEY_FIRST}.json", f"{stem}.csv")
