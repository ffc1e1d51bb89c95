"""The algorithms of the sandbox: real computations on Hounsfield units, the same answer on every run.

`lungs_and_airways` is a threshold method. It is good enough to show anatomy on the right side of the right
patient, and it is not a medical device.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from bridge.errors import Refused
from bridge.itk import Array, ItkImage, components, dilate, median

Mask = NDArray[np.bool_]
Labels = NDArray[np.uint8]

RIGHT_LUNG, LEFT_LUNG, AIRWAYS = 1, 2, 3

AIR_HU = (-2000, -400)
LOW_ATTENUATION_HU = -950
SOFT_TISSUE_HU = -400

# What a trachea and the tree grown from it may look like in a human chest, small children included.
UPPER_PART = 0.4
TRACHEA_MM2 = (30.0, 900.0)
AIRWAYS_ML = 120.0
AIRWAYS_SHARE = (0.001, 0.1)
GROWING_HU = range(-775, -1001, -25)
WALL_MM = 2.0
NOISY_MM = 3.0
CRUMB_ML = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LungsAndAirways:
    """Labels on the grid of the input (0, 1 right lung, 2 left lung, 3 airways), and per cent of the lungs."""

    labels: Labels
    low_attenuation_percent: float


def lungs_and_airways(image: ItkImage) -> LungsAndAirways:
    """Lungs and airways of a chest CT by threshold and connection.

    Lungs and airways together are the largest face-connected piece of [-2000, -400] HU that does not touch
    the front, back, left or right face of the volume: the air around the patient does, the lungs of a chest
    that fits into the field of view do not, even where the scan begins or ends inside them.

    Args:
        image: (slices, rows, columns) HU, any orientation whose axes are near the patient's.
    Raises:
        Refused: SBX-010, not a volume; SBX-011, no such piece.
    """
    if image.array.ndim != 3:
        raise Refused("SBX-010", f"the image has {image.array.ndim} axes", "one volume of one channel")
    view = _PatientView.of(image)
    hu = view.turn(image.array)
    whole = _enclosed_air(hu)
    box = _bounding_box(whole)
    hu, whole = hu[box], whole[box]

    labels = np.zeros(whole.shape, dtype=np.uint8)
    airways = _airways(hu, whole, view.spacing_mm)
    lungs = whole & ~airways
    right = _right_of_middle(lungs)
    labels[lungs & right] = RIGHT_LUNG
    labels[lungs & ~right] = LEFT_LUNG
    labels[airways] = AIRWAYS

    out = np.zeros(image.array.shape, dtype=np.uint8)
    view.turn(out)[box] = labels
    low = float(np.mean(hu[lungs] < LOW_ATTENUATION_HU))
    return LungsAndAirways(labels=out, low_attenuation_percent=round(100.0 * low, 4))


def soft_tissue(image: ItkImage) -> Labels:
    """1 where the voxel is above -400 HU, on the grid of the input."""
    return (image.array > SOFT_TISSUE_HU).astype(np.uint8)


@dataclass(frozen=True, slots=True, kw_only=True)
class _PatientView:
    """Which array axis runs along which axis of the patient, so that the rest can think in one orientation.

    axes: array axis for (foot-head, front-back, right-left); flips: those that run the other way.
    """

    axes: tuple[int, ...]
    flips: tuple[int, ...]
    spacing_mm: tuple[float, ...]

    @classmethod
    def of(cls, image: ItkImage) -> _PatientView:
        # Column n of the direction belongs to ITK's axis n, which is array axis 2 - n; rows are L, P, S.
        direction = np.asarray(image.direction, dtype=np.float64).reshape(3, 3)[::-1, ::-1]
        axes = max(permutations(range(3)), key=lambda p: sum(abs(direction[i, p[i]]) for i in range(3)))
        spacing = image.spacing_mm[::-1]
        return cls(
            axes=axes,
            flips=tuple(i for i in range(3) if direction[i, axes[i]] < 0),
            spacing_mm=tuple(spacing[a] for a in axes),
        )

    def turn(self, array: Array) -> Array:
        """A view whose axes run foot to head, front to back, right to left."""
        return np.flip(array.transpose(self.axes), self.flips)


def _enclosed_air(hu: Array) -> Mask:
    labels = components((hu >= AIR_HU[0]) & (hu <= AIR_HU[1]))
    outside = np.unique(
        np.concatenate(
            [face.ravel() for face in (labels[:, 0], labels[:, -1], labels[..., 0], labels[..., -1])]
        )
    )
    # Labels are sorted by size: the first that is not outside is the largest.
    inside = np.setdiff1d(np.arange(1, int(labels.max()) + 1), outside, assume_unique=True)
    if not inside.size:
        raise Refused(
            "SBX-011",
            "no enclosed air between -2000 and -400 HU was found",
            "a chest CT in HU with the whole body in the field of view",
        )
    return np.asarray(labels == inside[0])


def _bounding_box(mask: Mask) -> tuple[slice, ...]:
    spans = [np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    return tuple(slice(int(s[0]), int(s[-1]) + 1) for s in spans)


def _airways(hu: Array, whole: Mask, spacing_mm: tuple[float, ...]) -> Mask:
    """Trachea and large bronchi; all False when no trachea is seen or every threshold leaks into the lungs."""
    # Fine voxels of a sharp kernel are noisy; coarse ones are not, and a box of three would swallow the trachea.
    back, left = (int(s < NOISY_MM) for s in spacing_mm[1:])
    smooth = median(hu, (0, back, left))
    seed = _trachea(smooth, whole, spacing_mm)
    if seed is None:
        return np.zeros_like(whole)
    ml = float(np.prod(spacing_mm)) / 1000.0
    most = min(AIRWAYS_ML, AIRWAYS_SHARE[1] * np.count_nonzero(whole) * ml)
    least = AIRWAYS_SHARE[0] * np.count_nonzero(whole) * ml
    for threshold in GROWING_HU:
        if smooth[seed] > threshold:
            break
        pieces = components(whole & (smooth <= threshold))
        grown = pieces == pieces[seed]
        if least <= np.count_nonzero(grown) * ml <= most:
            return _with_wall(grown, whole, spacing_mm)
    return np.zeros_like(whole)


def _trachea(smooth: Array, whole: Mask, spacing_mm: tuple[float, ...]) -> tuple[int, int, int] | None:
    """The darkest voxel of the darkest round, tube-sized section near the middle of the upper volume."""
    height, _, width = whole.shape
    area_mm2 = spacing_mm[1] * spacing_mm[2]
    best: tuple[float, tuple[int, int, int]] | None = None
    for level in range(height - 1, int(height * (1.0 - UPPER_PART)) - 1, -1):
        pieces = components(whole[level])
        for label in range(1, min(int(pieces.max()), 8) + 1):
            rows, columns = np.nonzero(pieces == label)
            tall, wide = np.ptp(rows) + 1, np.ptp(columns) + 1
            is_tube = (
                TRACHEA_MM2[0] <= rows.size * area_mm2 <= TRACHEA_MM2[1] and rows.size >= 0.5 * tall * wide
            )
            is_central = abs(columns.mean() - (width - 1) / 2) <= width / 6
            if not (is_tube and is_central):
                continue
            values = smooth[level, rows, columns]
            at = int(np.argmin(values))
            found = (float(np.median(values)), (level, int(rows[at]), int(columns[at])))
            best = found if best is None or found[0] < best[0] else best
    return best[1] if best else None


def _with_wall(airways: Mask, whole: Mask, spacing_mm: tuple[float, ...]) -> Mask:
    """Add the voxels that air and wall share, which would otherwise be left over as slivers of lung."""
    up, back, left = (min(3, round(WALL_MM / s)) for s in spacing_mm)
    grown = dilate(airways, (up, back, left)) & whole
    pieces = components(whole & ~grown)
    sizes_ml = np.bincount(pieces.ravel()) * float(np.prod(spacing_mm)) / 1000.0
    touching = np.zeros(sizes_ml.size, dtype=np.bool_)
    touching[np.unique(pieces[dilate(grown, (1, 1, 1))])] = True
    crumbs = touching & (sizes_ml < CRUMB_ML)
    crumbs[0] = False
    return grown | crumbs[pieces]


def _right_of_middle(lungs: Mask) -> Mask:
    """Which voxels belong to the right lung: pieces go whole to their side, touching lungs are cut.

    The middle is half-way between the outermost voxels of the lungs on the patient's right-left axis.
    A piece that lies on both sides is looked at slice by slice, and a section that still does is cut there.
    """
    columns = np.flatnonzero(lungs.any(axis=(0, 1)))
    if not columns.size:
        return np.zeros_like(lungs)
    middle = (columns[0] + columns[-1]) / 2.0
    right: Mask = lungs & (np.arange(lungs.shape[2]) < middle)
    touching = _settle(components(lungs), right)
    for level in np.flatnonzero(touching.any(axis=(1, 2))):
        section = right[level]
        _settle(components(touching[level]), section)
    return right


def _settle(pieces: NDArray[np.uint32], right: Mask) -> Mask:
    """Give every piece with nine tenths on one side to that side, in place; return the voxels of the others."""
    total = np.bincount(pieces.ravel())
    share = np.bincount(pieces[right], minlength=total.size) / np.maximum(total, 1)
    settled = (share <= 0.1) | (share >= 0.9)
    settled[0] = True
    inside = pieces > 0
    whole = inside & settled[pieces]
    right[whole] = (share >= 0.9)[pieces[whole]]
    return inside & ~whole
