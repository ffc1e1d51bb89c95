from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from tests.property import strategies
from tests.unit.volumes.real import instances_of

from bridge import itk
from bridge.dicom.pixels import FileReader
from bridge.errors import Refused
from bridge.export.mha import ELEMENT_TYPES, write_mha
from bridge.volumes import Geometry, Volume, candidates_of, read_values

OBLIQUE = Geometry(
    shape=(2, 3, 4),
    origin_lps=(-95.7073796510087, 0.1 + 0.2, 1e-17),
    slice_step_lps=(0.0, 0.6, 0.8),
    row_step_lps=(0.0, 0.8, -0.6),
    column_step_lps=(1.0, -0.0, 0.0),
    spacing_mm=(2 / 3, 0.699987828731537, 0.3),
)
KEYS = [
    "ObjectType",
    "NDims",
    "BinaryData",
    "BinaryDataByteOrderMSB",
    "CompressedData",
    "TransformMatrix",
    "Offset",
    "CenterOfRotation",
    "ElementSpacing",
    "DimSize",
    "ElementType",
    "ElementDataFile",
]


def volume_of(folder: Path) -> Volume:
    (candidate,) = candidates_of(instances_of(folder))
    assert candidate.volume is not None, candidate.refusal
    return candidate.volume


def write(path: Path, geometry: Geometry, values: Any) -> itk.ItkImage:
    with path.open("wb") as file:
        write_mha(geometry, values, file)
    return itk.read_image(path)


def affine_of(image: itk.ItkImage) -> Any:
    """(4, 4): (k, j, i) index -> LPS, by ITK's own convention."""
    affine = np.eye(4)
    affine[:3, :3] = (np.array(image.direction).reshape(3, 3) * image.spacing_mm)[:, ::-1]
    affine[:3, 3] = image.origin_lps
    return affine


@pytest.mark.parametrize("dtype", sorted(ELEMENT_TYPES))
def test_itk_reads_back_the_same_voxels_and_the_exact_place(tmp_path: Path, dtype: str) -> None:
    values = np.arange(24).reshape(2, 3, 4).astype(dtype)
    image = write(tmp_path / "a.mha", OBLIQUE, values)
    assert image.array.dtype == dtype
    np.testing.assert_array_equal(image.array, values)
    assert image.origin_lps == OBLIQUE.origin_lps
    assert image.spacing_mm == OBLIQUE.spacing_mm[::-1]
    np.testing.assert_array_equal(affine_of(image), OBLIQUE.affine_lps)


@settings(deadline=None, max_examples=25)
@given(series=strategies.regular_series())
def test_any_regular_series_comes_back_in_its_place(
    tmp_path_factory: pytest.TempPathFactory, series: strategies.Series
) -> None:
    (candidate,) = candidates_of(series.instances)
    assert candidate.volume is not None
    values = read_values(candidate.volume, series.read)
    image = write(tmp_path_factory.mktemp("mha") / "a.mha", candidate.volume.geometry, values)
    by_hand = np.eye(4)
    by_hand[:3, :3] = (series.directions * np.array(series.spacing)[:, None]).T
    by_hand[:3, 3] = series.origin
    np.testing.assert_allclose(affine_of(image), by_hand, atol=1e-6)
    np.testing.assert_array_equal(image.array, values)


# First and last position, rows of the orientation and pixel spacing: README of the data.
BY_HAND: list[tuple[str, list[float], list[float], list[float], tuple[float, float]]] = [
    (
        "ct-chest-philips",
        [-228.036842, -93.0631599, -439],
        [-228.036842, -93.0631599, -124],
        [1, 0, 0, 0, 1, 0],
        (0.841796875, 0.841796875),
    ),
    (
        "ct-head-phantom-philips/S2010",
        [-115.5, -1.85, 696.21],
        [-115.5, -1.85, 831.21],
        [1, 0, 0, 0, 1, 0],
        (0.451171875, 0.451171875),
    ),
    (
        "mr-brain-t1",
        [-95.7073796510087, -144.416447374611, -22.2602466211107],
        [-96.1518745473743, -142.783291796431, -9.70717205141889],
        [
            *(0.999032176441525, -0.0217883751691557, 0.0382096472372976),
            *(0.026519476938784, 0.991413870277297, -0.128043957939),
        ],
        (0.666666686534882, 0.699987828731537),
    ),
]


@pytest.mark.parametrize(
    ("where", "first", "last", "orientation", "pixel"), BY_HAND, ids=[row[0] for row in BY_HAND]
)
def test_real_series_lies_where_its_positions_say(
    shared_data: Path,
    tmp_path: Path,
    where: str,
    first: list[float],
    last: list[float],
    orientation: list[float],
    pixel: tuple[float, float],
) -> None:
    volume = volume_of(shared_data / where)
    values = read_values(volume, FileReader())
    image = write(tmp_path / "a.mha", volume.geometry, values)
    by_hand = np.eye(4)
    by_hand[:3, 0] = (np.array(last) - first) / (len(volume.planes) - 1)
    by_hand[:3, 1] = np.array(orientation[3:]) * pixel[0]
    by_hand[:3, 2] = np.array(orientation[:3]) * pixel[1]
    by_hand[:3, 3] = first
    corners = np.array([[k, j, i, 1] for k in (0, 1) for j in (0, 1) for i in (0, 1)]) * [*values.shape, 1]
    np.testing.assert_allclose(affine_of(image) @ corners.T, by_hand @ corners.T, atol=1e-4)
    np.testing.assert_array_equal(image.array, values)


def test_header_has_the_needed_keys_and_nothing_of_the_source(shared_data: Path, tmp_path: Path) -> None:
    volume = volume_of(shared_data / "ct-head-phantom-philips/S2020")
    write(tmp_path / "a.mha", volume.geometry, read_values(volume, FileReader()))
    content = (tmp_path / "a.mha").read_bytes()
    end = content.index(b"ElementDataFile = LOCAL\n") + len(b"ElementDataFile = LOCAL\n")
    header = content[:end].decode("ascii")
    assert [line.split(" = ")[0] for line in header.splitlines()] == KEYS
    assert len(content) - end == 6 * 512 * 512 * 2
    assert "-0.0 " not in header


def test_size_and_digest_are_those_of_the_bytes(tmp_path: Path) -> None:
    path, values = tmp_path / "a.mha", np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    with path.open("wb") as file:
        written = write_mha(OBLIQUE, values, file)
    content = path.read_bytes()
    assert (written.size_bytes, written.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    again = io.BytesIO()
    assert write_mha(OBLIQUE, values, again) == written


def test_sink_that_takes_little_at_a_time_gets_everything() -> None:
    class Sip(io.BytesIO):
        def write(self, data: Any) -> int:
            return super().write(bytes(data[:7]))

    values = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    sip, gulp = Sip(), io.BytesIO()
    write_mha(OBLIQUE, values, sip)
    write_mha(OBLIQUE, values, gulp)
    assert sip.getvalue() == gulp.getvalue()


def test_order_of_bytes_and_axes_in_memory_does_not_matter() -> None:
    plain = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    results = []
    for values in (
        plain,
        plain.astype(">i2"),
        np.asfortranarray(plain),
        np.repeat(plain, 2, axis=2)[:, :, ::2],
    ):
        sink = io.BytesIO()
        write_mha(OBLIQUE, values, sink)
        results.append(sink.getvalue())
    assert len(set(results)) == 1


@pytest.mark.parametrize(
    ("values", "code"),
    [
        (np.zeros((2, 3, 4), np.int64), "EXP-002"),
        (np.zeros((2, 3, 4), np.bool_), "EXP-002"),
        (np.zeros((4, 3, 2), np.int16), "EXP-003"),
        (np.zeros((2, 3, 4, 1), np.int16), "EXP-003"),
    ],
)
def test_what_does_not_fit_is_refused_before_a_byte_is_written(values: Any, code: str) -> None:
    sink = io.BytesIO()
    with pytest.raises(Refused) as refusal:
        write_mha(OBLIQUE, values, sink)
    assert refusal.value.code == code
    assert sink.getvalue() == b""


def test_parcel_can_be_imported_without_array_libraries() -> None:
    import subprocess
    import sys

    code = "import sys, bridge.export.parcel; sys.exit('numpy' in sys.modules or 'pydicom' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
