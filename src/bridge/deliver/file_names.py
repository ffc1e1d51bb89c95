"""Names of files and folders that every file system takes, whatever stood in a header or came from a platform."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from bridge.deliver.outgoing import Outgoing

LONGEST_BYTES = 120
"""Of a name in UTF-8, without its number and its ending. Encrypted folders take 143, everything else 255."""
UNNAMED = "unnamed"
_FORBIDDEN = frozenset('/\\:*?"<>|')
_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE)
"""Devices of Windows, with any ending ("Naming Files, Paths, and Namespaces")."""
_ENDING = re.compile(r"\.(stl|obj|ply|drc|pdf|csv|json|png|mha|nii|gz)$", re.IGNORECASE)

BASES = {
    "SEG": "segmentation",
    "SR": "report",
    "SC": "picture",
    "PM": "heat-map",
    "FRACTIONAL": "heat-map",
    "DOC": "document",
}
"""By kind of a result. What is not here, a mesh, is called as its output."""


def safe(text: str) -> str:
    """`text` as the name of a file or folder: no separator, no device, no control, nothing that turns the line."""
    text = unicodedata.normalize("NFC", text)
    kept = "".join(
        "_" if c in _FORBIDDEN or unicodedata.category(c) in ("Zs", "Cc") else c
        for c in text
        # Formats turn or hide what follows; halves of characters no file system takes.
        if unicodedata.category(c) not in ("Cf", "Cs", "Co", "Cn", "Zl", "Zp")
    )
    kept = kept.encode()[:LONGEST_BYTES].decode(errors="ignore")
    # Windows drops dots and spaces at the end; a dot in front hides a file, and a dash is taken for an option.
    kept = kept.lstrip(".-").rstrip(".")
    if not kept.strip("_"):
        return UNNAMED
    return f"_{kept}" if _RESERVED.fullmatch(kept) else kept


def stem(output_name: str) -> str:
    """The name of an output without the ending that a platform may have given it."""
    return safe(_ENDING.sub("", output_name))


def stems(results: Sequence[Outgoing]) -> dict[str, str]:
    """Of all results of a job at a destination, by SOP Instance UID: each another name, without an ending.

    A result that is the only one of its base has the bare word, "segmentation"; of several each has that of its output
    behind it. Names that differ in nothing but case are one name on some file systems, and count as one.
    """
    bases = [BASES.get(one.kind, "") for one in results]
    found: dict[str, str] = {}
    taken: set[str] = set()
    for one, base in zip(results, bases, strict=True):
        words = [base] if base else []
        if one.output_name and (not base or bases.count(base) > 1):
            words.append(stem(one.output_name))
        name = wanted = "-".join(words) or safe(one.kind.lower())
        number = 1
        while name.casefold() in taken:
            number += 1
            name = f"{wanted}-{number}"
        taken.add(name.casefold())
        found[one.sop_instance_uid] = name
    return found
