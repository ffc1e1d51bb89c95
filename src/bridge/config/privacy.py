"""What may leave: words of a rule for its de-identification and its pixels, and what a site knows of its devices."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, Strict

from bridge.config.fields import Text
from bridge.config.validate import Section, bad

ProfileOption = Literal[
    "clean-descriptors",
    "clean-structured-content",
    "retain-device",
    "retain-institution",
    "retain-patient-characteristics",
    "retain-uids",
]
PixelRisk = Literal[
    "burned-in",
    "device",
    "document",
    "face",
    "modality",
    "secondary-capture",
    "ultrasound",
    "visual-features",
]


def _once(value: tuple[str, ...]) -> tuple[str, ...]:
    for one in value:
        if value.count(one) > 1:
            raise bad(f'"{one}" twice', "each once")
    return value


def _rectangles(value: tuple[tuple[int, ...], ...]) -> tuple[tuple[int, ...], ...]:
    for one in value:
        if len(one) != 4:
            raise bad(f"a rectangle of {len(one)} numbers", "four: [x, y, width, height], in pixels")
        x, y, width, height = one
        if x < 0 or y < 0 or width < 1 or height < 1:
            raise bad(
                f"the rectangle {list(one)}",
                "x and y from 0, width and height from 1, in pixels from the upper left corner",
            )
    return value


Rectangles = Annotated[
    tuple[Annotated[tuple[int, ...], Strict(False)], ...], Strict(False), AfterValidator(_rectangles)
]


class PrivacyModel(Section):
    """`[rules.NAME.privacy]`: what of a person may leave. Nothing said is the strictest."""

    options: Annotated[tuple[ProfileOption, ...], Strict(False), AfterValidator(_once)] = Field(
        default=(), examples=['["retain-device"]']
    )
    """Options of PS3.15 Annex E for formats that carry headers: `clean-descriptors`, `clean-structured-content`,
    `retain-device`, `retain-institution`, `retain-patient-characteristics`, `retain-uids`."""
    dates: Literal["remove", "shift", "keep"] = "remove"
    """Of such formats: `remove`, `shift` (all of a job, or of a patient, by the same number of days), `keep`."""
    longitudinal: bool = False
    """true: a patient has the same name and the same UIDs in every job for the account; false: others in each job."""
    allow: Annotated[tuple[PixelRisk, ...], Strict(False), AfterValidator(_once)] = Field(
        default=(), examples=['["secondary-capture"]']
    )
    """Pixels that are refused unless named here: `burned-in`, `secondary-capture`, `ultrasound`, `modality`, `device`,
    `document`, `visual-features`, `face`. For every format."""
    mask: Rectangles = Field(default=(), examples=["[[0, 0, 512, 40]]"])
    """Rectangles `[x, y, width, height]` of every image that are blackened before anything leaves; in pixels."""
    defacing: Literal["refuse", "none"] = "none"
    """Of a volume of a head, from which a face can be drawn: `refuse` it, or `none`: it leaves with its face."""


class TextDevice(Section):
    """An entry of `text_devices` in `[privacy]`."""

    manufacturer: Text
    """Manufacturer, as in its images; capitals do not count."""
    model: str = ""
    """Manufacturer's Model Name; empty for all of that manufacturer."""


class PrivacySettings(Section):
    """`[privacy]`: what this site knows of its devices and its words."""

    text_modalities: Annotated[tuple[Text, ...], Strict(False)] = Field(default=(), examples=['["NM"]'])
    """Further modalities whose images have text burned in; XA, DX, CR, RF, ES, OP, OT, XC and their like are known."""
    text_devices: Annotated[tuple[TextDevice, ...], Strict(False)] = Field(
        default=(), examples=['[{ manufacturer = "ACME", model = "Screen 5" }]']
    )
    """Devices whose images have text burned in."""
    words: Annotated[tuple[Text, ...], Strict(False)] = Field(default=(), examples=['["lungprotocol"]'])
    """Words that may stand in a description under `clean-descriptors`, beside those of anatomy and technique."""
