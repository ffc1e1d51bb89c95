"""Files of the site's own on their way to a platform."""

from __future__ import annotations

import errno
import hashlib
import io
import zipfile
from pathlib import Path

import pytest

from bridge.errors import Held, Refused
from bridge.flow.stages.fixed_files import copy_all, media_type_of
from bridge.flow.stages.shelf import FileSink, JobShelf

DICOM = bytes(128) + b"DICM" + bytes(8)


def zipped(encrypted: bool = False, **members: bytes) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    # Bit 0 of the general purpose flags, in the local header and in the directory.
    found = bytearray(data.getvalue())
    if encrypted:
        found[6] |= 1
        found[found.index(b"PK\x01\x02") + 8] |= 1
    return bytes(found)


def named(path: str, content: bytes) -> dict[str, object]:
    return {"file": path, "sha256": hashlib.sha256(content).hexdigest()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "site").mkdir()
    return tmp_path / "site"


def test_files_are_copied_bit_for_bit_and_other_values_are_left_alone(folder: Path, tmp_path: Path) -> None:
    (folder / "sub").mkdir()
    contents = {"atlas": zipped(a=b"1"), "../../up": b"%PDF-1.7 text"}
    paths = {"atlas": "sub/atlas.zip", "../../up": str(folder / "up.pdf")}
    for socket, content in contents.items():
        (folder / paths[socket]).write_bytes(content)
    values = {
        **{socket: named(paths[socket], content) for socket, content in contents.items()},
        "threshold": 1,
        "mask": {"image": "i"},
        "options": {"file": 3},
    }
    shelf = JobShelf(tmp_path / "job")
    copied = copy_all(folder, shelf, values)
    assert {socket: shelf.open(one.ref).read() for socket, one in copied.items()} == contents
    assert {socket: one.requested.media_type for socket, one in copied.items()} == {
        "atlas": "application/zip",
        "../../up": "application/pdf",
    }
    assert all(one.requested.size_bytes == len(contents[socket]) for socket, one in copied.items())


@pytest.mark.parametrize("change", ["other", "gone"])
def test_file_that_is_not_the_one_of_the_rules_is_held(folder: Path, tmp_path: Path, change: str) -> None:
    values = {"atlas": named("atlas.bin", b"before")}
    if change == "other":
        (folder / "atlas.bin").write_bytes(b"after!")
    with pytest.raises(Held) as held:
        copy_all(folder, JobShelf(tmp_path / "job"), values)
    assert held.value.code == "PRE-003"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (DICOM, "is a DICOM object"),
        (zipped(a=b"1", b=DICOM), "with a DICOM object in it"),
        (zipped(a=b"1")[:-4], "cannot be looked into"),
        (zipped(encrypted=True, a=b"1"), "cannot be looked into"),
    ],
    ids=["object", "in-an-archive", "broken", "encrypted"],
)
def test_objects_of_a_patient_never_leave_as_a_file(
    folder: Path, tmp_path: Path, content: bytes, why: str
) -> None:
    (folder / "file").write_bytes(content)
    with pytest.raises(Refused) as refused:
        copy_all(folder, JobShelf(tmp_path / "job"), {"f": named("file", content)})
    assert refused.value.code == "PRE-004"
    assert why in refused.value.found


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (b"%PDF-1.4", "application/pdf"),
        (b" %PDF-1.4", "text/plain"),
        (zipped(), "application/zip"),
        (b"\x89PNG\r\n\x1a\nrest", "image/png"),
        (b"\xff\xd8\xff\xe0rest", "image/jpeg"),
        (b"\0\0\0\x18ftypisom", "video/mp4"),
        (b'{"a": [1, "\xc3\xa4"]}', "application/json"),
        (b"3", "application/json"),
        (b'{"a": NaN}', "text/plain"),
        (b"{" * 100_000, "text/plain"),
        (b"a,b\n1,2\n", "text/plain"),
        ("ä".encode() * 600_000, "text/plain"),
        ("ä".encode("latin-1"), ""),
        (b"a\0b", ""),
        ("ä".encode()[:1], ""),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else value or "unknown",
)
def test_kind_of_a_file_is_told_by_what_it_holds(tmp_path: Path, content: bytes, media_type: str) -> None:
    (tmp_path / "file.zip").write_bytes(content)
    assert media_type_of(tmp_path / "file.zip") == media_type


def test_full_disk_of_our_own_is_no_fault_of_the_file(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "atlas.bin").write_bytes(b"atlas")

    def full(sink: FileSink, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(FileSink, "write", full)
    with pytest.raises(OSError, match="No space left"):
        copy_all(folder, JobShelf(tmp_path / "job"), {"atlas": named("atlas.bin", b"atlas")})
