"""Measurements of the segments of a mask become a report: TID 1500 with a TID 1411 group for each segment (PS3.16)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from bridge.dicom import codes
from bridge.dicom.codes import Quantity
from bridge.results.measure import Measurement, measure
from bridge.results.readings import Number, Reading
from bridge.results.report import Draft, concepts_of, items_of, measurement, report, site_of
from bridge.results.result import Result, Wrapping
from bridge.results.segmentation import coded, tracking
from bridge.results.segments import Segment, Segmented
from bridge.results.subject import Subject

_DIGITS = 6

_INTENSITY: dict[tuple[str, str], Quantity] = {
    ("CT", "HU"): codes.ATTENUATION,
    ("MR", ""): codes.MR_SIGNAL,
    ("MR", "US"): codes.MR_SIGNAL,
}
"""What the numbers of an image are, by Modality and units. Others are not measured: no code would be true."""

# fmt: off
_UNITS = frozenset((
    "OD", "HU", "US", "MGML", "Z_EFF", "ED", "EDW", "HU_MOD", "PCT", "CNTS",
    "NONE", "CM2", "CM2ML", "PCNT", "CPS", "BQML", "MGMINML", "UMOLMINML", "MLMING", "MLG",
    "1CM", "UMOLML", "PROPCNTS", "PROPCPS", "MLMINML", "MLML", "GML", "STDDEV",
))
"""Defined Terms of Rescale Type (PS3.3 C.11.1.1.2) and Units (C.8.9.1.1.3). Other text there may be anything."""
# fmt: on


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measured:
    """What a report on segments is made of."""

    found: Segmented
    output_name: str
    values: NDArray[Any]
    """(slices, rows, columns), numbers of the source on the grid of `found`."""
    segmentation: Result | None
    """The object that holds the segments; without one the groups name no region."""
    readings: Mapping[int, Sequence[Reading]] = field(default_factory=dict)
    """What the algorithm itself says of a segment, by Segment Number; only of segments with voxels."""


def _unit_told(units: str) -> str:
    if not units:
        return "no stated unit"
    return units if units in _UNITS else "a unit of their own"


def encode_measurements(
    measured: Measured, subject: Subject, wrapping: Wrapping, *, instance_number: int
) -> Result | None:
    """The report on the segments of one mask; None for an empty mask, of which there is nothing to measure."""
    found, volume = measured.found, subject.volume
    if found.is_empty:
        return None
    intensity = _INTENSITY.get((volume.modality, volume.units))
    numbers = measure(found.numbers, measured.values, len(found.segments), volume.geometry.voxel_ml)
    groups = [
        _segment_group(segment, one, intensity, measured, subject, wrapping)
        for segment, one in zip(found.segments, numbers, strict=True)
        if one.voxels
    ]
    notes = []
    if intensity is None:
        meaning = _unit_told(volume.units)
        notes.append(f"numbers of {volume.modality} in {meaning} are not measured: only volumes are reported")
    if measured.segmentation is None:
        notes.append("no segmentation was asked for: the groups name no region")
    said = [reading for readings in measured.readings.values() for reading in readings]
    notes += [
        f"{one.name}: the algorithm's own volume stands beside the measured one"
        for one in said
        if _is_volume(one)
    ]
    draft = Draft(
        output_name=measured.output_name,
        groups=groups,
        concepts=[*concepts_of(said), *(one.anatomy.type for one in found.segments if one.voxels)],
        segmentation=measured.segmentation,
        notes=notes,
    )
    return report(draft, subject, wrapping, instance_number=instance_number)


def _segment_group(
    segment: Segment,
    numbers: Measurement,
    intensity: Quantity | None,
    measured: Measured,
    subject: Subject,
    wrapping: Wrapping,
) -> Any:
    from highdicom.sr import (
        MeasurementsAndQualitativeEvaluations,
        ReferencedSegment,
        SourceSeriesForSegmentation,
        TrackingIdentifier,
        VolumetricROIMeasurementsAndQualitativeEvaluations,
    )

    uid, identifier = tracking(wrapping, measured.output_name, segment)
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
    given, verdicts = items_of(measured.readings.get(segment.number, ()), wrapping)
    site = site_of(segment.anatomy)
    common = {
        "tracking_identifier": TrackingIdentifier(uid=uid, identifier=identifier),
        "finding_type": coded(segment.anatomy.type),
        "finding_sites": [site] if site else None,
        "measurements": [*measurements, *given],
        "qualitative_evaluations": verdicts or None,
    }
    if measured.segmentation is None:
        return MeasurementsAndQualitativeEvaluations(**common)
    return VolumetricROIMeasurementsAndQualitativeEvaluations(
        referenced_segment=ReferencedSegment(
            sop_class_uid=measured.segmentation.sop_class_uid,
            sop_instance_uid=measured.segmentation.sop_instance_uid,
            segment_number=segment.number,
            source_series=SourceSeriesForSegmentation(subject.volume.series_instance_uid),
        ),
        **common,
    )


def _is_volume(reading: Reading) -> bool:
    return (
        isinstance(reading.says, Number) and reading.says.quantity.concept.code == codes.VOLUME.concept.code
    )


def _rounded(value: float) -> float:
    """Six significant digits: the same text on every machine, and no more than the voxels tell."""
    return float(f"{value:.{_DIGITS}g}") + 0.0
