"""Values, tables and JSON structures on their way into reports."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.unit.results.build import (
    LUNGS,
    answer,
    made_source,
    mask_part,
    read_back,
    table_part,
    value_part,
    wrapping,
)
from tests.unit.results.test_reports import children, groups, lungs_mask, numbers, template

from bridge.dicom.codes import VOLUME, Concept, sct, ucum
from bridge.errors import Damaged, Refused
from bridge.results.encoders import encode
from bridge.results.meaning import Meaning, TableMeaning, ValueMeaning
from bridge.results.output import Label, Output, OutputKind
from bridge.results.readings import MOST_ROWS, Coded, Number, readings_of_table, readings_of_values
from bridge.results.result import Part, Result, Table
from bridge.results.table import read_table

pytestmark = pytest.mark.filterwarnings("ignore")

ML = ucum("ml", "milliliter")
PERCENT = ucum("%", "percent")


def code(name: str) -> Concept:
    return Concept(scheme="99SITE", code=name.upper(), meaning=name)


def number(name: str, unit: Concept = ML) -> Meaning:
    return Meaning(concept=code(name), unit=unit)


GRADE = Meaning(
    concept=code("grade"), answers={"high": code("severe"), "low": code("slight"), "3": code("three")}
)


def lungs() -> Part:
    return mask_part(lungs_mask(), made_source().volume.geometry.affine_lps, LUNGS)


def encoded(*parts: Part, **other: Any) -> tuple[Result, ...]:
    return encode(answer(*parts), made_source(), wrapping(private_codes=False, **other))


def verdicts(group: Any) -> dict[str, str]:
    return {
        item.ConceptNameCodeSequence[0].CodeMeaning: item.ConceptCodeSequence[0].CodeMeaning
        for item in group.ContentSequence
        if item.ValueType == "CODE" and item.ConceptNameCodeSequence[0].CodingSchemeDesignator == "99SITE"
    }


def said(value: Any, meaning: Meaning, path: tuple[str, ...] = ()) -> Any:
    """What one value says, or the note on it."""
    asked = ValueMeaning(name="it", output="out", meaning=meaning, path=path)
    readings, notes = readings_of_values([value_part("out", value)], [asked], private=False)
    return readings[0].says if readings else notes[0].removeprefix("it: ")


@pytest.mark.parametrize(
    ("value", "path", "expected"),
    [
        ({"stats": {"volume_ml": 12.5}}, ("stats", "volume_ml"), 12.5),
        ({"per_slice": [4, 5, 6]}, ("per_slice", "2"), 6),
        ([[1], [2, 3]], ("1", "0"), 2),
        ({"1": 8}, ("1",), 8),
    ],
)
def test_a_value_is_found_at_its_path(value: Any, path: tuple[str, ...], expected: float) -> None:
    says = said(value, number("volume"), path)
    assert isinstance(says, Number)
    assert says.value == expected
    assert says.quantity.unit == ML


@pytest.mark.parametrize("path", [("b",), ("a", "0"), ("l", "2"), ("l", "-1"), ("l", "x"), ("a", "b")])
def test_nothing_at_a_path_is_said(path: tuple[str, ...]) -> None:
    assert said({"a": 1, "l": [1, 2]}, number("x"), path) == "nothing stands at its path in the answer"


@pytest.mark.parametrize(
    ("value", "meaning", "expected"),
    [
        ("high", GRADE, "severe"),
        (3, GRADE, "three"),
        (True, Meaning(concept=code("x")), "Yes"),
        (False, Meaning(concept=code("x")), "No"),
        (True, Meaning(concept=code("x"), answers={"true": code("present")}), "present"),
        (False, Meaning(concept=code("x"), answers={"true": code("present")}), "No"),
    ],
)
def test_words_and_truth_values_become_coded_answers(value: Any, meaning: Meaning, expected: str) -> None:
    says = said(value, meaning)
    assert isinstance(says, Coded)
    assert says.answer.meaning == expected


@pytest.mark.parametrize(
    ("value", "meaning", "expected"),
    [
        ("secret", GRADE, "a value without a configured code stays with the job"),
        (4, GRADE, "a value without a configured code stays with the job"),
        (4.5, Meaning(concept=code("x")), "a number without a configured unit stays with the job"),
        ("text", number("x"), "a text has no place in a measurement report"),
        ({"a": 1}, number("x"), "a structure has no place in a measurement report"),
    ],
)
def test_what_a_meaning_does_not_cover_is_said_without_the_value(
    value: Any, meaning: Meaning, expected: str
) -> None:
    assert said(value, meaning) == expected


def test_values_about_a_segment_stand_with_its_measurements() -> None:
    stats = {"left": {"low": 7.25}, "grade": "high", "whole": 3}
    results = encoded(
        lungs(),
        value_part("stats", stats),
        values=(
            ValueMeaning(
                name="low",
                output="stats",
                path=("left", "low"),
                meaning=number("low", PERCENT),
                segment="Lung, left",
            ),
            ValueMeaning(name="grade", output="stats", path=("grade",), meaning=GRADE, segment="RIGHT LUNG"),
            ValueMeaning(name="whole", output="stats", path=("whole",), meaning=number("whole")),
        ),
    )
    assert [one.kind for one in results] == ["SEG", "SR", "SR"]
    right, left = groups(read_back(results[1].data))
    assert {template(group) for group in (right, left)} == {"1411"}
    assert numbers(left)[-1] == ("LOW", "", "7.25", "%")
    assert "LOW" not in str(numbers(right))
    assert (verdicts(right), verdicts(left)) == ({"grade": "severe"}, {})
    (group,) = groups(read_back(results[2].data))
    assert numbers(group) == [("WHOLE", "", "3", "ml")]
    (scheme,) = read_back(results[1].data).CodingSchemeIdentificationSequence
    assert scheme.CodingSchemeDesignator == "99SITE"


@pytest.mark.parametrize("segment", ["Liver", "Trachea"])
def test_a_value_about_a_segment_that_is_not_there_stands_in_the_report_of_values(segment: str) -> None:
    # The trachea is declared and has no voxel.
    meaning = ValueMeaning(name="score", output="score", meaning=number("score"), segment=segment)
    results = encoded(lungs(), value_part("score", 2), values=(meaning,))
    assert numbers(groups(read_back(results[2].data))[0]) == [("SCORE", "", "2", "ml")]
    assert results[2].notes == (f"score: no single segment is {segment}: it stands in the report of values",)


def test_a_value_that_two_segments_could_have_is_given_to_none() -> None:
    twice = (
        Label(value=3, name="Left lung"),
        Label(value=7, name="lung_left"),
        Label(value=9, name="Trachea"),
    )
    parts = mask_part(lungs_mask(), made_source().volume.geometry.affine_lps, twice)
    meaning = ValueMeaning(name="score", output="score", meaning=number("score"), segment="Lung, left")
    results = encoded(parts, value_part("score", 2), values=(meaning,))
    assert [one.kind for one in results] == ["SEG", "SR", "SR"]
    assert "SCORE" not in str([numbers(group) for group in groups(read_back(results[1].data))])
    assert numbers(groups(read_back(results[2].data))[0]) == [("SCORE", "", "2", "ml")]


def test_values_of_two_masks_are_not_written_twice() -> None:
    again = mask_part(lungs_mask(), made_source().volume.geometry.affine_lps, LUNGS, name="zz")
    meaning = ValueMeaning(name="score", output="score", meaning=number("score"), segment="Left lung")
    results = encoded(lungs(), again, value_part("score", 2), values=(meaning,))
    assert [one.kind for one in results] == ["SEG", "SR", "SEG", "SR"]
    reports = [read_back(one.data) for one in results if one.kind == "SR"]
    found = [str(numbers(group)).count("SCORE") for report in reports for group in groups(report)]
    assert found == [0, 1, 0, 0]


ORGANS = TableMeaning(
    row="organ", columns={"volume": Meaning(concept=VOLUME.concept, unit=ML), "grade": GRADE}
)


def test_a_row_for_each_structure_stands_with_its_segment_or_in_a_report_of_the_table() -> None:
    table = table_part(
        "organs",
        ("organ", "volume", "grade", "path"),
        ("left lung", "1700.5", "high", "/x"),
        ("Spleen", "160", "low", "/y"),
        ("something", "n/a", "low", "/z"),
    )
    results = encoded(lungs(), table, tables={"organs": ORGANS})
    assert [(one.kind, one.output_name) for one in results] == [
        ("SEG", "lungs"),
        ("SR", "lungs"),
        ("SR", "organs"),
    ]
    _, left = groups(read_back(results[1].data))
    assert numbers(left)[-1] == ("118565006", "", "1700.5", "ml")
    assert verdicts(left) == {"grade": "severe"}
    assert any("own volume stands beside" in note for note in results[1].notes)
    spleen, something = groups(read_back(results[2].data))
    assert template(spleen) == "1501"
    assert [item.TextValue for item in children(spleen, "112039")] == ["organs/Spleen"]
    assert children(spleen, "363698007")[0].ConceptCodeSequence[0].CodeMeaning == "Spleen"
    assert numbers(spleen) == [("118565006", "", "160", "ml")]
    assert numbers(something) == []
    assert verdicts(something) == {"grade": "slight"}
    assert not children(something, "363698007")
    notes = " / ".join(results[0].notes)
    assert "organs: 1 of 4 columns have no configured concept" in notes
    assert "organs, volume: no value in 1 rows" in notes
    uids = [children(group, "112040")[0].UID for group in (spleen, something)]
    assert len(set(uids)) == 2


def test_a_structure_with_several_rows_stays_a_table() -> None:
    table = table_part(
        "lesions", ("organ", "volume", "grade"), ("left lung", "1", "low"), ("left lung", "2", "high")
    )
    results = encoded(lungs(), table, tables={"lesions": ORGANS})
    assert [numbers(group)[0][2] for group in groups(read_back(results[2].data))] == ["1", "2"]


def test_a_table_of_one_row_needs_no_column_of_structures() -> None:
    table = table_part("totals", ("volume", "files"), ("12.5", "3"))
    meaning = TableMeaning(columns={"volume": number("volume")})
    (result,) = encoded(table, tables={"totals": meaning})
    (group,) = groups(read_back(result.data))
    assert numbers(group) == [("VOLUME", "", "12.5", "ml")]


@pytest.mark.parametrize(
    ("cell", "value"), [("12", 12), ("-0.5", -0.5), ("1e3", 1000.0), (".5", 0.5), ("+7", 7)]
)
def test_numbers_of_a_table_are_read(cell: str, value: float) -> None:
    table = Table(columns=("v",), rows=((cell,),))
    ((reading,), _) = readings_of_table(table, "t", TableMeaning(columns={"v": number("v")}))
    assert isinstance(reading.says, Number)
    assert (reading.says.value, type(reading.says.value)) == (value, type(value))


@pytest.mark.parametrize("cell", ["1,5", "1_000", "12 ml", "inf", "0x1f", "１２", "1e999"])
def test_a_cell_that_may_mean_something_else_is_no_number(cell: str) -> None:
    table = Table(columns=("v",), rows=((cell,),))
    readings, notes = readings_of_table(table, "t", TableMeaning(columns={"v": number("v")}))
    assert readings == []
    assert len(notes) == 1
    assert cell not in notes[0]


@pytest.mark.parametrize(
    ("table", "meaning", "refused"),
    [
        (Table(columns=("v",), rows=(("1",), ("2",))), TableMeaning(columns={"v": number("v")}), "RES-080"),
        (Table(columns=("v",), rows=()), TableMeaning(columns={"v": number("v")}), "RES-080"),
        (
            Table(columns=("v", "o"), rows=(("1", "x"),) * (MOST_ROWS + 1)),
            TableMeaning(columns={"v": number("v")}, row="o"),
            "RES-081",
        ),
        (Table(columns=("w",), rows=(("1",),)), TableMeaning(columns={"v": number("v")}), "RES-082"),
        (Table(columns=("v", "v"), rows=(("1", "2"),)), TableMeaning(columns={"v": number("v")}), "RES-082"),
        (Table(columns=("v",), rows=(("1",),)), TableMeaning(columns={"v": number("v")}, row="o"), "RES-082"),
    ],
)
def test_a_table_that_does_not_fit_its_meaning_is_refused(
    table: Table, meaning: TableMeaning, refused: str
) -> None:
    with pytest.raises(Refused) as caught:
        readings_of_table(table, "organs", meaning)
    assert caught.value.code == refused
    assert "organs" in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "organ,volume\nLiver,1500\n",
        "organ;volume\r\nLiver;1500\r\n",
        "\ufefforgan\tvolume\n\nLiver\t 1500 \n",
        'organ,volume\n"Liver","1500"',
    ],
)
def test_csv_of_any_dialect_is_one_table(text: str) -> None:
    table = read_table(text.encode(), "t")
    assert (table.columns, table.rows) == (("organ", "volume"), (("Liver", "1500"),))


@pytest.mark.parametrize(
    "data", [b"", b"\n\n", b"a,b\n1\n", b"a,b\n1,2,3\n", b"a,b\n\xff,1\n", b'a,b\n"1,2\n']
)
def test_what_is_no_table_is_damaged_and_names_the_output(data: bytes) -> None:
    with pytest.raises(Damaged) as caught:
        read_table(data, "organs")
    assert caught.value.code == "RES-083"
    assert "organs" in str(caught.value)


def test_what_the_rule_expects_and_the_answer_lacks_is_said() -> None:
    (result,) = encoded(
        value_part("score", 1),
        values=(
            ValueMeaning(name="score", output="score", meaning=number("score")),
            ValueMeaning(name="other", output="scores", meaning=number("other")),
        ),
        tables={"organs": ORGANS},
    )
    assert "other: no output scores came back" in result.notes
    assert "organs: no such table came back" in result.notes


def test_a_structure_kept_as_a_file_is_read_where_the_rule_asks_for_it() -> None:
    output = Output(name="findings", kind=OutputKind.FILE, media_type="application/json", ref="f")
    part = Part(output=output, content={"air_ml": 4.5})
    asked = ValueMeaning(name="air", output="findings", path=("air_ml",), meaning=number("air"))
    (result,) = encoded(part, values=(asked,))
    assert numbers(groups(read_back(result.data))[0]) == [("AIR", "", "4.5", "ml")]
    kept = encoded(lungs(), part)
    assert "findings: a file has no encoder and stays with the job" in kept[0].notes


def test_a_concept_of_a_standard_scheme_is_not_declared_as_private() -> None:
    meaning = Meaning(concept=sct("118565006", "Volume"), unit=ML)
    (result,) = encoded(value_part("v", 1.0), values=(ValueMeaning(name="v", output="v", meaning=meaning),))
    assert "CodingSchemeIdentificationSequence" not in read_back(result.data)


def test_an_empty_mask_leaves_its_values_to_the_report_of_values() -> None:
    empty = mask_part(np.zeros((4, 5, 6), np.uint8), made_source().volume.geometry.affine_lps, LUNGS)
    meaning = ValueMeaning(name="score", output="score", meaning=number("score"), segment="Left lung")
    results = encoded(empty, value_part("score", 0), values=(meaning,))
    assert [one.kind for one in results] == ["SEG", "SR"]
    assert numbers(groups(read_back(results[1].data))[0]) == [("SCORE", "", "0", "ml")]
