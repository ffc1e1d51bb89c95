"""The meshes of an answer: each an object of its own, all together a segmentation, and what was measured of them.

A segmentation here is made from a map of labels, in which a voxel has one. Meshes that share voxels, such as a canal
inside its jaw, therefore go into several segmentations: each mesh into the first one in which its voxels are free, in
the order of their names. No segmentation has segments that overlap, which some viewers refuse, and label maps allow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bridge.dicom.codes import (
    ABSENT,
    ANY_TISSUE,
    MESH_AREA,
    MESH_VOLUME,
    MILLIMETER,
    PRESENCE,
    Quantity,
    anatomy_of,
    private_code,
)
from bridge.results.colours import colour_of
from bridge.results.encapsulated_mesh import Surface, encode_surface
from bridge.results.measurement_report import Measured, encode_measurements
from bridge.results.mesh import placed
from bridge.results.mesh_checks import MeshChecks, check, check_fit
from bridge.results.mesh_files import read_mesh
from bridge.results.readings import Coded, Number, Reading
from bridge.results.result import LabelMap, LabelMeaning, MeshFile, Part, Result, Source, Wrapping
from bridge.results.segmentation import encode_segmentation, segments_of
from bridge.results.structures import label_of
from bridge.results.subject import Subject
from bridge.results.value_report import encode_values
from bridge.results.voxelise import Voxels, voxelise
from bridge.results.work import Made, Work, on_no_image

NAME = "voxels-of-meshes"
"""Output name of the segmentations and of the reports on them: they are of no output alone."""
_NUMBERS = "numbers-of-meshes"
"""Of the report on meshes that are in no segmentation, and on those that are not there."""
_FROM = 500
"""Instance Number of the first of them; those of masks count from 1."""
_REST = 900
_DIGITS = 6

_EXTENTS = tuple(
    Quantity(
        concept=private_code(f"extent-{words.replace(' ', '-')}", f"Extent, {words}"),
        unit=MILLIMETER,
    )
    for words in ("right to left", "front to back", "foot to head")
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Solid:
    """A surface, its numbers and, where it has any, its voxels."""

    number: int
    """In the order of names, from 1: label value of its voxels."""
    surface: Surface
    checks: MeshChecks
    voxels: Voxels | None

    @property
    def name(self) -> str:
        return self.surface.output.name


def encode_meshes(work: Work) -> Made:
    """Objects of meshes, then segmentations of their voxels, each with its report, then a report on the rest.

    Raises:
        Damaged: RES-091, a file that holds no mesh.
        Refused: RES-032, RES-040 as of other results; RES-092, Draco; RES-093, a mesh that does not lie on the images.
    """
    wrapping, subject, made = work.wrapping, work.subject, Made()
    absent = _absent(work)
    solids: list[_Solid] = []
    if work.source is not None and isinstance(subject, Subject):
        for number, part in enumerate(work.parts, start=1):
            if not isinstance(part.content, MeshFile):
                made.notes.append(f"{part.output.name}: no mesh came back")
                continue
            surface, beside = _read(part, part.content, number, subject, wrapping)
            made.results.append(encode_surface(surface, subject, wrapping, instance_number=number))
            solid = _solid(number, surface, subject, wrapping)
            made.notes.extend(
                f"{solid.name}: {words}" for words in (beside, *_said(solid, wrapping)) if words
            )
            solids.append(solid)
        for count, group in enumerate(_apart(solids)):
            made.results.extend(_segmentation(group, count, work.source, subject, wrapping))
    else:
        made.notes.extend(on_no_image(work).notes)
    readings = [one for solid in solids if solid.voxels is None for one in _readings(solid)] + absent
    if readings and wrapping.measurement_report:
        made.results.append(
            encode_values(readings, (), subject, wrapping, output_name=_NUMBERS, instance_number=_REST)
        )
    return made


def _read(
    part: Part, file: MeshFile, number: int, subject: Subject, wrapping: Wrapping
) -> tuple[Surface, str]:
    """The surface in a file, and a word where it lies partly beside the images."""
    output, geometry = part.output, subject.volume.geometry
    assert output.frame is not None  # else it had no use
    mesh, format = read_mesh(file.data, output.name)
    beside = check_fit(mesh, geometry, output.name, output.frame)
    known = wrapping.labels.get(output.name, {}).get(1)
    label = known.name if known else label_of(output.title or output.name)
    anatomy = (known and known.anatomy) or anatomy_of(label) or ANY_TISSUE
    surface = Surface(
        output=output,
        data=file.data,
        format=format,
        mesh=placed(mesh, output.frame, geometry),
        label=label,
        anatomy=anatomy,
        rgb=(known and known.rgb) or colour_of(anatomy, number),
    )
    return surface, beside


def _solid(number: int, surface: Surface, subject: Subject, wrapping: Wrapping) -> _Solid:
    checks = check(surface.mesh)
    voxels = None
    if wrapping.segmentation and checks.is_closed:
        voxels = voxelise(surface.mesh, subject.volume.geometry)
        if not voxels.count:
            voxels = None
    return _Solid(number=number, surface=surface, checks=checks, voxels=voxels)


def _said(solid: _Solid, wrapping: Wrapping) -> list[str]:
    """What a reader of the numbers and the segmentation has to know of a mesh."""
    checks, said = solid.checks, []
    if not checks.is_closed:
        said.append(
            f"the mesh is open, {checks.border_edges} edges bound no second face: it has no volume, and is in no "
            "segmentation"
        )
    elif not checks.is_oriented:
        said.append(f"{checks.turned_edges} edges have faces that are inside out: no volume of the mesh")
    elif checks.signed_volume_mm3 < 0:
        said.append("all faces of the mesh look inwards: its volume is taken without the sign")
    if solid.voxels and solid.voxels.doubtful:
        said.append(
            f"the mesh crosses or overlaps itself at {solid.voxels.doubtful} voxels: what lies in it twice is left out "
            "of the segmentation, and twice in its volume"
        )
    if wrapping.segmentation and checks.is_closed and solid.voxels is None:
        said.append("no centre of a voxel lies in the mesh: it is in no segmentation")
    return said


def _apart(solids: Sequence[_Solid]) -> list[list[_Solid]]:
    """Groups of which no two members share a voxel."""
    groups: list[list[_Solid]] = []
    for solid in solids:
        if solid.voxels is None:
            continue
        for group in groups:
            if not any(other.voxels and _meet(solid.voxels, other.voxels) for other in group):
                group.append(solid)
                break
        else:
            groups.append([solid])
    return groups


def _meet(one: Voxels, other: Voxels) -> bool:
    common = [
        slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(one.place, other.place, strict=True)
    ]
    if any(part.start >= part.stop for part in common):
        return False
    return bool(np.logical_and(*(some.inside[_within(common, some)] for some in (one, other))).any())


def _within(common: Sequence[slice], voxels: Voxels) -> tuple[slice, ...]:
    return tuple(
        slice(part.start - place.start, part.stop - place.start)
        for part, place in zip(common, voxels.place, strict=True)
    )


def _segmentation(
    group: Sequence[_Solid], count: int, source: Source, subject: Subject, wrapping: Wrapping
) -> list[Result]:
    name, number = f"{NAME}-{count + 1}" if count else NAME, _FROM + count
    geometry = subject.volume.geometry
    highest = max(solid.number for solid in group)
    labels = np.zeros(geometry.shape, np.uint8 if highest < 2**8 else np.uint16)
    meanings = {}
    for solid in group:
        assert solid.voxels is not None
        labels[solid.voxels.place][solid.voxels.inside] = solid.number
        surface = solid.surface
        meanings[solid.number] = LabelMeaning(name=surface.label, anatomy=surface.anatomy, rgb=surface.rgb)
    found = segments_of(LabelMap(array=labels, affine_lps=geometry.affine_lps), name, subject, meanings)
    segmentation = encode_segmentation(found, name, subject, wrapping, instance_number=number)
    if not wrapping.measurement_report:
        return [segmentation]
    by_value = {solid.number: _readings(solid) for solid in group}
    measured = Measured(
        found=found,
        output_name=name,
        values=source.values,
        segmentation=segmentation,
        readings={segment.number: by_value[segment.value] for segment in found.segments},
    )
    report = encode_measurements(measured, subject, wrapping, instance_number=number)
    return [segmentation, report] if report else [segmentation]


def _readings(solid: _Solid) -> list[Reading]:
    """The numbers of the mesh itself; those of its voxels are measured as of any segment."""
    checks = solid.checks
    numbers: list[tuple[Quantity, float]] = []
    if checks.volume_mm3 is not None:
        numbers.append((MESH_VOLUME, checks.volume_mm3 / 1000))
    numbers += [(MESH_AREA, checks.area_mm2), *zip(_EXTENTS, checks.extent_mm, strict=True)]
    return [
        Reading(
            name=quantity.concept.meaning,
            output=solid.name,
            says=Number(quantity=quantity, value=float(f"{value:.{_DIGITS}g}") + 0.0),
            structure=solid.surface.label,
            row=solid.number,
        )
        for quantity, value in numbers
    ]


def _absent(work: Work) -> list[Reading]:
    """A coded answer for each structure that the platform looked for and did not find."""
    first = len(work.parts) + 1
    return [
        Reading(
            name=one.name,
            output=one.name,
            says=Coded(concept=PRESENCE, answer=ABSENT),
            structure=label_of(one.title or one.name),
            row=row,
        )
        for row, one in enumerate(sorted(work.absent, key=lambda one: one.name), start=first)
    ]
