"""dcm2niix and SimpleITK on a folder: what they make of it, as voxels and an affine in LPS."""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bridge.volumes import Geometry, Volume

Array = NDArray[Any]
AFFINE_MM = 1e-4
"""How far any corner of a grid may lie from the peer's."""

NIFTI_TYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4"}


@dataclass(frozen=True, kw_only=True)
class Grid:
    """A peer's volume."""

    array: Array
    """(slices, rows, columns) of the peer's own order"""
    affine_lps: Array
    """(4, 4): (k, j, i) index -> LPS, mm"""


def by_simpleitk(folder: Path) -> list[Grid]:
    import SimpleITK as sitk  # noqa: N813 - the name its own documents use

    reader = sitk.ImageSeriesReader()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    reader.SetFileNames(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder)))
    image = reader.Execute()
    affine = np.eye(4)
    direction = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
    affine[:3, :3], affine[:3, 3] = direction[:, ::-1], image.GetOrigin()
    return [Grid(array=sitk.GetArrayFromImage(image), affine_lps=affine)]


def by_dcm2niix(folder: Path) -> list[Grid]:
    program = shutil.which("dcm2niix")
    if program is None:
        raise FileNotFoundError("dcm2niix")
    with TemporaryDirectory() as out:
        subprocess.run(
            [program, "-z", "n", "-b", "n", "-p", "n", "-f", "peer", "-o", out, str(folder)],
            check=True,
            capture_output=True,
            timeout=120,
        )
        return [grid for file in sorted(Path(out).glob("*.nii")) for grid in _nifti(file)]


def _nifti(file: Path) -> list[Grid]:
    """A NIfTI-1 file by hand, one grid per time point: another reader would round its affine."""
    data = file.read_bytes()
    dim = struct.unpack_from("<8h", data, 40)
    kind = NIFTI_TYPES[struct.unpack_from("<h", data, 70)[0]]
    offset, slope, intercept = struct.unpack_from("<3f", data, 108)
    affine = np.eye(4)
    affine[:3] = np.array(struct.unpack_from("<12f", data, 280)).reshape(3, 4)[:, [2, 1, 0, 3]]
    affine[:2] *= -1  # RAS to LPS
    times = max(dim[4], 1) if dim[0] > 3 else 1
    shape = (times, dim[3], dim[2], dim[1])
    array = np.frombuffer(data, f"<{kind}", int(np.prod(shape)), int(offset)).reshape(shape)
    if slope not in (0.0, 1.0) or intercept:
        array = array * np.float64(slope) + np.float64(intercept)
    return [Grid(array=one, affine_lps=affine) for one in array]


def differs(volume: Volume, values: Array, peer: Grid) -> str:
    """How a peer's grid differs from ours, "" when every voxel has the same value in the same place."""
    array, off_mm, why = laid_over(volume.geometry, peer)
    if array is None or off_mm > AFFINE_MM:
        return why or f"a corner {off_mm:.4g} mm away"
    # Where a slope is applied, in their 32 bits and in ours.
    exact = values.dtype.kind in "iu"
    same = np.array_equal(array, values) if exact else np.allclose(array, values, rtol=1e-5, atol=1e-4)
    return "" if same else f"{np.count_nonzero(array != values)} voxels of another value"


def laid_over(ours: Geometry, peer: Grid) -> tuple[Array | None, float, str]:
    """A peer's voxels in our order of axes, how far its corners lie from ours, mm, and why there are none."""
    turn = np.round((np.linalg.inv(peer.affine_lps) @ ours.affine_lps)[:3, :3]).astype(int)
    if (np.abs(turn).sum(axis=0) != 1).any() or (np.abs(turn).sum(axis=1) != 1).any():
        return None, 0.0, "axes that are none of ours"
    axes = np.abs(turn).argmax(axis=0)  # the peer's axis along which each of ours runs
    array, mapped = peer.array.transpose(axes), np.eye(4)
    mapped[:3, :3] = turn
    for ours_axis, theirs_axis in enumerate(axes):
        if turn[theirs_axis, ours_axis] < 0:
            array = np.flip(array, ours_axis)
            mapped[theirs_axis, 3] = peer.array.shape[theirs_axis] - 1
    if array.shape != ours.shape:
        return None, 0.0, f"{' x '.join(map(str, array.shape))} voxels"
    corners = np.array([[k, j, i, 1] for k in (0, 1) for j in (0, 1) for i in (0, 1)], float)
    corners[:, :3] *= np.array(ours.shape) - 1
    return array, float(np.abs((ours.affine_lps - peer.affine_lps @ mapped) @ corners.T).max()), ""


def alike(geometry: Geometry, values: Array, grids: Iterable[Grid]) -> float:
    """Of the grids that lie where ours lies, the largest share of voxels whose values differ by 1 at most; else 0."""
    best = 0.0
    for grid in grids:
        array, off_mm, _ = laid_over(geometry, grid)
        if array is not None and off_mm <= AFFINE_MM:
            best = max(best, float((np.abs(array - values.astype(np.float64)) <= 1).mean()))
    return best
