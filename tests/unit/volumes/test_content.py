from __future__ import annotations

import hashlib
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.property import strategies
from tests.unit.volumes.real import instance_of, instances_of

from bridge.dicom.instance import Instance
from bridge.dicom.pixels import FileReader
from bridge.errors import Refused
from bridge.volumes import Plane, candidates_of, content_of, frame_digest, frame_digests

DIRECTIONS = np.array([[0.0, 0, 1], [0, 1, 0], [1, 0, 0]])
STORED = np.arange(12, dtype=np.int16).reshape(3, 4)
POSITION = (-93.0631599, 11.25, -439.0004)

TWINS = (
    "1.2_implicit_le_MR_small_implicit.dcm",
    "1.2.1_explicit_le_MR_small.dcm",
    "1.2.2_big_endian_MR_small_bigendian.dcm",
    "4.80_jpegls_lossless_MR_small.dcm",
    "4.90_jpeg2000_lossless_MR_small.dcm",
    "5_rle_MR_small_RLE.dcm",
)


def plane_of(instance: Instance) -> Plane:
    x, y, z = (float(value) for value in instance.header.ImagePositionPatient)
    return Plane(instance=instance, frame=1, position_lps=(x, y, z), slope=1.0, intercept=-1024.0)


def digest(
    position: tuple[float, ...] = POSITION,
    stored: Any = STORED,
    plane: dict[str, Any] | None = None,
    **other: Any,
) -> str:
    one = strategies.instance(1, np.array(position), DIRECTIONS, (0.9, 0.8), stored, **other)
    return frame_digest(replace(plane_of(one), **(plane or {})), stored)


def test_codec_does_not_change_a_frame(shared_data: Path) -> None:
    read = FileReader()
    instances = [instance_of(shared_data / "compressed" / name) for name in TWINS]
    assert len({instance.transfer_syntax_uid for instance in instances}) == 6
    assert len({frame_digest(plane_of(one), read(one, 1)) for one in instances}) == 1


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({}, True),
        ({"position": (-93.0631699, 11.25, -439.0004)}, True),
        ({"position": (-93.0651599, 11.25, -439.0004)}, False),
        ({"position": (-93.0631599, 11.252, -439.0004)}, False),
        ({"position": (-93.0631599, 11.25, -439.0024)}, False),
        ({"PixelSpacing": ["0.90001", "0.8"]}, True),
        ({"PixelSpacing": ["0.902", "0.8"]}, False),
        ({"PixelSpacing": ["0.8", "0.9"]}, False),
        ({"ImageOrientationPatient": ["1", "-0.0", "1e-08", "0", "1", "0"]}, True),
        ({"ImageOrientationPatient": ["0", "1", "0", "1", "0", "0"]}, False),
        ({"plane": {"slope": 2.0}}, False),
        ({"plane": {"intercept": -1023.0}}, False),
        ({"stored": STORED.astype(np.uint16)}, True),
        ({"stored": STORED.astype(np.uint8)}, True),
        ({"stored": STORED.astype(np.int32)}, True),
        ({"stored": STORED.reshape(4, 3)}, False),
        ({"stored": STORED + 1}, False),
        ({"stored": STORED[::-1]}, False),
        ({"SOPInstanceUID": "2.25.91", "SeriesInstanceUID": "2.25.92", "StudyInstanceUID": "2.25.93"}, True),
        ({"InstanceNumber": "5", "SliceLocation": "7", "PatientName": "Doe^J"}, True),
    ],
)
def test_what_changes_the_digest_of_a_frame(change: dict[str, Any], same: bool) -> None:
    assert (digest(**change) == digest()) is same


def test_negative_zero_is_zero() -> None:
    assert digest((-0.0, 0.0, -0.0001), plane={"intercept": -0.0}) == digest(
        (0.0, -0.0002, 0.0), plane={"intercept": 0.0}
    )


@pytest.mark.parametrize("big", [40_000, 2**31 - 1, 2**32 - 1])
def test_numbers_beyond_16_bits_are_not_cut(big: int) -> None:
    one, other = STORED.astype(np.uint32), STORED.astype(np.uint32)
    one[0, 0], other[0, 0] = big, big - 2**15
    assert digest(stored=one) != digest(stored=other)
    assert digest(stored=one) == digest(stored=one.astype(np.int64))


def test_digest_of_a_frame_is_fixed() -> None:
    # Pins the layout: a change here means another identity for every job there is.
    place = struct.pack("<5q6q", -93063, 11250, -439000, 900, 800, 100_000, 0, 0, 0, 100_000, 0)
    encoded = b"bridge frame 1\0" + place + struct.pack("<2I2d", 3, 4, 1.0, -1024.0)
    assert digest() == hashlib.sha256(encoded + b"<i2" + STORED.astype("<i2").tobytes()).hexdigest()


def test_content_of_a_series_is_that_of_its_copy_in_another_order(shared_data: Path) -> None:
    read = FileReader()
    instances = instances_of(shared_data / "ct-head-phantom-philips/S2020")
    contents = set()
    for order in (instances, instances[::-1]):
        (candidate,) = candidates_of(
            [replace(one, number=40 + n, series_instance_uid="2.25.3") for n, one in enumerate(order)]
        )
        assert candidate.volume is not None
        digests = frame_digests(candidate.volume, read)
        assert sorted(digests) == [(40 + n, 1) for n in range(6)]
        contents.add(
            content_of(
                candidate.volume, [digests[p.instance.number, p.frame] for p in candidate.volume.planes]
            )
        )
    assert len(contents) == 1


def test_content_differs_between_kernels_on_the_same_positions(shared_data: Path) -> None:
    read = FileReader()
    contents = set()
    for where in ("S2020", "S2030"):
        (candidate,) = candidates_of(instances_of(shared_data / "ct-head-phantom-philips" / where))
        assert candidate.volume is not None
        contents.add(content_of(candidate.volume, [*frame_digests(candidate.volume, read).values()]))
    assert len(contents) == 2


def test_content_wants_a_digest_for_every_plane(shared_data: Path) -> None:
    (candidate,) = candidates_of(instances_of(shared_data / "ct-head-phantom-philips/S2020"))
    assert candidate.volume is not None
    with pytest.raises(ValueError):
        content_of(candidate.volume, ["00" * 32] * 5)


@pytest.mark.parametrize(
    ("stored", "padding", "code"),
    [
        ([[63536, 5]], 63536, "PIX-010"),
        ([[63535, 5]], 63536, ""),  # none in this slice
        ([[65535, 5]], 63536, ""),  # bright, and no padding
        ([[0, 5]], 0, ""),
        ([[4095, 5]], 4095, ""),
    ],
)
def test_padding_that_reads_as_the_brightest_tissue_is_refused(
    stored: list[list[int]], padding: int, code: str
) -> None:
    values = np.array(stored, np.uint16)
    if not code:
        digest(stored=values, PixelPaddingValue=padding)
        return
    with pytest.raises(Refused) as refusal:
        digest(stored=values, PixelPaddingValue=padding)
    assert refusal.value.code == code
    assert refusal.value.numbers == {"padding": 63536, "voxels": 1, "reads": 63536 - 1024}


def test_signed_padding_stays_below_the_image() -> None:
    digest(stored=np.array([[-2000, 5]], np.int16), PixelPaddingValue=-2000)
