"""Segmentations (PS3.3 A.51) as volumes of labels, each on its own grid.

Frames without marks are usually left out of one: the grid runs from its first frame to its last, and its step is what
its frames say, which must be a whole part of the way between any two of them.

Refusals of a mask, beside those of `slices`, by code:

    GEO-031  frames that lie on no grid, or a voxel with two labels
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bridge.dicom.instance import Instance
from bridge.errors import Refused
from bridge.volumes.frames import view_of
from bridge.volumes.geometry import USUAL, Tolerance, directions, slice_positions_mm, vector
from bridge.volumes.kinds import MASK_CLASSES
from bridge.volumes.slices import Slice, slices_of_mask
from bridge.volumes.split import ORIENTATION_TOLERANCE_RAD
from bridge.volumes.volume import Candidate, FloatArray, Geometry, Volume

ALIKE_MM = 1e-3
"""How far the voxels of a mask may lie from those of an image and be its voxels."""

MOST_SLICES = 10_000
"""A step that is wrongly small would make a grid of any size."""


def masks_of(instances: Sequence[Instance], tolerance: Tolerance = USUAL) -> tuple[Candidate, ...]:
    """Every segmentation among the instances, as a volume of labels or with the reason why it is none.

    Those that this bridge made are among them: whether one may be an input is for the rule to say.
    """
    found = []
    for instance in sorted(instances, key=lambda one: (one.sop_instance_uid, one.number)):
        if instance.sop_class_uid in MASK_CLASSES:
            volume = refusal = None
            try:
                volume = mask_of(instance, tolerance)
            except Refused as why:
                refusal = why.with_traceback(None)
            found.append(
                Candidate(
                    series_instance_uid=instance.series_instance_uid,
                    instances=(instance,),
                    volume=volume,
                    refusal=refusal,
                )
            )
    return tuple(found)


def mask_of(instance: Instance, tolerance: Tolerance = USUAL) -> Volume:
    """The labels of a segmentation, frame by frame, and the grid on which they lie.

    Raises:
        Refused: GEO-008 to GEO-010, GEO-027, GEO-030, GEO-031.
    """
    slices = slices_of_mask(instance)
    first = slices[0]
    if not first.frame_of_reference_uid:
        raise Refused("GEO-027", "no Frame of Reference UID", "one, as the images have (PS3.3 C.7.4.1)")
    orientations = np.array([one.orientation for one in slices])
    spacings = {one.pixel_spacing_mm for one in slices}
    if np.ptp(orientations, axis=0).max() > ORIENTATION_TOLERANCE_RAD or len(spacings) > 1:
        raise _no_grid("frames of several orientations or pixel spacings", "one of each")
    column_step, row_step, normal = directions(orientations)
    positions = np.array([one.position_lps for one in slices])
    depth = slice_positions_mm(positions, normal)
    lowest = positions[int(np.argmin(depth))]
    step = _step_mm(slices, depth, tolerance)
    slots = np.rint((depth - depth.min()) / step).astype(int)
    grid = lowest + (slots * step)[:, None] * normal
    off = float(np.linalg.norm(positions - grid, axis=1).max())
    allowed = max(tolerance.step_mm, tolerance.depth * step)
    count = int(slots.max()) + 1
    if off > allowed or count > MOST_SLICES:
        raise _no_grid(
            f"a frame that lies {off:.4g} mm beside a grid of {count} slices", f"at most {allowed:.4g} mm"
        )
    order = sorted(range(len(slices)), key=lambda n: (slots[n], slices[n].slope, slices[n].frame))
    return Volume(
        study_instance_uid=instance.study_instance_uid,
        series_instance_uid=instance.series_instance_uid,
        frame_of_reference_uid=first.frame_of_reference_uid,
        sop_class_uid=instance.sop_class_uid,
        modality="SEG",
        units="",
        geometry=Geometry(
            shape=(count, first.rows, first.columns),
            origin_lps=vector(lowest),
            slice_step_lps=vector(normal),
            row_step_lps=vector(row_step),
            column_step_lps=vector(column_step),
            spacing_mm=(step, *first.pixel_spacing_mm),
        ),
        planes=tuple(slices[n].plane for n in order),
        slots=tuple(int(slots[n]) for n in order),
    )


def laid_on(mask: Volume, image: Volume) -> Volume:
    """The mask on the grid of an image, where every frame of it lies on a slice of the image; else the mask as it is.

    An algorithm that takes both mostly wants them alike; no label is moved.
    """
    grid, (_, rows, columns) = image.geometry, mask.geometry.shape
    if mask.frame_of_reference_uid != image.frame_of_reference_uid or grid.shape[1:] != (rows, columns):
        return mask
    own = mask.geometry.affine_lps
    firsts = np.array([plane.position_lps for plane in mask.planes])
    across = (rows - 1) * own[:3, 1] + (columns - 1) * own[:3, 2]
    slots = np.rint((firsts - grid.origin_lps) @ np.array(grid.slice_step_lps) / grid.spacing_mm[0]).astype(
        int
    )
    if slots.min() < 0 or slots.max() >= grid.shape[0]:
        return mask
    affine = grid.affine_lps
    on_grid = affine[:3, 3] + slots[:, None] * affine[:3, 0]
    # Slices lie beside a regular grid by as much as is tolerated, and a mask made of them lies where they do.
    slices = on_grid
    if image.mending is None and len(image.planes) == grid.shape[0]:
        slices = np.array([image.planes[slot].position_lps for slot in slots])
    beside = np.minimum(np.abs(firsts - on_grid).max(axis=1), np.abs(firsts - slices).max(axis=1))
    slant = np.abs((rows - 1) * affine[:3, 1] + (columns - 1) * affine[:3, 2] - across)
    if max(float(beside.max()), float(slant.max())) > ALIKE_MM:
        return mask
    return replace(mask, geometry=grid, slots=tuple(int(slot) for slot in slots))


def _step_mm(slices: Sequence[Slice], depth: FloatArray, tolerance: Tolerance) -> float:
    """What the frames say of the distance of slices; else the least between two of them."""
    view = view_of(slices[0].instance, slices[0].frame)
    said = view.number("SpacingBetweenSlices") or 0.0
    if said > tolerance.step_mm:
        return said
    places = np.sort(depth)
    steps = np.diff(places)[np.diff(places) > tolerance.step_mm]
    if not len(steps):
        raise _no_grid("frames at one position that say no distance of slices", "Spacing Between Slices")
    return float(steps.min())


def _no_grid(found: str, expected: str) -> Refused:
    return Refused("GEO-031", found, expected, "Choose a segmentation that was made on these images")
