from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.property import strategies
from tests.unit.volumes.real import instances_of

from bridge.dicom.instance import Instance
from bridge.dicom.pixels import FileReader
from bridge.errors import Damaged
from bridge.volumes import Volume, candidates_of, read_values

Array = NDArray[Any]

# SHA-256 of the stored voxels by position, int16 little-endian: README of the data.
TRUTHS = [
    ("ct-chest-philips", "70354e466588f66a2087540fd94425750eeb85da29ca2561640ecd40aba7899f", (-1024, 2976)),
    (
        "ct-head-phantom-philips/S2010",
        "d87c25027d72e7840ddfb59bd04613ca228ee6f0917b675e23c608805769d3f2",
        (-1024, 782),
    ),
    (
        "ct-head-phantom-philips/S2020",
        "ea93356b197688fbfd3a1fc5c135d108b2d21e32c8d5f4983ec20d23d3f70d30",
        (-1024, 786),
    ),
    (
        "ct-head-phantom-philips/S2030",
        "e75ff8afde05baf4a4cc1c622005cf31a8401bc330b38909cc50ee651313dd96",
        (-1024, 981),
    ),
    ("mr-brain-t1", "73129ea12e3b7457d28a27df45413d9b0823620d83db8c16df57b45198e90a6d", (0, 179)),
]


def volume_of(instances: Any) -> Volume:
    (candidate,) = candidates_of(instances)
    assert candidate.volume is not None, candidate.refusal
    return candidate.volume


@pytest.mark.parametrize(("where", "sha256", "ends"), TRUTHS, ids=[row[0] for row in TRUTHS])
def test_stored_voxels_equal_the_published_digest(
    shared_data: Path, where: str, sha256: str, ends: tuple[int, int]
) -> None:
    volume, read = volume_of(instances_of(shared_data / where)), FileReader()
    values = read_values(volume, read)
    assert values.dtype == np.int16
    stored = values - np.int16(volume.planes[0].intercept)
    assert hashlib.sha256(stored.astype("<i2").tobytes()).hexdigest() == sha256
    assert (values.min(), values.max()) == ends


def test_lungs_have_the_published_size(shared_data: Path) -> None:
    values = read_values(volume_of(instances_of(shared_data / "ct-chest-philips")), FileReader())
    assert np.count_nonzero(values < -400) == 12_032_890


def test_rescale_of_each_slice_counts(shared_data: Path) -> None:
    instances = instances_of(shared_data / "mr-small-irregular/non-square-per-slice-rescale")
    for instance in instances:
        instance.header.FrameOfReferenceUID = "2.25.4"  # absent in the source
    volume, read = volume_of(instances), FileReader()
    values = read_values(volume, read)
    assert values.dtype == np.float32
    assert volume.geometry.shape == (4, 28, 64)
    assert len({plane.slope for plane in volume.planes}) == 4
    for out, plane in zip(values, volume.planes, strict=True):
        header = plane.instance.header
        stored = read(plane.instance, 1).astype(float)
        expected = stored * float(header.RescaleSlope) + float(header.RescaleIntercept)
        np.testing.assert_array_equal(out, expected.astype(np.float32))


def made(stored: Array, slope: str, intercept: str) -> tuple[Volume, list[int]]:
    """A volume of two slices with the same rescale, and a reader's log."""
    directions = np.array([[0.0, 0, 1], [0, 1, 0], [1, 0, 0]])
    rescale = {"RescaleSlope": slope, "RescaleIntercept": intercept}
    instances = [
        strategies.instance(k + 1, np.array([0, 0, 3.0 * k]), directions, (1, 1), stored[k], **rescale)
        for k in range(2)
    ]
    return volume_of(instances), []


@pytest.mark.parametrize(
    ("dtype", "ends", "slope", "intercept", "expected"),
    [
        ("uint16", (0, 4095), "1", "-1024", "int16"),
        ("uint16", (0, 33791), "1", "-1024", "int16"),
        ("uint16", (0, 33792), "1", "-1024", "float32"),
        ("uint16", (1024, 65535), "1", "-1024", "uint16"),
        ("uint16", (0, 65535), "1", "0", "uint16"),
        ("uint16", (0, 65535), "1", "1", "float32"),
        ("uint16", (0, 65535), "-1", "32767", "int16"),
        ("uint16", (40000, 65535), "1.0", "-50000.000", "int16"),
        ("int16", (-32768, 32767), "1", "0", "int16"),
        ("int16", (-32768, 32767), "1", "32768", "uint16"),
        ("int16", (-32768, 32767), "1", "-1", "float32"),
        ("int16", (-100, 100), "327", "0", "int16"),
        ("int16", (-100, 100), "328", "0", "float32"),
        ("int16", (-100, 100), "-300", "5", "int16"),
        ("uint8", (0, 255), "257", "0", "uint16"),
        ("int8", (-128, 127), "2", "1", "int16"),
        ("int32", (-70000, 70000), "1", "0", "float32"),
        ("int32", (70000, 71000), "1", "-70500", "int16"),
        ("uint32", (2**32 - 5, 2**32 - 1), "1", "-4294967290", "int16"),
        ("int16", (0, 10), "0.5", "0", "float32"),
        ("int16", (0, 10), "1", "0.5", "float32"),
    ],
)
def test_smallest_exact_type_is_chosen_by_the_data(
    dtype: str, ends: tuple[int, int], slope: str, intercept: str, expected: str
) -> None:
    stored = np.random.default_rng(1).integers(ends[0], ends[1], (2, 3, 4), endpoint=True).astype(dtype)
    # The widest values stand in different slices, so that neither decides alone.
    stored[0, 0, 0], stored[1, 2, 3] = ends
    volume, _ = made(stored, slope, intercept)
    values = read_values(volume, lambda instance, frame: stored[instance.number - 1])
    assert values.dtype == expected
    exact = stored.astype(object) * int(float(slope) * 2) + int(float(intercept) * 2)
    np.testing.assert_array_equal(values.astype(float) * 2, exact.astype(float))


def test_each_slice_is_read_once_where_whole_numbers_fit() -> None:
    stored = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    volume, log = made(stored, "1", "-1024")

    def read(instance: Instance, frame: int) -> Array:
        log.append(instance.number)
        return stored[instance.number - 1]

    read_values(volume, read)
    assert log == [1, 2]


def test_inverted_display_leaves_the_numbers() -> None:
    stored = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    volume, _ = made(stored, "1", "0")
    for instance in volume.instances:
        instance.header.PhotometricInterpretation = "MONOCHROME1"
    np.testing.assert_array_equal(read_values(volume, lambda i, f: stored[i.number - 1]), stored)


def test_frame_of_another_size_is_damaged() -> None:
    stored = np.zeros((2, 3, 4), np.int16)
    volume, _ = made(stored, "1", "0")
    with pytest.raises(Damaged, match="3 x 3 values") as damage:
        read_values(volume, lambda i, f: np.zeros((3, 3), np.int16))
    assert damage.value.code == "PIX-007"
