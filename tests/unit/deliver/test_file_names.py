"""Names that every file system takes, and that say what a file is."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.deliver.file_names import LONGEST_BYTES, safe, stem, stems
from bridge.deliver.outgoing import Outgoing

HOSTILE = {
    "separators": ("a/b\\c", "a_b_c"),
    "way out": ("../../etc/passwd", "_.._etc_passwd"),
    "only dots": ("..", "unnamed"),
    "nothing": ("", "unnamed"),
    "device": ("NUL", "_NUL"),
    "device with an ending": ("com1.stl", "_com1.stl"),
    "no device": ("console", "console"),
    "hidden": (".bashrc", "bashrc"),
    "option": ("-rf", "rf"),
    "line break and null": ("a\n\0b", "a__b"),
    "drive": ("C:evil", "C_evil"),
    "dot at the end": ("case.", "case"),
    "turned around": ("txt\u202egnp.exe", "txtgnp.exe"),
    "decomposed": ("Mu\u0308ller", "M\u00fcller"),
    "other script": ("\u5c71\u7530\u592a\u90ce", "\u5c71\u7530\u592a\u90ce"),
}


@pytest.mark.parametrize(("text", "expected"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_becomes_a_plain_name(text: str, expected: str) -> None:
    assert safe(text) == expected


@given(st.text())
def test_whatever_it_was_made_of_a_name_is_one_name(text: str) -> None:
    name = safe(text)
    assert name
    assert not set(name) & set('/\\:*?"<>|\0\n\r\t')
    assert name == name.strip(". ")
    assert len(name.encode()) <= LONGEST_BYTES + 1
    assert safe(name) == name or name.startswith("_")


def test_long_name_is_cut_between_characters() -> None:
    assert safe("\u5c71" * 100) == "\u5c71" * 40


@pytest.mark.parametrize(
    ("output", "expected"), [("tooth36", "tooth36"), ("mandible.stl", "mandible"), ("a.b/c.OBJ", "a.b_c")]
)
def test_stem_is_the_output_without_its_ending(output: str, expected: str) -> None:
    assert stem(output) == expected


def named(*results: tuple[str, str]) -> list[str]:
    outgoing = [
        Outgoing(
            sop_class_uid="1.2", sop_instance_uid=f"2.25.{n}", file=Path("x"), kind=kind, output_name=output
        )
        for n, (kind, output) in enumerate(results)
    ]
    return list(stems(outgoing).values())


NAMES = {
    "one of each": (
        [("SEG", "voxels-of-meshes"), ("SR", "voxels-of-meshes"), ("M3D", "mandible"), ("M3D", "tooth36")],
        ["segmentation", "report", "mandible", "tooth36"],
    ),
    "two segmentations": (
        [("SEG", "lobes"), ("SEG", "vessels")],
        ["segmentation-lobes", "segmentation-vessels"],
    ),
    "values have no output": ([("SR", "lobes"), ("SR", "")], ["report-lobes", "report"]),
    "equal but for case": ([("M3D", "Tooth36"), ("M3D", "tooth36")], ["Tooth36", "tooth36-2"]),
    "number that is taken": ([("M3D", "a-2"), ("M3D", "a"), ("M3D", "A")], ["a-2", "a", "A-3"]),
    "unknown kind": ([("NEW", "")], ["new"]),
}


@pytest.mark.parametrize(("results", "expected"), NAMES.values(), ids=NAMES)
def test_results_are_named_by_kind_and_by_output_where_needed(
    results: list[tuple[str, str]], expected: list[str]
) -> None:
    assert named(*results) == expected
