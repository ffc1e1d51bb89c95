"""Slices of one orientation, ordered along their normal: what a volume is made of, regular or not.

Refusals of a stack, beside those of `geometry`, by code:

    GEO-026  several modalities or units
    GEO-027  no frame of reference
    GEO-028  fewer positions than the other volumes of its series
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from bridge.dicom.instance import Instance
from bridge.errors import Refused
from bridge.volumes.geometry import USUAL, Tolerance, directions, regular_grid, slice_positions_mm
from bridge.volumes.slices import Slice
from bridge.volumes.volume import Candidate, FloatArray, Geometry, Plane, Volume


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """One or more slices that share frame of reference, orientation, size, pixel spacing and SOP class."""

    slices: tuple[Slice, ...]
    """Lowest along the normal first; at one position by SOP Instance UID and frame."""
    key: tuple[tuple[str, str], ...] = ()
    """As in `Volume`."""

    @property
    def planes(self) -> tuple[Plane, ...]:
        return tuple(one.plane for one in self.slices)

    @property
    def instances(self) -> tuple[Instance, ...]:
        """Each once, in the order of the slices."""
        return tuple(dict.fromkeys(one.instance for one in self.slices))

    @property
    def size(self) -> tuple[int, int]:
        """(rows, columns)"""
        return self.slices[0].rows, self.slices[0].columns

    @property
    def axes(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Unit vectors in LPS: along columns, along rows, along the normal."""
        return directions(np.array([one.orientation for one in self.slices]))

    @property
    def positions_lps(self) -> FloatArray:
        """(n, 3) mm"""
        return np.array([one.position_lps for one in self.slices])


def stack_of(slices: tuple[Slice, ...] | list[Slice], key: tuple[tuple[str, str], ...] = ()) -> Stack:
    """Order slices along their normal. They must share what `Stack` says."""
    normal = directions(np.array([one.orientation for one in slices]))[2]
    depth = slice_positions_mm(np.array([one.position_lps for one in slices]), normal)
    ordered = sorted(
        zip(depth, slices, strict=True),
        key=lambda pair: (float(pair[0]), pair[1].instance.sop_instance_uid, pair[1].frame),
    )
    return Stack(slices=tuple(one for _, one in ordered), key=key)


def volume_of(stack: Stack, tolerance: Tolerance = USUAL) -> Volume:
    """The volume that the slices of a stack are.

    Raises:
        Refused: GEO-020 to GEO-027.
    """
    order, geometry = regular_grid(
        stack.positions_lps,
        np.array([one.orientation for one in stack.slices]),
        stack.slices[0].pixel_spacing_mm,
        stack.size,
        tolerance,
    )
    volume = volume_on(stack, geometry)
    return replace(volume, planes=tuple(volume.planes[index] for index in order))


def volume_on(stack: Stack, geometry: Geometry) -> Volume:
    """The slices of a stack, in their order, with a geometry that someone else vouches for.

    Raises:
        Refused: GEO-026, GEO-027.
    """
    first = stack.slices[0]
    meanings = {(one.modality, one.units) for one in stack.slices}
    if len(meanings) > 1:
        raise Refused(
            "GEO-026",
            f"{len(meanings)} modalities or units of the rescaled numbers in one stack",
            "one",
            "Send them as series of their own",
            numbers={"kinds": len(meanings)},
        )
    if not first.frame_of_reference_uid:
        raise Refused(
            "GEO-027",
            "no Frame of Reference UID",
            "one, so that results can be laid over the images (PS3.3 C.7.4.1)",
            "Ask the source for images that carry it",
        )
    return Volume(
        study_instance_uid=first.instance.study_instance_uid,
        series_instance_uid=first.instance.series_instance_uid,
        frame_of_reference_uid=first.frame_of_reference_uid,
        sop_class_uid=first.instance.sop_class_uid,
        modality=first.modality,
        units=first.units,
        geometry=geometry,
        planes=stack.planes,
        key=stack.key,
    )


def candidate_of(stack: Stack, tolerance: Tolerance = USUAL, refusal: Refused | None = None) -> Candidate:
    """The stack as a volume, or with the reason why it is none; `refusal`: one that is known before."""
    if refusal is None:
        try:
            volume = volume_of(stack, tolerance)
        except Refused as why:
            refusal = why
        else:
            return Candidate(
                series_instance_uid=volume.series_instance_uid, instances=volume.instances, volume=volume
            )
    return Candidate(
        series_instance_uid=stack.slices[0].instance.series_instance_uid,
        instances=stack.instances,
        # Without its traceback, which would keep every header alive.
        refusal=refusal.with_traceback(None),
        stack=stack,
    )
