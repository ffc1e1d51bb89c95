"""A mask becomes a Segmentation (PS3.3 A.51) on the grid of its source: one bit for each segment, or a label map."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bridge.dicom.charsets import plain
from bridge.dicom.codes import ARTIFICIAL_INTELLIGENCE, Concept
from bridge.dicom.uids import keyed_uid
from bridge.errors import Refused
from bridge.results import envelope
from bridge.results.frames import sketch_of, spread
from bridge.results.grid import on_source_grid
from bridge.results.planes import images_of, refer_to_no_image, restore_frame_numbers, thickness_mm
from bridge.results.result import Form, LabelMap, LabelMeaning, Result, Wrapping
from bridge.results.segments import Segment, Segmented, segmented
from bridge.results.subject import Subject

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

SOP_CLASS_UIDS = {
    Form.BINARY: "1.2.840.10008.5.1.4.1.1.66.4",
    Form.LABELMAP: "1.2.840.10008.5.1.4.1.1.66.7",
}
KIND = "SEG"
_FEWEST_PIXELS = 8
"""Below this several frames share a byte, and the library (0.28.2) mixes them up."""


_DONE = {"drop-duplicates": "deduplicated", "shear": "sheared", "resample-gaps": "gap-filled"}
"""Repairs in words that fit into a Content Description."""


def segments_of(
    mask: LabelMap, output_name: str, subject: Subject, meanings: Mapping[int, LabelMeaning] | None = None
) -> Segmented:
    """The mask in the order of the source's voxels, with segments numbered and named.

    `meanings`: what the rule knows of the label values; it knows better than the platform.

    Raises:
        Refused: RES-01x the grid, RES-02x the values.
    """
    placed = on_source_grid(mask.array, mask.affine_lps, subject.volume.geometry)
    found = segmented(placed.array, mask.labels, output_name, meanings)
    if not placed.how:
        return found
    return replace(found, resampled=placed.resampled, notes=(f"mask {placed.how}", *found.notes))


def encode_segmentation(
    found: Segmented, output_name: str, subject: Subject, wrapping: Wrapping, *, instance_number: int
) -> Result:
    """The Segmentation of one mask.

    Frames without voxels are left out, unless the variant wants them. A mask without any voxel keeps one empty frame
    (for each segment, where it is binary) on the first plane, because an image without frames does not exist.

    Raises:
        Refused: RES-032 to RES-035 a source that cannot be referred to or is no picture; RES-040 an illegal value;
            RES-050 the builder does not take the source.
    """
    sop_instance_uid = envelope.uid_of(wrapping, KIND, output_name, masks=True)
    found = _laid(found, subject)
    data_set, tail = _build(found, output_name, subject, wrapping, sop_instance_uid, instance_number)
    if schemes := envelope.scheme_items(*(segment.anatomy.type for segment in found.segments)):
        data_set.CodingSchemeIdentificationSequence = schemes
    notes = list(found.notes)
    if found.is_empty:
        notes.append("the mask is empty: no voxel belongs to any segment")
    if thickness_mm(subject.planes) is None:
        notes.append("the source states no Slice Thickness: the spacing between slices stands in its place")
    return Result(
        kind=KIND,
        output_name=output_name,
        sop_class_uid=SOP_CLASS_UIDS[wrapping.variant.form],
        sop_instance_uid=sop_instance_uid,
        series_instance_uid=str(data_set.SeriesInstanceUID),
        data=envelope.seal(data_set, subject.context, wrapping, tail),
        variant=envelope.variant_of(wrapping, masks=True),
        notes=tuple(notes),
    )


def tracking(wrapping: Wrapping, output_name: str, segment: Segment) -> tuple[str, str]:
    """Tracking UID and Tracking ID that tie a segment to its measurements."""
    uid = keyed_uid(
        wrapping.key, "tracking", wrapping.job, output_name, str(segment.value), root=wrapping.uid_root
    )
    return uid, plain(f"{output_name}/{segment.value}/{segment.label}")


def _laid(found: Segmented, subject: Subject) -> Segmented:
    """The mask as its frames show it; what of it lies on none of them is said."""
    numbers = subject.laid(found.numbers)
    if numbers is found.numbers:
        return found
    voxels = np.bincount(numbers.ravel(), minlength=len(found.segments) + 1)
    segments = tuple(replace(one, voxels=int(voxels[one.number])) for one in found.segments)
    before, after = (sum(one.voxels for one in some) for some in (found.segments, segments))
    notes = found.notes
    if before > after:
        notes = (*notes, f"{before - after} of {before} marked voxels of the mended grid lie on no image")
    return replace(found, numbers=numbers, segments=segments, notes=notes)


def _build(
    found: Segmented,
    output_name: str,
    subject: Subject,
    wrapping: Wrapping,
    sop_instance_uid: str,
    instance_number: int,
) -> tuple[Dataset, Iterable[bytes]]:
    """The object without its frames, and these; an empty mask is a few pixels of the library's and whole."""
    variant = wrapping.variant
    numbers = found.numbers
    if not found.is_empty:
        numbers = sketch_of(numbers, empty_frames=variant.empty_frames)
    data_set = build(
        numbers,
        [describe(segment, output_name, wrapping) for segment in found.segments],
        subject,
        empty_frames=variant.empty_frames and found.is_empty,
        segmentation_type=variant.form.name,
        sop_instance_uid=sop_instance_uid,
        content_label="SEGMENTATION",
        content_description=_description(found, wrapping),
        **envelope.identity(wrapping, KIND, instance_number, masks=True),
    )
    if found.is_empty:
        _pad(data_set)
        return data_set, ()
    tail = spread(
        data_set,
        found.numbers,
        subject.positions_lps,
        len(found.segments),
        labels=variant.form is Form.LABELMAP,
        empty_frames=variant.empty_frames,
    )
    return data_set, tail


def _description(found: Segmented, wrapping: Wrapping) -> str:
    """Content Description, at most 64 characters: what was done to the images goes before who made the mask."""
    count = f"{len(found.segments)} segments"
    if wrapping.repairs:
        done = ", ".join(_DONE[one] for one in wrapping.repairs)
        return plain(f"{count}, {envelope.NOT_VERIFIED}; {done}")
    by = "resampled" if found.resampled else f"by {wrapping.algorithm}"
    return plain(f"{count} {by}, {envelope.NOT_VERIFIED}")


def build(
    pixels: NDArray[Any], descriptions: list[Any], subject: Subject, *, empty_frames: bool = False, **how: Any
) -> Dataset:
    """The library's Segmentation of pixels on the planes of the source, with what it leaves out put in.

    Args:
        pixels: (slices, rows, columns).
        empty_frames: write slices without voxels too; else only the first, and only where all are without.
        how: further arguments of the library.
    Raises:
        Refused: RES-032 to RES-035 a source that cannot be referred to or is no picture; RES-050 the builder does not
            take it.
    """
    from highdicom.content import PlanePositionSequence
    from highdicom.enum import CoordinateSystemNames
    from highdicom.seg import Segmentation

    _, rows, columns = subject.frames.shape
    if rows * columns < _FEWEST_PIXELS:
        raise Refused(
            "RES-035",
            f"a source of {rows} x {columns} pixels",
            f"at least {_FEWEST_PIXELS} pixels",
            "Choose another series for this rule",
            numbers={"rows": rows, "columns": columns},
        )
    images = images_of(subject.planes, subject.volume.original)
    for image in images:
        # Those of a sketch, where the frames are spread over the mask afterwards, or of the corrected grid.
        image.Rows, image.Columns = pixels.shape[1:]
    is_empty = not pixels.any()
    places = subject.positions_lps
    if is_empty and not empty_frames:
        pixels, places = pixels[:1], places[:1]
    positions = None
    if subject.corrected or is_empty:
        positions = [
            PlanePositionSequence(coordinate_system=CoordinateSystemNames.PATIENT, image_position=place)
            for place in places
        ]
    try:
        built: Dataset = Segmentation(
            source_images=images,
            pixel_array=np.ascontiguousarray(pixels),
            segment_descriptions=descriptions,
            plane_positions=positions,
            omit_empty_frames=not (is_empty or empty_frames),
            **how,
        )
    except Exception:  # noqa: BLE001 - the library raises many kinds, and their texts quote values
        raise Refused(
            "RES-050",
            "a source that the builder of segmentations does not take",
            "images in space of a known kind",
            "Keep this series as a test case and report it",
            numbers={"planes": len(subject.planes), "segments": len(descriptions)},
        ) from None
    if subject.corrected:
        refer_to_no_image(built)
    restore_frame_numbers(built, subject.planes)
    if "PositionReferenceIndicator" in subject.context:
        built["PositionReferenceIndicator"] = subject.context["PositionReferenceIndicator"]
    # Type 2; the library leaves it out when there is nobody to name.
    built.ContentCreatorName = ""
    return built


def describe(segment: Segment, output_name: str, wrapping: Wrapping) -> Any:
    """The item of the Segment Sequence for a segment, with algorithm, code, colour and tracking identifier."""
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
        display_color=CIELabColor.from_rgb(*segment.rgb),
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


def _pad(data_set: Dataset) -> None:
    """An odd number of bytes ends with a NUL (PS3.5 8.1.1); the library writes a character."""
    bits = int(data_set.NumberOfFrames) * data_set.Rows * data_set.Columns * data_set.BitsAllocated
    data = data_set.PixelData[: (bits + 7) // 8]
    data_set.PixelData = data + bytes(len(data) % 2)
