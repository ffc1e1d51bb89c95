"""`bridge replay`: other rules over the studies that arrived."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.unit.cli.received import receive
from tests.unit.cli.site_bench import Bench

from bridge.errors import ConfigError
from bridge.sandbox.phantom import make_study, write_study
from bridge.store.studies import Studies
from bridge.store.tables import studies

RULES = """\
[rules.thin]
mode = "live"
platform = "gc"
algorithm = "lungs-and-airways"
destinations = ["pacs"]
cost_per_job = 20.0

[rules.thin.inputs.ct-image]
volume = { Modality = "CT", spacing_mm = { max = 40.0 } }
"""
THICK = RULES.replace("max = 40.0", "min = 50.0")
NONE = RULES.replace("max = 40.0", "max = 0.1")
TIE = RULES.replace(", spacing_mm = { max = 40.0 }", "")
OFF = RULES.replace('"live"', '"off"')
ELSEWHERE = RULES.replace("lungs-and-airways", "another-algorithm")
DEARER = RULES.replace("20.0", "30.0")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path)
    (tmp_path / "rules.toml").write_text(RULES)
    folder = tmp_path / "sent"
    write_study(make_study(when=datetime(2026, 3, 1, 8, 30), scale=0.05), folder)  # noqa: DTZ001
    made.uid = receive(made, folder)  # type: ignore[attr-defined]
    return made


def tried(bench: Bench, rules: str, *more: str) -> dict[str, object]:
    file = bench.folder / "new.toml"
    file.write_text(rules)
    told: dict[str, object] = bench.json("replay", "--rules", str(file), *more)
    return told


@pytest.mark.parametrize(
    ("before", "after", "change", "now", "then"),
    [
        (RULES, RULES, "as before", 1, 1),
        (RULES, DEARER, "as before", 1, 1),
        (NONE, RULES, "newly runs", 0, 1),
        (OFF, RULES, "newly runs", 0, 1),
        (RULES, NONE, "no longer runs", 1, 0),
        (RULES, OFF, "no longer runs", 1, 0),
        (RULES, THICK, "runs on something else", 1, 1),
        (RULES, ELSEWHERE, "runs on something else", 1, 1),
        (NONE, TIE, "a person is asked", 0, 0),
        (RULES, TIE, "no longer runs", 1, 0),
    ],
)
def test_each_change_of_a_rule_is_counted(
    bench: Bench, before: str, after: str, change: str, now: int, then: int
) -> None:
    (bench.folder / "rules.toml").write_text(before)
    told = tried(bench, after)
    rule = told["rules"]["thin"]  # type: ignore[index]
    # The study of the bench itself has no objects: nothing runs on it, before or after.
    others = {"as before": 1} if change != "as before" else {}
    counts = {name: count for name, count in rule.items() if count and not name.startswith("jobs")}
    assert counts == {change: 2 if change == "as before" else 1} | others
    assert (rule["jobs_now"], rule["jobs_then"]) == (now, then)
    assert len(told["differences"]) == (change != "as before")  # type: ignore[arg-type]


def test_cost_is_that_of_each_file(bench: Bench) -> None:
    told = tried(bench, DEARER)
    assert (told["cost_now"], told["cost_then"]) == (20.0, 30.0)
    told = tried(bench, RULES + RULES.replace("rules.thin", "rules.again"))
    assert (told["cost_now"], told["cost_then"]) == (20.0, 40.0)


def test_study_in_doubt_runs_under_no_rule(bench: Bench) -> None:
    with bench.index.write() as connection:
        connection.execute(sa.update(studies).values(doubts="STU-001.abcdef"))
    told = tried(bench, RULES)
    assert told["rules"]["thin"]["jobs_now"] == 0  # type: ignore[index]


def test_age_of_a_study_is_that_of_its_day(bench: Bench) -> None:
    """A study that was young when it came is young in the replay, whenever that is."""
    young = RULES.replace("[rules.thin.inputs", "study = { age_days = { max = 3 } }\n[rules.thin.inputs")
    came = datetime(2026, 3, 2, 12, 0).timestamp()  # noqa: DTZ001
    with bench.index.write() as connection:
        connection.execute(sa.update(studies).values(last_at=came))
    days = int((time.time() - came) / 86400) + 2
    assert tried(bench, young, "--since", f"{days}d")["rules"]["thin"]["jobs_then"] == 1  # type: ignore[index]
    assert tried(bench, young, "--since", f"{days - 4}d")["studies"] == 0


def test_nothing_is_written(bench: Bench) -> None:
    before = Studies(bench.index).study(bench.uid)  # type: ignore[attr-defined]
    tried(bench, THICK)
    assert Studies(bench.index).study(bench.uid) == before  # type: ignore[attr-defined]
    assert bench.jobs.all() == []


def test_table_names_no_person(bench: Bench) -> None:
    file = bench.folder / "new.toml"
    file.write_text(THICK)
    code, told = bench.run("replay", "--rules", str(file))
    assert code == 0
    assert "runs on something else" in told
    assert "Phantom" not in told
    assert bench.uid not in told  # type: ignore[attr-defined]


@pytest.mark.parametrize("since", ["", "30", "d", "0d", "-3d", "30 d", "30y"])
def test_span_that_is_none(bench: Bench, since: str) -> None:
    with pytest.raises(ConfigError) as told:
        bench.run("replay", "--rules", str(bench.folder / "rules.toml"), "--since", since)
    assert told.value.code == "EXP-010"


def test_guards_are_taken_into_account(bench: Bench) -> None:
    test = bench.file.read_text() + '\n[test_patients]\nModality = "CT"\n'
    bench.file.write_text(test)
    told = tried(bench, RULES)
    assert told["rules"]["thin"]["jobs_then"] == 0  # type: ignore[index]
    told = tried(bench, RULES.replace("cost_per_job", 'test_patients = "run"\ncost_per_job'))
    assert told["rules"]["thin"]["newly runs"] == 1  # type: ignore[index]


def test_budget_that_would_be_exceeded_is_named(bench: Bench) -> None:
    more = "[rules.thin]\njobs_per_day = 1\njobs_per_month = 1\n"
    tight = RULES.replace("[rules.thin]\n", more)
    assert tried(bench, tight)["beyond"] == []
    sent = bench.folder / "again"
    write_study(make_study(when=datetime(2026, 3, 2, 8, 30), scale=0.05), sent)  # noqa: DTZ001
    assert receive(bench, sent) != bench.uid  # type: ignore[attr-defined]
    file = bench.folder / "new.toml"
    file.write_text(tight)
    told = bench.run("replay", "--rules", str(file))[1]
    assert "thin: more matches than jobs_per_day = 1 on 1 day, at most 2" in told
    assert "thin: more matches than jobs_per_month = 1 on 1 month, at most 2" in told


def test_rule_for_each_volume_counts_and_costs_each(bench: Bench) -> None:
    (bench.folder / "rules.toml").write_text(RULES)
    every = TIE.replace("cost_per_job", 'for_each = "ct-image"\ncost_per_job')
    told = tried(bench, every)
    rule = told["rules"]["thin"]  # type: ignore[index]
    many = rule["jobs_then"]
    assert many > 1
    assert (rule["jobs_now"], rule["runs on something else"]) == (1, 1)
    assert (told["cost_now"], told["cost_then"]) == (20.0, 20.0 * many)
    (one,) = told["differences"]  # type: ignore[misc]
    assert (one["jobs_before"], one["jobs_after"], one["more"]) == (1, many, many - 1)
    file = bench.folder / "new.toml"
    file.write_text(every.replace("[rules.thin]\n", f"[rules.thin]\njobs_per_day = {many - 1}\n"))
    said = bench.run("replay", "--rules", str(file))[1]
    assert f"{many - 1} jobs that the new rules make and the present ones do not" in said
    assert f"thin: more matches than jobs_per_day = {many - 1} on 1 day, at most {many}" in said


PAIR = (
    RULES
    + """
[rules.thin.inputs.moving]
study = "prior"
volume = { Modality = "CT", spacing_mm = { max = 40.0 } }
"""
)


@pytest.mark.parametrize(("came", "jobs"), [(-3600.0, 1), (3600.0, 0)])
def test_prior_counts_when_it_had_come_before(bench: Bench, came: float, jobs: int) -> None:
    folder = bench.folder / "before"
    write_study(make_study(when=datetime(2025, 1, 13, 8, 30), scale=0.05), folder)  # noqa: DTZ001
    prior = receive(bench, folder)
    current = Studies(bench.index).study(bench.uid)  # type: ignore[attr-defined]
    assert current is not None
    with bench.index.write() as connection:
        connection.execute(
            sa.update(studies)
            .where(studies.c.study_instance_uid == prior)
            .values(first_at=current.last_at + came, last_at=current.last_at + came)
        )
    assert tried(bench, PAIR)["rules"]["thin"]["jobs_then"] == jobs  # type: ignore[index]
