"""A heat map becomes a Parametric Map (PS3.3 A.75) or a fractional Segmentation (A.51) on the grid of its source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bridge.dicom import codes
from bridge.dicom.charsets import plain
from bridge.dicom.codes import ANY_TISSUE, Concept, anatomy_of
from bridge.errors import Refused
from bridge.results import envelope
from bridge.results.colours import colour_of
from bridge.results.grid import values_on_source_grid
from bridge.results.output import Output
from bridge.results.planes import body_part_of, images_of, refer_to_no_image, restore_frame_numbers
from bridge.results.result import HeatMap, Result, Wrapping
from bridge.results.segmentation import build, coded, describe
from bridge.results.segments import Segment
from bridge.results.subject import Subject
from bridge.volumes.volume import Geometry

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

PARAMETRIC_MAP = "1.2.840.10008.5.1.4.1.1.30"

MOST_FRACTION = 255
"""Maximum Fractional Value: what a probability of 1 is stored as."""
MOST_BYTES = 1 << 30
"""Of the numbers of a Parametric Map, which has four bytes for each voxel: 1024 slices of 512 x 512."""
_EXACT = 1 << 24
"""Whole numbers beyond this are not all in float32."""
_PERCENT = "%"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Field:
    """A heat map in the order of the source's voxels."""

    array: NDArray[Any]
    low: float
    high: float
    unit: Concept
    quantity: Concept | None
    notes: tuple[str, ...]
    resampled: bool


def encode_parametric_map(
    heat_map: HeatMap, output: Output, subject: Subject, wrapping: Wrapping, *, instance_number: int
) -> Result:
    """The numbers as they are, as float32, with the unit and the quantity that the rule gives to the socket.

    Raises:
        Refused: RES-01x, RES-073 the grid; RES-070 to RES-072 the numbers; RES-032 to RES-034 the source; RES-040 an
            illegal value; RES-053 the builder does not take the source.
    """
    kind = "PM"
    field = _field(heat_map, output, subject, wrapping)
    size = field.array.size * 4
    if size > MOST_BYTES:
        raise Refused(
            "RES-072",
            f"output {output.name} is a heat map of {size} bytes",
            f"at most {MOST_BYTES}",
            'Choose heat_map = "fractional", a quarter of that, or "off"',
            numbers={"bytes": size, "most": MOST_BYTES},
        )
    data_set = _map(field, output, subject, wrapping, envelope.identity(wrapping, kind, instance_number))
    return envelope.sealed(data_set, kind, output.name, subject.context, wrapping, field.notes)


def encode_fractional(
    heat_map: HeatMap, output: Output, subject: Subject, wrapping: Wrapping, *, instance_number: int
) -> Result:
    """Probabilities in 255 steps as one segment, named as the output is.

    Raises:
        Refused: RES-01x, RES-073 the grid; RES-070, RES-071 the numbers; RES-074 numbers that are no probabilities;
            RES-032 to RES-035, RES-050 the source; RES-040 an illegal value.
    """
    kind = "FRACTIONAL"
    field = _field(heat_map, output, subject, wrapping)
    whole = 100 if field.unit.code == _PERCENT else 1
    if not (field.low >= 0 and field.high <= whole):
        raise Refused(
            "RES-074",
            f"output {output.name} is a heat map from {field.low:g} to {field.high:g}",
            f"probabilities from 0 to {whole}",
            'Choose heat_map = "parametric-map", or give the socket a concept with the unit it has',
            numbers={"minimum": field.low, "maximum": field.high},
        )
    probability = field.array.astype(np.float32) / np.float32(whole)
    name = output.title or output.name.replace("-", " ").replace("_", " ")
    anatomy = anatomy_of(name) or ANY_TISSUE
    segment = Segment(
        number=1,
        value=1,
        label=plain(name) or "heat map",
        anatomy=anatomy,
        rgb=colour_of(anatomy, 1),
        voxels=int(np.count_nonzero(probability)),
    )
    # The library drops frames of zeros, not those that its rounding makes zero.
    steps = np.rint(probability * MOST_FRACTION) / np.float32(MOST_FRACTION)
    data_set = build(
        steps,
        [describe(segment, output.name, wrapping)],
        subject,
        segmentation_type="FRACTIONAL",
        fractional_type="PROBABILITY",
        max_fractional_value=MOST_FRACTION,
        sop_instance_uid=envelope.uid_of(wrapping, kind, output.name),
        content_label="HEAT_MAP",
        content_description=_description(field, wrapping),
        **envelope.identity(wrapping, kind, instance_number),
    )
    notes = list(field.notes)
    if not steps.any():
        notes.append(f"{output.name}: the heat map is empty: no probability above one in 510")
    return envelope.sealed(data_set, kind, output.name, subject.context, wrapping, notes)


def _field(heat_map: HeatMap, output: Output, subject: Subject, wrapping: Wrapping) -> _Field:
    _check_numbers(heat_map.array, output)
    placed = values_on_source_grid(heat_map.array, heat_map.affine_lps, subject.volume.geometry)
    array = subject.laid(placed.array)
    meaning = next(
        (one.meaning for one in wrapping.values if one.output == output.name and not one.path), None
    )
    return _Field(
        array=array,
        low=float(array.min()),
        high=float(array.max()),
        unit=(meaning and meaning.unit) or codes.NO_UNITS,
        quantity=meaning.concept if meaning else None,
        notes=(f"heat map {placed.how}",) if placed.how else (),
        resampled=placed.resampled,
    )


def _check_numbers(array: NDArray[Any], output: Output) -> None:
    real = np.issubdtype(array.dtype, np.number) and not np.iscomplexobj(array)
    broken = int(array.size - np.isfinite(array).sum()) if real else array.size
    if broken or not array.size:
        raise Refused(
            "RES-070",
            f"output {output.name} is a heat map of type {array.dtype} with {broken} voxels that are no numbers",
            "a finite number in each voxel",
            'Use a version of the algorithm that writes numbers everywhere, or heat_map = "off"',
            numbers={"broken": broken, "voxels": array.size},
        )
    highest = float(max(abs(float(array.min())), abs(float(array.max()))))
    if (np.issubdtype(array.dtype, np.integer) and highest > _EXACT) or highest > float(
        np.finfo(np.float32).max
    ):
        raise Refused(
            "RES-071",
            f"output {output.name} is a heat map with numbers up to {highest:g}",
            "numbers that float32 holds",
            'Choose heat_map = "off": it stays with the job',
            numbers={"highest": highest},
        )


def _map(
    field: _Field, output: Output, subject: Subject, wrapping: Wrapping, identity: dict[str, Any]
) -> Dataset:
    from highdicom import PlanePositionSequence, VOILUTTransformation
    from highdicom.enum import CoordinateSystemNames
    from highdicom.pm import ParametricMap, RealWorldValueMapping

    images = images_of(subject.planes, subject.volume.original)
    positions = None
    if subject.corrected:
        for image in images:
            image.Rows, image.Columns = field.array.shape[1:]
        positions = [
            PlanePositionSequence(coordinate_system=CoordinateSystemNames.PATIENT, image_position=place)
            for place in subject.positions_lps
        ]
    width = max(field.high - field.low, 1e-6)
    try:
        built: Dataset = ParametricMap(
            source_images=images,
            pixel_array=np.ascontiguousarray(field.array, dtype=np.float32),
            sop_instance_uid=envelope.uid_of(wrapping, "PM", output.name),
            contains_recognizable_visual_features=False,
            plane_positions=positions,
            real_world_value_mappings=[
                RealWorldValueMapping(
                    lut_label=plain(output.name, 16),
                    lut_explanation=plain(output.title or output.name),
                    unit=coded(field.unit),
                    value_range=(field.low, field.high),
                    slope=1.0,
                    intercept=0.0,
                    quantity_definition=coded(field.quantity) if field.quantity else None,
                )
            ],
            voi_lut_transformations=[
                VOILUTTransformation(
                    window_center=float(f"{field.low + width / 2:.6g}"), window_width=float(f"{width:.6g}")
                )
            ],
            content_label="HEAT_MAP",
            content_description=_description(field, wrapping),
            **identity,
        )
    except Exception:  # noqa: BLE001 - the library raises many kinds, and their texts quote values
        raise Refused(
            "RES-053",
            "a source that the builder of parametric maps does not take",
            "images in space of a known kind",
            "Keep this series as a test case and report it",
            numbers={"planes": len(subject.planes)},
        ) from None
    if subject.corrected:
        refer_to_no_image(built)
    restore_frame_numbers(built, subject.planes)
    _sort_frames(built, subject.volume.geometry)
    if "PositionReferenceIndicator" in subject.context:
        built["PositionReferenceIndicator"] = subject.context["PositionReferenceIndicator"]
    built.ContentCreatorName = ""
    part = body_part_of(subject.planes)
    if "BodyPartExamined" in part:
        built.BodyPartExamined = part.BodyPartExamined
    built.SharedFunctionalGroupsSequence[0].FrameAnatomySequence = [_anatomy(part)]
    if field.quantity and (schemes := envelope.scheme_items(field.quantity)):
        built.CodingSchemeIdentificationSequence = schemes
    return built


def _sort_frames(data_set: Dataset, geometry: Geometry) -> None:
    """Frames along the normal, where the library writes them against it.

    Each frame says where it is, but a reader that many viewers use (dcmqi 1.5) believes the order, and would turn a
    map upside down.
    """
    frames = list(data_set.PerFrameFunctionalGroupsSequence)
    places = [[float(x) for x in frame.PlanePositionSequence[0].ImagePositionPatient] for frame in frames]
    order = np.argsort(np.array(places) @ np.array(geometry.slice_step_lps), kind="stable")
    pixels = np.frombuffer(data_set.FloatPixelData, np.float32).reshape(len(frames), -1)
    data_set.FloatPixelData = pixels[order].tobytes()
    data_set.PerFrameFunctionalGroupsSequence = [frames[place] for place in order]
    for number, frame in enumerate(data_set.PerFrameFunctionalGroupsSequence, start=1):
        frame.FrameContentSequence[0].DimensionIndexValues = [number]


def _anatomy(part: Dataset) -> Dataset:
    """Frame Anatomy (PS3.3 C.7.6.16.2.8): optional, but a reader that many viewers use (dcmqi 1.5) falls without it.

    It has no word for a side that nobody knows; what converters write then is "U".
    """
    from pydicom.dataset import Dataset

    item = Dataset()
    item.FrameLaterality = part.get("Laterality") or "U"
    item.AnatomicRegionSequence = [envelope.code_item(codes.ANATOMICAL_STRUCTURE)]
    return item


def _description(field: _Field, wrapping: Wrapping) -> str:
    by = "interpolated" if field.resampled else f"by {plain(wrapping.algorithm, 30)}"
    return plain(f"Heat map {by}, {envelope.NOT_VERIFIED}")
