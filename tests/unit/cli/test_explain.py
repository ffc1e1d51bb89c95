"""`bridge explain`: what each rule makes of a folder or of a study that has arrived."""

from __future__ import annotations

import shutil
from datetime import datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from pydicom import dcmread
from tests.unit.cli.received import receive
from tests.unit.cli.site_bench import Bench

from bridge.errors import BridgeError
from bridge.sandbox.phantom import make_study, write_study
from bridge.store.studies import Studies
from bridge.store.tables import pauses

RULES = """\
[rules.thin]
mode = "live"
platform = "gc"
algorithm = "lungs-and-airways"
destinations = ["pacs"]

[rules.thin.inputs.ct-image]
volume = { Modality = "CT", spacing_mm = { max = 40.0 } }

[rules.one-person]
mode = "off"
platform = "gc"
algorithm = "lungs-and-airways"
destinations = ["pacs"]
study = { PatientName = { regex = "^Nobody" } }

[rules.one-person.inputs.ct-image]
volume = { Modality = "CT" }
"""


@pytest.fixture(scope="module")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phantom")
    write_study(make_study(when=datetime(2026, 3, 1, 8, 30), scale=0.05), folder)  # noqa: DTZ001
    return folder


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path)
    (tmp_path / "rules.toml").write_text(RULES)
    return made


def name_of(bench: Bench, uid: str) -> str:
    study = Studies(bench.index).study(uid)
    assert study is not None
    return study.name


def test_folder_and_arrived_study_are_explained_alike(bench: Bench, phantom: Path) -> None:
    uid = receive(bench, phantom)
    name = name_of(bench, uid)
    folder, by_uid, by_name = (bench.json("explain", what) for what in (str(phantom), uid, name[:8]))
    assert folder == by_uid == by_name
    thin, one_person = folder["rules"]
    assert (thin["mode"], thin["outcome"]) == ("live", "match")
    assert (one_person["mode"], one_person["outcome"]) == ("off", "no-match")
    [wish] = thin["inputs"]
    reasons = [candidate["reason"] for candidate in wish["candidates"]]
    assert reasons == [
        "a localizer",
        "every condition holds",
        "spacing_mm 100.0 is above 40.0",
        "secondary capture, not a volume",
    ]
    thick = wish["candidates"][2]["checks"]
    assert [(check["keyword"], check["wanted"], check["ok"]) for check in thick] == [
        ("Modality", '"CT"', True),
        ("spacing_mm", "at most 40.0", False),
    ]


def test_values_that_may_identify_are_shown_only_when_asked_for(bench: Bench, phantom: Path) -> None:
    code, told = bench.run("explain", str(phantom))
    assert code == 0
    assert "Nobody" not in told
    assert "Phantom" not in told
    assert told.endswith("--show-values shows it\n")
    code, told = bench.run("explain", str(phantom), "--show-values")
    assert "text with /^Nobody/" in told
    assert "--show-values" not in told


def test_one_rule_of_another_file(bench: Bench, phantom: Path) -> None:
    other = bench.folder / "new.toml"
    other.write_text(RULES.replace("max = 40.0", "max = 0.1"))
    told = bench.json("explain", str(phantom), "--rules", str(other), "--rule", "thin")
    assert [(one["rule"], one["outcome"]) for one in told["rules"]] == [("thin", "no-match")]


def test_what_a_rule_inherits_is_named(bench: Bench, phantom: Path) -> None:
    other = bench.folder / "new.toml"
    other.write_text('[defaults]\nstudy = { Modality = "CT" }\nplatform = "gc"\n' + RULES)
    _, told = bench.run("explain", str(phantom), "--rules", str(other), "--rule", "thin")
    assert "from defaults: study.Modality\n" in told
    _, told = bench.run("explain", str(phantom), "--rule", "thin")
    assert "from defaults" not in told


def test_each_definition_that_was_looked_at_is_shown_with_its_reasons(bench: Bench, phantom: Path) -> None:
    rule, _, _ = RULES.partition("[rules.thin.inputs")
    other = bench.folder / "new.toml"
    other.write_text(
        f'{rule}[rules.thin.inputs.ct-image]\nvolume = ["never", "any"]\n'
        '[volumes.never]\nwhere = { Modality = "MR" }\n'
        '[volumes.any]\nwhere = { Modality = "CT" }\nprefer = ["thinnest"]\n'
    )
    code, told = bench.run("explain", str(phantom), "--rules", str(other), "--rule", "thin")
    assert code == 0
    shown = " ".join(told.split())
    assert "by any (no never)" in shown
    assert shown.index("ct-image by never") < shown.index('where the rule wants "MR"')
    assert shown.index("ct-image by never") < shown.index("ct-image by any wanted")
    (rule_told,) = bench.json("explain", str(phantom), "--rules", str(other), "--rule", "thin")["rules"]
    (wish,) = rule_told["inputs"]
    assert (wish["definition"], [one["definition"] for one in wish["earlier"]]) == ("any", ["never"])


def test_doubts_about_the_patient_are_told(bench: Bench, phantom: Path, tmp_path: Path) -> None:
    mixed = tmp_path / "mixed"
    write_study(make_study(when=datetime(2026, 3, 1, 8, 30), scale=0.05), mixed)  # noqa: DTZ001
    file = next(mixed.iterdir())
    one = dcmread(file)
    one.PatientID = "another"
    one.save_as(file)
    told = bench.json("explain", str(mixed))
    assert told["doubts"][0].startswith("STU-001: the study has 2 different Patient IDs")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("explain", "no-such-study"), "EXP-002"),
        (("explain", "."), "EXP-003"),
        (("explain", ".", "--rule", "lung"), "EXP-001"),
    ],
)
def test_what_is_not_there_is_said(
    bench: Bench, arguments: tuple[str, ...], code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.chdir(empty)
    with pytest.raises(BridgeError) as told:
        bench.run(*arguments)
    assert told.value.code == code


def test_guard_that_keeps_a_rule_away_is_named(bench: Bench, phantom: Path) -> None:
    (bench.folder / "rules.toml").write_text(
        RULES.replace("[rules.thin]\n", "[rules.thin]\nmax_study_age_days = 3\n")
    )
    told = bench.run("explain", str(phantom), "--rule", "thin")[1]
    assert "no-match: the study is older than 3 days (max_study_age_days)" in told
    uid = receive(bench, phantom)
    (bench.folder / "rules.toml").write_text(RULES)
    bench.file.write_text(
        bench.file.read_text().replace("[receive]", 'opt_out_file = "out.txt"\n\n[receive]')
    )
    told = bench.run("explain", uid, "--rule", "thin")[1]
    assert "held: the opt-out list cannot be read (no such file or directory)" in told
    patient = dcmread(next(phantom.iterdir()), stop_before_pixels=True).PatientID
    (bench.folder / "out.txt").write_text(f"{patient}\n")
    told = bench.run("explain", uid, "--rule", "thin")[1]
    assert "no-match: the patient is on the opt-out list" in told
    assert patient not in told


def test_pause_of_a_rule_is_told_beside_its_match(bench: Bench, phantom: Path) -> None:
    uid = receive(bench, phantom)
    with bench.index.write() as connection:
        connection.execute(
            sa.insert(pauses).values(
                rule="thin", code="RUL-001", reason="7 jobs today", since=1.0, resumed_at=0.0, resumed_after=0
            )
        )
    assert "the rule pauses  7 jobs today" in bench.run("explain", uid, "--rule", "thin")[1]
    assert bench.json("explain", uid, "--rule", "thin")["rules"][0]["pauses"] == "7 jobs today"


EACH = """\
[rules.every]
mode = "live"
platform = "gc"
algorithm = "lungs-and-airways"
destinations = ["pacs"]
for_each = "ct-image"
cost_per_job = 2.5

[rules.every.inputs.ct-image]
volume = { Modality = "CT" }
prefer = ["thickest"]
"""


def test_rule_for_each_volume_says_how_many_jobs_and_marks_them(bench: Bench, phantom: Path) -> None:
    (bench.folder / "rules.toml").write_text(EACH)
    (every,) = bench.json("explain", str(phantom))["rules"]
    marked = [one["label"] for one in every["inputs"][0]["candidates"] if one["chosen"]]
    assert every["jobs"] == len(marked) == 2
    said = bench.run("explain", str(phantom))[1]
    assert "ct-image is each of 2 volumes: " in said
    assert said.index(marked[1]) < said.index(marked[0]), "the preferred first"
    assert "2 jobs, 5 in all" in said


PAIR = """\
[rules.pair]
mode = "live"
platform = "gc"
algorithm = "registration"
destinations = ["pacs"]

[rules.pair.inputs.fixed]
volume = { Modality = "CT", spacing_mm = { max = 40.0 } }

[rules.pair.inputs.moving]
study = "prior"
volume = { Modality = "CT", spacing_mm = { max = 40.0 } }
"""


def test_earlier_studies_are_told_by_their_distance_and_never_by_their_date(
    bench: Bench, phantom: Path, tmp_path: Path
) -> None:
    (tmp_path / "rules.toml").write_text(PAIR)
    both = tmp_path / "both"
    shutil.copytree(phantom, both)
    before = tmp_path / "before"
    write_study(make_study(when=datetime(2025, 1, 13, 8, 30), scale=0.05), before)  # noqa: DTZ001
    for file in before.iterdir():
        shutil.copy(file, both / f"before-{file.name}")
    receive(bench, before)
    uid = receive(bench, phantom)
    told = bench.run("explain", uid)[1]
    for words in (
        "earlier studies",
        "the study 412 days before",
        "moving, the study 412 days before",
        "objects of it arrive still",
    ):
        assert words in told
    assert "2025" not in told
    folder = " ".join(bench.run("explain", str(both))[1].split())
    assert "of the study 412 days before" in folder and "the newest that fits" in folder
    assert "no earlier study of this patient is here" in folder, "of the earlier one itself"


WAITS = """\
[defaults]
mode = "live"
platform = "gc"
destinations = ["pacs"]

[rules.lobes]
algorithm = "pulmonary-lobe-segmentation"
[rules.lobes.inputs.generic-medical-image]
volume = { Modality = "CT", spacing_mm = { max = 40.0 } }

[rules.register]
algorithm = "deep-learning-based-ct-lung-registration"
[rules.register.inputs.fixed-image]
volume = { Modality = "CT", spacing_mm = { max = 40.0 } }
[rules.register.inputs.fixed-mask]
mask = "lobes"
volume = { Modality = "SEG" }

[rules.pet]
algorithm = "lungs-and-airways"
waits_for = { series = { Modality = "PT", PatientName = "Nobody" }, at_most_h = 2 }
not_before = "20:00-06:00"
[rules.pet.inputs.ct-image]
volume = { Modality = "CT", spacing_mm = { max = 40.0 } }
"""


def test_when_a_match_goes_and_why_an_input_has_no_series_at_all_are_told(
    bench: Bench, phantom: Path
) -> None:
    (bench.folder / "rules.toml").write_text(WAITS)
    said = " ".join(bench.run("explain", str(phantom))[1].split())
    assert 'waits for a series with Modality "PT", PatientName, 2 h at most; then a person is asked' in said
    assert "goes between 20:00 and 06:00 only" in said
    assert "fixed-mask - lobes has no answer yet" in said
