"""Coded concepts (PS3.3 8.8): those a result needs, the anatomy table, and private codes that never change.

Code and meaning always stand together as the standard prints them; nothing is looked up by attribute name, because
one code can have several names with different meanings in a dictionary.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True, slots=True, kw_only=True)
class Concept:
    """A coded concept: Coding Scheme Designator, Code Value, Code Meaning."""

    scheme: str
    code: str
    meaning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """What a number means: its concept and its unit (UCUM)."""

    concept: Concept
    unit: Concept


@dataclass(frozen=True, slots=True, kw_only=True)
class Anatomy:
    """Segmented property of a segment (PS3.3 C.8.20.2): category, type and, for one of a pair, the side."""

    category: Concept
    type: Concept
    side: Concept | None = None

    @property
    def is_structure(self) -> bool:
        """Part of the body as it should be, in contrast to a lesion or to anything at all."""
        return self.category == ANATOMICAL_STRUCTURE


def sct(code: str, meaning: str) -> Concept:
    return Concept(scheme="SCT", code=code, meaning=meaning)


def dcm(code: str, meaning: str) -> Concept:
    return Concept(scheme="DCM", code=code, meaning=meaning)


def ucum(code: str, meaning: str) -> Concept:
    return Concept(scheme="UCUM", code=code, meaning=meaning)


ANATOMICAL_STRUCTURE = sct("91723000", "Anatomical Structure")
TISSUE = sct("85756007", "Tissue")
PROPERTY_CATEGORIES = {
    "anatomical-structure": ANATOMICAL_STRUCTURE,
    "tissue": TISSUE,
    "abnormal-structure": sct("49755003", "Morphologically Abnormal Structure"),
    "physical-object": sct("260787004", "Physical Object"),
    "body-substance": sct("91720002", "Body Substance"),
    "substance": sct("105590001", "Substance"),
    "function": sct("246464006", "Function"),
}
"""Segmented property categories (CID 7150) by the words of the settings."""
SIDES = {"left": sct("7771000", "Left"), "right": sct("24028007", "Right")}
ANY_TISSUE = Anatomy(category=TISSUE, type=TISSUE)
"""For a structure whose name is in no table: its own name stands in the Segment Label."""

YES = sct("373066001", "Yes")
NO = sct("373067005", "No")

NO_UNITS = ucum("1", "no units")
VOLUME = Quantity(concept=sct("118565006", "Volume"), unit=ucum("ml", "milliliter"))
ATTENUATION = Quantity(
    concept=dcm("112031", "Attenuation Coefficient"), unit=ucum("[hnsf'U]", "Hounsfield unit")
)
MR_SIGNAL = Quantity(concept=dcm("110852", "MR signal intensity"), unit=NO_UNITS)

MEAN = sct("373098007", "Mean")
STANDARD_DEVIATION = sct("386136009", "Standard Deviation")
MINIMUM = sct("255605001", "Minimum")
MAXIMUM = sct("56851009", "Maximum")

ACQUISITION_EQUIPMENT = dcm("109101", "Acquisition Equipment")
PROCESSING_EQUIPMENT = dcm("109102", "Processing Equipment")

ARTIFICIAL_INTELLIGENCE = dcm("123110", "Artificial Intelligence")

IMAGING_PROCEDURE = sct("363679005", "Imaging procedure")
PROCEDURES = {
    "CT": Concept(scheme="LN", code="25045-6", meaning="CT unspecified body region"),
    "MR": Concept(scheme="LN", code="25056-3", meaning="MRI unspecified body region"),
    "PT": Concept(scheme="LN", code="44136-0", meaning="PET unspecified body region"),
    "NM": Concept(scheme="LN", code="49118-3", meaning="NM unspecified body region"),
}
"""Procedure Reported by Modality (CID 100)."""

PRIVATE_SCHEME = "99BRIDGE"

PRESENCE = dcm("121052", "Presence of property")
ABSENT = dcm("121054", "Absent")

MILLIMETER = ucum("mm", "millimeter")
MESH_VOLUME = Quantity(
    concept=Concept(scheme="IBSI", code="RNU0", meaning="Volume of Mesh"), unit=VOLUME.unit
)
MESH_AREA = Quantity(
    concept=Concept(scheme="IBSI", code="C0JK", meaning="Surface Area of Mesh"),
    unit=ucum("mm2", "square millimeter"),
)

_ALIKE = {
    "lungs": "lung",
    "kidneys": "kidney",
    "lobes": "lobe",
    "airways": "airway",
    "bronchi": "bronchus",
    "vertebrae": "vertebra",
    "oesophagus": "esophagus",
    "bladder": "urinary bladder",
}
_SMALL_WORDS = frozenset({"of", "the"})


def anatomy_of(name: str) -> Anatomy | None:
    """The coded anatomy for what an algorithm calls a structure; None where the table does not have it.

    Case, punctuation, order of words and a few plurals do not matter: "Right lung", "lung_right" and "Lung, right"
    are one. Every word counts, so that "lung nodule" is not taken for a lung.
    """
    return _table().get(_words(name))


def private_code(name: str, meaning: str = "") -> Concept:
    """A code of our own scheme for a name that no standard scheme covers.

    The Code Value is 16 characters (SH) of a hash of `name`, and so the same for ever and everywhere.
    """
    digest = hashlib.sha256(name.encode()).digest()[:10]
    return Concept(
        scheme=PRIVATE_SCHEME, code=base64.b32encode(digest).decode(), meaning=(meaning or name)[:64]
    )


def private_schemes(concepts: Iterable[Concept]) -> tuple[str, ...]:
    """The designators among `concepts` that a data set has to explain itself (PS3.3 C.12.1.1.17)."""
    return tuple(sorted({concept.scheme for concept in concepts if concept.scheme.startswith("99")}))


def _words(name: str) -> tuple[str, ...]:
    # Platforms for teeth write "tooth36".
    found = re.findall(r"tooth(?=[0-9]{2}\b)|[a-z0-9]+", name.casefold())
    alike = " ".join(_ALIKE.get(word, word) for word in found).split()
    return tuple(sorted(set(alike) - _SMALL_WORDS))


@cache
def _table() -> dict[tuple[str, ...], Anatomy]:
    text = files("bridge.dicom").joinpath("anatomy.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    table: dict[tuple[str, ...], Anatomy] = {}
    for row in rows:
        anatomy = Anatomy(
            category=sct(row["category_code"], row["category_meaning"]),
            type=sct(row["type_code"], row["type_meaning"]),
            side=sct(row["modifier_code"], row["modifier_meaning"]) if row["modifier_code"] else None,
        )
        for name in (row["key"], row["label"]):
            table.setdefault(_words(name), anatomy)
    # PS3.16 has no code for it, and one of SNOMED CT has not been verified.
    canal = private_code("mandibular-canal", "Mandibular canal")
    for side, concept in {"": None, **SIDES}.items():
        anatomy = Anatomy(category=ANATOMICAL_STRUCTURE, type=canal, side=concept)
        table.setdefault(_words(f"{side} mandibular canal"), anatomy)
    return table
