"""What platforms call structures where a mesh is one: a label for people, and a name that the table of anatomy has."""

from __future__ import annotations

import re

from bridge.dicom.charsets import plain

_TOOTH = re.compile(r"tooth[ _-]?([1-8][1-8])", re.IGNORECASE)
_CALLED = {
    "maxillary": "Maxilla",
    "left_nerve": "Left mandibular canal",
    "right_nerve": "Right mandibular canal",
    "all_nerves": "Mandibular canal",
}
"""Words of the Relu Virtual Patient Engine. Its nerves are the canals: scanners without soft tissue show no nerve."""


def label_of(name: str) -> str:
    """Segment Label of a structure: "Tooth 36" for "tooth36" (numbers of ISO 3950), else the words of its name."""
    if tooth := _TOOTH.fullmatch(name):
        return f"Tooth {tooth[1]}"
    words = _CALLED.get(name.casefold()) or name.replace("_", " ").replace("-", " ").strip()
    label = plain(words) or "structure"
    return label[0].upper() + label[1:]
