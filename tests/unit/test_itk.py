from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bridge.errors import Damaged
from bridge.itk import ItkImage, components, dilate, median, read_image, write_image

OBLIQUE = ItkImage(
    array=np.arange(2 * 3 * 4, dtype=np.int16).reshape(2, 3, 4) - 5,
    spacing_mm=(0.75, 0.5, 2.5),
    origin_lps=(-12.5, 3.25, 400.0),
    direction=(0.0, 0.6, 0.8, 1.0, 0.0, 0.0, 0.0, 0.8, -0.6),
)


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
def test_image_comes_back_as_it_was_written(tmp_path: Path, dtype: type, compress: bool) -> None:
    image = replace(OBLIQUE, array=np.abs(OBLIQUE.array).astype(dtype))
    write_image(tmp_path / "x.mha", image, compress=compress)
    back = read_image(tmp_path / "x.mha")
    assert back.array.dtype == dtype
    assert np.array_equal(back.array, image.array)
    assert back.spacing_mm == image.spacing_mm
    assert back.origin_lps == image.origin_lps
    assert back.direction == pytest.approx(image.direction, abs=1e-12)
    assert (b"CompressedData = True" in (tmp_path / "x.mha").read_bytes()) is compress


def test_header_names_axes_in_the_order_of_itk(tmp_path: Path) -> None:
    write_image(tmp_path / "x.mha", OBLIQUE)
    header = (tmp_path / "x.mha").read_bytes().split(b"ElementDataFile")[0].decode()
    assert "DimSize = 4 3 2" in header
    assert "ElementSpacing = 0.75 0.5 2.5" in header


def test_file_that_breaks_off_is_damaged_and_its_name_is_not_told(tmp_path: Path) -> None:
    whole = tmp_path / "whole.mha"
    write_image(whole, OBLIQUE)
    cut = tmp_path / "named-after-somebody.mha"
    cut.write_bytes(whole.read_bytes()[:-20])
    with pytest.raises(Damaged) as damage:
        read_image(cut)
    assert damage.value.code == "ITK-001"
    assert "somebody" not in str(damage.value)
    assert damage.value.__cause__ is None


def test_flat_image_is_a_volume_of_one_slice(tmp_path: Path) -> None:
    from PIL import Image

    Image.fromarray(np.array([[1, 2, 3], [4, 5, 6]], dtype=np.uint8)).save(tmp_path / "x.png")
    assert read_image(tmp_path / "x.png").array.tolist() == [[[1, 2, 3], [4, 5, 6]]]


def test_components_join_through_faces_and_are_sorted_by_size() -> None:
    mask = np.array([[[1, 1, 0, 0], [0, 0, 1, 1], [0, 0, 0, 1]]], dtype=bool)
    assert components(mask).tolist() == [[[2, 2, 0, 0], [0, 0, 1, 1], [0, 0, 0, 1]]]
    assert components(mask[0]).tolist() == [[2, 2, 0, 0], [0, 0, 1, 1], [0, 0, 0, 1]]


def test_filters_take_their_radius_in_array_order() -> None:
    point = np.zeros((3, 3, 5), dtype=bool)
    point[1, 1, 2] = True
    assert np.argwhere(dilate(point, (0, 0, 2))).tolist() == [[1, 1, x] for x in range(5)]
    ramp = np.zeros((1, 3, 5), dtype=np.int16)
    ramp[0, 1] = 9
    assert median(ramp, (0, 0, 1))[0, 1].tolist() == [9] * 5
    assert median(ramp, (0, 1, 0))[0, 1].tolist() == [0] * 5


def test_direction_that_cannot_be_inverted_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Damaged) as damage:
        write_image(tmp_path / "x.mha", replace(OBLIQUE, direction=(0.0,) * 9))
    assert damage.value.code == "ITK-003"


def test_importing_the_wrapper_does_not_load_the_library() -> None:
    code = "import sys, bridge.itk; sys.exit('SimpleITK' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
