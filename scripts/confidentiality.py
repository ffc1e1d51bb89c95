"""Write the data of de-identification in src/bridge/export/: Table E.1-1 of PS3.15, and attribute types per IOD.

    python scripts/confidentiality.py --table ps3-15-e1-1.json   # both, from a table in the form described there
    python scripts/confidentiality.py                            # the types alone, from the installed highdicom
    python scripts/confidentiality.py --check                    # whether both files are what this script would write

The types come from highdicom (MIT), whose extract is of innolitics/dicom-standard (MIT).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydicom.datadict import dictionary_VR, tag_for_keyword

EXPORT = Path(__file__).resolve().parents[1] / "src" / "bridge" / "export"
TABLE = EXPORT / "confidentiality.json"
TYPES = EXPORT / "attribute_types.json"

ACTIONS = {"X", "D", "Z", "U", "X/D", "X/Z", "X/Z/D", "Z/D", "X/Z/U*"}
OPTIONS = {
    "retain_full_dates": "retain_longitudinal_full_dates",
    "retain_modified_dates": "retain_longitudinal_modified_dates",
    "clean_descriptors": "clean_descriptors",
    "retain_uids": "retain_uids",
    "retain_device_identity": "retain_device_identity",
    "retain_institution_identity": "retain_institution_identity",
    "retain_patient_characteristics": "retain_patient_characteristics",
    "clean_structured_content": "clean_structured_content",
}
"""Our words for the option columns that are offered; clean graphics and retain safe private are not."""

NEWER = {"1.2.840.10008.5.1.4.1.1.66.7": "segmentation"}
"""Label Map Segmentation, which the extract does not have: the same modules (PS3.3 A.51 and A.91)."""

STRENGTH = {"1": 4, "1C": 3, "2": 2, "2C": 1}
TYPED_VRS = {
    "AE",
    "AS",
    "CS",
    "DA",
    "DT",
    "LO",
    "LT",
    "OB",
    "PN",
    "SH",
    "SQ",
    "ST",
    "TM",
    "UC",
    "UN",
    "UR",
    "UT",
}
"""VRs of what can be removed; numbers stay and UIDs are mapped, whatever their type."""

Tree = dict[str, tuple[str, "Tree"]]


def table(source: Mapping[str, Any]) -> dict[str, Any]:
    """The rows, tag -> [basic action, {option: action}], and the patterns that stand for more than one tag."""
    rows: dict[str, Any] = {}
    patterns: list[str] = []
    for one in source["attributes"]:
        if len(one["tag"]) != 8 or "x" in one["tag"]:
            patterns.append(one["tag"])
            continue
        theirs = one["options"] or {}
        options = {ours: theirs[name] for ours, name in OPTIONS.items() if name in theirs}
        rows[one["tag"].upper()] = [one["basic"], options] if options else [one["basic"]]
    return {
        "about": {
            "what": "PS3.15 Table E.1-1: tag -> basic action, options. Written by scripts/confidentiality.py",
            "edition": "actions and options of 2024b; Basic Profile of 2026c, whose 35 new rows have no options",
            "origin": source["_about"]["origin"],
            "not_offered": ["clean_graphics", "retain_safe_private"],
        },
        "patterns": patterns,
        "rows": dict(sorted(rows.items())),
    }


def mistakes(written: Mapping[str, Any]) -> list[str]:
    """What no table of that name can be; the counts are those of the edition."""
    rows = written["rows"]
    wrong = [f"{tag}: {row[0]} is no action" for tag, row in rows.items() if row[0] not in ACTIONS]
    for tag, row in rows.items():
        for option, action in (row[1] if len(row) > 1 else {}).items():
            if option not in OPTIONS or action not in ("K", "C"):
                wrong.append(f"{tag}: option {option} = {action}")
    if len(rows) != 652 or sorted(written["patterns"]) != ["50xxxxxx", "60xx3000", "60xx4000", "private"]:
        wrong.append(f"{len(rows)} rows and patterns {written['patterns']}")
    return wrong


def types() -> dict[str, Any]:
    """SOP Class -> node; node -> {tag: type}, or {tag: [type, node]} for a sequence. Type 3 is left out."""
    standard = files("highdicom") / "_standard"
    modules = json.loads((standard / "module_attribute_map.json").read_text())
    iods = json.loads((standard / "iod_module_map.json").read_text())
    classes = json.loads((standard / "sop_class_iod_map.json").read_text())
    classes |= NEWER
    # A directory of files is no instance of a patient.
    del classes["1.2.840.10008.1.3.10"]
    nodes: dict[tuple[Any, ...], int] = {}
    roots = {
        iod: _intern(
            _tree(attribute for module in parts for attribute in modules.get(module["key"], ())), nodes
        )
        for iod, parts in sorted(iods.items())
    }
    return {
        "about": {
            "what": "Types 1, 1C, 2, 2C (PS3.5 7.4) of what may be removed. Written by scripts/confidentiality.py",
            "origin": "highdicom (MIT), which extracts innolitics/dicom-standard (MIT); PS3.3, NEMA",
        },
        "classes": {uid: roots[iod] for uid, iod in sorted(classes.items())},
        "nodes": [{tag: kind if node < 0 else [kind, node] for tag, kind, node in key} for key in nodes],
    }


def _tree(attributes: Iterable[Mapping[str, Any]]) -> Tree:
    """Attributes of several modules as one tree, each with the most demanding of its types."""
    root: Tree = {}
    for one in attributes:
        place = root
        for keyword in one["path"]:
            place = place.setdefault(keyword, ("3", {}))[1]
        before, below = place.setdefault(one["keyword"], ("3", {}))
        if STRENGTH.get(one["type"], 0) > STRENGTH.get(before, 0):
            place[one["keyword"]] = (one["type"], below)
    return root


def _intern(tree: Tree, nodes: dict[tuple[Any, ...], int]) -> int:
    """Number of a tree in `nodes`, equal ones once; -1 for one that says nothing."""
    key = []
    for keyword, (kind, below) in tree.items():
        tag = tag_for_keyword(keyword)
        if tag is None or dictionary_VR(tag) not in TYPED_VRS:
            continue
        node = _intern(below, nodes)
        if kind in STRENGTH or node >= 0:
            key.append((f"{tag:08X}", kind if kind in STRENGTH else "3", node))
    if not key:
        return -1
    return nodes.setdefault(tuple(sorted(key)), len(nodes))


def _text(written: Mapping[str, Any]) -> str:
    """JSON with a line for each row or node, so that a new edition can be read as a difference."""
    parts = []
    for name, value in written.items():
        if name in ("rows", "classes"):
            lines = [f"{json.dumps(key)}: {json.dumps(one)}" for key, one in value.items()]
            parts.append(f'"{name}": {{\n' + ",\n".join(lines) + "\n}")
        elif name == "nodes":
            lines = [json.dumps(one, separators=(",", ":")) for one in value]
            parts.append(f'"{name}": [\n' + ",\n".join(lines) + "\n]")
        else:
            parts.append(f'"{name}": {json.dumps(value, indent=1)}')
    return "{\n" + ",\n".join(parts) + "\n}\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", type=Path, help="the table as JSON")
    parser.add_argument("--check", action="store_true")
    asked = parser.parse_args()
    texts = {TYPES: _text(types())}
    if asked.table:
        texts[TABLE] = _text(table(json.loads(asked.table.read_text())))
    wrong = mistakes(json.loads(texts[TABLE] if TABLE in texts else TABLE.read_text()))
    for one in wrong:
        print(one, file=sys.stderr)
    if asked.check:
        return bool(wrong) or any(
            not file.exists() or file.read_text() != text for file, text in texts.items()
        )
    for file, text in texts.items():
        file.write_text(text)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
