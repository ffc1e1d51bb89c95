"""What never becomes an input by accident, whatever the conditions of a rule say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.config.masks import STUDY
from bridge.dicom.equipment import made_by_software
from bridge.dicom.headers import number, texts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge.dicom.instance import Instance
    from bridge.volumes.volume import Candidate

_SECONDARY_CAPTURE = (
    "1.2.840.10008.5.1.4.1.1.7",
    "1.2.840.10008.5.1.4.1.1.7.1",
    "1.2.840.10008.5.1.4.1.1.7.2",
    "1.2.840.10008.5.1.4.1.1.7.3",
    "1.2.840.10008.5.1.4.1.1.7.4",
)
_SEGMENTATION = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
"""Segmentation and Label Map Segmentation Storage (PS3.4 B.5): rows and columns, yet no image of a patient."""


def exclusion(
    candidate: Candidate, *, other_ai: bool = True, burned_in: bool = False, captures: bool = False
) -> str:
    """Why the candidate is struck out, "" when it is not. One such object among its instances is enough.

    `other_ai`: what other software made or changed may be taken. `burned_in`: images with text burned in too.
    `captures`: secondary captures whose frames say where they lie.
    """
    for instance in candidate.instances:
        reason = _of_instance(instance, burned_in=burned_in, captures=captures)
        if not reason and not other_ai:
            reason = made_by_software(instance.header)
        if reason:
            return reason
    # What its frames say, where the object as a whole says nothing: Frame Type, Volumetric Properties.
    refusal = candidate.refusal
    return refusal.found if refusal is not None and refusal.code == NO_SLICE else ""


NO_SLICE = "GEO-005"


def mask_exclusion(candidate: Candidate, source: str, made_by: Mapping[str, str]) -> str:
    """The same of a segmentation for an input that takes masks from there.

    Args:
        source: `study`, or the name of the rule whose results are wanted.
        made_by: the rule of each result of this bridge, by SOP Instance UID.
    """
    for instance in candidate.instances:
        maker = made_by.get(instance.sop_instance_uid)
        if source == STUDY and (instance.own or maker is not None):
            return "made by this bridge"
        if source != STUDY and maker != source:
            return f"no result of rule {source}"
    return ""


def mesh_exclusion(candidate: Candidate, *, other_ai: bool = True, burned_in: bool = False) -> str:
    """The same of an object for an input that takes meshes."""
    for instance in candidate.instances:
        if instance.own:
            return "made by this bridge"
        if not burned_in and texts(instance.header, "BurnedInAnnotation")[:1] == ("YES",):
            return "text burned into the mesh"
        if not other_ai and (reason := made_by_software(instance.header)):
            return reason
    return ""


def _of_instance(instance: Instance, *, burned_in: bool, captures: bool) -> str:
    header = instance.header
    if instance.own:
        return "made by this bridge"
    if instance.sop_class_uid in _SECONDARY_CAPTURE and not (captures and _is_stack(instance)):
        return "secondary capture, not a volume"
    if instance.sop_class_uid in _SEGMENTATION:
        return "a segmentation, not an image"
    if not number(header, "Rows") or not number(header, "Columns"):
        return _no_image(instance)
    # Value 3 of CT and MR (PS3.3 C.8.2.1.1.1, C.8.3.1.1.1); some makers put a word of their own before it.
    if "LOCALIZER" in texts(header, "ImageType")[2:]:
        return "a localizer"
    if "MOSAIC" in texts(header, "ImageType"):
        return "a mosaic of slices, not a slice"
    if not burned_in and texts(header, "BurnedInAnnotation")[:1] == ("YES",):
        return "text burned into the pixels"
    return ""


def _is_stack(instance: Instance) -> bool:
    from bridge.volumes.kinds import CAPTURE_CLASSES

    return instance.sop_class_uid in CAPTURE_CLASSES


def _no_image(instance: Instance) -> str:
    """By the standard's name of its class: a report, a plan, a waveform, a document."""
    from bridge.volumes.kinds import MULTI_FRAME_CLASSES, SLICE_CLASSES, class_name

    if instance.sop_class_uid in SLICE_CLASSES | MULTI_FRAME_CLASSES:
        return "not an image"
    return f"{class_name(instance).removesuffix(' Storage')}, not an image"
