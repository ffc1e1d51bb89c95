"""Compressed frames lose every comment and keep every pixel."""

from __future__ import annotations

import struct
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.encaps import encapsulate, generate_frames

from bridge.errors import Refused
from bridge.export.codestreams import CLEANABLE, JPEG, JPEG_2000, RLE, cleaned_frame
from bridge.export.deidentified import deidentify
from bridge.export.profile import Profile
from bridge.export.pseudonyms import Pseudonyms, Scope

JPEG_BASELINE, JPEG_EXTENDED, JPEG_2000_LOSSLESS = (
    f"1.2.840.10008.1.2.4.{one}" for one in ("50", "51", "90")
)
NAMES = Pseudonyms(b"k" * 32, Scope.of_job("job-1"))
MARK = b"JONES^COMMENT"


def segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">HH", marker, len(content) + 2) + content


def with_comments(frame: bytes, syntax: str) -> bytes:
    """The frame as a chatty encoder would have written it: comments in front, and something behind the end."""
    if syntax in JPEG:
        told = b"".join(segment(marker, MARK) for marker in (0xFFE0, 0xFFE1, 0xFFEE, 0xFFFE))
        return frame[:2] + told + frame[2:] + MARK
    if syntax == RLE:
        return frame + MARK + b"\0"
    start = frame.index(b"\xff\x4f\xff\x51")
    frame = frame[start:]
    size = int.from_bytes(frame[4:6], "big")
    main = frame[: 4 + size] + segment(0xFF64, b"\0\1" + MARK) + frame[4 + size :]
    at = main.index(b"\xff\x90\x00\x0a")
    length = int.from_bytes(main[at + 6 : at + 10], "big")
    comment = segment(0xFF64, b"\0\1" + MARK)
    longer = (length + len(comment) if length else 0).to_bytes(4, "big")
    return main[: at + 6] + longer + main[at + 10 : at + 12] + comment + main[at + 12 :] + MARK


def compressed(folder: Path) -> list[Path]:
    files = [
        *sorted(folder.joinpath("compressed").iterdir()),
        *sorted(folder.joinpath("multiframe").iterdir()),
    ]
    found = []
    for file in files:
        if not file.is_file() or file.suffix == ".md":
            continue
        head = dcmread(file, stop_before_pixels=True, force=True)
        # Twelve bits of JPEG Extended: the decoder that pydicom would take falls over them.
        if getattr(head.file_meta, "TransferSyntaxUID", "") in CLEANABLE - {JPEG_EXTENDED}:
            found.append(file)
    return found


@pytest.mark.slow
def test_every_real_frame_loses_its_comments_and_keeps_its_pixels(shared_data: Path) -> None:
    seen: set[str] = set()
    for file in compressed(shared_data):
        source = dcmread(file)
        syntax = str(source.file_meta.TransferSyntaxUID)
        count = int(source.get("NumberOfFrames") or 1)
        frames = [
            with_comments(one, syntax) for one in generate_frames(source.PixelData, number_of_frames=count)
        ]
        before = _decoded(file)
        source.PixelData = encapsulate(frames)
        buffer = BytesIO()
        source.save_as(buffer)
        assert MARK in buffer.getvalue()
        cleaned = deidentify(buffer.getvalue(), Profile(), NAMES)
        assert MARK not in cleaned.encoded, file.name
        after = _decoded(BytesIO(cleaned.encoded))
        assert (before is None) == (after is None), file.name
        if before is not None and after is not None:
            np.testing.assert_array_equal(after, before, err_msg=file.name)
            seen.add(syntax)
    assert len(seen) >= 8
    assert seen & JPEG
    assert seen & JPEG_2000
    assert RLE in seen


def _decoded(file: Path | BytesIO) -> np.ndarray | None:
    try:
        return dcmread(file).pixel_array
    except (RuntimeError, NotImplementedError, ValueError, AttributeError):
        return None


@pytest.mark.parametrize(
    ("syntax", "frame"),
    [
        pytest.param(JPEG_BASELINE, b"", id="nothing"),
        pytest.param(JPEG_BASELINE, b"\xff\xd8\xff\xfe\x00\x20" + MARK, id="a comment longer than the frame"),
        pytest.param(JPEG_BASELINE, b"\xff\xd8\xff\xda\x00\x04ab" + MARK, id="no end"),
        pytest.param(JPEG_BASELINE, b"\xff\xd8" + MARK + b"\xff\xd9", id="text between segments"),
        pytest.param(JPEG_2000_LOSSLESS, b"\xff\x4f\xff\x51\x00\x02", id="no tile"),
        pytest.param(
            JPEG_2000_LOSSLESS, b"\xff\x4f\xff\x90\x00\x0a\0\0\0\0\xff\xff\0\1", id="a tile beyond the end"
        ),
        pytest.param(RLE, b"\0" * 64, id="no segment"),
        pytest.param(RLE, struct.pack("<16I", 1, 64, *[0] * 14) + b"\x05abcdef", id="too few pixels"),
        pytest.param(RLE, struct.pack("<16I", 1, 64, *[0] * 14) + b"\xf0a" + MARK, id="too many pixels"),
    ],
)
def test_a_frame_that_cannot_be_followed_is_refused(syntax: str, frame: bytes) -> None:
    with pytest.raises(Refused) as refused:
        cleaned_frame(frame, syntax, 2, 5)
    assert refused.value.code == "DEI-006"
    assert "JONES" not in str(refused.value)


def test_the_colour_transform_of_an_encoder_stays() -> None:
    adobe = segment(0xFFEE, b"Adobe\0\x64\0\0\0\0\1")
    jpeg = b"\xff\xd8" + adobe + segment(0xFFDA, b"\1\1\0\0\x3f\0") + b"abc\xff\0d\xff\xd9"
    assert cleaned_frame(jpeg, JPEG_BASELINE, 1, 1) == jpeg + b"\0" * (len(jpeg) % 2)
