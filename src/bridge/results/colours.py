"""Recommended display colours: told apart at a glance, the same on every run.

`(red, green, blue)` of sRGB; segments carry them as CIELab (PS3.3 C.10.7.1.1).
"""

from __future__ import annotations

from bridge.dicom.codes import Anatomy

Rgb = tuple[int, int, int]

_OF_TYPE: dict[tuple[str, str], Rgb] = {
    ("39607008", "Left"): (86, 180, 233),
    ("39607008", "Right"): (126, 211, 160),
    ("39607008", ""): (126, 200, 227),
    ("45653009", "Left"): (86, 180, 233),
    ("45653009", "Right"): (126, 211, 160),
    ("90572001", "Left"): (70, 120, 200),
    ("90572001", "Right"): (60, 160, 110),
    ("72481006", ""): (190, 220, 110),
    ("89187006", ""): (244, 196, 108),
    ("44567001", ""): (244, 196, 108),
    ("955009", ""): (236, 168, 90),
}
"""Lungs, their lobes and airways: calm on a grey picture, left bluish, right greenish."""

_PALETTE: tuple[Rgb, ...] = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
    (145, 210, 80),
    (170, 110, 220),
    (250, 170, 150),
    (70, 200, 200),
    (190, 150, 90),
    (255, 120, 180),
    (130, 140, 250),
    (200, 220, 170),
    (120, 170, 120),
)
"""The first seven are those of Okabe and Ito, chosen for readers with colour vision deficiency."""


def colour_of(anatomy: Anatomy, number: int) -> Rgb:
    """The colour of a structure, else that of its segment number."""
    side = anatomy.side.meaning if anatomy.side else ""
    return _OF_TYPE.get((anatomy.type.code, side)) or _PALETTE[(number - 1) % len(_PALETTE)]
