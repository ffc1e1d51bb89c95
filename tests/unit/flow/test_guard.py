"""Guards in the service: what pauses goes on by itself or by a person, nothing is lost, nothing leaves by accident."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bridge.errors import Held, Refused
from bridge.flow.acts import perform
from bridge.flow.verdicts import STOP
from bridge.store.jobs import JobState, Stage
from bridge.store.overview import Overview
from intake_bench import RULES, Bench
from leaving_bench import remote, submit, under_way

DAY_S = 86400.0


def bench_with(
    folder: Path, *, bridge: str = "", site: str = "", mode: str = "live", rule: str = ""
) -> Bench:
    made = Bench(folder, mode=mode)
    text = (folder / "site.toml").read_text()
    text = text.replace('rules = "rules.toml"', f'rules = "rules.toml"\n{bridge}') + site
    (folder / "site.toml").write_text(text)
    write_rule(made, folder, mode=mode, rule=rule)
    return made


def write_rule(bench: Bench, folder: Path, *, mode: str = "live", rule: str = "") -> None:
    from bridge.config import load_site

    text = RULES.format(mode=mode).replace('platform = "gc"', f'platform = "gc"\n{rule}')
    (folder / "rules.toml").write_text(text)
    bench.site = load_site(folder / "site.toml")
    bench.parts.site = bench.site  # type: ignore[misc]
    bench.load_rules()


def studies(bench: Bench, *numbers: int, **attributes: Any) -> None:
    for number in numbers:
        bench.receive(f"1.2.{number}", **attributes)


def ask(bench: Bench, act: str, target: str) -> tuple[str, str]:
    number = bench.parts.acts.ask(act, target, who="ann")
    perform.perform(bench.parts, reload=lambda: "")
    done = bench.parts.acts.get(number)
    return done.outcome, done.answer


def made(bench: Bench) -> list[str]:
    return sorted(job.study_instance_uid for job in bench.jobs.all())


def test_what_matches_beyond_the_day_is_held_and_made_on_the_next(tmp_path: Path) -> None:
    bench = bench_with(tmp_path, rule="jobs_per_day = 2")
    studies(bench, 1, 2, 3, 4, 5)
    bench.pass_time(30.0)
    assert len(made(bench)) == 2
    assert [one.outcome for _, one in bench.decisions.waiting()] == ["held"] * 3
    bench.pass_time(2.0)
    (alert,) = bench.alerts.all()
    assert (alert.kind, alert.subject) == ("rule-paused", "lungs")
    bench.pass_time(DAY_S)
    assert len(made(bench)) == 4
    bench.pass_time(DAY_S)
    assert made(bench) == [f"1.2.{number}" for number in range(1, 6)]
    assert bench.decisions.waiting() == []
    bench.pass_time(2.0)
    assert bench.alerts.all() == []


@pytest.mark.parametrize("mode", ["off", "gone"])
def test_rule_that_is_no_longer_in_force_holds_no_study(tmp_path: Path, mode: str) -> None:
    bench = bench_with(tmp_path, rule="jobs_per_day = 1")
    studies(bench, 1, 2)
    bench.pass_time(30.0)
    assert len(bench.decisions.waiting()) == 1
    if mode == "gone":
        text = RULES.format(mode="explain").replace("rules.lungs", "rules.other")
        (tmp_path / "rules.toml").write_text(text)
        bench.load_rules()
    else:
        write_rule(bench, tmp_path, mode="off")
    bench.pass_time(2.0)
    assert (bench.decisions.waiting(), len(made(bench))) == ([], 1)
    assert {one.reason for one in bench.decisions.all() if one.outcome == "no-match"} == {
        "the rule is no longer in force"
    }


def test_alert_of_a_pause_is_one_event_and_not_one_at_each_look(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bench = bench_with(tmp_path, rule="jobs_per_day = 1")
    studies(bench, 1, 2)
    with caplog.at_level("INFO"):
        for seconds in (30.0, 2.0, 2.0, 2.0):
            bench.pass_time(seconds)
    assert [record.message for record in caplog.records].count("alert.rule-paused") == 1


def test_nothing_is_decided_again_while_there_is_no_room(tmp_path: Path) -> None:
    bench = bench_with(tmp_path, rule="jobs_per_day = 1")
    studies(bench, 1, 2, 3)
    bench.pass_time(30.0)
    decided = [one.decided_at for one in every_decision(bench)]
    for _ in range(5):
        bench.pass_time(2.0)
    assert [one.decided_at for one in every_decision(bench)] == decided


def every_decision(bench: Bench) -> list[Any]:
    import sqlalchemy as sa

    from bridge.store.tables import decisions

    with bench.index.read() as connection:
        return list(connection.execute(sa.select(decisions).order_by(decisions.c.study_instance_uid)))


def test_person_resumes_a_rule_and_what_waited_is_made(tmp_path: Path) -> None:
    bench = bench_with(tmp_path, rule="jobs_per_day = 2")
    studies(bench, 1, 2, 3)
    bench.pass_time(30.0)
    bench.pass_time(2.0)
    assert ask(bench, "rules-resume", "lungs") == ("done", "rule lungs goes on; it counts from now")
    assert bench.alerts.all() == []
    bench.pass_time(2.0)
    assert len(made(bench)) == 3
    outcome, answer = ask(bench, "rules-resume", "lungs")
    assert outcome == "refused"
    assert "does not pause" in answer


def test_budget_that_is_removed_lets_everything_go_on(tmp_path: Path) -> None:
    bench = bench_with(tmp_path, rule="jobs_per_day = 1")
    studies(bench, 1, 2, 3)
    bench.pass_time(30.0)
    bench.pass_time(2.0)
    write_rule(bench, tmp_path)
    bench.pass_time(2.0)
    assert len(made(bench)) == 3
    assert bench.alerts.all() == []


def test_rule_that_only_explains_has_no_budget_and_a_held_job_costs_as_any(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    bench = bench_with(tmp_path / "a", mode="explain", rule="jobs_per_day = 1")
    studies(bench, 1, 2)
    bench.pass_time(30.0)
    assert [bench.outcome(f"1.2.{number}")[0] for number in (1, 2)] == ["match", "match"]
    assert bench.budgets.pauses() == {}
    (tmp_path / "b").mkdir()
    bench = bench_with(tmp_path / "b", mode="hold", rule="jobs_per_day = 1")
    studies(bench, 1, 2)
    bench.pass_time(30.0)
    assert [job.state for job in bench.jobs.all()] == [JobState.HELD]


def test_failures_stop_jobs_that_have_not_left_and_a_person_lets_them_go_on(tmp_path: Path) -> None:
    bench = bench_with(tmp_path, rule="failures_in_a_row = 2")
    studies(bench, 1, 2, 3)
    bench.pass_time(30.0)
    first, second, third = bench.jobs.all()
    for job in (first, second):
        bench.now += 1
        bench.jobs.ended(job.id, JobState.FAILED, code="CLD-003")
    bench.pass_time(2.0)
    assert bench.alert_kinds() == ["rule-paused"]
    bench.jobs.change(third.id, state=JobState.RUNNING, stage=Stage.CLOUD, remote=remote())
    with pytest.raises(Held) as caught:
        submit(bench, third.id)
    assert caught.value.code == "RUL-003"
    assert "bridge rules resume lungs" in caught.value.sentence()
    bench.jobs.ended(third.id, JobState.HELD, code="RUL-003", reason="x")
    studies(bench, 4)
    bench.pass_time(30.0)
    assert bench.outcome("1.2.4")[0] == "held"
    answer = "rule lungs goes on, and 1 of its jobs with it; it counts from now"
    assert ask(bench, "rules-resume", "lungs") == ("done", answer)
    row = bench.jobs.get(third.id)
    assert (row.state, row.stage, row.run) == (JobState.READY, Stage.CLOUD, 1)
    bench.pass_time(2.0)
    assert "1.2.4" in made(bench)
    assert submit(bench, third.id) == "left"


def test_resume_that_a_crash_has_kept_from_its_answer_is_done(tmp_path: Path) -> None:
    bench = bench_with(tmp_path, rule="jobs_per_day = 1")
    studies(bench, 1, 2)
    bench.pass_time(30.0)
    number = bench.parts.acts.ask("rules-resume", "lungs", who="ann")
    bench.now += 1
    assert bench.budgets.resume("lungs")
    perform.perform(bench.parts, reload=lambda: "")
    assert bench.parts.acts.get(number).outcome == "done"


LIST = 'opt_out_file = "out.txt"'


def test_patient_who_opts_out_after_the_decision_is_not_sent(tmp_path: Path) -> None:
    (tmp_path / "out.txt").write_text("")
    bench = bench_with(tmp_path, bridge=LIST)
    studies(bench, 1, PatientID="P-1")
    bench.pass_time(30.0)
    job = under_way(bench)
    assert submit(bench, job) == "left"
    (tmp_path / "out.txt").write_text("P-1\n")
    with pytest.raises(Refused) as caught:
        submit(bench, job)
    assert caught.value.code == "RUL-005"
    assert "P-1" not in caught.value.sentence()
    under_way(bench, "upload")
    with pytest.raises(Refused):
        submit(bench, job)
    under_way(bench, "upload", "create")
    assert submit(bench, job) == "left", "the platform may have the job: it is looked after"


def test_patient_on_the_list_is_not_decided_for(tmp_path: Path) -> None:
    (tmp_path / "out.txt").write_text("P-1\n")
    bench = bench_with(tmp_path, bridge=LIST)
    studies(bench, 1, PatientID="P-1")
    bench.pass_time(30.0)
    assert bench.jobs.all() == []
    assert bench.outcome("1.2.1")[0] == "no-match"
    assert bench.alerts.all() == []
    (tmp_path / "out.txt").write_text("P-2\n")
    studies(bench, 2, PatientID="P-2")
    studies(bench, 3, PatientID="P-3")
    bench.pass_time(30.0)
    assert made(bench) == ["1.2.3"], "the list is read for each decision"


def test_list_that_is_gone_holds_everything_and_its_return_lets_it_go_on(tmp_path: Path) -> None:
    bench = bench_with(tmp_path, bridge=LIST)
    studies(bench, 1)
    bench.pass_time(30.0)
    assert bench.jobs.all() == []
    outcome, reason = bench.outcome("1.2.1")
    assert (outcome, "opt-out list cannot be read" in reason) == ("held", True)
    assert bench.alert_kinds() == ["opt-out-unreadable"]
    bench.pass_time(5.0)
    assert bench.jobs.all() == []
    (tmp_path / "out.txt").write_text("# nobody\n")
    bench.pass_time(5.0)
    assert made(bench) == ["1.2.1"]
    assert bench.alerts.all() == []


def test_job_waits_while_the_list_cannot_be_read_and_hears_a_person(tmp_path: Path) -> None:
    (tmp_path / "out.txt").write_text("")
    bench = bench_with(tmp_path, bridge=LIST)
    studies(bench, 1)
    bench.pass_time(30.0)
    job = under_way(bench)
    (tmp_path / "out.txt").unlink()
    looks = 0

    def look(id: str) -> Any:
        nonlocal looks
        looks += 1
        if looks == 6:
            bench.jobs.ended(id, JobState.CANCELLED)
        return type(bench.jobs).get(bench.jobs, id)

    bench.jobs.get = look  # type: ignore[method-assign]
    assert submit(bench, job) == STOP
    row = type(bench.jobs).get(bench.jobs, job)
    assert bench.told(job).count("job.waits") == 1
    assert row.state is JobState.CANCELLED


def test_test_patients_are_skipped_once_they_are_named(tmp_path: Path) -> None:
    bench = bench_with(tmp_path, site='\n[test_patients]\nPatientID = { regex = "^TEST" }\n')
    studies(bench, 1, PatientID="TEST-1")
    studies(bench, 2, PatientID="P-1")
    bench.pass_time(30.0)
    assert made(bench) == ["1.2.2"]
    assert bench.outcome("1.2.1")[1] == "a test patient, whom the rule skips (test_patients)"


def test_old_studies_trigger_nothing(tmp_path: Path) -> None:
    bench = bench_with(tmp_path, rule="max_study_age_days = 30")
    studies(bench, 1, StudyDate="20200101")
    studies(bench, 2, StudyDate="20260220")
    bench.pass_time(30.0)
    assert made(bench) == ["1.2.2"]
    assert Overview(bench.index).studies_held() is None


def test_guards_do_not_change_the_identity_of_a_job(tmp_path: Path) -> None:
    ids = []
    for name, rule in (
        ("a", ""),
        ("b", "jobs_per_day = 3\nmax_study_age_days = 9999\nfailures_in_a_row = 3"),
    ):
        (tmp_path / name).mkdir()
        bench = bench_with(tmp_path / name, rule=rule)
        studies(bench, 1, StudyDate="20260220")
        bench.pass_time(30.0)
        ids.append(bench.job().id)
    assert ids[0] == ids[1]
