"""What destinations and rules say of results: segments, series numbers, kinds of segmentation."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bridge.config import load_rules, load_site
from bridge.config.rules import RuleModel
from bridge.errors import ConfigError
from bridge.flow.stages.wishes import labels_of, variant_for
from bridge.results.result import Form, Variant
from said import said

SITE = '[bridge]\nae_title = "B"\ndata = "d"\nrules = "r.toml"\n'
PACS = '[destinations.pacs]\nae_title = "P"\nhost = "pacs"\nport = 104\n'
RULE = (
    '[rules.x]\nmode = "live"\nplatform = "gc"\nalgorithm = "a"\ndestinations = ["pacs"]\n'
    '[rules.x.inputs.ct]\nvolume = { Modality = "CT" }\n'
    "[rules.x.results.segments.lungs]\n"
)


def rule(folder: Path, segments: str) -> RuleModel:
    (folder / "r.toml").write_text(RULE + segments, encoding="utf-8")
    return load_rules(folder / "r.toml").rules["x"]


@pytest.mark.parametrize(
    ("bridge", "destination", "variant"),
    [
        ("", "", Variant()),
        ("", 'segmentation = "labelmap"\n', Variant(form=Form.LABELMAP)),
        ("", "empty_frames = true\n", Variant(empty_frames=True)),
        ("", "series_number_base = 500\n", Variant(series_number_base=500)),
        ("", "series_number_base = 9000\n", Variant()),
        ("series_number_base = 500\n", "", Variant()),
        ("series_number_base = 500\n", "series_number_base = 9000\n", Variant(series_number_base=9000)),
    ],
)
def test_a_destination_differs_only_in_what_it_says(
    tmp_path: Path, bridge: str, destination: str, variant: Variant
) -> None:
    (tmp_path / "site.toml").write_text(SITE + bridge + PACS + destination, encoding="utf-8")
    site = load_site(tmp_path / "site.toml")
    assert variant_for(site, "pacs") == variant
    assert variant_for(site, "another") == Variant()


def test_a_segment_arrives_as_written_and_stays_so_when_the_rule_is_frozen(tmp_path: Path) -> None:
    written = rule(
        tmp_path,
        '1 = { name = "Right lung" }\n'
        '7 = { name = "Nodule", code = "27925004", category = "abnormal-structure", side = "left", '
        'colour = "#ff8000" }\n',
    )
    frozen = RuleModel.model_validate_json(written.model_dump_json())
    assert frozen == written
    labels = labels_of(frozen.results.segments)["lungs"]
    assert (labels[1].name, labels[1].anatomy, labels[1].rgb) == ("Right lung", None, None)
    anatomy = labels[7].anatomy
    assert anatomy is not None and anatomy.side is not None
    assert (anatomy.type.scheme, anatomy.type.code, anatomy.type.meaning) == ("SCT", "27925004", "Nodule")
    assert (anatomy.category.code, anatomy.side.code) == ("49755003", "7771000")
    assert labels[7].rgb == (255, 128, 0)


def test_rules_that_were_frozen_before_there_were_segments_are_read(tmp_path: Path) -> None:
    known = rule(tmp_path, '1 = { name = "Lung" }\n').model_dump(mode="json")
    del known["results"]["segments"]
    assert RuleModel.model_validate_json(json.dumps(known)).results.segments == {}


WRONG = {
    "background": (
        '0 = { name = "Air" }\n',
        '9: rules.x.results.segments.lungs.0: the label value "0"; expected a whole number from 1 to 65535',
    ),
    "leading zero": (
        '01 = { name = "Lung" }\n',
        '9: rules.x.results.segments.lungs.01: the label value "01"; expected a whole number from 1 to 65535',
    ),
    "no name": (
        '1 = { colour = "#ffffff" }\n',
        (
            "9: rules.x.results.segments.lungs.1.name: missing. "
            'Write name = "Right lung" under [rules.x.results.segments.lungs.1]'
        ),
    ),
    "colour by name": (
        '1 = { name = "Lung", colour = "red" }\n',
        (
            '9: rules.x.results.segments.lungs.1.colour: the text "red"; '
            'expected red, green and blue, for example "#56b4e9"'
        ),
    ),
    "side of nothing": (
        '1 = { name = "Lung", side = "left" }\n',
        "9: rules.x.results.segments.lungs.1: side without code; expected the code that it is about",
    ),
    "unknown category": (
        '1 = { name = "Lung", code = "1", category = "organ" }\n',
        (
            '9: rules.x.results.segments.lungs.1.category: the text "organ"; expected "anatomical-structure", '
            '"tissue", "abnormal-structure", "physical-object", "body-substance", "substance" or "function"'
        ),
    ),
}


@pytest.mark.parametrize(("segments", "expected"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_segment_says_line_key_and_what_is_expected(
    tmp_path: Path, segments: str, expected: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        rule(tmp_path, segments)
    assert said(caught.value) == expected
