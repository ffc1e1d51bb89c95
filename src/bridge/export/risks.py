"""What pixels may show of a person, told from the header alone: text burned in, a face, pages of a document.

A decision over values; nothing here looks at a pixel. `Burned In Annotation` absent means unknown, not NO.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from pydicom.dataset import Dataset

from bridge.dicom.headers import number, text, texts
from bridge.errors import Refused


class Risk(StrEnum):
    """Kinds of risk by the words with which a rule allows them."""

    BURNED_IN = "burned-in"
    SECONDARY_CAPTURE = "secondary-capture"
    ULTRASOUND = "ultrasound"
    MODALITY = "modality"
    DEVICE = "device"
    DOCUMENT = "document"
    VISUAL_FEATURES = "visual-features"
    FACE = "face"


class Defacing(StrEnum):
    """What is done about a head volume, from which a face can be drawn."""

    NONE = "none"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """Devices whose images carry text: a manufacturer, and a model or "" for all of it; compared in small letters."""

    manufacturer: str
    model: str = ""


TEXT_MODALITIES = frozenset(
    (
        "DOC",
        "DX",
        "CR",
        "ES",
        "GM",
        "IO",
        "IVOCT",
        "IVUS",
        "OP",
        "OPM",
        "OPT",
        "OT",
        "PX",
        "RF",
        "RG",
        "SC",
        "XA",
        "XC",
    )
)
"""Modalities whose images usually have text burned in, or show a person; not US, which has its own word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelPolicy:
    """What a site or a rule says about pixels. The defaults refuse.

    allowed: risks that a rule takes by name. has_masks: regions of the frames are blackened, which answers for text.
    """

    allowed: frozenset[Risk] = frozenset()
    modalities: frozenset[str] = TEXT_MODALITIES
    devices: tuple[Device, ...] = ()
    has_masks: bool = False
    defacing: Defacing = Defacing.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelReason:
    """One risk, in a sentence without a value of a patient. `refuses`: whether the object stays because of it."""

    risk: Risk
    sentence: str
    refuses: bool


_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_ULTRASOUND = ("1.2.840.10008.5.1.4.1.1.3", "1.2.840.10008.5.1.4.1.1.6")
_DOCUMENTS = "1.2.840.10008.5.1.4.1.1.104"
_OF_TEXT = frozenset({Risk.BURNED_IN, Risk.SECONDARY_CAPTURE, Risk.ULTRASOUND, Risk.MODALITY, Risk.DEVICE})
_VOLUME_MODALITIES = frozenset({"CT", "MR", "PT"})
_HEADS = ("BRAIN", "FACE", "HEAD", "JAW", "MANDIBLE", "MAXILLA", "ORBIT", "SINUS", "SKULL", "IAC", "TMJ")


def pixel_risk(header: Dataset, policy: PixelPolicy) -> tuple[PixelReason, ...]:
    """Every risk that the header of an object tells of, in the order of `Risk`; not all of them refuse.

    A head is told by Body Part Examined alone: a volume whose header names none is not seen as one.
    """
    sop_class = text(header, "SOPClassUID") or ""
    modality = (text(header, "Modality") or "").strip().upper()
    found: dict[Risk, str] = {}
    if (text(header, "BurnedInAnnotation") or "").strip().upper() == "YES":
        found[Risk.BURNED_IN] = "Burned In Annotation is YES"
    if _is_below(sop_class, _SECONDARY_CAPTURE):
        found[Risk.SECONDARY_CAPTURE] = "a secondary capture, which may show a screen"
    if any(_is_below(sop_class, one) for one in _ULTRASOUND) or modality == "US":
        found[Risk.ULTRASOUND] = "ultrasound, which usually has text burned in"
    if modality in policy.modalities:
        found[Risk.MODALITY] = "a modality on the list of those with text burned in"
    if any(_is_of(header, device) for device in policy.devices):
        found[Risk.DEVICE] = "a device on the list of those with text burned in"
    if _is_below(sop_class, _DOCUMENTS) or number(header, "EncapsulatedDocumentLength") is not None:
        found[Risk.DOCUMENT] = "an encapsulated document, which is not cleaned inside"
    if (text(header, "RecognizableVisualFeatures") or "").strip().upper() == "YES":
        found[Risk.VISUAL_FEATURES] = "Recognizable Visual Features is YES"
    if modality in _VOLUME_MODALITIES and _is_head(header):
        found[Risk.FACE] = "a volume of a head, from which a face can be drawn"
    return tuple(
        PixelReason(risk=risk, sentence=found[risk], refuses=_refuses(risk, policy))
        for risk in Risk
        if risk in found
    )


def refuse_risky(header: Dataset, policy: PixelPolicy) -> tuple[PixelReason, ...]:
    """As `pixel_risk`, for what may leave: the risks that are taken, to be told and recorded.

    Raises:
        Refused: DEI-009, a risk that the policy does not allow; names all of them.
    """
    return _unless_refused(pixel_risk(header, policy))


def refuse_risky_mesh(header: Dataset, policy: PixelPolicy) -> tuple[PixelReason, ...]:
    """The same of an object whose mesh leaves as a bare file. Raises as `refuse_risky`."""
    return _unless_refused(mesh_risk(header, policy))


def mesh_risk(header: Dataset, policy: PixelPolicy) -> tuple[PixelReason, ...]:
    """As `pixel_risk`, of a mesh: it is cleaned inside, no region of a frame answers for it, and it may be a face.

    Which part of a body it shows no header has to say, so every mesh counts.
    """
    policy = replace(policy, has_masks=False)
    found = {one.risk: one for one in pixel_risk(header, policy) if one.risk is not Risk.DOCUMENT}
    found[Risk.FACE] = PixelReason(
        risk=Risk.FACE,
        sentence="a mesh, from which a face can be drawn",
        refuses=_refuses(Risk.FACE, policy),
    )
    return tuple(found[risk] for risk in Risk if risk in found)


def _unless_refused(found: tuple[PixelReason, ...]) -> tuple[PixelReason, ...]:
    refusing = [one for one in found if one.refuses]
    if refusing:
        words = ", ".join(f'"{one.risk}"' for one in refusing)
        raise Refused(
            "DEI-009",
            "; ".join(one.sentence for one in refusing),
            "pixels that show no text and no person",
            f"If these may leave, the rule has to allow {words}",
        )
    return found


def _refuses(risk: Risk, policy: PixelPolicy) -> bool:
    if risk in policy.allowed or (policy.has_masks and risk in _OF_TEXT):
        return False
    return risk is not Risk.FACE or policy.defacing is Defacing.REFUSE


def _is_below(uid: str, root: str) -> bool:
    return uid == root or uid.startswith(f"{root}.")


def _is_of(header: Dataset, device: Device) -> bool:
    maker = (text(header, "Manufacturer") or "").strip().lower()
    model = (text(header, "ManufacturerModelName") or "").strip().lower()
    return maker == device.manufacturer.lower() and device.model.lower() in ("", model)


def _is_head(header: Dataset) -> bool:
    parts = [*texts(header, "BodyPartExamined"), *_region_meanings(header)]
    return any(head in part.upper().replace(" ", "") for part in parts for head in _HEADS)


def _region_meanings(header: Dataset) -> list[str]:
    regions = header.get("AnatomicRegionSequence") or []
    return [meaning for region in regions if (meaning := text(region, "CodeMeaning"))]
