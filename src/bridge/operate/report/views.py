"""Six views of meshes, drawn without a graphics card: points on their faces, the nearest of each pixel, lit by depth.

Orthographic, all to one scale. What lies within another surface is seen through it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bridge.operate.report.pictures import QUALITY, photo
from bridge.operate.report.solids import Solid
from bridge.results.mesh import Mesh

Floats = NDArray[np.float32]
Box = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Lowest and highest of x, y, z."""
Vector = tuple[int, int, int]
Axis = tuple[float, float, float]

SIZE = 260
MARGIN = 0.06
STEP = 0.7
"""Between two points of a face, in pixels: less than one leaves no holes."""
MOST_POINTS = 4_000_000
VEIL = 0.5
"""How much of an outer surface is seen where another lies behind it."""
DARKEST, FLATTEN = 0.32, 1.4
LETTERS = {(1, 0, 0): "L", (-1, 0, 0): "R", (0, 1, 0): "P", (0, -1, 0): "A", (0, 0, 1): "H", (0, 0, -1): "F"}
"""Of the axes of LPS (PS3.3 C.7.6.1.1.1)."""
AXES: tuple[tuple[str, Vector, Vector], ...] = (
    ("from the right", (1, 0, 0), (0, 0, 1)),
    ("from the front", (0, 1, 0), (0, 0, 1)),
    ("from the left", (-1, 0, 0), (0, 0, 1)),
    ("from behind", (0, -1, 0), (0, 0, 1)),
    ("from above", (0, 0, -1), (0, -1, 0)),
    ("from below", (0, 0, 1), (0, -1, 0)),
)
"""Name, where one looks to, what is up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One picture, as an address that holds its own data, and the letters at its edges."""

    name: str
    picture: str
    left: str
    right: str
    top: str
    bottom: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Cloud:
    """Points of one layer. points: (n, 3) LPS mm about the middle; rgb: (n, 3)."""

    points: Floats
    rgb: NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scene:
    """What is drawn: points, and those of surfaces through which others are seen; `size`: of a picture, pixels."""

    inner: _Cloud
    outer: _Cloud
    pixel_mm: float
    size: int


def take_views(solids: Sequence[Solid], *, webp: bool = False) -> tuple[View, ...]:
    """The views, or none where there is nothing to see."""
    if not solids:
        return ()
    scene = scene_of(solids, SIZE)
    return tuple(_view(name, look, up, scene, webp=webp) for name, look, up in AXES)


def scene_of(solids: Sequence[Solid], size: int, *, most: int = MOST_POINTS, turns: bool = False) -> Scene:
    """Solids, one or more, for square pictures of so many pixels a side.

    Args:
        most: points in all; with fewer there may be holes.
        turns: there is room for them however they are turned about the long axis of the body.
    """
    boxes = [(one.mesh.vertices.min(axis=0), one.mesh.vertices.max(axis=0)) for one in solids]
    low, high = np.min([box[0] for box in boxes], axis=0), np.max([box[1] for box in boxes], axis=0)
    extent = high - low
    longest = max(float(np.hypot(extent[0], extent[1])), float(extent[2])) if turns else float(extent.max())
    pixel_mm = max(longest, 1e-3) / (size * (1 - 2 * MARGIN))
    is_outer = [any(_holds(one, other) for other in boxes) for one in boxes]
    inner, outer = (
        _cloud(
            [one for one, out in zip(solids, is_outer, strict=True) if out is wanted],
            pixel_mm,
            low,
            high,
            most / max(sum(_area(one.mesh) for one in solids), 1e-9),
        )
        for wanted in (False, True)
    )
    return Scene(inner=inner, outer=outer, pixel_mm=pixel_mm, size=size)


def _holds(one: Box, other: Box) -> bool:
    """Whether the middle of a smaller box lies in a larger one."""
    middle = (other[0] + other[1]) / 2
    smaller = bool(np.prod(other[1] - other[0]) < np.prod(one[1] - one[0]))
    return smaller and bool(np.all((one[0] <= middle) & (middle <= one[1])))


def _cloud(
    solids: Sequence[Solid],
    pixel_mm: float,
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    per_mm2: float,
) -> _Cloud:
    points, colours = [np.zeros((0, 3), np.float32)], [np.zeros((0, 3), np.uint8)]
    step_mm = STEP * pixel_mm
    for solid in solids:
        for some in _points(solid.mesh, step_mm, int(per_mm2 * _area(solid.mesh))):
            points.append((some - (low + high) / 2).astype(np.float32))
            colours.append(np.broadcast_to(np.asarray(solid.rgb, np.uint8), some.shape))
    return _Cloud(points=np.concatenate(points), rgb=np.concatenate(colours))


def _area(mesh: Mesh) -> float:
    a, b, c = (mesh.corners[:, place] for place in range(3))
    return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)


def _points(mesh: Mesh, step_mm: float, most: int) -> Iterator[NDArray[np.float64]]:
    """Corners, and the middles of the parts into which each face is cut so that none is longer than a step."""
    yield mesh.vertices
    corners = mesh.corners
    edges = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(axis=1)
    parts = np.ceil(edges / step_mm).astype(np.int64)
    total = int((parts**2).sum())
    if total > most:
        parts = np.maximum((parts * np.sqrt(most / total)).astype(np.int64), 1)
    for count in np.unique(parts[parts > 1]):
        weights = _middles(int(count))
        yield np.einsum("kc,mcx->mkx", weights, corners[parts == count]).reshape(-1, 3)


def _middles(count: int) -> NDArray[np.float64]:
    """(count squared, 3) weights of the corners: middles of the parts of a triangle cut `count` times."""
    a, b = np.meshgrid(np.arange(count), np.arange(count), indexing="ij")
    upright, turned = a + b < count, a + b < count - 1
    first = np.concatenate([a[upright] + 1 / 3, a[turned] + 2 / 3]) / count
    second = np.concatenate([b[upright] + 1 / 3, b[turned] + 2 / 3]) / count
    return np.stack([first, second, 1 - first - second], axis=1)


def _view(name: str, look: Vector, up: Vector, scene: Scene, *, webp: bool) -> View:
    cross = np.cross(look, up)
    right: Vector = (int(cross[0]), int(cross[1]), int(cross[2]))
    return View(
        name=name,
        picture=photo(seen(scene, look, up), QUALITY, webp=webp),
        left=LETTERS[_back(right)],
        right=LETTERS[right],
        top=LETTERS[up],
        bottom=LETTERS[_back(up)],
    )


def seen(scene: Scene, look: Axis, up: Axis) -> NDArray[np.uint8]:
    """(rows, columns, 3). `look`, `up`: unit vectors in LPS, at right angles."""
    (inner, inner_at), (outer, outer_at) = (
        _drawn(layer, scene, look, up) for layer in (scene.inner, scene.outer)
    )
    image = np.where(np.isfinite(inner_at)[..., None], inner, 0.0)
    share = np.where(outer_at < inner_at, np.where(np.isfinite(inner_at), VEIL, 1.0), 0.0)[..., None]
    image += share * (outer - image)
    return image.clip(0, 255).astype(np.uint8)


def _back(axis: Vector) -> Vector:
    return (-axis[0], -axis[1], -axis[2])


def _drawn(cloud: _Cloud, scene: Scene, look: Axis, up: Axis) -> tuple[Floats, Floats]:
    """(rows, columns, 3) lit colours, and (rows, columns) depth in pixels: infinite where nothing is."""
    size = scene.size
    across, height, depth = (
        cloud.points @ np.asarray(axis, np.float32) / np.float32(scene.pixel_mm)
        for axis in (np.cross(look, up), up, look)
    )
    columns, rows = (across + size / 2).astype(np.int64), (size / 2 - height).astype(np.int64)
    place = rows * size + columns
    nearest = np.full(size * size, np.inf, np.float32)
    np.minimum.at(nearest, place, depth)
    rgb = np.zeros((size * size, 3), np.float32)
    is_front = depth <= nearest[place]
    rgb[place[is_front]] = cloud.rgb[is_front]
    colours, at = _closed(rgb.reshape(size, size, 3), nearest.reshape(size, size))
    return colours * _light(at)[..., None], at


def _closed(rgb: Floats, at: Floats) -> tuple[Floats, Floats]:
    """Without holes of one pixel, in a row or a column, between two that are not empty."""
    rgb, at = rgb.copy(), at.copy()
    for before, behind, hole in (
        (np.s_[:, :-2], np.s_[:, 2:], np.s_[:, 1:-1]),
        (np.s_[:-2], np.s_[2:], np.s_[1:-1]),
    ):
        missing = ~np.isfinite(at[hole]) & np.isfinite(at[before]) & np.isfinite(at[behind])
        at[hole][missing] = ((at[before] + at[behind]) / 2)[missing]
        rgb[hole][missing] = ((rgb[before] + rgb[behind]) / 2)[missing]
    return rgb, at


def _light(depth: Floats) -> Floats:
    """How bright each pixel is: less where the surface turns away. Sides of voxels are smoothed out first."""
    there = np.isfinite(depth)
    smooth = np.where(there, depth, 0.0).astype(np.float32)
    weight = there.astype(np.float32)
    for _ in range(2):
        smooth, weight = _blurred(smooth), _blurred(weight)
    known = np.divide(smooth, weight, out=np.zeros_like(smooth), where=weight > 0)
    down, along = np.gradient(known)
    slope = np.hypot(down, along)
    return np.asarray(np.maximum(FLATTEN / np.sqrt(FLATTEN**2 + slope**2), DARKEST), np.float32) * there


def _blurred(values: Floats) -> Floats:
    padded = np.pad(values, 1)
    rows = padded[:-2] + padded[1:-1] + padded[2:]
    return np.asarray((rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]) / 9.0, np.float32)
