"""Make the picture of docs/volumes.md anew: the demo's phantom with a tilted gantry, and what `shear` makes of it.

    scripts/pictures_volumes.py

Everything shown is of the phantom, which is nobody.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from bridge.dicom.instance import Instance
from bridge.sandbox.phantom.render import Grid, Thorax, thorax
from bridge.volumes import Candidate, Volume, candidates_of, mended, read_values

FILE = Path(__file__).resolve().parents[1] / "docs" / "images" / "tilted.png"
TILT_DEGREES = 18.0
SLICES, STEP_MM, ROW_MM = 24, 9.0, 2.0
ROWS = 110
AT_X_MM = -62.0
"""Of the cut that is shown: through the right lung."""
PIXEL_MM = 1.15
PANEL = (300, 268)
LOW, HIGH = -1100.0, 300.0
PAPER, LINE, INK = (250, 250, 248), (94, 129, 172), (40, 44, 52)

Array = NDArray[Any]


def main() -> int:
    body, grid = thorax(Grid.scaled(0.5), np.random.default_rng(5)), Grid.scaled(0.5)
    directions = _directions()
    positions = [_position(k) for k in range(SLICES)]
    stored = [_slice(body, grid, position, directions[1]) for position in positions]
    candidate = _candidate(positions, directions, stored)
    assert candidate.refusal is not None and candidate.refusal.code == "GEO-023"
    volume = mended(candidate, ("shear",)).volume
    assert volume is not None

    def read(instance: Instance, frame: int) -> Array:
        return stored[instance.number - 1]

    upright = np.array([0.0, 1.0, 0.0])
    panels = (
        # What a reader shows that takes the slices for upright and their distance for the step.
        ("read as if upright", stored, [np.array([0, -ROWS / 2 * ROW_MM, p[2]]) for p in positions], upright),
        ("as the images lie", stored, positions, directions[1]),
        ("sheared: a regular grid", list(read_values(volume, read)), _places(volume), directions[1]),
    )
    sheet = Image.new("RGB", (3 * PANEL[0], PANEL[1] + 24), PAPER)
    for number, (title, images, places, down) in enumerate(panels):
        sheet.paste(_panel(images, places, down), (number * PANEL[0], 0))
        ImageDraw.Draw(sheet).text((number * PANEL[0] + 12, PANEL[1] + 4), title, INK)
    sheet.quantize(64).save(FILE, optimize=True)
    print(f"{FILE.relative_to(FILE.parents[2])}: {FILE.stat().st_size} bytes; {candidate.refusal.found}")
    return 0


def _directions() -> tuple[Array, Array]:
    """Of columns and rows: the gantry leans about the axis from right to left."""
    angle = math.radians(TILT_DEGREES)
    return np.array([1.0, 0.0, 0.0]), np.array([0.0, math.cos(angle), math.sin(angle)])


def _position(k: int) -> Array:
    """Of the first voxel: the table moves along z, whatever the gantry does."""
    middle = np.array([AT_X_MM, 15.0, (k - (SLICES - 1) / 2) * STEP_MM])
    return np.asarray(middle - ROWS / 2 * ROW_MM * _directions()[1])


def _slice(body: Thorax, grid: Grid, position: Array, down: Array) -> Array:
    """Four columns of one slice, from the voxels of the phantom that are nearest."""
    x, y, z = (np.asarray(axis) for axis in grid.axes_mm())
    points = position + np.arange(ROWS)[:, None] * ROW_MM * down
    rows = np.abs(y - points[:, 1:2]).argmin(axis=1)
    slices = np.abs(z - points[:, 2:3]).argmin(axis=1)
    column = int(np.abs(x - AT_X_MM).argmin())
    inside = (
        (points[:, 2] >= z[0]) & (points[:, 2] <= z[-1]) & (points[:, 1] >= y[0]) & (points[:, 1] <= y[-1])
    )
    values = np.where(inside, body.hu[slices, rows, column], -1000.0)
    return np.rint(np.repeat(values[:, None], 4, axis=1)).astype(np.int16)


def _candidate(positions: list[Array], directions: tuple[Array, Array], stored: list[Array]) -> Candidate:
    instances = []
    for number, position in enumerate(positions, start=1):
        header = Dataset()
        header.Modality, header.ImageType = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"]
        header.FrameOfReferenceUID = "2.25.1"
        header.Rows, header.Columns = stored[0].shape
        header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
        header.PixelSpacing = [ROW_MM, ROW_MM]
        header.ImagePositionPatient = [f"{one:.8g}" for one in position]
        header.ImageOrientationPatient = [f"{one:.8g}" for axis in directions for one in axis]
        instances.append(
            Instance(
                number=number,
                sop_class_uid=CTImageStorage,
                sop_instance_uid=f"2.25.2{number:02}",
                series_instance_uid="2.25.3",
                study_instance_uid="2.25.4",
                transfer_syntax_uid=ExplicitVRLittleEndian,
                file=FILE,
                header=header,
            )
        )
    (candidate,) = candidates_of(instances)
    return candidate


def _places(volume: Volume) -> list[Array]:
    affine = volume.geometry.affine_lps
    return [affine[:3, 3] + k * affine[:3, 0] for k in range(volume.geometry.shape[0])]


def _panel(images: list[Array], places: list[Array], down: Array) -> Image.Image:
    """The cut in the plane of y (to the right) and z (upwards), every slice where it is said to lie."""
    width, height = PANEL
    across, up = np.meshgrid(np.arange(width), np.arange(height))
    y, z = (across - width / 2) * PIXEL_MM + 8, (height / 2 - up) * PIXEL_MM
    normal = np.array([0.0, -down[2], down[1]])
    first = np.array([place @ normal for place in places])
    depth = y * normal[1] + z * normal[2]
    nearest = np.abs(depth[..., None] - first).argmin(axis=-1)
    starts = np.array([place @ down for place in places])
    row = np.rint((y * down[1] + z * down[2] - starts[nearest]) / ROW_MM).astype(int)
    step = abs(first[1] - first[0])
    inside = (row >= 0) & (row < len(images[0])) & (np.abs(depth - first[nearest]) <= step / 2)
    values = np.stack([one[:, 1] for one in images])[nearest, np.clip(row, 0, len(images[0]) - 1)]
    grey = np.clip((values - LOW) / (HIGH - LOW) * 255, 0, 255).astype(np.uint8)
    picture = np.where(inside[..., None], np.repeat(grey[..., None], 3, axis=-1), np.array(PAPER, np.uint8))
    image = Image.fromarray(picture.astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for place in places[:: len(places) - 1] + places[3:-1:4]:
        ends = [place, place + len(images[0]) * ROW_MM * down]
        draw.line([((p[1] - 8) / PIXEL_MM + width / 2, height / 2 - p[2] / PIXEL_MM) for p in ends], LINE, 1)
    return image


if __name__ == "__main__":
    sys.exit(main())
