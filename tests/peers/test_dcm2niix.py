"""dcm2niix as a second opinion on order, place and values of series that it reads rightly."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.conftest import peer_tool
from tests.unit.volumes.real import instances_of

from bridge import itk
from bridge.dicom.pixels import FileReader
from bridge.export.mha import write_mha
from bridge.volumes import candidates_of, read_values

pytestmark = pytest.mark.peer


def at(image: itk.ItkImage, points_lps: Any) -> Any:
    """(n, 3) rounded index (k, j, i) of points in LPS, mm."""
    direction = np.array(image.direction).reshape(3, 3) * image.spacing_mm
    index = np.linalg.solve(direction, (points_lps - np.array(image.origin_lps)).T).T
    assert np.abs(index - np.round(index)).max() < 0.01  # a point of ours is a voxel's centre of theirs
    return np.round(index).astype(int)[:, ::-1]


@pytest.mark.parametrize("where", ["ct-chest-philips", "ct-head-phantom-philips/S2010"])
def test_every_voxel_has_the_value_and_place_that_dcm2niix_gives_it(
    shared_data: Path, tmp_path: Path, where: str
) -> None:
    subprocess.run(
        [
            peer_tool("dcm2niix"),
            "-z",
            "n",
            "-b",
            "n",
            "-f",
            "peer",
            "-o",
            str(tmp_path),
            str(shared_data / where),
        ],
        check=True,
        capture_output=True,
        timeout=120,
    )
    # Rows run upward and slices may run down in their file; ITK turns its RAS into LPS.
    theirs = itk.read_image(tmp_path / "peer.nii")
    (candidate,) = candidates_of(instances_of(shared_data / where))
    assert candidate.volume is not None
    with (tmp_path / "ours.mha").open("wb") as file:
        write_mha(candidate.volume.geometry, read_values(candidate.volume, FileReader()), file)
    ours = itk.read_image(tmp_path / "ours.mha")
    assert sorted(ours.array.shape) == sorted(theirs.array.shape)
    size, affine = ours.array.shape, candidate.volume.geometry.affine_lps
    for k in range(0, size[0], 7):
        jj, ii = np.meshgrid(np.arange(size[1]), np.arange(size[2]), indexing="ij")
        index = np.stack([np.full(jj.size, k), jj.ravel(), ii.ravel(), np.ones(jj.size)])
        place = at(theirs, (affine @ index)[:3].T)
        np.testing.assert_array_equal(theirs.array[tuple(place.T)], ours.array[k].ravel())
