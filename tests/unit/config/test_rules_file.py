"""rules.toml: its shape, its words, and what it says to the person who got it wrong."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from bridge.config import check_rules, load_rules, load_site
from bridge.errors import ConfigError
from bridge.rules import compile_rules
from said import said

CONFIG = Path(__file__).resolve().parents[3] / "config"

RULE = '[rules.x]\nmode = "live"\nplatform = "gc"\nalgorithm = "a"\ndestinations = ["pacs"]\n'
INPUT = '[rules.x.inputs.ct]\nvolume = { Modality = "CT" }\n'
GOOD = RULE + INPUT


def conditions(text: str) -> str:
    """A rule whose volume conditions stand in line 7 and below."""
    return RULE + "[rules.x.inputs.ct.volume]\n" + text + "\n"


def test_the_example_fits_its_site_and_compiles() -> None:
    rules, site = load_rules(CONFIG / "rules.toml"), load_site(CONFIG / "site.toml")
    assert check_rules(rules, site) == []
    rule, echo, bone, head = compile_rules(rules)
    assert [one.mode for one in (echo, bone)] == ["explain", "explain"]
    assert (head.name, head.mode) == ("head", "explain")
    assert (rule.name, rule.mode, rule.algorithm) == ("lungs", "live", "lungs-and-airways")
    assert [one.name for one in rule.inputs] == ["ct-image"]
    assert [one.name for one in rule.inputs[0].wanted[0].prefer] == ["thinnest", "most-instances"]
    assert rule.results.segmentation and rule.results.measurement_report


def test_concepts_and_fixed_values_arrive_as_written(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    concept = '{ scheme = "DCM", code = "1", meaning = "m", unit = "%", unit_meaning = "percent" }'
    file.write_text(
        GOOD
        + "[rules.x.values]\nthreshold = 0.5\nnested = { list = [1, 'two', true] }\n"
        + f"[rules.x.results]\nmeasurement_report = false\nconcepts.low = {concept}\n",
        encoding="utf-8",
    )
    (rule,) = compile_rules(load_rules(file))
    assert rule.values == {"threshold": 0.5, "nested": {"list": [1, "two", True]}}
    assert rule.results.segmentation and not rule.results.measurement_report
    assert rule.results.concepts["low"].unit == "%"


def test_rule_of_one_study_needs_no_volume(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text(RULE + 'study = { StudyInstanceUID = "1.2" }\n[rules.x.values]\nct = { image = "i" }\n')
    (rule,) = compile_rules(load_rules(file))
    assert rule.inputs == ()
    assert rule.values == {"ct": {"image": "i"}}


def test_file_of_a_rule_has_its_digest_beside_the_path_that_was_written(tmp_path: Path) -> None:
    (tmp_path / "atlas.zip").write_bytes(b"content")
    digest = hashlib.sha256(b"content").hexdigest()
    file = tmp_path / "rules.toml"
    for pinned in ("", f', sha256 = "{digest}"'):
        file.write_text(GOOD + f'[rules.x.values]\natlas = {{ file = "atlas.zip"{pinned} }}\n')
        assert load_rules(file).rules["x"].values == {"atlas": {"file": "atlas.zip", "sha256": digest}}


FACTS_OF_A_VOLUME = (
    "spacing_mm, length_mm, pixel_spacing_mm, is_volume, is_isotropic, orientation, oblique_deg, tilt_deg, has_gap, "
    "units, told_apart_by, slices, rows, columns, instances"
)

ANY_STUDY = (
    "{}: rules.x.study: a rule without a volume that may fit several studies; expected study = {{ StudyInstanceUID = "
    '"…" }}, the one study that its results belong to. '
    "Its inputs are the same for every study, so its results would be filed under each person"
)

WRONG = {
    "no rule": ("", ["1: rules: missing. Add a table [rules.NAME]"]),
    "mode misspelt": (
        GOOD.replace('"live"', '"alive"'),
        [
            '2: rules.x.mode: the text "alive"; expected "off", "explain", "hold" or "live". Did you mean live?'
        ],
    ),
    "mode forgotten": (
        GOOD.replace('mode = "live"\n', ""),
        ['1: rules.x.mode: missing. Write mode = "explain" under [rules.x]'],
    ),
    "nowhere to go": (
        GOOD.replace('["pacs"]', "[]"),
        ["5: rules.x.destinations: an empty list; expected at least one entry"],
    ),
    "one destination without brackets": (
        GOOD.replace('["pacs"]', '"pacs"'),
        ['5: rules.x.destinations: the text "pacs"; expected a list in [ ]'],
    ),
    "no input": (RULE, ["1: rules.x: no input; expected a volume or a fixed value for a socket"]),
    "no volume and any study": (
        RULE + "[rules.x.values]\nn = 1\n",
        [ANY_STUDY.format(1)],
    ),
    "no volume and several studies": (
        RULE + 'study = { StudyInstanceUID = ["1.2", "1.3"] }\n[rules.x.values]\nn = 1\n',
        [ANY_STUDY.format(6)],
    ),
    "no volume and studies of a kind": (
        RULE + 'study = { StudyDescription = "CHEST" }\n[rules.x.values]\nn = 1\n',
        [ANY_STUDY.format(6)],
    ),
    "file that is not there": (
        GOOD + '[rules.x.values]\natlas = { file = "atlas.zip" }\n',
        [
            (
                "9: rules.x.values.atlas: the file cannot be read (no such file or directory); "
                "expected a file of the site"
            )
        ],
    ),
    "file that is empty": (
        GOOD + '[rules.x.values]\natlas = { file = "/dev/null" }\n',
        ["9: rules.x.values.atlas: the file is empty; expected a file with content"],
    ),
    "file that is another": (
        GOOD + '[rules.x.values]\natlas = { file = "rules.toml", sha256 = "00" }\n',
        [
            (
                "9: rules.x.values.atlas: a file with another digest; expected that of `sha256`. "
                "Put the file back, or write its new digest: it is another job then"
            )
        ],
    ),
    "any volume at all": (
        RULE + "[rules.x.inputs.ct]\nvolume = {}\n",
        ["7: rules.x.inputs.ct.volume: an empty table; expected at least one entry"],
    ),
    "result that is not known": (
        GOOD + "[rules.x.results]\nsegmentatoin = true\n",
        [
            (
                "9: rules.x.results.segmentatoin: unknown key; expected a key of [rules.x.results]. "
                "Did you mean segmentation?"
            )
        ],
    ),
    "preference misspelt": (
        GOOD + 'prefer = ["thinest"]\n',
        [
            (
                '8: rules.x.inputs.ct.prefer: the preference "thinest"; expected "thinnest", "thickest", '
                '"most-instances", "newest", "lowest-series-number". Did you mean thinnest?'
            )
        ],
    ),
    "repair misspelt": (
        GOOD + 'repair = ["shear", "resample-gap"]\n',
        [
            (
                '8: rules.x.inputs.ct.repair: the repair "resample-gap"; expected "drop-duplicates", "shear", '
                '"resample-gaps". Did you mean resample-gaps?'
            )
        ],
    ),
    "repair twice": (
        GOOD + 'repair = ["shear", "shear"]\n',
        ['8: rules.x.inputs.ct.repair: the repair "shear" twice; expected each once'],
    ),
    "mask of a rule that is not there": (
        GOOD + '[rules.x.inputs.lungs]\nmask = "studdy"\nvolume = { Modality = "SEG" }\n',
        [
            (
                '9: rules.x.inputs.lungs.mask: "studdy" is no rule; expected "study" or another rule (none yet). '
                "Did you mean study?"
            )
        ],
    ),
    "mask of the rule's own answer": (
        GOOD + '[rules.x.inputs.lungs]\nmask = "x"\nvolume = { Modality = "SEG" }\n',
        [
            (
                "9: rules.x.inputs.lungs.mask: x takes masks that come of its own answer; expected a rule whose "
                "answer does not depend on this one. Each answer would make another job, and be billed"
            )
        ],
    ),
    "preferences that exclude each other": (
        GOOD + 'prefer = ["thinnest", "thickest"]\n',
        [
            (
                "8: rules.x.inputs.ct.prefer: thinnest and thickest; expected one of the two. "
                "The second of them would never decide"
            )
        ],
    ),
    "socket twice": (
        GOOD + "[rules.x.values]\nct = 1\n",
        ["9: rules.x.values.ct: the socket has a volume and a fixed value; expected one of the two"],
    ),
    "operator misspelt": (
        conditions("spacing_mm = { maximum = 2.0 }"),
        [
            (
                "7: rules.x.inputs.ct.volume.spacing_mm.maximum: unknown operator; expected one of regex, min, max, "
                "contains, present, not, within_days, older_than_days, any_item. Did you mean max?"
            )
        ],
    ),
    "operand of another kind": (
        conditions('spacing_mm = { max = "2.0" }'),
        [
            (
                "7: rules.x.inputs.ct.volume.spacing_mm.max: text; expected a number, in mm or with a unit behind "
                "it: mm, cm, m"
            )
        ],
    ),
    "yes and no": (
        conditions("BurnedInAnnotation = false"),
        [
            (
                "7: rules.x.inputs.ct.volume.BurnedInAnnotation: false; expected text or a number. "
                "Whether there is a value at all is asked by { present = true }"
            )
        ],
    ),
    "date": (
        conditions("StudyDate = 2026-02-01"),
        [
            (
                "7: rules.x.inputs.ct.volume.StudyDate: a date or time; expected text or a number. "
                'Write it as DICOM does, in quotes: "20260131"'
            )
        ],
    ),
    "list of nothing": (
        conditions("Modality = []"),
        ["7: rules.x.inputs.ct.volume.Modality: an empty list; expected at least one value"],
    ),
    "wrong inside a not": (
        conditions("Modality = { not = { regex = 3 } }"),
        ["7: rules.x.inputs.ct.volume.Modality.not.regex: a number; expected text"],
    ),
    "keyword misspelt": (
        conditions('Modality = "CT"\nConvolutionKernal = "L"'),
        [
            (
                "8: rules.x.inputs.ct.volume.ConvolutionKernal: no DICOM keyword; expected a keyword or one of "
                f"{FACTS_OF_A_VOLUME}. "
                "Did you mean ConvolutionKernel?"
            )
        ],
    ),
    "fact misspelt": (
        conditions("spacing = { max = 2.0 }"),
        [
            (
                "7: rules.x.inputs.ct.volume.spacing: no DICOM keyword; expected a keyword or one of "
                f"{FACTS_OF_A_VOLUME}. Did you mean spacing_mm?"
            )
        ],
    ),
    "tag instead of a keyword": (
        conditions('"(0018,1210)" = "L"'),
        [
            (
                '7: rules.x.inputs.ct.volume."(0018,1210)": no DICOM keyword; expected a keyword or one of '
                f"{FACTS_OF_A_VOLUME}. "
                "Write its keyword, ConvolutionKernel"
            )
        ],
    ),
    "fact of the study asked of a volume": (
        conditions("age_days = { max = 3 }"),
        [
            (
                "7: rules.x.inputs.ct.volume.age_days: a fact that a volume does not have; expected a DICOM keyword "
                f"or one of {FACTS_OF_A_VOLUME}. "
                "Write it under study"
            )
        ],
    ),
    "sequence": (
        conditions('AnatomicRegionSequence = "T-D3000"'),
        [
            (
                "7: rules.x.inputs.ct.volume.AnatomicRegionSequence: the attribute is a sequence; expected the path "
                'of an attribute in it. For example "AnatomicRegionSequence.CodeValue" = "…"'
            )
        ],
    ),
    "regular expression that is none": (
        conditions("SeriesDescription = { regex = '(?i)(thin' }"),
        [
            (
                "7: rules.x.inputs.ct.volume.SeriesDescription.regex: no regular expression: missing ), unterminated "
                'subpattern at character 5; expected for example "(?i)thin". A backslash is safest in single quotes'
            )
        ],
    ),
    "range of nothing": (
        conditions("spacing_mm = { min = 2, max = 1.5 }"),
        ["7: rules.x.inputs.ct.volume.spacing_mm: min 2 is above max 1.5; expected min below max"],
    ),
    "range of a text": (
        conditions("Modality = { max = 2 }"),
        [
            (
                "7: rules.x.inputs.ct.volume.Modality.max: max asks for a number; expected an operator for the "
                "texts of Modality: regex, contains, present, not"
            )
        ],
    ),
    "number in quotes": (
        conditions('SliceThickness = ["1.0", 2]'),
        [
            (
                "7: rules.x.inputs.ct.volume.SliceThickness[0]: text; expected a number, as SliceThickness holds. "
                "Remove the quotes"
            )
        ],
    ),
}


@pytest.mark.parametrize(("text", "expected"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_file_says_line_key_and_what_to_do(tmp_path: Path, text: str, expected: list[str]) -> None:
    file = tmp_path / "rules.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        compile_rules(load_rules(file))
    every = (caught.value, *caught.value.others)
    assert [said(one) for one in every] == expected


def test_a_condition_that_looks_for_a_person_is_not_repeated(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    for wrong in ("{ regex = '(Quimby' }", "{ max = 'Quimby' }", "{ contains = ['Quimby'] }", "[['Quimby']]"):
        file.write_text(conditions(f"PatientName = {wrong}"), encoding="utf-8")
        with pytest.raises(ConfigError) as caught:
            compile_rules(load_rules(file))
        assert "Quimby" not in str(caught.value)


def test_all_wrong_words_come_at_once_each_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text(conditions("Modalty = 'CT'\nspacing = 1\nRows = '3'"), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        compile_rules(load_rules(file))
    assert [one.line for one in (caught.value, *caught.value.others)] == [7, 8, 9]


def test_names_that_the_site_does_not_know(tmp_path: Path) -> None:
    site_file, rules_file = tmp_path / "site.toml", tmp_path / "rules.toml"
    site_file.write_text(
        '[bridge]\nae_title = "B"\ndata = "d"\nrules = "rules.toml"\n'
        '[destinations.pacs1]\nae_title = "P"\nhost = "h"\nport = 1\n',
        encoding="utf-8",
    )
    rules_file.write_text(GOOD.replace('["pacs"]', '["pacs1", "pacs"]'), encoding="utf-8")
    problems = check_rules(load_rules(rules_file), load_site(site_file))
    assert [said(one) for one in problems] == [
        (
            '3: rules.x.platform: "gc" is not among the accounts of site.toml; expected one of its accounts '
            f"(none yet). Add [accounts.gc] to {site_file}"
        ),
        (
            '5: rules.x.destinations[1]: "pacs" is not among the destinations of site.toml; expected one of its '
            "destinations (pacs1). Did you mean pacs1?"
        ),
    ]
    assert {one.code for one in problems} == {"CFG-008"}
