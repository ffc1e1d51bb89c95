"""The search finds a mark however it was packed, and nothing where there is none."""

from __future__ import annotations

import base64
import gzip
import io
import json
import random
import time
import zipfile
import zlib
from collections.abc import Callable
from urllib.parse import quote

import numpy as np
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian
from tests.canaries import search
from tests.canaries.marks import Marks
from tests.canaries.search import Hit, Searcher
from tests.made_objects import ct_slice

from bridge.export.mha import write_mha_compressed
from bridge.export.nrrd import write_nrrd_compressed
from bridge.volumes.volume import Geometry

MARKS = Marks()
WANTED, OTHER = MARKS.text("wanted"), MARKS.text("other")
NUMBER, DAY = MARKS.uid("uid"), MARKS.date("day")
SEARCHER = Searcher.of_texts(MARKS.planted)


def deflated(data: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(data) + stream.flush()


def zipped(data: bytes, name: str = "0001") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data)
    return buffer.getvalue()


def in_pixels(write: Callable[..., object]) -> Callable[[bytes], bytes]:
    def packed(data: bytes) -> bytes:
        voxels = np.zeros((1, 4, 64), np.uint8)
        voxels.reshape(-1)[: len(data)] = np.frombuffer(data, np.uint8)
        geometry = Geometry(
            shape=(1, 4, 64),
            origin_lps=(0.0, 0.0, 0.0),
            slice_step_lps=(0.0, 0.0, 1.0),
            row_step_lps=(0.0, 1.0, 0.0),
            column_step_lps=(1.0, 0.0, 0.0),
            spacing_mm=(1.0, 1.0, 1.0),
        )
        sink = io.BytesIO()
        write(geometry, voxels, sink)
        return sink.getvalue()

    return packed


def deflated_dicom(data: bytes) -> bytes:
    made = ct_slice(name=data.decode())
    made.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    buffer = io.BytesIO()
    made.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


WAYS: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda data: data,
    "small letters": bytes.lower,
    "gzip": gzip.compress,
    "gzip behind something": lambda data: b"head" + gzip.compress(data) + b"tail",
    "zlib": zlib.compress,
    "zlib, level 1": lambda data: b"x" * 9 + zlib.compress(data, 1),
    "deflate": lambda data: deflated(data + bytes(40)),
    "zip": zipped,
    "name of a zip entry": lambda data: zipped(b"", data.decode()),
    "zip in a zip": lambda data: zipped(zipped(data)),
    "multipart": lambda data: (
        b'--x\r\nContent-Disposition: form-data; filename="f"\r\n\r\n' + data + b"\r\n--x--"
    ),
    "base64": base64.b64encode,
    "base64, 1 byte before": lambda data: base64.b64encode(b"a" + data + b"end"),
    "base64, 2 bytes before": lambda data: base64.b64encode(b"ab" + data + b"the end"),
    "base64 in lines": lambda data: base64.encodebytes(b"some words before " * 5 + data + b" and after" * 9),
    "base64 for URLs": lambda data: base64.urlsafe_b64encode(b"\xff\xfb\xef" * 4 + data),
    "base64 behind its alphabet": lambda data: b"https://h/data/" + base64.b64encode(data) + b"/x",
    "base64 of gzip": lambda data: base64.b64encode(gzip.compress(data)),
    "base64 twice": lambda data: base64.b64encode(base64.b64encode(data + b"more")),
    "hexadecimal": lambda data: b"x=" + data.hex().encode(),
    "hexadecimal, capitals, odd place": lambda data: b"A" + data.hex().upper().encode(),
    "URL": lambda data: b"?q=" + "".join(f"%{one:02x}" for one in data).encode(),
    "URL between other bytes": lambda data: (
        b"\0\1" + data[:4] + f"%{data[4]:02X}".encode() + data[5:] + b"\0"
    ),
    "URL of gzip": lambda data: b"\0" + quote(gzip.compress(data)).encode() + b"\0",
    "URL twice": lambda data: quote(quote("<" + data.decode() + "^>")).encode(),
    "JSON escapes": lambda data: b'{"a":"' + "".join(f"\\u{one:04x}" for one in data).encode() + b'"}',
    "JSON escapes, mixed": lambda data: b'"' + data[:3] + f"\\u{data[3]:04X}".encode() + data[4:] + b'"',
    "JSON in JSON in base64": lambda data: base64.b64encode(
        json.dumps({"a": json.dumps({"ü": data.decode()})}).encode()
    ),
    "UTF-16": lambda data: data.decode().encode("utf-16-le"),
    "UTF-16, big-endian": lambda data: b"x" + data.decode().encode("utf-16-be"),
    "UTF-16 in gzip": lambda data: gzip.compress(data.decode().encode("utf-16")),
    "swapped bytes": lambda data: bytes(8) + swapped(data),
    "swapped bytes, odd place": lambda data: swapped(b"a" + data + b"b" * (1 + len(data) % 2)),
    "voxels of a compressed .mha": in_pixels(write_mha_compressed),
    "voxels of a compressed .nrrd": in_pixels(write_nrrd_compressed),
    "deflated DICOM": deflated_dicom,
}


def swapped(data: bytes) -> bytes:
    even = data + bytes(len(data) % 2)
    return bytes(even[at ^ 1] for at in range(len(even)))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("mark", [WANTED, NUMBER], ids=["text", "uid"])
def test_a_mark_is_found_however_it_was_packed(way: str, mark: str) -> None:
    assert SEARCHER.search(WAYS[way](mark.encode())).marks == {mark}


def test_packed_bytes_are_not_taken_for_a_url() -> None:
    """Their streams would come out as rubbish, in which pieces of UIDs read as dates."""
    hits = SEARCHER.search(zipped(WANTED.encode() * 3, "%41")).hits
    assert hits == {Hit(WANTED, ("zip",))}


@pytest.mark.parametrize(
    ("data", "is_found"),
    [
        (f"StudyDate={DAY}", True),
        (f"DA\x08\x00{DAY}2\x00", True),
        (f"{DAY}031415.926535", True),
        (f"2.25.31{DAY}99887766554433221100", False),
        (f"2.25.{DAY}99887766554433221100", False),
        (f"sha256 9f{DAY}aa00bb11cc22dd33", False),
        (f"ACC{DAY}", True),
    ],
)
def test_a_day_is_a_day_only_by_itself(data: str, is_found: bool) -> None:
    assert SEARCHER.search(data.encode()).marks == ({DAY} if is_found else set())


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(("Äneas^Rüdiger", "latin-1"), id="latin 1"),
        pytest.param(("Äneas^Rüdiger", "utf-8"), id="utf-8"),
        pytest.param(("Люкceмбypг", "iso8859_5"), id="cyrillic"),
        pytest.param(("山田^太郎", "iso2022_jp"), id="japanese"),
    ],
)
def test_a_name_is_found_in_its_own_character_set(name: tuple[str, str]) -> None:
    text, coding = name
    searcher = Searcher({"name": (text.encode(coding), text.encode())})
    assert searcher.search(gzip.compress(b"x" + text.encode(coding))).marks == {"name"}
    assert searcher.search(json.dumps({"name": text}).encode()).marks == {"name"}


def test_chunks_hide_nothing_between_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "CHUNK", 256)
    for ahead in range(-len(WANTED), 2):
        data = bytes(256 + ahead) + WANTED.encode() + bytes(64)
        # By itself: a layer that was unpacked has its chunks elsewhere, and would hide what this one hides.
        assert Hit(WANTED) in SEARCHER.search(data).hits, ahead


def test_random_bytes_hold_no_mark_and_are_searched_fast() -> None:
    marks = Marks()
    for number in range(3_000):
        marks.text(str(number)), marks.uid(str(number)), marks.date(str(number))
    searcher = Searcher.of_texts(marks.planted)
    data = random.Random(7).randbytes(4 << 20)
    begun = time.process_time()
    report = searcher.search(data)
    assert report.hits == set()
    assert report.searched >= len(data)
    assert time.process_time() - begun < 30
