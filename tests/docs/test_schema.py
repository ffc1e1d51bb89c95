"""The schemas that editors read: up to date, true of every file that loads, and of no file with a wrong word."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

jsonschema = pytest.importorskip("jsonschema")

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "config"
RULE = '[rules.x]\nmode = "live"\nplatform = "gc"\nalgorithm = "a"\ndestinations = ["pacs"]\n'


def validator(name: str) -> Any:
    schema = json.loads((CONFIG / f"{name}.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft7Validator.check_schema(schema)
    return jsonschema.Draft7Validator(schema)


def problems(text: str, name: str = "rules") -> list[str]:
    return [error.json_path for error in validator(name).iter_errors(tomllib.loads(text))]


def test_the_schemas_are_those_of_the_models() -> None:
    told = subprocess.run([sys.executable, str(ROOT / "scripts" / "schema.py"), "--check"], check=False)
    assert told.returncode == 0, "run scripts/schema.py"


@pytest.mark.parametrize("name", ["rules", "site"])
def test_every_file_of_ours_fits_its_schema(name: str) -> None:
    for file in [CONFIG / f"{name}.toml", *sorted(CONFIG.glob(f"examples/*/{name}.toml"))]:
        assert problems(file.read_text(encoding="utf-8"), name) == [], file


@pytest.mark.parametrize("name", ["rules", "site"])
def test_the_examples_name_their_schema_where_editors_look(name: str) -> None:
    first = (CONFIG / f"{name}.toml").read_text(encoding="utf-8").splitlines()[0]
    directive, _, path = first.partition(" ")
    assert directive == "#:schema"
    assert (CONFIG / path).is_file()


GOOD = {
    "a path": '"ProcedureCodeSequence.CodeValue" = "1"',
    "a keyword that is not offered": "BitsStored = 12\nHighBit = { max = 15 }",
    "a combination within another": 'any = [{ not = { Modality = "CT" } }, { all = [{ Rows = 1 }] }]',
    "an item": "ProcedureCodeSequence = { any_item = { CodeValue = '1' }, present = true }",
    "a number with a unit": 'age_days = { max = "4 weeks" }',
    "the age of a date": "StudyDate = { within_days = 30 }",
}


@pytest.mark.parametrize("study", GOOD.values(), ids=GOOD.keys())
def test_conditions_that_compile_fit(study: str) -> None:
    assert problems(f"{RULE}[rules.x.study]\n{study}\n") == []


WRONG = {
    "fact": ("study = { age_dys = 3 }", "$.rules.x.study"),
    "operator": ("study = { age_days = { maximum = 3 } }", "$.rules.x.study.age_days"),
    "unit": ('study = { age_days = { max = "3 mm" } }', "$.rules.x.study.age_days"),
    "table for a list": ('study = { any = { Modality = "CT" } }', "$.rules.x.study.any"),
    "fact of a volume": ("study = { spacing_mm = 3 }", "$.rules.x.study"),
    "preference": (
        "inputs.ct = { volume = { Rows = 1 }, prefer = ['thin'] }",
        "$.rules.x.inputs.ct.prefer[0]",
    ),
    "mode": ("", "$.rules.x.mode"),
    "key": ("destination = 3", "$.rules.x"),
}


@pytest.mark.parametrize(("line", "path"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_word_is_seen_by_the_editor(line: str, path: str) -> None:
    rule = RULE if line else RULE.replace("live", "alive")
    assert path in problems(rule + line)


def test_what_a_rule_inherits_is_not_missed() -> None:
    text = (
        '[defaults]\nmode = "explain"\nplatform = "gc"\ndestinations = ["pacs"]\n[rules.x]\nalgorithm = "a"\n'
    )
    assert problems(text) == []
    assert problems(text.replace("mode =", "mood =")) == ["$.defaults"]
