"""From shapes to Hounsfield units: the noiseless thorax with its labels, then blur and noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from . import anatomy, trees
from .shapes import FloatArray, Point, blend, coverage
from .tissues import AIR_HU, BLOOD_HU, OESOPHAGUS_HU, WALL_HU, Label, draw_slice, draw_table
from .trees import Tube, Vectors

FULL_FIELD_MM, FULL_LENGTH_MM = 358.4, 280.0
FIELD_CENTRE_Y_MM = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Voxel centres of an axial volume; arrays are (slice from feet to head, row, column)."""

    pixels: int
    slices: int
    pixel_mm: float
    slice_mm: float

    @classmethod
    def scaled(cls, scale: float) -> Grid:
        """The full extent with `scale` times the pixels and slices, so coarser below 1."""
        pixels, slices = 2 * round(128 * scale), round(140 * scale)
        return cls(
            pixels=pixels,
            slices=slices,
            pixel_mm=round(FULL_FIELD_MM / pixels, 2),
            slice_mm=round(FULL_LENGTH_MM / slices, 2),
        )

    @property
    def first_mm(self) -> Point:
        """Centre of the first voxel (right, front, feet), LPS."""
        half = (self.pixels - 1) / 2 * self.pixel_mm
        return -half, FIELD_CENTRE_Y_MM - half, -(self.slices - 1) / 2 * self.slice_mm

    def axes_mm(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """x, y, z of columns, rows, slices."""
        x, y, z = self.first_mm
        step = np.arange(max(self.pixels, self.slices), dtype=np.float32)
        across = step[: self.pixels] * np.float32(self.pixel_mm)
        return (
            across + np.float32(x),
            across + np.float32(y),
            step[: self.slices] * np.float32(self.slice_mm) + np.float32(z),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Thorax:
    """Noiseless picture and labels, both (slice, row, column)."""

    hu: FloatArray
    labels: npt.NDArray[np.uint8]


def thorax(grid: Grid, rng: np.random.Generator) -> Thorax:
    """Draw everything, outside in; `rng` decides only how the fine branches run."""
    xs, ys, zs = grid.axes_mm()
    x, y = xs[np.newaxis, :], ys[:, np.newaxis]
    empty = np.full((grid.pixels, grid.pixels), AIR_HU, dtype=np.float32)
    draw_table(empty, x, y, grid.pixel_mm)
    hu = np.repeat(empty[np.newaxis], grid.slices, axis=0)
    labels = np.zeros(hu.shape, dtype=np.uint8)
    for k, z in enumerate(zs):
        front, back = anatomy.rows_mm(float(z))
        rows = slice(*np.searchsorted(ys, (front - grid.pixel_mm, back + grid.pixel_mm)))
        draw_slice(hu[k, rows], labels[k, rows], x, y[rows], float(z), grid.pixel_mm)
    brush = _Brush(hu=hu, labels=labels, grid=grid)
    for tube in trees.OESOPHAGUS:
        brush.draw(tube, OESOPHAGUS_HU, Label.OTHER)
    for tube in trees.GREAT_VESSELS:
        brush.draw(tube, BLOOD_HU, Label.VESSEL)
    for hilum, inside in ((trees.RIGHT_HILUM, _inside_right), (trees.LEFT_HILUM, _inside_left)):
        for tube in trees.lung_vessels(rng, hilum, inside, trunks=48):
            brush.draw(tube, BLOOD_HU, Label.VESSEL)
    main = trees.TRACHEA_AND_BRONCHI + trees.LOBAR_BRONCHI
    distal = trees.distal_bronchi(rng, _inside_either)
    for tube in main:
        brush.draw(tube, WALL_HU, Label.WALL, thicker_mm=1.6)
    for tube in distal:
        brush.draw(trees.opened(tube, 8.0), WALL_HU, Label.WALL, thicker_mm=0.8)
    for tube in (*main, *distal):
        brush.draw(tube, AIR_HU, Label.AIRWAY)
    return Thorax(hu=hu, labels=labels)


def scanned(hu: FloatArray, rng: np.random.Generator, noise_hu: float) -> FloatArray:
    """The picture as a scanner would give it: noise of `noise_hu` (standard deviation), mildly blurred in plane."""
    kernel = np.array([0.15, 0.7, 0.15], dtype=np.float32)
    # Blurring along two axes shrinks white noise by the kernel's norm twice.
    white = np.float32(noise_hu / float(np.sum(kernel**2)))
    image = rng.standard_normal(hu.shape, dtype=np.float32)
    image *= white
    image += hu
    for axis in (1, 2):
        moved = np.moveaxis(image, axis, 0)
        middle = moved[1:-1] * kernel[1]
        middle += moved[:-2] * kernel[0]
        middle += moved[2:] * kernel[2]
        moved[1:-1] = middle
        moved[0], moved[-1] = moved[1], moved[-2]
    return image


def _inside_right(points: Vectors) -> Vectors:
    return _lungs(points)[0].astype(np.float64)


def _inside_left(points: Vectors) -> Vectors:
    return _lungs(points)[1].astype(np.float64)


def _inside_either(points: Vectors) -> Vectors:
    return np.minimum(_inside_right(points), _inside_left(points))


def _lungs(points: Vectors) -> tuple[FloatArray, FloatArray]:
    x, y, z = points.astype(np.float32).T
    return anatomy.lungs(x, y, z, anatomy.cavity(x, y, z), anatomy.heart(x, y, z))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Brush:
    """Draws tubes, touching only the box of voxels around each."""

    hu: FloatArray
    labels: npt.NDArray[np.uint8]
    grid: Grid

    def draw(self, tube: Tube, value: float, label: Label, *, thicker_mm: float = 0.0) -> None:
        reach = max(tube.radius_mm) + thicker_mm + self.grid.pixel_mm
        axes, box = [], []
        steps = (self.grid.pixel_mm, self.grid.pixel_mm, self.grid.slice_mm)
        for axis, (first, step) in enumerate(zip(self.grid.first_mm, steps, strict=True)):
            low, high = sorted((tube.start[axis], tube.end[axis]))
            size = self.hu.shape[2 - axis]
            begin = max(int((low - reach - first) / step), 0)
            stop = min(int((high + reach - first) / step) + 2, size)
            if begin >= stop:
                return
            box.append(slice(begin, stop))
            axes.append(
                first + step * np.arange(begin, stop, dtype=np.float32) - np.float32(tube.start[axis])
            )
        dx, dy, dz = axes[0][None, None, :], axes[1][None, :, None], axes[2][:, None, None]
        along = [b - a for a, b in zip(tube.start, tube.end, strict=True)]
        length2 = sum(part * part for part in along)
        at = np.clip((dx * along[0] + dy * along[1] + dz * along[2]) / length2, 0.0, 1.0)
        aside = (dx - at * along[0]) ** 2 + (dy - at * along[1]) ** 2 + (dz - at * along[2]) ** 2
        first_radius, last_radius = tube.radius_mm
        distance = np.sqrt(aside) - (first_radius + (last_radius - first_radius) * at) - thicker_mm
        share = coverage(distance, self.grid.pixel_mm)
        where = (box[2], box[1], box[0])
        blend(self.hu[where], value, share)
        self.labels[where][share >= 0.5] = label
