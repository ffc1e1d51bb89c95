"""Earlier studies of the same patient, from their arrival to the job; in whatever order they come."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from bridge.flow.acts.rerun import rerun
from bridge.store.jobs import JobState
from bridge.store.patients import LOOK_BACK_S
from bridge.store.retention import Retention
from bridge.store.studies import DECIDED
from bridge.store.tables import decisions, instances, patients
from intake_bench import Bench

RULE = """
[rules.pair]
mode = "live"
platform = "gc"
algorithm = "registration"
destinations = ["pacs"]
{more}
[rules.pair.inputs.fixed]
volume = {{ Modality = "CT" }}
[rules.pair.inputs.moving]
study = "prior"
volume = {{ Modality = "CT" }}
"""
TODAY = date(2026, 3, 1)
"""Of the bench."""
CURRENT, PRIOR, OLDER = "1.2", "1.3", "1.4"


def bench_of(folder: Path, more: str = "") -> Bench:
    bench = Bench(folder)
    (folder / "rules.toml").write_text(RULE.format(more=more))
    bench.load_rules()
    return bench


def send(bench: Bench, study: str, days: int, slices: int = 4, **attributes: Any) -> list[Dataset]:
    """A CT so many days before today, and its quiet period. Its pixels are its own."""
    day = f"{TODAY - timedelta(days=days):%Y%m%d}"
    made = bench.receive(
        study, slices, **({"StudyDate": day, "StudyTime": "1030", "RescaleIntercept": -days} | attributes)
    )
    bench.pass_time(30.0)
    return made


def settle(bench: Bench) -> None:
    for _ in range(3):
        bench.pass_time(1.0)


def pairs(bench: Bench) -> set[tuple[str, str]]:
    """The studies of both inputs of every job that stands."""
    found = set()
    for job in bench.jobs.all():
        if job.state is not JobState.CANCELLED:
            held = bench.instances.by_number(
                n for numbers in json.loads(job.inputs).values() for n in numbers
            )
            inputs = json.loads(job.inputs)
            found.add(
                tuple(held[inputs[name][0]].study_instance_uid for name in ("fixed", "moving"))  # type: ignore[arg-type]
            )
    return found


def reason(bench: Bench, study: str = CURRENT) -> str:
    return bench.outcome(study)[1]


def priors_told(bench: Bench, study: str = CURRENT) -> dict[str, str]:
    (decision,) = bench.decisions.of_study(study)
    return {one["name"]: one["reason"] for one in json.loads(decision.explanation)["priors"]}


def test_current_study_takes_the_prior_that_is_here(tmp_path: Path) -> None:
    bench = bench_of(tmp_path)
    send(bench, PRIOR, 412)
    assert reason(bench, PRIOR) == "moving: no earlier study of this patient is here"
    send(bench, CURRENT, 0)
    assert pairs(bench) == {(CURRENT, PRIOR)}
    assert bench.job().study_instance_uid == CURRENT
    assert "of the study 412 days before" in reason(bench)


def test_prior_that_comes_later_is_looked_at_once(tmp_path: Path) -> None:
    bench = bench_of(tmp_path)
    send(bench, CURRENT, 0)
    assert bench.jobs.all() == []
    send(bench, PRIOR, 412)
    settle(bench)
    assert pairs(bench) == {(CURRENT, PRIOR)}
    send(bench, OLDER, 900)
    settle(bench)
    assert pairs(bench) == {(CURRENT, PRIOR), (PRIOR, OLDER)}, "the prior is a study that wants one, too"


def test_studies_do_not_wake_each_other_for_ever(tmp_path: Path) -> None:
    bench = bench_of(tmp_path)
    # Neither is earlier than the other, so both want a prior and have none.
    send(bench, CURRENT, 0)
    send(bench, PRIOR, 0)
    settle(bench)
    assert {bench.study(one).state for one in (CURRENT, PRIOR)} == {DECIDED}
    before = {one: bench.study(one).opened_at for one in (CURRENT, PRIOR)}
    settle(bench)
    assert {one: bench.study(one).opened_at for one in (CURRENT, PRIOR)} == before


def test_prefetched_priors_trigger_nothing_by_themselves(tmp_path: Path) -> None:
    bench = bench_of(tmp_path, "max_study_age_days = 30")
    send(bench, OLDER, 900)
    send(bench, PRIOR, 412)
    assert bench.jobs.all() == []
    send(bench, CURRENT, 0)
    assert pairs(bench) == {(CURRENT, PRIOR)}


def test_study_that_came_long_ago_is_not_looked_at_again(tmp_path: Path) -> None:
    bench = bench_of(tmp_path)
    send(bench, CURRENT, 0)
    bench.now += LOOK_BACK_S
    send(bench, PRIOR, 412)
    settle(bench)
    assert bench.jobs.all() == []


def test_prior_that_still_arrives_is_waited_for(tmp_path: Path) -> None:
    bench = bench_of(tmp_path)
    send(bench, OLDER, 900)
    bench.receive(CURRENT, StudyDate="20260301")
    bench.now += 25.0
    bench.receive(PRIOR, 2, StudyDate="20250101", RescaleIntercept=-7)
    bench.pass_time(8.0)
    assert "objects of it arrive still" in reason(bench)
    bench.receive(PRIOR, 2, first=2, StudyDate="20250101", RescaleIntercept=-7)
    bench.pass_time(30.0)
    settle(bench)
    assert (CURRENT, PRIOR) in pairs(bench) and (CURRENT, OLDER) not in pairs(bench)
    (job,) = [one for one in bench.jobs.all() if one.study_instance_uid == CURRENT]
    assert len(json.loads(job.inputs)["moving"]) == 4, "all of it"


NEVER: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "another Patient ID": ({}, {"PatientID": "C-2"}),
    "no Patient ID": ({}, {"PatientID": ""}),
    "no Patient ID in either": ({"PatientID": ""}, {"PatientID": ""}),
    "another issuer": ({"IssuerOfPatientID": "A"}, {"IssuerOfPatientID": "B"}),
    "an issuer in one of them": ({"IssuerOfPatientID": "A"}, {}),
    "another birth date": ({"PatientBirthDate": "19700101"}, {"PatientBirthDate": "19700102"}),
    "another name": ({}, {"PatientName": "Robin^Red"}),
    "a date that cannot be read": ({}, {"StudyDate": "yesterday"}),
    "no date": ({}, {"StudyDate": ""}),
    "a newer date": ({"StudyDate": "20260101"}, {"StudyDate": "20260102"}),
    "the same day, later": ({"StudyTime": "0800"}, {"StudyDate": "20260301", "StudyTime": "0801"}),
    "the same day, without a time": ({}, {"StudyDate": "20260301", "StudyTime": ""}),
    "the same moment": ({"StudyTime": "0800"}, {"StudyDate": "20260301", "StudyTime": "080000.0"}),
    "no date of the current one": ({"StudyDate": ""}, {}),
}


@pytest.mark.filterwarnings("ignore:Invalid value for VR")
@pytest.mark.parametrize(("current", "prior"), NEVER.values(), ids=NEVER.keys())
def test_what_is_never_a_prior(tmp_path: Path, current: dict[str, Any], prior: dict[str, Any]) -> None:
    bench = bench_of(tmp_path)
    send(bench, PRIOR, 412, **prior)
    send(bench, CURRENT, 0, **current)
    settle(bench)
    assert [job for job in bench.jobs.all() if job.study_instance_uid == CURRENT] == []
    assert bench.outcome(CURRENT)[0] == "no-match"


ALIKE: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "padding": ({"PatientID": "C-1 "}, {"PatientID": " C-1"}),
    "the same issuer": ({"IssuerOfPatientID": "A"}, {"IssuerOfPatientID": "A"}),
    "a birth date in one of them": ({"PatientBirthDate": "19700101"}, {}),
    "case of the name": ({"PatientName": "CANARY^YELLOW"}, {}),
    "the same day, earlier": ({"StudyTime": "0800"}, {"StudyDate": "20260301", "StudyTime": "075959"}),
}


@pytest.mark.parametrize(("current", "prior"), ALIKE.values(), ids=ALIKE.keys())
def test_what_is_a_prior_all_the_same(tmp_path: Path, current: dict[str, Any], prior: dict[str, Any]) -> None:
    bench = bench_of(tmp_path)
    send(bench, PRIOR, 412, **prior)
    send(bench, CURRENT, 0, **current)
    assert pairs(bench) == {(CURRENT, PRIOR)}


def test_prior_in_doubt_is_passed_over_and_that_is_said(tmp_path: Path) -> None:
    bench = bench_of(tmp_path)
    send(bench, OLDER, 900)
    bench.receive(PRIOR, 2, StudyDate="20250101", IssuerOfPatientID="A")
    bench.receive(PRIOR, 2, first=2, StudyDate="20250101", IssuerOfPatientID="B")
    bench.pass_time(30.0)
    send(bench, CURRENT, 0)
    assert pairs(bench) == {(CURRENT, OLDER)}
    # The index finds nothing by an issuer that the current study does not name.
    assert set(priors_told(bench)) == {"the study 900 days before"}


def test_issuer_that_only_the_prior_names_keeps_it_out(tmp_path: Path) -> None:
    bench = bench_of(tmp_path)
    bench.receive(PRIOR, 2, StudyDate="20250228", IssuerOfPatientID="A")
    bench.receive(PRIOR, 2, first=2, StudyDate="20250228")
    bench.pass_time(30.0)
    send(bench, CURRENT, 0)
    assert priors_told(bench) == {
        "the study 366 days before": "the studies have different issuers of Patient IDs"
    }


def test_prior_with_a_birth_date_too_many_is_named_without_it(tmp_path: Path) -> None:
    bench = bench_of(tmp_path)
    bench.receive(PRIOR, 2, StudyDate="20250228", PatientBirthDate="19700101")
    bench.receive(PRIOR, 2, first=2, StudyDate="20250228", PatientBirthDate="19700102")
    bench.pass_time(30.0)
    send(bench, CURRENT, 0)
    assert priors_told(bench) == {"the study 366 days before": "the studies have different birth dates"}
    with bench.index.read() as connection:
        told = connection.execute(sa.select(decisions.c.explanation, decisions.c.reason)).all()
    assert not [row for row in told if "1970" in str(row) or "C-1" in row.reason]


def test_series_in_two_studies_keeps_the_prior_out(tmp_path: Path) -> None:
    bench = bench_of(tmp_path)
    send(bench, PRIOR, 412)
    send(bench, "1.9", 800, PatientID="other", SeriesInstanceUID=f"{PRIOR}.1")
    send(bench, CURRENT, 0)
    assert priors_told(bench)["the study 412 days before"].startswith("STU-006: ")


def test_accepted_doubt_lets_the_current_study_look_again(tmp_path: Path) -> None:
    bench = bench_of(tmp_path)
    send(bench, OLDER, 900)
    send(bench, PRIOR, 412)
    send(bench, "1.9", 800, PatientID="other", SeriesInstanceUID=f"{PRIOR}.1")
    bench.studies.decide_again([PRIOR])
    settle(bench)
    send(bench, CURRENT, 0, slices=5)
    assert (CURRENT, OLDER) in pairs(bench)
    assert bench.studies.accept(bench.study(PRIOR).name)
    settle(bench)
    # The rule has what it wanted; nobody asks twice.
    assert (CURRENT, PRIOR) not in pairs(bench)


def test_nothing_of_the_patient_stands_in_the_new_tables(tmp_path: Path) -> None:
    bench = bench_of(tmp_path)
    send(bench, CURRENT, 0, PatientID="C-1", IssuerOfPatientID="HOUSE")
    with bench.index.read() as connection:
        (row,) = connection.execute(sa.select(patients)).all()
    assert row.study_instance_uid == CURRENT
    assert len(row.patient) == 12 and set(row.patient) <= set("0123456789abcdef")


def test_studies_of_an_earlier_release_are_filled_in(tmp_path: Path) -> None:
    bench = bench_of(tmp_path)
    send(bench, PRIOR, 412)
    send(bench, OLDER, 500, PatientID="")
    with bench.index.write() as connection:
        connection.execute(sa.delete(patients))
    send(bench, CURRENT, 0)
    assert bench.jobs.all() == []
    assert [bench.instances.patients.fill(1) for _ in range(3)] == [1, 1, 0]
    bench.studies.decide_again([CURRENT])
    settle(bench)
    assert pairs(bench) == {(CURRENT, PRIOR)}


def drop(bench: Bench, study: str) -> None:
    """As retention does."""
    with bench.index.write() as connection:
        rows = connection.execute(
            sa.update(instances)
            .where(instances.c.study_instance_uid == study)
            .values(dropped_at=bench.now)
            .returning(instances.c.file)
        ).all()
    for row in rows:
        (bench.instances._files.folder / row.file).unlink()


def test_pixels_of_a_prior_that_are_gone_are_asked_for_and_then_used(tmp_path: Path) -> None:
    bench = bench_of(tmp_path)
    sent = send(bench, PRIOR, 412)
    drop(bench, PRIOR)
    send(bench, CURRENT, 0)
    assert bench.outcome(CURRENT)[0] == "held"
    assert "STU-010: the pixels of 4 of 8 chosen objects are gone" in reason(bench)
    assert "Send the earlier study again" in reason(bench)
    for one in sent:
        bench.keep(one)
    bench.pass_time(30.0)
    settle(bench)
    assert pairs(bench) == {(CURRENT, PRIOR)}
    assert "study-held" not in bench.alert_kinds()


@pytest.mark.parametrize(
    ("state", "stays"), [(JobState.RUNNING, True), (JobState.FAILED, True), (JobState.DONE, False)]
)
def test_pixels_of_a_prior_stay_while_a_job_needs_them(tmp_path: Path, state: JobState, stays: bool) -> None:
    bench = bench_of(tmp_path)
    send(bench, PRIOR, 412)
    send(bench, CURRENT, 0)
    settle(bench)
    bench.jobs.change(bench.job().id, state=state)
    bench.now += 90 * 86400.0
    going = Retention(bench.index, tmp_path / "instances").studies(bench.now - 30 * 86400.0)
    assert (PRIOR not in going) is stays
    assert (CURRENT not in going) is stays


def test_rerun_keeps_the_volume_of_the_prior_and_its_pixels(tmp_path: Path) -> None:
    bench = bench_of(tmp_path)
    send(bench, PRIOR, 412)
    send(bench, CURRENT, 0)
    first = bench.job()
    bench.jobs.change(first.id, state=JobState.DONE)
    second = bench.jobs.get(rerun(bench.parts, first.id))
    assert json.loads(second.inputs) == json.loads(first.inputs)
    bench.now += 90 * 86400.0
    assert PRIOR not in Retention(bench.index, tmp_path / "instances").studies(bench.now - 30 * 86400.0)


STUDIES = {"1.2": 0, "1.3": 100, "1.4": 412, "1.5": 900}
OTHERS = {"1.3": {"PatientID": "C-2"}, "1.4": {}, "1.2": {}, "1.5": {"PatientName": "Robin^Red"}}


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(sorted(STUDIES)), quiet=st.lists(st.booleans(), min_size=4, max_size=4))
def test_order_of_arrival_does_not_change_what_is_taken(
    tmp_path_factory: pytest.TempPathFactory, order: Sequence[str], quiet: Sequence[bool]
) -> None:
    """Studies of one patient and of two others with nearly the same identity come in any order, close or apart."""
    folder = tmp_path_factory.mktemp("order")
    bench = bench_of(folder, "max_study_age_days = 30")
    for study, alone in zip(order, quiet, strict=True):
        day = f"{TODAY - timedelta(days=STUDIES[study]):%Y%m%d}"
        bench.receive(study, 2, StudyDate=day, RescaleIntercept=-STUDIES[study], **OTHERS[study])
        bench.pass_time(30.0 if alone else 0.5)
    bench.pass_time(30.0)
    settle(bench)
    assert pairs(bench) == {("1.2", "1.4")}
    assert len(bench.jobs.all()) == 1
    bench.index.close()
