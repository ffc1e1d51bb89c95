from __future__ import annotations

import hashlib
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import dcmread, uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from tests.unit.volumes.real import instance_of

from bridge.dicom.codestream import claimed_size
from bridge.dicom.instance import Instance
from bridge.dicom.pixels import FileReader
from bridge.errors import BridgeError, Damaged, Refused

Array = NDArray[Any]
READ = FileReader()
PLAIN = [uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.ExplicitVRBigEndian]


def write(path: Path, pixels: bytes, syntax: str = uid.ExplicitVRLittleEndian, **other: Any) -> Instance:
    """A file of 2 x 3 pixels of 16 bits, written by pydicom."""
    header = Dataset()
    header.SOPClassUID, header.SOPInstanceUID = uid.CTImageStorage, "2.25.1"
    header.Rows, header.Columns, header.SamplesPerPixel = 2, 3, 1
    header.PhotometricInterpretation = "MONOCHROME2"
    header.BitsAllocated, header.BitsStored, header.HighBit, header.PixelRepresentation = 16, 16, 15, 0
    header.PixelData = pixels
    for keyword, value in other.items():
        setattr(header, keyword, value)
    header["PixelData"].VR = "OW" if syntax in PLAIN or header.BitsAllocated > 8 else "OB"
    header["PixelData"].is_undefined_length = uid.UID(syntax).is_encapsulated
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = uid.UID(syntax)
    header.save_as(path, enforce_file_format=True)
    return instance_of(path)


@pytest.mark.parametrize(
    "name",
    [
        "compressed/1.2.1_explicit_le_MR_small.dcm",
        "compressed/1.2.2_big_endian_MR_small_bigendian.dcm",
        "compressed/1.2_implicit_le_MR_small_implicit.dcm",
        "compressed/4.80_jpegls_lossless_MR_small.dcm",
        "compressed/4.90_jpeg2000_lossless_MR_small.dcm",
        "compressed/5_rle_MR_small_RLE.dcm",
        "odd-files/MR_small_expb.dcm",
        "odd-files/MR_small_padded.dcm",
    ],
)
def test_encodings_of_one_image_give_the_published_voxels(shared_data: Path, name: str) -> None:
    stored = READ(instance_of(shared_data / name), 1)
    assert stored.dtype == np.int16
    assert hashlib.sha256(stored.astype("<i2").tobytes()).hexdigest().startswith("88617aaa46")


@pytest.mark.parametrize(
    "name",
    [
        "compressed/4.70_jpeg_lossless_sv1_NM1.dcm",
        "compressed/4.80_jpegls_lossless_CT1_fragmented_bot.dcm",
        "compressed/4.90_jpeg2000_lossless_CT_explicit_VR-UN.dcm",
        "compressed/4.91_jpeg2000_lossy_CT1_J2KI.dcm",
        "odd-files/D_CLUNIE_CT1_RLE_FRAGS.dcm",
        "odd-files/J2K_pixelrep_mismatch.dcm",
        "odd-files/bad_sequence.dcm",
        "pet-single-slices/ge-jpeg-lossless-GH184.dcm",
        "odd-files/made-elements-out-of-order.dcm",
        "odd-files/made-odd-length-value.dcm",
    ],
)
def test_values_equal_those_of_another_decoder(shared_data: Path, name: str) -> None:
    import SimpleITK

    instance = instance_of(shared_data / name)
    theirs = np.squeeze(SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(instance.file))))
    slope, intercept = (float(instance.header.get(k) or 0) for k in ("RescaleSlope", "RescaleIntercept"))
    np.testing.assert_array_equal(READ(instance, 1) * (slope or 1) + intercept, theirs)


@pytest.mark.parametrize(
    "name",
    [
        "made-implicit-body-declared-explicit",
        "made-explicit-body-declared-implicit",
        "made-trailing-garbage",
        "made-data-set-trailing-padding",
    ],
)
def test_odd_bytes_around_the_pixels_do_not_reach_them(shared_data: Path, name: str) -> None:
    honest = READ(instance_of(shared_data / "odd-files/made-meta-uid-differs.dcm"), 1)
    np.testing.assert_array_equal(READ(instance_of(shared_data / f"odd-files/{name}.dcm"), 1), honest)


def test_frames_of_a_multi_frame_object_equal_its_slices(shared_data: Path) -> None:
    frames = instance_of(next((shared_data / "multiframe/ct-legacy-converted-enhanced").iterdir()))
    slices = [instance_of(path) for path in (shared_data / "ct-head-phantom-philips/S2010").iterdir()]
    slices.sort(key=lambda one: -float(one.header.ImagePositionPatient[2]))
    for number in (1, 2, 17, 28):  # the frames run downward
        np.testing.assert_array_equal(READ(frames, number), READ(slices[number - 1], 1))
    for number in (0, 29):
        with pytest.raises(Damaged):
            READ(frames, number)


def test_uncompressed_frames_lie_one_after_the_other(tmp_path: Path) -> None:
    pixels = np.arange(18, dtype="<u2")
    instance = write(tmp_path / "a", pixels.tobytes(), NumberOfFrames="3")
    assert READ(instance, 2).tolist() == [[6, 7, 8], [9, 10, 11]]
    with pytest.raises(Damaged):
        READ(instance, 4)


@pytest.mark.parametrize(
    ("stored", "bits", "high_bit", "signed", "expected"),
    [
        (0x0FFF, 12, 11, 0, 4095),
        (0x0FFF, 12, 11, 1, -1),
        (0x0800, 12, 11, 1, -2048),
        (0xF7FF, 12, 11, 1, 2047),
        (0xA123, 12, 11, 0, 0x123),  # an overlay of old in the upper bits
        (0xFFF0, 12, 15, 0, 4095),
        (0x8005, 12, 15, 1, -2048),
        (0xFFFF, 16, 15, 0, 65535),
        (0xFFFF, 16, 15, 1, -1),
    ],
)
@pytest.mark.parametrize("syntax", PLAIN)
def test_only_the_stored_bits_count(
    tmp_path: Path, syntax: str, stored: int, bits: int, high_bit: int, signed: int, expected: int
) -> None:
    order = ">" if syntax == uid.ExplicitVRBigEndian else "<"
    pixels = struct.pack(f"{order}6H", 0, 1, 2, 3, 4, stored)
    instance = write(
        tmp_path / "a", pixels, syntax, BitsStored=bits, HighBit=high_bit, PixelRepresentation=signed
    )
    values = READ(instance, 1)
    assert values.dtype == ("int16" if signed else "uint16")
    assert values[1, 2] == expected


def test_sequences_of_undefined_length_before_the_pixels_are_passed(tmp_path: Path) -> None:
    inner = Dataset()
    inner.ReferencedSOPInstanceUID = "2.25.7"
    # A thumbnail has Pixel Data of its own.
    inner.PixelData = bytes(40)
    inner["PixelData"].VR = "OW"
    inner.is_undefined_length_sequence_item = True
    outer = Dataset()
    outer.ReferencedImageSequence = [inner]
    outer["ReferencedImageSequence"].is_undefined_length = True
    for syntax in PLAIN[:2]:
        instance = write(
            tmp_path / "a", struct.pack("<6H", *range(6)), syntax, IconImageSequence=[outer, inner]
        )
        instance.header["IconImageSequence"].is_undefined_length = True
        assert READ(instance, 1).tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize(
    "name",
    [
        "multiframe/seg-liver.dcm",
        "multiframe/seg-ct-binary-overlap.dcm",
        "multiframe/ct-legacy-pair-23x38x3/seg/label.seg",
    ],
)
def test_single_bits_are_read_as_another_reader_does(shared_data: Path, name: str) -> None:
    # Frames of 23 x 38 bits are no whole bytes: all but the first begin within one.
    instance = instance_of(shared_data / name)
    expected = dcmread(shared_data / name).pixel_array
    for number, frame in enumerate(expected, start=1):
        np.testing.assert_array_equal(READ(instance, number), frame)
    with pytest.raises(Damaged) as damage:
        READ(instance, len(expected) + 1)
    assert damage.value.code == "PIX-001"


def test_bits_that_break_off_are_not_filled_up(shared_data: Path, tmp_path: Path) -> None:
    whole = (shared_data / "multiframe/seg-liver.dcm").read_bytes()
    file = tmp_path / "short.dcm"
    file.write_bytes(whole[:-100])
    instance = instance_of(file)
    READ(instance, 1)
    with pytest.raises(Damaged) as damage:
        READ(instance, 3)
    assert damage.value.code == "PIX-001"


@pytest.mark.parametrize(
    ("name", "error", "code"),
    [
        ("odd-files/2026-05-26-oob-monochrome-46341.dcm", Damaged, "PIX-001"),
        ("odd-files/MR_truncated.dcm", Damaged, "PIX-001"),
        ("odd-files/GH1146.dcm", Damaged, "PIX-001"),
        ("odd-files/emri_small_jpeg_2k_lossless_too_short.dcm", Damaged, "PIX-001"),
        ("odd-files/GH178.dcm", Damaged, "PIX-002"),
        ("odd-files/genFile.dcm", Damaged, "PIX-005"),
        ("odd-files/JPEG2000-embedded-sequence-delimiter.dcm", Damaged, "PIX-005"),
        ("compressed/4.51_jpeg_extended_12bit_NM1.dcm", Refused, "PIX-004"),
        ("odd-files/made-private-transfer-syntax.dcm", Refused, "PIX-004"),
        ("compressed/4.70_jpeg_lossless_sv1_SC_rgb.dcm", Refused, "PIX-003"),
        ("compressed/8.1_deflated_frames_seg_liver.dcm", Refused, "PIX-004"),
        ("multiframe/parametric-map-float.dcm", Refused, "PIX-003"),
        ("odd-files/DICOMDIR", Refused, "PIX-003"),
    ],
)
def test_what_is_not_there_is_neither_read_nor_allocated(
    shared_data: Path, name: str, error: type[BridgeError], code: str
) -> None:
    instance = instance_of(shared_data / name)
    tracemalloc.start()
    try:
        with pytest.raises(error) as raised:
            READ(instance, 1)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert raised.value.code == code
    assert peak < 4 * instance.file.stat().st_size + 2_000_000


def test_missing_bytes_are_counted(shared_data: Path) -> None:
    with pytest.raises(Damaged) as damage:
        READ(instance_of(shared_data / "odd-files/MR_truncated.dcm"), 1)
    assert damage.value.numbers == {"found_bytes": 8130, "expected_bytes": 8192, "frame": 1}


@pytest.mark.parametrize("name", ["4.80_jpegls_lossless_MR_small.dcm", "4.90_jpeg2000_lossless_MR_small.dcm"])
def test_compressed_frame_cut_at_any_place_is_damaged(shared_data: Path, tmp_path: Path, name: str) -> None:
    instance = instance_of(shared_data / "compressed" / name)
    whole = instance.file.read_bytes()
    cut, end = tmp_path / "cut.dcm", whole.rindex(b"\xfe\xff\xdd\xe0") + 8
    for missing in (1, 8, 9, 2000, 4000):
        cut.write_bytes(whole[: end - missing])
        with pytest.raises(Damaged):
            READ(instance_of(cut), 1)


@pytest.mark.parametrize(
    ("syntax", "frame", "code"),
    [
        # A JPEG 2000 and a JPEG-LS codestream that claim 60,000 x 60,000 in an image of 2 x 3.
        (
            uid.JPEG2000Lossless,
            b"\xff\x4f\xff\x51" + struct.pack(">HH4I", 41, 0, 60000, 60000, 0, 0),
            "PIX-005",
        ),
        (uid.JPEGLSLossless, b"\xff\xd8\xff\xf7" + struct.pack(">HBHHB", 11, 16, 60000, 60000, 1), "PIX-005"),
        (uid.JPEG2000Lossless, b"no codestream at all", "PIX-005"),
        (uid.RLELossless, bytes(64), "PIX-005"),
    ],
)
def test_codestream_is_looked_at_before_a_codec_runs(
    tmp_path: Path, syntax: str, frame: bytes, code: str
) -> None:
    with pytest.raises(Damaged) as damage:
        READ(write(tmp_path / "a", encapsulate([frame]), syntax), 1)
    assert damage.value.code == code


def test_short_rle_frame_cannot_claim_a_large_image(tmp_path: Path) -> None:
    instance = write(tmp_path / "a", encapsulate([bytes(64)]), uid.RLELossless, Rows=4000, Columns=4000)
    with pytest.raises(Damaged) as damage:
        READ(instance, 1)
    assert damage.value.code == "PIX-001"


def test_compressed_frame_above_the_limit_is_refused(tmp_path: Path) -> None:
    instance = write(
        tmp_path / "a", encapsulate([bytes(64)]), uid.JPEG2000Lossless, Rows=60000, Columns=60000
    )
    with pytest.raises(Refused) as refusal:
        READ(instance, 1)
    assert refusal.value.code == "PIX-006"


def test_deflated_data_set_is_inflated(shared_data: Path) -> None:
    instance = instance_of(shared_data / "compressed/1.2.1.99_deflated_image_dfl.dcm")
    from pydicom import dcmread

    np.testing.assert_array_equal(READ(instance, 1), dcmread(instance.file).pixel_array)


@pytest.mark.parametrize("syntax", PLAIN)
@pytest.mark.parametrize("length", [100, 9_000, 200_000])
def test_pixels_are_found_behind_a_header_of_any_length(tmp_path: Path, syntax: str, length: int) -> None:
    order = ">" if syntax == uid.ExplicitVRBigEndian else "<"
    instance = write(tmp_path / "a", struct.pack(f"{order}6H", *range(6)), syntax, TextValue="x" * length)
    assert READ(instance, 1).tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize("syntax", PLAIN)
def test_uncompressed_frame_is_read_into_the_room_it_is_given(tmp_path: Path, syntax: str) -> None:
    order = ">" if syntax == uid.ExplicitVRBigEndian else "<"
    pixels = struct.pack(f"{order}6H", 0, 1, 0x0FFF, 0xF001, 4, 5)
    instance = write(tmp_path / "a", pixels, syntax, BitsStored=12, HighBit=11, PixelRepresentation=1)
    room = np.full((2, 3), 77, np.uint16)
    stored = READ.into(instance, 1, room)
    assert np.shares_memory(stored, room)
    assert stored.dtype == np.int16
    assert stored.tolist() == [[0, 1, -1], [1, 4, 5]]


@pytest.mark.parametrize("room", [np.zeros((3, 2), np.uint16), np.zeros((2, 3), np.uint8)])
def test_room_of_another_size_is_left_alone(tmp_path: Path, room: Array) -> None:
    stored = READ.into(write(tmp_path / "a", struct.pack("<6H", *range(6))), 1, room)
    assert stored.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert not room.any()


def test_bounds_are_those_of_bits_stored(tmp_path: Path) -> None:
    signed = write(tmp_path / "a", bytes(12), BitsStored=12, HighBit=11, PixelRepresentation=1)
    unsigned = write(tmp_path / "b", bytes(12), BitsStored=10, HighBit=9)
    assert READ.stored_range(signed) == (-2048, 2047)
    assert READ.stored_range(unsigned) == (0, 1023)


def test_headers_of_one_reader_are_not_mixed_up(tmp_path: Path) -> None:
    reader = FileReader()
    wide = write(tmp_path / "a", struct.pack("<6H", *range(6)))
    high = write(tmp_path / "b", struct.pack("<6H", *range(6)), Rows=3, Columns=2)
    assert [reader(one, 1).shape for one in (wide, high, wide)] == [(2, 3), (3, 2), (2, 3)]


def test_file_that_went_away_is_damaged(tmp_path: Path) -> None:
    instance = write(tmp_path / "a", bytes(12))
    instance.file.write_bytes(b"")
    with pytest.raises(Damaged) as damage:
        READ(instance, 1)
    assert damage.value.code == "PIX-002"
    instance.file.unlink()
    with pytest.raises(Damaged) as damage:
        READ(instance, 1)
    assert damage.value.code == "PIX-008"
    assert str(tmp_path) not in str(damage.value)


@pytest.mark.parametrize(
    ("frame", "size"),
    [
        (b"\xff\x4f\xff\x51" + struct.pack(">HH4I", 41, 0, 300, 200, 10, 20), (180, 290)),
        (
            b"\x00\x00\x00\x0cjP  \r\n\x87\n...\xff\x4f\xff\x51" + struct.pack(">HH4I", 41, 0, 3, 2, 0, 0),
            (2, 3),
        ),
        (b"\xff\xd8\xff\xe0\x00\x04ab\xff\xff\xc3" + struct.pack(">HBHHB", 11, 16, 50, 10, 1), (50, 10)),
        (b"\xff\xd8\xff\xc4\x00\x04ab\xff\xf7" + struct.pack(">HBHHB", 11, 12, 7, 9, 1), (7, 9)),
        (b"\xff\xd8\xff", None),
        (b"\xff\xd8\x00\x00\x00\x00", None),
        (b"", None),
    ],
)
def test_claimed_size(frame: bytes, size: tuple[int, int] | None) -> None:
    assert claimed_size(frame) == size
