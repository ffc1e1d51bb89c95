"""Compressed objects decoded: pydicom's own decoders say what the values are."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian
from tests.unit.volumes.real import instance_of

from bridge.dicom.uncompressed import is_compressed, uncompressed
from bridge.errors import Damaged

pytestmark = pytest.mark.filterwarnings("ignore")


SOURCES = [
    "compressed/4.80_jpegls_lossless_MR_small.dcm",
    "compressed/4.90_jpeg2000_lossless_MR_small.dcm",
    "compressed/5_rle_MR_small_RLE.dcm",
    "multiframe/enhanced-mr-emri_small_RLE.dcm",
    "multiframe/enhanced-mr-emri_small_jpeg_ls.dcm",
]


@pytest.mark.parametrize("name", SOURCES)
def test_decoded_object_says_what_the_compressed_one_said(shared_data: Path, name: str) -> None:
    source = instance_of(shared_data / name)
    assert is_compressed(source)
    made = uncompressed(source)
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    buffer = BytesIO()
    made.save_as(buffer, enforce_file_format=False, little_endian=True, implicit_vr=False)
    left, came = dcmread(BytesIO(buffer.getvalue())), dcmread(source.file)
    assert np.array_equal(left.pixel_array, came.pixel_array)
    pixels = 0x7FE00000
    assert [one for one in left if one.tag < pixels] == [one for one in came if one.tag < pixels]
    assert {one.tag for one in left if one.tag.group == 0x7FE0} == {0x7FE00010}


def test_uncompressed_object_needs_nothing(shared_data: Path) -> None:
    name = "compressed/1.2.1_explicit_le_MR_small.dcm"
    assert not is_compressed(instance_of(shared_data / name))


def test_object_that_breaks_off_is_damaged(shared_data: Path, tmp_path: Path) -> None:
    whole = (shared_data / SOURCES[0]).read_bytes()
    source = replace(instance_of(shared_data / SOURCES[0]), file=tmp_path / "broken.dcm")
    source.file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(Damaged):
        uncompressed(source)
