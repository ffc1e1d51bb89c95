"""The skeleton of our structured reports: Comprehensive 3D SR after TID 1500 (PS3.16), unverified and preliminary."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bridge.dicom import codes
from bridge.dicom.charsets import plain
from bridge.dicom.codes import Anatomy, Concept, Quantity
from bridge.dicom.equipment import MANUFACTURER, MODEL
from bridge.errors import Refused
from bridge.results import envelope
from bridge.results.planes import bare_study, decimal
from bridge.results.readings import Coded, Number, Reading
from bridge.results.result import Result, Wrapping
from bridge.results.segmentation import coded
from bridge.results.subject import About

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

SOP_CLASS_UID = "1.2.840.10008.5.1.4.1.1.88.34"
KIND = "SR"
_LARGEST_WHOLE = 10**15
"""A Decimal String has 16 characters; a larger whole number is written as a float."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Draft:
    """What makes one report differ from another."""

    output_name: str
    part: str = ""
    """Tells it from another report on the same output."""
    groups: Sequence[Any]
    """Measurement groups, all of one template: a validator takes each for the kind of its neighbours."""
    concepts: Sequence[Concept] = ()
    """Those that may be of a private scheme."""
    segmentation: Result | None = None
    notes: Sequence[str] = ()


def report(draft: Draft, subject: About, wrapping: Wrapping, *, instance_number: int) -> Result:
    """The document around the groups, with all sources and the segmentation as evidence.

    Raises:
        Refused: RES-040 an illegal value; RES-051 the builder does not take the groups.
    """
    from highdicom.sr import Comprehensive3DSR, MeasurementReport

    # A report that names segments names those of its own variant; any other is one object for all of them.
    masks = draft.segmentation is not None
    sop_instance_uid = envelope.uid_of(wrapping, KIND, draft.output_name, draft.part, masks=masks)
    evidence = subject.sources()
    if draft.segmentation is not None:
        evidence.append(_reference(draft.segmentation, subject))
    try:
        content = MeasurementReport(
            observation_context=_observer(wrapping),
            procedure_reported=coded(codes.PROCEDURES.get(subject.modality, codes.IMAGING_PROCEDURE)),
            imaging_measurements=draft.groups,
        )
        data_set: Dataset = Comprehensive3DSR(
            evidence=evidence or [bare_study(subject.study_instance_uid, SOP_CLASS_UID)],
            content=content,
            sop_instance_uid=sop_instance_uid,
            is_complete=True,
            is_final=False,
            is_verified=False,
            **envelope.identity(wrapping, KIND, instance_number, masks=masks),
        )
    except Exception:  # noqa: BLE001 - the library raises many kinds, and their texts quote values
        raise Refused(
            "RES-051",
            "measurements that the builder of reports does not take",
            "concepts and a source of a known kind",
            "Look at the concepts that the rule configures for its values",
            numbers={"groups": len(draft.groups)},
        ) from None
    if not evidence:
        del data_set.CurrentRequestedProcedureEvidenceSequence
    if schemes := envelope.scheme_items(*draft.concepts):
        data_set.CodingSchemeIdentificationSequence = schemes
    return Result(
        kind=KIND,
        output_name=draft.output_name,
        sop_class_uid=SOP_CLASS_UID,
        sop_instance_uid=sop_instance_uid,
        series_instance_uid=str(data_set.SeriesInstanceUID),
        data=envelope.seal(data_set, subject.context, wrapping),
        variant=envelope.variant_of(wrapping, masks=masks),
        notes=tuple(draft.notes),
    )


def measurement(
    quantity: Quantity, value: float, wrapping: Wrapping, derivation: Concept | None = None
) -> Any:
    """A number of a group (TID 300), with the algorithm that found it."""
    from highdicom.sr import AlgorithmIdentification
    from highdicom.sr import Measurement as Item

    item = Item(
        name=coded(quantity.concept),
        value=value,
        unit=coded(quantity.unit),
        derivation=coded(derivation) if derivation else None,
        # With each measurement and not with the group, where older readers do not expect it.
        algorithm_id=AlgorithmIdentification(
            name=plain(wrapping.algorithm),
            version=plain(wrapping.algorithm_version),
            # What it was given (TID 4019): a report has no other place for it.
            parameters=[plain(f"images {wrapping.repaired}", 1024)] if wrapping.repaired else None,
        ),
    )
    item[0].MeasuredValueSequence[0].NumericValue = decimal(value)
    return item


def items_of(readings: Sequence[Reading], wrapping: Wrapping) -> tuple[list[Any], list[Any]]:
    """The measurements and the qualitative evaluations of a group, from what the algorithm gave as values."""
    from highdicom.sr import QualitativeEvaluation

    numbers, verdicts = [], []
    for reading in readings:
        match reading.says:
            case Number(quantity=quantity, value=value):
                numbers.append(measurement(quantity, _as_given(value), wrapping))
            case Coded(concept=concept, answer=answer):
                verdicts.append(QualitativeEvaluation(name=coded(concept), value=coded(answer)))
    return numbers, verdicts


def concepts_of(readings: Iterable[Reading]) -> list[Concept]:
    """Every concept in the readings; those of a private scheme have to be explained in the document."""
    found = []
    for reading in readings:
        match reading.says:
            case Number(quantity=quantity):
                found += [quantity.concept, quantity.unit]
            case Coded(concept=concept, answer=answer):
                found += [concept, answer]
    return found


def site_of(anatomy: Anatomy) -> Any:
    """The finding site of a structure of the body; None for a lesion or for anything at all."""
    from highdicom.sr import FindingSite

    if not anatomy.is_structure:
        return None
    return FindingSite(
        anatomic_location=coded(anatomy.type), laterality=coded(anatomy.side) if anatomy.side else None
    )


def _as_given(value: int | float) -> int | float:
    return value if isinstance(value, float) or abs(value) < _LARGEST_WHOLE else float(value)


def _observer(wrapping: Wrapping) -> Any:
    from highdicom.sr import DeviceObserverIdentifyingAttributes, ObservationContext, ObserverContext
    from pydicom.sr.codedict import codes as standard

    return ObservationContext(
        observer_device_context=ObserverContext(
            observer_type=standard.DCM.Device,
            observer_identifying_attributes=DeviceObserverIdentifyingAttributes(
                uid=wrapping.device_uid,
                name=MANUFACTURER,
                manufacturer_name=MANUFACTURER,
                model_name=MODEL,
                serial_number=wrapping.device_uid,
            ),
        )
    )


def _reference(segmentation: Result, subject: About) -> Dataset:
    from pydicom.dataset import Dataset

    reference = Dataset()
    reference.StudyInstanceUID = subject.study_instance_uid
    reference.SeriesInstanceUID = segmentation.series_instance_uid
    reference.SOPInstanceUID = segmentation.sop_instance_uid
    reference.SOPClassUID = segmentation.sop_class_uid
    return reference
