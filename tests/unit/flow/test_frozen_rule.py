"""A job keeps the rule that it began with, also where that took its words from a definition."""

from __future__ import annotations

from pathlib import Path

from bridge.config import RuleModel, load_rules
from bridge.flow.study.rulebook import rules_of
from intake_bench import Bench

OWN = """
[rules.lungs]
mode = "live"
platform = "gc"
algorithm = "lungs-and-airways"
destinations = ["pacs"]
[rules.lungs.inputs.ct-image]
volume = { Modality = "CT", slices = { min = 3 } }
prefer = [{ ConvolutionKernel = ["B30f"] }, "thinnest"]
repair = ["shear"]
"""
NAMED = """
[volumes.never]
where = { Modality = "MR" }
[volumes.chest]
where = { Modality = "CT", slices = { min = 3 } }
prefer = [{ ConvolutionKernel = ["B30f"] }, "thinnest"]
repair = ["shear"]
[rules.lungs]
mode = "live"
platform = "gc"
algorithm = "lungs-and-airways"
destinations = ["pacs"]
[rules.lungs.inputs.ct-image]
volume = ["never", "chest"]
"""


def _bench(folder: Path, text: str) -> Bench:
    folder.mkdir()
    bench = Bench(folder)
    (folder / "rules.toml").write_text(text)
    bench.load_rules()
    return bench


def test_the_definition_that_was_taken_is_frozen_in_its_place_and_is_the_same_job(tmp_path: Path) -> None:
    rows = []
    for name, text in (("own", OWN), ("named", NAMED)):
        bench = _bench(tmp_path / name, text)
        bench.receive("1.2.3")
        bench.pass_time(100)
        (job,) = bench.jobs.of_study("1.2.3")
        rows.append(job)
    own, named = rows
    assert named.id == own.id
    assert named.frozen == own.frozen
    kept = RuleModel.model_validate_json(named.frozen).inputs["ct-image"]
    assert kept.volume == {"Modality": "CT", "slices": {"min": 3}}
    assert kept.prefer == ({"ConvolutionKernel": ["B30f"]}, "thinnest")
    assert kept.repair == ("shear",)


FIRST_RELEASE = (
    '{"mode":"live","platform":"gc","algorithm":"lungs","version":"","destinations":["pacs"],"study":{},"inputs":'
    '{"ct":{"volume":{"Modality":"CT"},"prefer":["thinnest"],"repair":[]}},"values":{},"results":{},"cost_per_job":0.0}'
)


def test_a_rule_that_an_earlier_release_has_frozen_is_read(tmp_path: Path) -> None:
    kept = RuleModel.model_validate_json(FIRST_RELEASE)
    assert kept.inputs["ct"].own.where == {"Modality": "CT"}
    assert kept.inputs["ct"].prefer == ("thinnest",)
    assert kept.inputs["ct"].names == ()


def test_a_changed_definition_changes_the_rules_that_name_it_and_no_other(tmp_path: Path) -> None:
    bench = _bench(tmp_path / "site", NAMED)
    file = tmp_path / "site" / "rules.toml"
    before = rules_of(load_rules(file), bench.site)
    file.write_text(NAMED.replace("min = 3", "min = 9"))
    assert before.difference(rules_of(load_rules(file), bench.site)) == "changed lungs"
    file.write_text(NAMED + '[volumes.unused]\nwhere = { Modality = "PT" }\n')
    assert before.difference(rules_of(load_rules(file), bench.site)) == "nothing has changed"
