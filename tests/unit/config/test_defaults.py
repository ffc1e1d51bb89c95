"""`[defaults]`: what a rule inherits, what it keeps for itself, and where a mistake in it is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.config import RuleModel, RulesFile, check_rules, load_rules, load_site
from bridge.config.load import Place
from bridge.errors import ConfigError
from bridge.rules import compile_rules
from said import said

DEFAULTS = """\
[defaults]
mode = "explain"
platform = "gc"
destinations = ["pacs"]
study = { age_days = { max = 30 }, Modality = "CT" }
[defaults.values]
threshold = { low = 1, high = 2 }
[defaults.results]
picture = true
[defaults.results.concepts.low]
scheme = "DCM"
code = "1"
meaning = "m"
"""
RULE = '[rules.{0}]\nalgorithm = "{0}"\n[rules.{0}.inputs.ct]\nvolume = {{ Modality = "CT" }}\n'


def loaded(folder: Path, text: str) -> RulesFile:
    file = folder / "rules.toml"
    file.write_text(text, encoding="utf-8")
    return load_rules(file)


def problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        compile_rules(loaded(folder, text))
    return [said(one) for one in (caught.value, *caught.value.others)]


def test_a_rule_has_what_it_does_not_say(tmp_path: Path) -> None:
    rules = loaded(tmp_path, DEFAULTS + RULE.format("a") + RULE.format("b"))
    for rule in rules.rules.values():
        assert (rule.mode, rule.platform, rule.destinations) == ("explain", "gc", ("pacs",))
        assert rule.results.picture
    assert [one.algorithm for one in compile_rules(rules)] == ["a", "b"]


OWN = """\
[rules.a]
mode = "live"
algorithm = "a"
destinations = ["archive"]
study = { age_days = { min = 1 }, Manufacturer = "ACME" }
values = { threshold = { low = 5 }, other = 1 }
[rules.a.inputs.ct]
volume = { Modality = "CT" }
[rules.a.results]
segmentation = false
concepts = { low = { meaning = "own" } }
"""


def test_what_a_rule_says_wins_key_by_key_and_a_condition_is_one_value(tmp_path: Path) -> None:
    rule = loaded(tmp_path, DEFAULTS + OWN).rules["a"]
    assert (rule.mode, rule.platform, rule.destinations) == ("live", "gc", ("archive",))
    assert rule.study == {"age_days": {"min": 1}, "Manufacturer": "ACME", "Modality": "CT"}
    assert rule.values == {"threshold": {"low": 5}, "other": 1}
    assert (rule.results.picture, rule.results.segmentation) == (True, False)
    concept = rule.results.concepts["low"]
    assert (concept.scheme, concept.code, concept.meaning) == ("DCM", "1", "own")


def test_a_compiled_rule_knows_what_it_inherited(tmp_path: Path) -> None:
    (rule,) = compile_rules(loaded(tmp_path, DEFAULTS + OWN))
    assert rule.inherited == {
        "platform",
        "study.Modality",
        "results.picture",
        "results.concepts.low.scheme",
        "results.concepts.low.code",
    }


def test_the_origin_of_a_value_is_where_it_is_written(tmp_path: Path) -> None:
    document = loaded(tmp_path, DEFAULTS + OWN).document
    assert document.origin(("rules", "a", "platform")) == ("defaults", "platform")
    assert document.place_of(document.origin(("rules", "a", "platform"))) == Place(line=3, column=1)
    assert document.origin(("rules", "a", "study", "Modality")) == ("defaults", "study", "Modality")
    for own in (("mode",), ("study", "age_days"), ("study", "age_days", "max"), ("results", "segmentation")):
        assert document.origin(("rules", "a", *own)) == ("rules", "a", *own)


def test_without_defaults_nothing_is_inherited(tmp_path: Path) -> None:
    whole = RULE.format("a").replace(
        "algorithm", 'mode = "off"\nplatform = "p"\ndestinations = ["d"]\nalgorithm'
    )
    rules = loaded(tmp_path, whole)
    assert rules.inherited == {}
    assert compile_rules(rules)[0].inherited == frozenset()


def test_a_frozen_rule_is_whole_and_an_old_one_can_be_read(tmp_path: Path) -> None:
    rule = loaded(tmp_path, DEFAULTS + OWN).rules["a"]
    assert RuleModel.model_validate_json(rule.model_dump_json()) == rule
    old = (
        '{"mode":"live","platform":"gc","algorithm":"a","version":"","destinations":["pacs"],'
        '"study":{"age_days":{"max":30}},"inputs":{"ct":{"volume":{"Modality":"CT"},"prefer":["thinnest"]}},'
        '"values":{},"results":{"segmentation":true}}'
    )
    assert RuleModel.model_validate_json(old).inputs["ct"].prefer == ("thinnest",)


TWO = RULE.format("a") + RULE.format("b")
WRONG = {
    "key": (
        DEFAULTS.replace("platform =", "platfrom ="),
        ["3: defaults.platfrom: unknown key; expected a key of [defaults]. Did you mean platform?"],
    ),
    "type": (DEFAULTS.replace('"gc"', "3"), ["3: defaults.platform: the number 3; expected text"]),
    "no table": ("defaults = 3\n", None),
    "operator": (
        DEFAULTS.replace("max = 30", "max = true"),
        ["5: defaults.study.age_days.max: true; expected a number"],
    ),
    "word": (DEFAULTS.replace("age_days", "age_dys"), ["5: defaults.study.age_dys: no DICOM keyword"]),
    "inside a table": (
        DEFAULTS.replace("picture = true", "picture = 1"),
        ["9: defaults.results.picture: the number 1; expected true or false"],
    ),
    "missing inside a table": (
        DEFAULTS.replace('code = "1"\n', ""),
        ['10: defaults.results.concepts.low.code: missing. Write code = "118565006" under [defaults.'],
    ),
    "a file that is not there": (
        DEFAULTS.replace("{ low = 1, high = 2 }", '{ file = "none.zip" }'),
        ["7: defaults.values.threshold: the file cannot be read (no such file or directory)"],
    ),
}


@pytest.mark.parametrize(("defaults", "expected"), WRONG.values(), ids=WRONG.keys())
def test_a_mistake_in_the_defaults_is_said_once_and_there(
    tmp_path: Path, defaults: str, expected: list[str] | None
) -> None:
    found = problems(tmp_path, defaults + TWO)
    if expected is None:
        assert found[0].startswith("1: defaults: the number 3; expected a table")
        return
    assert len(found) == len(expected)
    assert all(one.startswith(wanted) for one, wanted in zip(found, expected, strict=True)), found


def test_a_mistake_of_the_rule_stays_with_the_rule(tmp_path: Path) -> None:
    text = DEFAULTS + RULE.format("a").replace(
        "[rules.a.inputs", 'study = { age_days = "x" }\n[rules.a.inputs'
    )
    (only,) = problems(tmp_path, text)
    assert only.startswith("16: rules.a.study.age_days: text; expected a number, as age_days holds")


def test_names_of_the_defaults_are_looked_up_in_the_site(tmp_path: Path) -> None:
    site = tmp_path / "site.toml"
    site.write_text('[bridge]\nae_title = "B"\ndata = "d"\nrules = "rules.toml"\n', encoding="utf-8")
    found = check_rules(loaded(tmp_path, DEFAULTS + RULE.format("a")), load_site(site))
    assert [(one.line, one.column, one.key) for one in found] == [
        (3, 1, "defaults.platform"),
        (4, 17, "defaults.destinations[0]"),
    ]
