"""The platform's own copy of an input against our file: the same grid, or a mask would lie beside its anatomy.

The platform encodes every image again. What it kept is read from the first bytes of its file; no voxels travel.
"""

from __future__ import annotations

import math
from contextlib import aclosing
from dataclasses import dataclass
from itertools import product

from bridge.errors import Damaged, Held, Never
from bridge.export.parcel import Parcel
from bridge.platforms.grand_challenge.api import Api
from bridge.platforms.grand_challenge.downloads import file_of
from bridge.platforms.grand_challenge.header import LONGEST_HEADER, parse_header, read_header
from bridge.platforms.grand_challenge.names import last_part, pk_of
from bridge.platforms.protocol import RemoteJob, Shelf

TOLERANCE_MM = 1e-3
"""Farthest that the centre of a voxel may be off; the platform's reader keeps some six digits."""

SYNONYMS = {
    "size": ("DimSize",),
    "spacing": ("ElementSpacing",),
    "origin": ("Offset", "Position", "Origin"),
    "direction": ("TransformMatrix", "Rotation", "Orientation"),
}
"""Keys of MetaIO that mean the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """x (columns), y (rows), z (slices); LPS, mm. `direction`: the unit vector of one axis after the other."""

    size: tuple[int, ...]
    spacing_mm: tuple[float, ...]
    origin_lps: tuple[float, ...]
    direction: tuple[float, ...]

    def distance_mm(self, other: Grid) -> float:
        """Largest distance between equal voxels of two grids of the same size: it is at a corner."""
        corners = product(*((0, length - 1) for length in self.size))
        return max(math.dist(self._at(corner), other._at(corner)) for corner in corners)

    def _at(self, index: tuple[int, ...]) -> list[float]:
        count = len(index)
        return [
            self.origin_lps[row]
            + sum(
                self.direction[axis * count + row] * self.spacing_mm[axis] * index[axis]
                for axis in range(count)
            )
            for row in range(count)
        ]


class Comparison:
    """Compares the inputs of a job that has ended."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def compare(self, job: RemoteJob, parcel: Parcel, shelf: Shelf) -> tuple[str, ...]:
        """Inputs of ours whose grid the platform kept; an input that it does not show is not among them.
        Raises Held: GC-250, another size, or a voxel that lies elsewhere; Damaged: GC-251, GC-252, no header.
        """
        images = {
            value.socket.slug: pk_of(value.image)
            for value in (await self._api.job(job.remote_id)).inputs
            if value.image is not None
        }
        same = []
        for file in parcel.files:
            theirs = await self._grid(images[file.input]) if file.input in images else None
            if theirs is None:
                continue
            with shelf.open(file.ref) as stream:
                ours = grid_of(read_header(stream))
            if ours != theirs:
                _check(file.input, ours, theirs)
            same.append(file.input)
        return tuple(same)

    async def _grid(self, image_pk: str) -> Grid | None:
        """None where the image is withdrawn (a link may dangle) or kept in another format."""
        try:
            url = file_of(await self._api.image(image_pk)).file or ""
            if not last_part(url).endswith(".mha"):
                return None
            async with (
                self._api.media(url, LONGEST_HEADER) as download,
                aclosing(download.chunks()) as chunks,
            ):
                head = b""
                async for chunk in chunks:
                    head += chunk
                    if len(head) >= LONGEST_HEADER:
                        break
        except Never:
            return None
        return grid_of(parse_header(head[:LONGEST_HEADER]))


def grid_of(header: dict[str, str]) -> Grid:
    """Raises Damaged: GC-252, a header without a whole grid."""
    values: dict[str, tuple[float, ...]] = {}
    try:
        for name, keys in SYNONYMS.items():
            text = next(header[key] for key in keys if key in header)
            values[name] = tuple(float(word) for word in text.split())
        axes = len(values["size"])
        if not (
            len(values["spacing"]) == len(values["origin"]) == axes
            and len(values["direction"]) == axes * axes
        ):
            raise ValueError
    except (StopIteration, ValueError):
        raise Damaged(
            "GC-252",
            "an image's header has no whole grid",
            "DimSize, ElementSpacing, Offset, TransformMatrix",
        ) from None
    return Grid(
        size=tuple(int(length) for length in values["size"]),
        spacing_mm=values["spacing"],
        origin_lps=values["origin"],
        direction=values["direction"],
    )


def _check(name: str, ours: Grid, theirs: Grid) -> None:
    same_size = ours.size == theirs.size
    off_mm = ours.distance_mm(theirs) if same_size else math.inf
    if off_mm <= TOLERANCE_MM:
        return
    numbers: dict[str, float | int | str] = {
        "our_size": "x".join(map(str, ours.size)),
        "their_size": "x".join(map(str, theirs.size)),
        "our_spacing_mm": "x".join(f"{step:.6g}" for step in ours.spacing_mm),
        "their_spacing_mm": "x".join(f"{step:.6g}" for step in theirs.spacing_mm),
    }
    if len(ours.size) == len(theirs.size):
        numbers["origin_distance_mm"] = round(math.dist(ours.origin_lps, theirs.origin_lps), 4)
        numbers["direction_difference"] = round(
            max(abs(one - other) for one, other in zip(ours.direction, theirs.direction, strict=True)), 6
        )
    if same_size:
        numbers["largest_distance_mm"] = round(off_mm, 4)
    where = f", with voxels up to {off_mm:.4g} mm away" if same_size else ""
    raise Held(
        "GC-250",
        f"the platform's copy of {name} has {numbers['their_size']} voxels of {numbers['their_spacing_mm']} mm{where}",
        f"the grid that was sent: {numbers['our_size']} voxels of {numbers['our_spacing_mm']} mm, "
        f"within {TOLERANCE_MM} mm",
        "Do not use the outputs of this job; tell the platform that it changed an image",
        numbers,
    )
