"""A file on the shelf is whole or not there, and nothing leaves the shelf."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from bridge.errors import Damaged
from bridge.flow.stages.shelf import JobShelf


def test_written_file_is_counted_and_digested(tmp_path: Path) -> None:
    with JobShelf(tmp_path / "j").sink("parcel/ct.mha") as sink:
        sink.write(b"one")
        sink.write(memoryview(b"two"))
    assert (tmp_path / "j/parcel/ct.mha").read_bytes() == b"onetwo"
    assert (sink.size_bytes, sink.sha256) == (6, hashlib.sha256(b"onetwo").hexdigest())


def test_interrupted_writing_leaves_no_file_of_that_name(tmp_path: Path) -> None:
    shelf = JobShelf(tmp_path / "j")
    with pytest.raises(RuntimeError), shelf.sink("outputs/000") as sink:
        sink.write(b"half")
        raise RuntimeError
    assert not (tmp_path / "j/outputs/000").exists()


@pytest.mark.parametrize("ref", ["../other/x", "/etc/passwd", "a/../../x"])
def test_name_that_leaves_the_shelf_is_refused(tmp_path: Path, ref: str) -> None:
    with pytest.raises(Damaged, match="leaves the folder"):
        JobShelf(tmp_path / "j").path(ref)
