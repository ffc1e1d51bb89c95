"""The attributes by which images on one position may be told apart, as data.

Asked only where positions collide: splitting by them always would make regular volumes of a hole.
"""

from __future__ import annotations

from dataclasses import dataclass

from pydicom.dataset import Dataset

from bridge.volumes.frames import View


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One kind of difference. The first keyword that has a value counts: single frames say it with other words."""

    keywords: tuple[str, ...]
    contrast: bool = True
    """Whether images that differ in it show different things: a volume must then have one value."""

    @property
    def name(self) -> str:
        return self.keywords[0]


KEYS = (
    Key(keywords=("StackID",), contrast=False),
    Key(keywords=("ImageType", "FrameType")),
    Key(keywords=("ComplexImageComponent",)),
    Key(keywords=("MetaboliteMapDescription",)),
    Key(keywords=("EchoTime", "EffectiveEchoTime")),
    Key(keywords=("DiffusionBValue",)),
    Key(keywords=("DiffusionGradientOrientation",)),
    Key(keywords=("InversionTime", "InversionTimes")),
    Key(keywords=("FlipAngle",)),
    Key(keywords=("KVP",)),
    Key(keywords=("SequenceName",)),
    Key(keywords=("TemporalPositionIdentifier", "TemporalPositionIndex"), contrast=False),
    Key(keywords=("FrameReferenceTime",), contrast=False),
    Key(keywords=("TriggerTime", "NominalCardiacTriggerDelayTime"), contrast=False),
    Key(keywords=("AcquisitionNumber", "FrameAcquisitionNumber"), contrast=False),
    Key(keywords=("AcquisitionTime", "FrameAcquisitionDateTime"), contrast=False),
    Key(keywords=("ContentTime", "FrameReferenceDateTime"), contrast=False),
)
"""In the order in which they are preferred: what was measured before when. Water, fat and in or out of phase stand
in Image Type (PS3.3 C.8.3.1.1.1) or Frame Type, b-values of older makers in private elements."""

PRIVATE_B_VALUES = (
    (0x0019, "SIEMENS MR HEADER", 0x0C),
    (0x0043, "GEMS_PARM_01", 0x39),
    (0x2001, "Philips Imaging DD 001", 0x03),
)
"""(group, private creator, element): from the makers' conformance statements."""

GE_B_VALUE_MODULUS = 10**9
"""GE adds a multiple of this to mark how the value came about."""


def value_of(key: Key, view: View) -> str:
    """The value of a frame as text, numbers without needless digits; "" when there is none."""
    for keyword in key.keywords:
        if keyword == "FrameType" and not view.multi_frame:
            continue
        values = view.texts(keyword)
        if keyword == "ImageType" and view.multi_frame:
            # Of the whole object (MIXED, where frames differ): the frame's own word is Frame Type.
            continue
        if values:
            return "\\".join(_plain(one) for one in values)
    if key.name == "DiffusionBValue":
        return _private_b_value(view.header)
    if key.name == "DiffusionGradientOrientation":
        return _gradient(view)
    return ""


def _plain(value: str) -> str:
    try:
        return f"{float(value):.6g}" if len(value) <= 16 else value
    except ValueError:
        return value


def _gradient(view: View) -> str:
    """In Enhanced MR one level further down (PS3.3 C.8.13.5.9)."""
    item = view.source("DiffusionGradientDirectionSequence")
    below = item.get("DiffusionGradientDirectionSequence") if view.multi_frame else None
    values = View(header=below[0]).texts("DiffusionGradientOrientation") if below else ()
    return "\\".join(_plain(one) for one in values)


def _private_b_value(header: Dataset) -> str:
    for group, creator, element in PRIVATE_B_VALUES:
        try:
            value = header.private_block(group, creator)[element].value
            first = value if isinstance(value, (int, float, str)) else value[0]
            return f"{float(first) % GE_B_VALUE_MODULUS:.6g}"
        except Exception:  # noqa: BLE001 - absent, or bytes that only the maker can read
            continue
    return ""
