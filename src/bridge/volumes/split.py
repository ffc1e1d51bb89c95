"""Series to volumes: which images belong together, and whether they are a volume."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from bridge.dicom.headers import number
from bridge.dicom.instance import Instance
from bridge.errors import Refused
from bridge.volumes.frames import is_multi_frame
from bridge.volumes.geometry import USUAL, Tolerance
from bridge.volumes.parts import parts_of
from bridge.volumes.slices import Slice, slices_of
from bridge.volumes.volume import Candidate

ORIENTATION_TOLERANCE_RAD = 1e-3
"""Angle between directions that count as one: half a millimetre at the rim of a 500 mm field. The same orientation
is often written with other digits from slice to slice, never with another angle."""

PIXEL_SPACING_TOLERANCE = 1e-4
"""Relative difference of pixel spacings that count as one: a twentieth of a pixel over 512."""


def candidates_of(instances: Sequence[Instance], tolerance: Tolerance = USUAL) -> tuple[Candidate, ...]:
    """Sort the images of a study into volumes, and into groups with the reason why they are none.

    Frame of reference, orientation, rows x columns, pixel spacing and SOP class always split a series; a multi-frame
    object is never mixed with another. Echo, time, b-value, kind and the like split only images that share positions
    (`parts`): a series in uneven steps is refused as a whole, for splitting it would make regular volumes of holes.

    Returns:
        Every instance in a candidate, and each of its frames in one. Ordered by Series Number, Series Instance UID
        and position, whatever the order of `instances`. A refusal has a code `GEO-...` and its numbers.
    """
    series: dict[tuple[str, str], list[Instance]] = defaultdict(list)
    for instance in sorted(instances, key=_series_key):
        series[instance.study_instance_uid, instance.series_instance_uid].append(instance)
    return tuple(candidate for members in series.values() for candidate in _of_series(members, tolerance))


def _of_series(instances: list[Instance], tolerance: Tolerance) -> Iterable[Candidate]:
    slices: list[Slice] = []
    refused: dict[str, list[tuple[Instance, Refused]]] = defaultdict(list)
    for instance in instances:
        try:
            slices += slices_of(instance)
        except Refused as refusal:
            refused[refusal.code].append((instance, refusal))
    for group in _groups(slices):
        yield from parts_of(group, tolerance)
    for _, pairs in sorted(refused.items()):
        # One reason stands for the group; without its traceback, which would keep every header alive.
        yield Candidate(
            series_instance_uid=pairs[0][0].series_instance_uid,
            instances=tuple(instance for instance, _ in pairs),
            refusal=pairs[0][1].with_traceback(None),
        )


def _groups(slices: list[Slice]) -> list[list[Slice]]:
    """Slices that may share a grid; sorted first, so that order of arrival cannot decide what joins what."""
    groups: list[list[Slice]] = []
    for one in sorted(
        slices, key=lambda one: (one.orientation, one.position_lps, one.instance.sop_instance_uid, one.frame)
    ):
        for group in groups:
            if _same_grid(one, group[0]):
                group.append(one)
                break
        else:
            groups.append([one])
    return sorted(groups, key=lambda group: (group[0].position_lps, group[0].instance.sop_instance_uid))


def _same_grid(one: Slice, other: Slice) -> bool:
    if one.instance is not other.instance and is_multi_frame(one.instance):
        return False
    if (one.frame_of_reference_uid, one.rows, one.columns, one.instance.sop_class_uid) != (
        other.frame_of_reference_uid,
        other.rows,
        other.columns,
        other.instance.sop_class_uid,
    ):
        return False
    spacings = zip(one.pixel_spacing_mm, other.pixel_spacing_mm, strict=True)
    if not all(math.isclose(a, b, rel_tol=PIXEL_SPACING_TOLERANCE) for a, b in spacings):
        return False
    return (
        max(_angle(one.orientation[part], other.orientation[part]) for part in (slice(0, 3), slice(3, 6)))
        <= ORIENTATION_TOLERANCE_RAD
    )


def _angle(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """Radians. Not by the arc cosine of the product: that has no digits left below 1e-8."""
    a, b = np.asarray(one), np.asarray(other)
    a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    return 2 * math.atan2(float(np.linalg.norm(a - b)), float(np.linalg.norm(a + b)))


def _series_key(instance: Instance) -> tuple[float, str, str, int]:
    series_number = number(instance.header, "SeriesNumber")
    return (
        math.inf if series_number is None or math.isnan(series_number) else series_number,
        instance.series_instance_uid,
        instance.sop_instance_uid,
        instance.number,
    )
