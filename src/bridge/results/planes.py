"""The source as the builders of results want to see it: bare data sets of geometry and references.

No patient and no study text is in them. `envelope` lays those over the finished object as bytes, so no name ever
passes through a library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bridge.dicom.charsets import encoded_value, encodings_of, item_of
from bridge.dicom.headers import number, text, texts
from bridge.dicom.lossy import is_lossy
from bridge.dicom.values import is_valid
from bridge.errors import Refused
from bridge.volumes.volume import Geometry, Plane, Volume

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_EMPTY = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "ReferringPhysicianName",
)
_PATIENT_ID_TAG = 0x00100020
_UNPAIRED = frozenset(
    {
        "ABDOMEN",
        "BRAIN",
        "CHEST",
        "CSPINE",
        "HEAD",
        "HEART",
        "LIVER",
        "LSPINE",
        "NECK",
        "PELVIS",
        "SKULL",
        "TSPINE",
    }
)
"""Body parts of which there is one (PS3.16 annex L): there a Laterality is out of place."""


def planes_in_space(volume: Volume) -> tuple[Plane, ...]:
    """The planes in the order of the grid, found by their positions.

    Raises:
        Refused: RES-030, the positions do not fill the slices of the grid one to one; RES-031, the slices name more
            than one patient.
    """
    # Where the images of a mended volume lie is what was mended: their order is that of the way back.
    planes = volume.planes if volume.mending else _in_order(volume)
    patients = {_patient_id(plane.instance.header) for plane in volume.planes}
    if len(patients) > 1:
        raise Refused(
            "RES-031",
            f"slices of one volume that name {len(patients)} patients",
            "one patient",
            "Correct the study in the archive and send it again",
            numbers={"patients": len(patients)},
        )
    return planes


def _in_order(volume: Volume) -> tuple[Plane, ...]:
    geometry = volume.geometry
    to_index = np.linalg.inv(geometry.affine_lps)
    placed: dict[int, Plane] = {}
    for plane in volume.planes:
        k, j, i, _ = to_index @ (*plane.position_lps, 1.0)
        if max(abs(k - round(k)), abs(j), abs(i)) < 0.5:
            placed.setdefault(round(float(k)), plane)
    if len(volume.planes) != geometry.shape[0] or set(placed) != set(range(geometry.shape[0])):
        raise Refused(
            "RES-030",
            f"{len(volume.planes)} planes at {len(placed)} places of a grid",
            f"one plane for each of its {geometry.shape[0]} slices",
            "Split the series into volumes again",
            numbers={"planes": len(volume.planes), "slices": geometry.shape[0]},
        )
    return tuple(placed[k] for k in range(geometry.shape[0]))


def instances_of(planes: tuple[Plane, ...], volume: Volume) -> list[Dataset]:
    """One bare data set for each instance behind the planes, in their order: enough to refer to it."""
    instances = dict.fromkeys(plane.instance for plane in planes)
    return [
        _bare(
            volume,
            sop_class_uid=instance.sop_class_uid,
            sop_instance_uid=instance.sop_instance_uid,
        )
        for instance in instances
    ]


def images_of(planes: tuple[Plane, ...], volume: Volume) -> list[Dataset]:
    """The source images with their geometry: single frames, or one multi-frame object with just these frames.

    Raises:
        Refused: RES-032 no frame of reference; RES-033 planes and instances that do not pair; RES-034 an unknown kind
            of object.
    """
    if not volume.frame_of_reference_uid:
        raise Refused(
            "RES-032",
            "a source without Frame of Reference UID",
            "a place in space that a segmentation can refer to",
            "Choose another series for this rule",
        )
    images = instances_of(planes, volume)
    multi_frame = _has_frames(images[0])
    if len(images) != (1 if multi_frame else len(planes)):
        raise Refused(
            "RES-033",
            f"{len(planes)} planes in {len(images)} instances",
            "one instance for each plane, or one multi-frame instance",
            "Choose another series for this rule",
            numbers={"planes": len(planes), "instances": len(images)},
        )
    loss = loss_of(planes)
    for image in images:
        image.FrameOfReferenceUID = volume.frame_of_reference_uid
        image.PositionReferenceIndicator = ""
        _, image.Rows, image.Columns = volume.geometry.shape
        image.update(loss)
    if multi_frame:
        _add_functional_groups(images[0], planes, volume.geometry)
    else:
        same = _orientation(volume.geometry)
        same.update(_measures(volume.geometry, planes))
        for image, plane in zip(images, planes, strict=True):
            image.update(same)
            image.update(_position(plane))
    return images


def body_part_of(planes: tuple[Plane, ...]) -> Dataset:
    """Body Part Examined, where the source has a legal one, and Laterality for what is an image of its own.

    Laterality is Type 2C, wanted for one of a pair (PS3.3 C.7.3.1): what the source does not say is empty.
    """
    from pydicom.dataset import Dataset

    header = planes[0].instance.header
    item = Dataset()
    part = text(header, "BodyPartExamined") or ""
    if part and is_valid("BodyPartExamined", "CS", "1", part):
        item.BodyPartExamined = part
    side = text(header, "Laterality") or text(header, "ImageLaterality") or ""
    if side in ("L", "R") or item.get("BodyPartExamined") not in _UNPAIRED:
        item.Laterality = side if side in ("L", "R") else ""
    return item


def loss_of(planes: tuple[Plane, ...]) -> Dataset:
    """Lossy Image Compression, with ratio and method of the first image that states them legally.

    "01" where any image was ever compressed with loss: what is made of it shows that too (PS3.3 C.7.6.1.1.5).
    """
    from pydicom.dataset import Dataset

    lossy = [instance.header for instance in dict.fromkeys(p.instance for p in planes) if is_lossy(instance)]
    item = Dataset()
    item.LossyImageCompression = "01" if lossy else "00"
    for keyword, vr in (("LossyImageCompressionRatio", "DS"), ("LossyImageCompressionMethod", "CS")):
        stated = (found for header in lossy if (found := texts(header, keyword)))
        legal = (found for found in stated if is_valid(keyword, vr, "1-n", "\\".join(found)))
        if value := next(legal, ()):
            setattr(item, keyword, list(value))
    return item


def refer_to_no_image(data_set: Dataset) -> None:
    """Frames that lie on no image of the source; the object still names the images (Referenced Series Sequence)."""
    for frame in data_set.PerFrameFunctionalGroupsSequence:
        frame.DerivationImageSequence = []


def restore_frame_numbers(data_set: Dataset, planes: tuple[Plane, ...]) -> None:
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
        image.ReferencedFrameNumber = planes[int(image.ReferencedFrameNumber) - 1].frame


def thickness_mm(planes: tuple[Plane, ...]) -> float | None:
    """Slice Thickness of the source, None where it says nothing usable."""
    thickness = number(planes[0].instance.header, "SliceThickness")
    return thickness if thickness and thickness > 0 else None


def decimal(value: float) -> str:
    """A Decimal String of at most 16 characters (PS3.5 6.2), as exact as that allows; no negative zero."""
    from pydicom.valuerep import format_number_as_ds

    return format_number_as_ds(float(value) + 0.0).removesuffix(".0")


def _has_frames(image: Dataset) -> bool:
    """Whether objects of this class have frames, however many this one has: then they are referred to by number."""
    from highdicom._standard_utils import is_multiframe_image

    try:
        return bool(is_multiframe_image(image))
    except KeyError:
        raise Refused(
            "RES-034",
            "a source of a storage class that the standard does not have",
            "images of a public storage class (PS3.4 B.5)",
            "Choose another series for this rule",
        ) from None


def bare_study(study_instance_uid: str, sop_class_uid: str) -> Dataset:
    """An object of a study that is none: for builders that read the study from an object."""
    from pydicom.dataset import Dataset

    bare = Dataset()
    for keyword in ("SOPInstanceUID", "SeriesInstanceUID", *_EMPTY):
        setattr(bare, keyword, "")
    bare.SOPClassUID = sop_class_uid
    bare.StudyInstanceUID = study_instance_uid
    return bare


def _bare(volume: Volume, *, sop_class_uid: str, sop_instance_uid: str) -> Dataset:
    bare = bare_study(volume.study_instance_uid, sop_class_uid)
    bare.SOPInstanceUID = sop_instance_uid
    bare.SeriesInstanceUID = volume.series_instance_uid
    bare.Modality = volume.modality
    return bare


def _orientation(geometry: Geometry) -> Dataset:
    from pydicom.dataset import Dataset

    item = Dataset()
    cosines = (*geometry.column_step_lps, *geometry.row_step_lps)
    item.ImageOrientationPatient = [decimal(cosine) for cosine in cosines]
    return item


def _position(plane: Plane) -> Dataset:
    from pydicom.dataset import Dataset

    item = Dataset()
    item.ImagePositionPatient = [decimal(coordinate) for coordinate in plane.position_lps]
    return item


def _measures(geometry: Geometry, planes: tuple[Plane, ...]) -> Dataset:
    from pydicom.dataset import Dataset

    item = Dataset()
    between, rows, columns = geometry.spacing_mm
    item.PixelSpacing = [decimal(rows), decimal(columns)]
    item.SliceThickness = decimal(thickness_mm(planes) or between)
    item.SpacingBetweenSlices = decimal(between)
    return item


def _add_functional_groups(image: Dataset, planes: tuple[Plane, ...], geometry: Geometry) -> None:
    """Frames 1..n stand for the planes; `restore_frame_numbers` puts the true ones back."""
    from pydicom.dataset import Dataset

    shared = Dataset()
    shared.PlaneOrientationSequence = [_orientation(geometry)]
    shared.PixelMeasuresSequence = [_measures(geometry, planes)]
    image.SharedFunctionalGroupsSequence = [shared]
    frames = []
    for plane in planes:
        frame = Dataset()
        frame.PlanePositionSequence = [_position(plane)]
        frames.append(frame)
    image.PerFrameFunctionalGroupsSequence = frames
    image.NumberOfFrames = len(frames)


def _patient_id(header: Dataset) -> bytes | None:
    element = item_of(header, _PATIENT_ID_TAG)
    return b"" if element is None else encoded_value(element, encodings_of(header))
