"""What a rule may say of results: pictures, heat maps, documents, and the meaning of values and tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.config import load_rules
from bridge.config.results import ResultsModel
from bridge.errors import ConfigError
from said import said

RULE = (
    '[rules.x]\nmode = "live"\nplatform = "gc"\nalgorithm = "a"\ndestinations = ["pacs"]\n'
    '[rules.x.inputs.ct]\nvolume = { Modality = "CT" }\n'
)
CODE = 'scheme = "99SITE"\ncode = "V"\nmeaning = "Volume"\n'


def results(tmp_path: Path, text: str) -> ResultsModel:
    file = tmp_path / "rules.toml"
    file.write_text(RULE + text, encoding="utf-8")
    return load_rules(file).rules["x"].results


def test_without_a_word_there_are_no_pictures_and_no_heat_maps_but_documents(tmp_path: Path) -> None:
    found = results(tmp_path, "")
    assert (found.picture, found.heat_map, found.documents) == (False, "off", True)
    assert (found.concepts, found.tables) == ({}, {})


def test_everything_arrives_as_written(tmp_path: Path) -> None:
    found = results(
        tmp_path,
        f"""
[rules.x.results]
picture = true
heat_map = "fractional"
documents = false
[rules.x.results.concepts.air]
{CODE}unit = "ml"
unit_meaning = "milliliter"
socket = "summary"
path = "air.ml"
segment = "Left lung"
[rules.x.results.concepts.state]
{CODE}values = {{ present = {{ scheme = "SCT", code = "52101004", meaning = "Present" }} }}
[rules.x.results.tables.organs]
row = {{ column = "organ" }}
[rules.x.results.tables.organs.columns.volume]
{CODE}unit = "ml"
unit_meaning = "milliliter"
""",
    )
    assert (found.picture, found.heat_map, found.documents) == (True, "fractional", False)
    air, state = found.concepts["air"], found.concepts["state"]
    assert (air.socket, air.path, air.segment, air.unit) == ("summary", "air.ml", "Left lung", "ml")
    assert (state.values["present"].code, state.unit) == ("52101004", "")
    assert found.tables["organs"].row.column == "organ"
    assert found.tables["organs"].columns["volume"].meaning == "Volume"


def test_a_rule_frozen_with_its_job_is_read_again(tmp_path: Path) -> None:
    text = f'[rules.x.results]\nheat_map = "parametric-map"\n[rules.x.results.concepts.air]\n{CODE}'
    found = results(tmp_path, text)
    assert ResultsModel.model_validate_json(found.model_dump_json()) == found
    # As jobs of before these settings were frozen.
    old = (
        '{"segmentation":true,"concepts":{"v":{"scheme":"S","code":"1","meaning":"m",'
        '"unit":"1","unit_meaning":"no units"}}}'
    )
    assert ResultsModel.model_validate_json(old).concepts["v"].unit == "1"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            '[rules.x.results]\nheat_map = "fractal"\n',
            (
                '9: rules.x.results.heat_map: the text "fractal"; expected "off", "parametric-map" or '
                '"fractional". Did you mean fractional?'
            ),
        ),
        (
            f'[rules.x.results.concepts.air]\n{CODE}unit = "ml"\n',
            "8: rules.x.results.concepts.air: one of unit and unit_meaning; expected both or none",
        ),
        (
            "[rules.x.results.tables.t]\nrow = { column = 'organ' }\n",
            "8: rules.x.results.tables.t.columns: missing. Add a table [rules.x.results.tables.t.columns.NAME]",
        ),
        (
            f"[rules.x.results.tables.t.columns.v]\n{CODE}path = 'a.b'\n",
            "12: rules.x.results.tables.t.columns.v.path: unknown key",
        ),
        (
            f"[rules.x.results.tables.t]\nrows = {{ column = 'o' }}\n[rules.x.results.tables.t.columns.v]\n{CODE}",
            "9: rules.x.results.tables.t.rows: unknown key; expected a key of [rules.x.results.tables.t]",
        ),
        (
            f'[rules.x.results.concepts.air]\nscheme = "S"\ncode = "{"1" * 17}"\nmeaning = "m"\n',
            "10: rules.x.results.concepts.air.code: a text of 17 characters; expected at most 16",
        ),
        (
            '[rules.x.results.concepts.air]\nscheme = "S"\ncode = ""\nmeaning = "m"\n',
            "10: rules.x.results.concepts.air.code: an empty text; expected at least one character",
        ),
    ],
)
def test_a_mistake_says_line_key_and_what_to_do(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        results(tmp_path, text)
    assert said(caught.value).startswith(expected)
    assert caught.value.others == ()
