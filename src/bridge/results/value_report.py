"""Values that belong to no segment become a report of their own (TID 1500 with TID 1501 groups, PS3.16).

In one document with groups of segments a validator takes them for such.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from bridge.dicom.charsets import plain
from bridge.dicom.codes import anatomy_of
from bridge.results import envelope
from bridge.results.readings import Reading
from bridge.results.report import Draft, concepts_of, items_of, report, site_of
from bridge.results.result import Result, Wrapping
from bridge.results.segmentation import coded
from bridge.results.subject import About

PART = "values"


def encode_values(
    readings: Sequence[Reading],
    notes: Sequence[str],
    subject: About,
    wrapping: Wrapping,
    *,
    output_name: str = "",
    instance_number: int,
) -> Result:
    """The report on numbers and coded answers: one group for those of the image, one for each row of a table.

    Args:
        readings: at least one, those of a row side by side.
        output_name: of the table; "" for single values, which name the report.
    """
    from highdicom.sr import MeasurementsAndQualitativeEvaluations, TrackingIdentifier

    name = output_name or ", ".join(sorted(reading.name for reading in readings))
    groups, anatomies = [], []
    for row, some in groupby(readings, key=lambda reading: reading.row):
        alike = list(some)
        numbers, verdicts = items_of(alike, wrapping)
        structure = alike[0].structure if row else ""
        anatomy = anatomy_of(structure) if structure else None
        site = site_of(anatomy) if anatomy else None
        anatomies += [anatomy.type] if anatomy else []
        groups.append(
            MeasurementsAndQualitativeEvaluations(
                tracking_identifier=TrackingIdentifier(
                    uid=envelope.uid_of(wrapping, "tracking", f"{name}/{row}" if row else name, PART),
                    identifier=plain(f"{name}/{structure or row}" if row else f"values of {wrapping.rule}"),
                ),
                finding_type=coded(anatomy.type) if anatomy else None,
                finding_sites=[site] if site else None,
                measurements=numbers or None,
                qualitative_evaluations=verdicts or None,
            )
        )
    draft = Draft(
        output_name=name, part=PART, groups=groups, concepts=[*concepts_of(readings), *anatomies], notes=notes
    )
    return report(draft, subject, wrapping, instance_number=instance_number)
