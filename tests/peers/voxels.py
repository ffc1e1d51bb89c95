"""Masks and volumes laid over each other by physical position, and read without the code under test."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread

from bridge.itk import ItkImage


def marked(mask: ItkImage) -> dict[int, int]:
    """Voxels of each number but 0."""
    numbers, counts = np.unique(mask.array, return_counts=True)
    return {int(n): int(count) for n, count in zip(numbers, counts, strict=True) if n}


def onto(mask: ItkImage, images: list[ItkImage]) -> tuple[NDArray[np.int64], float]:
    """Lay images on the grid of a mask, voxel by voxel, by physical position.

    Returns (slices, rows, columns) and how far a voxel's centre lay from the grid at most, in voxels.
    """
    rebuilt = np.zeros(mask.array.shape, dtype=np.int64)
    off = 0.0
    for image in images:
        set_at = np.argwhere(image.array)
        place = _matrix(image) @ set_at[:, ::-1].T + np.array(image.origin_lps)[:, None]
        index = np.linalg.solve(_matrix(mask), place - np.array(mask.origin_lps)[:, None]).T[:, ::-1]
        nearest = np.round(index).astype(np.int64)
        off = max(off, float(np.abs(index - nearest).max(initial=0.0)))
        assert (nearest >= 0).all() and (nearest < mask.array.shape).all(), "outside the grid of the mask"
        rebuilt[tuple(nearest.T)] = image.array[tuple(set_at.T)]
    assert off < 1e-3
    return rebuilt, off


def affine_of(image: ItkImage) -> NDArray[np.float64]:
    """(4, 4): homogeneous (k, j, i) index -> LPS mm."""
    affine = np.eye(4)
    affine[:3, :3] = _matrix(image)[:, ::-1]
    affine[:3, 3] = image.origin_lps
    return affine


def _matrix(image: ItkImage) -> NDArray[np.float64]:
    return np.array(image.direction).reshape(3, 3) * image.spacing_mm


def bare_mha(file: Path) -> tuple[dict[str, str], NDArray[np.int16]]:
    """Header lines and voxels of an uncompressed MetaImage; whatever stands behind the voxels is one of them."""
    content = file.read_bytes()
    end = content.index(b"ElementDataFile = LOCAL\n") + len(b"ElementDataFile = LOCAL\n")
    lines = content[:end].decode("ascii").splitlines()
    return dict(line.split(" = ", 1) for line in lines), np.frombuffer(content[end:], dtype="<i2")


def stored_values(files: Iterable[Path]) -> NDArray[np.int16]:
    """(slices, rows, columns) of the stored values of an axial series, from the lowest position; by pydicom alone."""
    slices = [dcmread(file) for file in files]
    slices.sort(key=lambda one: float(one.ImagePositionPatient[2]))
    return np.stack([one.pixel_array.astype("<i2") for one in slices])
