"""The meshes of a job, read from the objects that PACS got. They are in LPS mm, whatever the platform wrote.

PS3.3 A.85: Encapsulated STL and OBJ. Of the header only title and colour are taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset

from bridge.errors import Damaged
from bridge.operate.report.segmentation import COLOURS, Rgb, srgb_of
from bridge.results.mesh import Mesh
from bridge.results.mesh_files import read_mesh


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Solid:
    label: str
    rgb: Rgb
    mesh: Mesh
    """In LPS mm."""


def read_solids(files: Sequence[Path]) -> tuple[Solid, ...]:
    """One for each file. Raises Damaged: REP-005, a file that cannot be read as a mesh; RES-..., its mesh cannot."""
    return tuple(_solid(file, number) for number, file in enumerate(files))


def _solid(file: Path, number: int) -> Solid:
    try:
        found = dcmread(file)
        data = bytes(found.EncapsulatedDocument)[: int(found.EncapsulatedDocumentLength)]
        label = str(found.get("DocumentTitle") or f"surface {number + 1}")
        rgb = _colour(found, number)
    except Exception:  # noqa: BLE001 - pydicom raises many kinds, and their texts quote values
        raise Damaged(
            "REP-005", "a result that cannot be read as a mesh", "an STL or OBJ object of this job"
        ) from None
    mesh, _ = read_mesh(data, label)
    return Solid(label=label, rgb=rgb, mesh=mesh)


def _colour(found: Dataset, number: int) -> Rgb:
    stored = found.get("RecommendedDisplayCIELabValue")
    if stored is None or len(stored) != 3:
        return COLOURS[number % len(COLOURS)]
    return srgb_of(int(stored[0]), int(stored[1]), int(stored[2]))
