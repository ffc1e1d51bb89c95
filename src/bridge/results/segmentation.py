"""A mask becomes a binary Segmentation (PS3.3 A.51) on the grid of its source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bridge.dicom.charsets import plain
from bridge.dicom.codes import ARTIFICIAL_INTELLIGENCE, Concept
from bridge.dicom.uids import keyed_uid
from bridge.errors import Refused
from bridge.results import colours, envelope
from bridge.results.grid import on_source_grid
from bridge.results.planes import images_of, thickness_mm
from bridge.results.result import LabelMap, Result, Wrapping
from bridge.results.segments import Segment, Segmented, segmented
from bridge.volumes.volume import Plane, Volume

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

SOP_CLASS_UID = "1.2.840.10008.5.1.4.1.1.66.4"
KIND = "SEG"
_FEWEST_PIXELS = 8
"""Below this several frames share a byte, and the library (0.28.2) mixes them up."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Subject:
    """What all results of one answer are about."""

    volume: Volume
    planes: tuple[Plane, ...]
    """In the order of the grid."""
    context: Dataset
    """Patient, study and image identity of the first plane."""


def segments_of(mask: LabelMap, output_name: str, subject: Subject) -> Segmented:
    """The mask in the order of the source's voxels, with segments numbered and named.

    Raises:
        Refused: RES-01x the grid, RES-02x the values.
    """
    array, how = on_source_grid(mask.array, mask.affine_lps, subject.volume.geometry)
    found = segmented(array, mask.labels, output_name)
    if not how:
        return found
    return Segmented(
        numbers=found.numbers, segments=found.segments, notes=(f"mask re-ordered: {how}", *found.notes)
    )


def encode_segmentation(
    found: Segmented, output_name: str, subject: Subject, wrapping: Wrapping, *, instance_number: int
) -> Result:
    """The Segmentation of one mask.

    Frames without voxels are left out. A mask without any voxel keeps one empty frame for each segment, on the first
    plane, because an image without frames does not exist.

    Raises:
        Refused: RES-032 to RES-035 a source that cannot be referred to or is no picture; RES-040 an illegal value;
            RES-050 the builder does not take the source.
    """
    _, rows, columns = subject.volume.geometry.shape
    if rows * columns < _FEWEST_PIXELS:
        raise Refused(
            "RES-035",
            f"a source of {rows} x {columns} pixels",
            f"at least {_FEWEST_PIXELS} pixels",
            "Choose another series for this rule",
            numbers={"rows": rows, "columns": columns},
        )
    sop_instance_uid = envelope.uid_of(wrapping, KIND, output_name)
    data_set = _build(found, output_name, subject, wrapping, sop_instance_uid, instance_number)
    _restore_frame_numbers(data_set, subject)
    _pad(data_set)
    if "PositionReferenceIndicator" in subject.context:
        data_set["PositionReferenceIndicator"] = subject.context["PositionReferenceIndicator"]
    # Type 2; the library leaves it out when there is nobody to name.
    data_set.ContentCreatorName = ""
    notes = list(found.notes)
    if found.is_empty:
        notes.append("the mask is empty: no voxel belongs to any segment")
    if thickness_mm(subject.planes) is None:
        notes.append("the source states no Slice Thickness: the spacing between slices stands in its place")
    return Result(
        kind=KIND,
        output_name=output_name,
        sop_class_uid=SOP_CLASS_UID,
        sop_instance_uid=sop_instance_uid,
        series_instance_uid=str(data_set.SeriesInstanceUID),
        data=envelope.seal(data_set, subject.context, wrapping),
        notes=tuple(notes),
    )


def tracking(wrapping: Wrapping, output_name: str, segment: Segment) -> tuple[str, str]:
    """Tracking UID and Tracking ID that tie a segment to its measurements."""
    uid = keyed_uid(wrapping.key, "tracking", wrapping.job, output_name, str(segment.value))
    return uid, plain(f"{output_name}/{segment.value}/{segment.label}")


def _build(
    found: Segmented,
    output_name: str,
    subject: Subject,
    wrapping: Wrapping,
    sop_instance_uid: str,
    instance_number: int,
) -> Dataset:
    from highdicom.content import PlanePositionSequence
    from highdicom.enum import CoordinateSystemNames
    from highdicom.seg import Segmentation

    images = images_of(subject.planes, subject.volume, subject.context)
    numbers: NDArray[Any] = found.numbers
    positions = None
    if found.is_empty:
        numbers = np.zeros((1, *numbers.shape[1:]), dtype=numbers.dtype)
        positions = [
            PlanePositionSequence(
                coordinate_system=CoordinateSystemNames.PATIENT, image_position=subject.planes[0].position_lps
            )
        ]
    description = f"{len(found.segments)} segments by {wrapping.algorithm}, {envelope.NOT_VERIFIED}"
    try:
        built: Dataset = Segmentation(
            source_images=images,
            pixel_array=np.ascontiguousarray(numbers),
            segmentation_type="BINARY",
            segment_descriptions=[_description(segment, output_name, wrapping) for segment in found.segments],
            sop_instance_uid=sop_instance_uid,
            plane_positions=positions,
            omit_empty_frames=not found.is_empty,
            content_label="SEGMENTATION",
            content_description=plain(description),
            **envelope.identity(wrapping, KIND, instance_number),
        )
    except Exception:  # noqa: BLE001 - the library raises many kinds, and their texts quote values
        raise Refused(
            "RES-050",
            "a source that the builder of segmentations does not take",
            "images in space of a known kind",
            "Keep this series as a test case and report it",
            numbers={"planes": len(subject.planes), "segments": len(found.segments)},
        ) from None
    return built


def _description(segment: Segment, output_name: str, wrapping: Wrapping) -> Any:
    from highdicom import AlgorithmIdentificationSequence
    from highdicom.color import CIELabColor
    from highdicom.seg import SegmentDescription

    tracking_uid, tracking_id = tracking(wrapping, output_name, segment)
    description = SegmentDescription(
        segment_number=segment.number,
        segment_label=segment.label,
        segmented_property_category=coded(segment.anatomy.category),
        segmented_property_type=coded(segment.anatomy.type),
        algorithm_type="AUTOMATIC",
        algorithm_identification=AlgorithmIdentificationSequence(
            name=plain(wrapping.algorithm),
            version=plain(wrapping.algorithm_version),
            # Type 1, and no platform says it: what these platforms are for.
            family=coded(ARTIFICIAL_INTELLIGENCE),
        ),
        tracking_uid=tracking_uid,
        tracking_id=tracking_id,
        display_color=CIELabColor.from_rgb(*colours.colour_of(segment.anatomy, segment.number)),
    )
    if segment.anatomy.side is not None:
        kind = description.SegmentedPropertyTypeCodeSequence[0]
        kind.SegmentedPropertyTypeModifierCodeSequence = [envelope.code_item(segment.anatomy.side)]
    return description


def coded(concept: Concept) -> Any:
    """The concept in the form the library takes.

    Raises:
        Refused: RES-040, a code or meaning that is too long or empty.
    """
    from highdicom.sr import CodedConcept

    if not (0 < len(concept.code) <= 16 and 0 < len(concept.scheme) <= 16 and 0 < len(concept.meaning) <= 64):
        raise Refused(
            "RES-040",
            f"a coded concept with {len(concept.code)}, {len(concept.scheme)} and {len(concept.meaning)} "
            "characters of code, scheme and meaning",
            "1 to 16, 1 to 16 and 1 to 64 (PS3.3 8.8)",
            "Mend the concept in the rule",
        )
    return CodedConcept(value=concept.code, scheme_designator=concept.scheme, meaning=concept.meaning)


def _restore_frame_numbers(data_set: Dataset, subject: Subject) -> None:
    """Frames of a multi-frame source were numbered 1..n for the library: write the source's own."""
    # Frames of several segments on one plane share the item that refers to it.
    references = {
        id(image): image
        for frame in data_set.PerFrameFunctionalGroupsSequence
        for derivation in frame.get("DerivationImageSequence", ())
        for image in derivation.SourceImageSequence
        if "ReferencedFrameNumber" in image
    }
    for image in references.values():
        image.ReferencedFrameNumber = subject.planes[int(image.ReferencedFrameNumber) - 1].frame


def _pad(data_set: Dataset) -> None:
    """An odd number of bytes ends with a NUL (PS3.5 8.1.1); the library writes a character."""
    bits = int(data_set.NumberOfFrames) * data_set.Rows * data_set.Columns
    data = data_set.PixelData[: (bits + 7) // 8]
    data_set.PixelData = data + bytes(len(data) % 2)
