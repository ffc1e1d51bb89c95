"""Measurements of the segments of a mask become a report: TID 1500 with a TID 1411 group for each segment (PS3.16)."""

from __future__ import annotations

import math
from typing import Any

from numpy.typing import NDArray

from bridge.dicom import codes
from bridge.dicom.codes import Quantity
from bridge.results.measure import Measurement, measure
from bridge.results.report import Draft, measurement, report
from bridge.results.result import Result, Wrapping
from bridge.results.segmentation import SOP_CLASS_UID as SEGMENTATION_STORAGE
from bridge.results.segmentation import Subject, coded, tracking
from bridge.results.segments import Segment, Segmented

_DIGITS = 6

_INTENSITY: dict[tuple[str, str], Quantity] = {
    ("CT", "HU"): codes.ATTENUATION,
    ("MR", ""): codes.MR_SIGNAL,
    ("MR", "US"): codes.MR_SIGNAL,
}
"""What the numbers of an image are, by Modality and units. Others are not measured: no code would be true."""


def encode_measurements(
    found: Segmented,
    output_name: str,
    values: NDArray[Any],
    subject: Subject,
    wrapping: Wrapping,
    segmentation: Result | None,
    *,
    instance_number: int,
) -> Result | None:
    """The report on the segments of one mask; None for an empty mask, of which there is nothing to measure.

    Args:
        values: (slices, rows, columns), numbers of the source on the grid of `found`.
        segmentation: the object that holds the segments; without one the groups name no region.
    """
    if found.is_empty:
        return None
    volume = subject.volume
    intensity = _INTENSITY.get((volume.modality, volume.units))
    measured = measure(found.numbers, values, len(found.segments), volume.geometry.voxel_ml)
    groups = [
        _segment_group(segment, numbers, output_name, intensity, subject, wrapping, segmentation)
        for segment, numbers in zip(found.segments, measured, strict=True)
        if numbers.voxels
    ]
    notes = []
    if intensity is None:
        meaning = volume.units or "no stated unit"
        notes.append(f"numbers of {volume.modality} in {meaning} are not measured: only volumes are reported")
    if segmentation is None:
        notes.append("no segmentation was asked for: the groups name no region")
    draft = Draft(output_name=output_name, groups=groups, segmentation=segmentation, notes=notes)
    return report(draft, subject, wrapping, instance_number=instance_number)


def _segment_group(
    segment: Segment,
    numbers: Measurement,
    output_name: str,
    intensity: Quantity | None,
    subject: Subject,
    wrapping: Wrapping,
    segmentation: Result | None,
) -> Any:
    from highdicom.sr import (
        FindingSite,
        MeasurementsAndQualitativeEvaluations,
        ReferencedSegment,
        SourceSeriesForSegmentation,
        TrackingIdentifier,
        VolumetricROIMeasurementsAndQualitativeEvaluations,
    )

    uid, identifier = tracking(wrapping, output_name, segment)
    measurements = [measurement(codes.VOLUME, _rounded(numbers.volume_ml), wrapping)]
    if intensity is not None:
        measurements += [
            measurement(intensity, _rounded(value), wrapping, derivation)
            for value, derivation in (
                (numbers.mean, codes.MEAN),
                (numbers.sd, codes.STANDARD_DEVIATION),
                (numbers.minimum, codes.MINIMUM),
                (numbers.maximum, codes.MAXIMUM),
            )
            if math.isfinite(value)
        ]
    anatomy = segment.anatomy
    site = (
        FindingSite(
            anatomic_location=coded(anatomy.type), laterality=coded(anatomy.side) if anatomy.side else None
        )
        if anatomy.is_structure
        else None
    )
    common = {
        "tracking_identifier": TrackingIdentifier(uid=uid, identifier=identifier),
        "finding_type": coded(anatomy.type),
        "finding_sites": [site] if site else None,
        "measurements": measurements,
    }
    if segmentation is None:
        return MeasurementsAndQualitativeEvaluations(**common)
    return VolumetricROIMeasurementsAndQualitativeEvaluations(
        referenced_segment=ReferencedSegment(
            sop_class_uid=SEGMENTATION_STORAGE,
            sop_instance_uid=segmentation.sop_instance_uid,
            segment_number=segment.number,
            source_series=SourceSeriesForSegmentation(subject.volume.series_instance_uid),
        ),
        **common,
    )


def _rounded(value: float) -> float:
    """Six significant digits: the same text on every machine, and no more than the voxels tell."""
    return float(f"{value:.{_DIGITS}g}") + 0.0
