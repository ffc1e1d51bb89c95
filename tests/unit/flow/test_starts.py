"""When a rule starts: before its study is complete, after another rule, in its hours, and before others."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
import sqlalchemy as sa

from bridge.flow.stages.hours import CLOSED
from bridge.flow.study.waiting import WAITED, WAITS
from bridge.store.jobs import Job, JobState, Stage
from bridge.store.tables import studies
from intake_bench import Bench
from leaving_bench import submit, under_way
from made_objects import ct_slice

RULE = """
[rules.{name}]
mode = "{mode}"
platform = "gc"
algorithm = "{name}"
destinations = ["pacs"]
{words}
[rules.{name}.inputs.ct-image]
volume = {{ Modality = "CT", SeriesNumber = {series}, instances = {{ min = {least} }} }}
"""
HOUR = 3600.0


def rule(name: str, words: str = "", *, series: int = 3, least: int = 4, mode: str = "live") -> str:
    return RULE.format(name=name, words=words, series=series, least=least, mode=mode)


def bench_with(folder: Path, *rules: str, source: str = "") -> Bench:
    bench = Bench(folder, source=source)
    (folder / "rules.toml").write_text("".join(rules))
    bench.load_rules()
    return bench


def send(bench: Bench, numbers: range, *, series: int = 3, study: str = "1.2", **attributes: object) -> None:
    for number in numbers:
        one = ct_slice(number=number, study=study, series=f"{study}.{series}")
        one.SeriesNumber = series
        one.PixelData = bytes([number + 1, series]) * 64
        for keyword, value in attributes.items():
            setattr(one, keyword, value)
        bench.keep(one)


def jobs_of(bench: Bench, name: str) -> list[Job]:
    return [one for one in bench.jobs.all() if one.rule == name]


def decisions(bench: Bench, study: str = "1.2") -> dict[str, tuple[str, str]]:
    return {one.rule: (one.outcome, one.code) for one in bench.decisions.of_study(study)}


def end(bench: Bench, job: str, state: JobState = JobState.DONE) -> None:
    bench.jobs.started(job)
    assert bench.jobs.ended(job, state)


EARLY = 'start = "inputs-complete"'


def test_rule_starts_when_its_series_is_quiet_although_the_study_still_grows(tmp_path: Path) -> None:
    bench = bench_with(tmp_path, rule("lungs", EARLY), rule("other", series=4))
    send(bench, range(4))
    bench.pass_time(2.0)
    assert bench.jobs.all() == [], "less than inputs_quiet_s"
    send(bench, range(2), series=4)
    bench.pass_time(1.0)
    (job,) = bench.jobs.all()
    assert (job.rule, job.state) == ("lungs", JobState.READY)
    assert bench.line(job.id, "inputs.complete").keys == {"reason": "each input has its volume"}
    assert bench.study().state == "open"
    assert decisions(bench) == {"lungs": ("match", "")}, "of the other nothing is said yet"
    bench.pass_time(30.0)
    assert decisions(bench) == {"lungs": ("match", ""), "other": ("no-match", "")}
    assert [one.id for one in bench.jobs.all()] == [job.id]


@pytest.mark.parametrize(
    ("numbers", "why"),
    [(range(3), "too short"), ([0, 1, 2, 3, 4, 6, 7, 8, 9], "a gap")],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_series_that_is_not_whole_makes_no_job_before_its_study_is_complete(
    tmp_path: Path, numbers: range, why: str
) -> None:
    repaired = rule("lungs", EARLY) + 'repair = ["resample-gaps"]\n'
    bench = bench_with(tmp_path, repaired)
    send(bench, numbers)
    bench.pass_time(5.0)
    assert (bench.jobs.all(), bench.decisions.of_study("1.2")) == ([], []), why
    bench.pass_time(25.0)
    assert decisions(bench)["lungs"][0] == ("no-match" if why == "too short" else "match")


def test_series_that_would_be_preferred_and_still_grows_is_waited_for(tmp_path: Path) -> None:
    words = rule("lungs", EARLY).replace("SeriesNumber = 3, ", "") + 'prefer = ["most-instances"]\n'
    bench = bench_with(tmp_path, words)
    send(bench, range(4))
    bench.pass_time(2.0)
    send(bench, range(5), series=4)
    bench.pass_time(1.5)
    assert bench.jobs.all() == []
    bench.pass_time(1.5)
    (job,) = bench.jobs.all()
    assert job.inputs.count(",") == 4, "the five of series 4"


@pytest.mark.parametrize("begun", [False, True], ids=["waits", "has begun"])
def test_later_slices_make_another_job_of_the_same_input(tmp_path: Path, begun: bool) -> None:
    bench = bench_with(tmp_path, rule("lungs", EARLY))
    send(bench, range(4))
    bench.pass_time(3.0)
    first = bench.job()
    if begun:
        bench.jobs.started(first.id)
    send(bench, range(4, 6))
    bench.pass_time(3.0)
    second = next(one for one in bench.jobs.all() if one.id != first.id)
    assert second.state is JobState.READY
    state = bench.jobs.get(first.id).state
    assert state is (JobState.RUNNING if begun else JobState.CANCELLED)
    if begun:
        told = bench.line(first.id, "instance.late").keys
        assert told == {"change": "2 more objects", "job": second.id}
    bench.pass_time(30.0)
    assert len(bench.jobs.all()) == 2


def test_doubt_about_the_patient_holds_what_would_start_early(tmp_path: Path) -> None:
    bench = bench_with(tmp_path, rule("lungs", EARLY))
    send(bench, range(4), PatientID="")
    bench.pass_time(5.0)
    assert (bench.jobs.all(), bench.decisions.of_study("1.2")) == ([], [])
    bench.pass_time(30.0)
    assert decisions(bench) == {"lungs": ("held", "STU-007")}


def test_study_that_is_not_complete_holds_only_rules_that_want_all_of_it(tmp_path: Path) -> None:
    bench = bench_with(
        tmp_path,
        rule("lungs", EARLY),
        rule("chest"),
        source='quiet_s = 20.0\nlongest_s = 60.0\nthen = "hold"',
    )
    send(bench, range(4))
    for number in range(7):
        bench.pass_time(10.0)
        send(bench, range(number, number + 1), series=4)
    assert decisions(bench) == {"lungs": ("match", ""), "chest": ("held", "STU-009")}
    (job,) = bench.jobs.all()
    assert job.rule == "lungs"
    assert "job.held" not in bench.told(job.id)


def test_urgent_rule_waits_for_no_quiet_and_looks_at_most_once_a_second(tmp_path: Path) -> None:
    bench = bench_with(tmp_path, rule("bleeding", f"{EARLY}\nurgent = true"))
    send(bench, range(3))
    bench.pass_time(0.3)
    send(bench, range(3, 4))
    bench.pass_time(0.3)
    assert bench.jobs.all() == [], "looked at already within this second"
    bench.pass_time(0.8)
    assert bench.job().urgent


def test_look_that_fails_is_told_and_leaves_the_study_to_the_later_one(tmp_path: Path) -> None:
    bench = bench_with(tmp_path, rule("lungs", EARLY))

    def fail() -> None:
        raise OSError("a file that is gone")

    bench.fail = fail
    send(bench, range(4))
    bench.pass_time(3.0)
    assert bench.study().attempts == 0
    bench.fail = None
    bench.pass_time(30.0)
    assert len(bench.jobs.all()) == 1


WAIT = 'waits_for = { rule = "lobes", at_most_h = 2 }'


def test_rule_waits_until_the_jobs_of_the_other_are_done(tmp_path: Path) -> None:
    bench = bench_with(tmp_path, rule("lungs", WAIT), rule("lobes"))
    send(bench, range(4))
    bench.pass_time(30.0)
    assert [one.rule for one in bench.jobs.all()] == ["lobes"]
    assert decisions(bench)["lungs"] == ("held", WAITS)
    (kept,) = [one for one in bench.decisions.of_study("1.2") if one.rule == "lungs"]
    assert "waits for the jobs of lobes, until " in kept.reason
    assert bench.alert_kinds() == [], "nobody is called"
    decided_at = bench.study().opened_at
    bench.pass_time(60.0)
    assert bench.study().opened_at == decided_at, "it is not decided again and again"
    (lobes,) = jobs_of(bench, "lobes")
    end(bench, lobes.id)
    bench.pass_time(1.0)
    assert [one.state for one in jobs_of(bench, "lungs")] == [JobState.READY]
    bench.pass_time(3 * HOUR)
    assert len(bench.jobs.all()) == 2


@pytest.mark.parametrize(
    ("lobes", "kept"),
    [
        (rule("lobes", series=9), ""),
        (rule("lobes", mode="explain"), ""),
        (rule("lobes", mode="off"), ""),
        (rule("lobes", mode="hold"), WAITS),
    ],
    ids=["does not fit", "explains only", "off", "waits for a person"],
)
def test_only_a_rule_that_may_still_make_a_job_is_waited_for(tmp_path: Path, lobes: str, kept: str) -> None:
    bench = bench_with(tmp_path, rule("lungs", WAIT), lobes)
    send(bench, range(4))
    bench.pass_time(30.0)
    assert decisions(bench)["lungs"] == ("held" if kept else "match", kept)


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.REFUSED])
def test_job_that_ended_badly_is_waited_for_until_the_time_is_over(tmp_path: Path, state: JobState) -> None:
    bench = bench_with(tmp_path, rule("lungs", WAIT), rule("lobes"))
    send(bench, range(4))
    bench.pass_time(30.0)
    end(bench, bench.job().id, state)
    bench.pass_time(HOUR)
    assert decisions(bench)["lungs"] == ("held", WAITS)
    bench.pass_time(HOUR)
    assert decisions(bench)["lungs"] == ("held", WAITED)


def test_after_its_time_a_person_is_asked_and_may_let_it_go_on(tmp_path: Path) -> None:
    bench = bench_with(tmp_path, rule("lungs", WAIT), rule("lobes"))
    send(bench, range(4))
    bench.pass_time(30.0)
    bench.pass_time(2 * HOUR - 1)
    assert bench.alert_kinds() == []
    bench.pass_time(1.0)
    assert bench.alert_kinds() == ["study-held"]
    assert jobs_of(bench, "lungs") == []
    assert bench.studies.accept(bench.study().name)
    bench.pass_time(0.0)
    assert len(jobs_of(bench, "lungs")) == 1
    assert bench.alert_kinds() == []


def test_after_its_time_it_goes_on_where_the_rule_says_so(tmp_path: Path) -> None:
    bench = bench_with(tmp_path, rule("lungs", WAIT[:-2] + ', then = "go-on" }'), rule("lobes"))
    send(bench, range(4))
    bench.pass_time(30.0)
    bench.pass_time(2 * HOUR)
    assert len(jobs_of(bench, "lungs")) == 1


def test_later_objects_do_not_begin_its_time_anew(tmp_path: Path) -> None:
    bench = bench_with(tmp_path, rule("lungs", WAIT), rule("lobes"))
    send(bench, range(4))
    bench.pass_time(30.0)
    bench.pass_time(1.5 * HOUR)
    send(bench, range(2), series=7)
    bench.pass_time(30.0)
    assert decisions(bench)["lungs"] == ("held", WAITS)
    bench.pass_time(0.5 * HOUR)
    assert decisions(bench)["lungs"] == ("held", WAITED)


def test_objects_that_come_after_its_job_was_made_begin_a_wait_of_their_own(tmp_path: Path) -> None:
    bench = bench_with(tmp_path, rule("lungs", WAIT[:-2] + ', then = "go-on" }'), rule("lobes"))
    send(bench, range(4))
    bench.pass_time(30.0)
    end(bench, jobs_of(bench, "lobes")[0].id)
    bench.pass_time(1.0)
    bench.jobs.started(jobs_of(bench, "lungs")[0].id)
    bench.pass_time(24 * HOUR)
    send(bench, range(4, 6))
    bench.pass_time(30.0)
    assert decisions(bench)["lungs"] == ("held", WAITS), (
        "for the lobes of these objects, two hours of their own"
    )
    assert len(jobs_of(bench, "lungs")) == 1
    bench.pass_time(2 * HOUR)
    assert len(jobs_of(bench, "lungs")) == 2


def test_look_without_new_objects_does_not_hold_a_rule_again_that_has_gone_on(tmp_path: Path) -> None:
    bench = bench_with(tmp_path, rule("lungs", WAIT[:-2] + ', then = "go-on" }'), rule("lobes"))
    send(bench, range(4))
    bench.pass_time(30.0)
    bench.pass_time(2 * HOUR)
    bench.studies.decide_again(["1.2"])
    bench.pass_time(1.0)
    assert decisions(bench)["lungs"] == ("match", "")


def test_person_sees_that_it_may_be_two_patients_beside_that_it_waited_in_vain(tmp_path: Path) -> None:
    bench = bench_with(tmp_path, rule("lungs", WAIT), rule("lobes", series=4))
    send(bench, range(4))
    send(bench, range(4), series=4)
    bench.pass_time(30.0)
    send(bench, range(1), series=7, PatientID="another")
    bench.pass_time(2 * HOUR)
    assert decisions(bench)["lungs"] == ("held", "STU-001")
    assert {one.partition(".")[0] for one in bench.study().doubts.split()} == {"STU-001", WAITED}


def test_rule_waits_for_a_series_that_fits(tmp_path: Path) -> None:
    words = "waits_for = [{ series = { SeriesNumber = 7, instances = { min = 2 } }, at_most_h = 2 }]"
    bench = bench_with(tmp_path, rule("lungs", words))
    send(bench, range(4))
    send(bench, range(1), series=7)
    bench.pass_time(30.0)
    assert decisions(bench)["lungs"] == ("held", WAITS)
    send(bench, range(1, 2), series=7)
    bench.pass_time(30.0)
    assert len(bench.jobs.all()) == 1


def test_what_has_come_wakes_a_rule_once_that_waits_for_more(tmp_path: Path) -> None:
    words = 'waits_for = [{ rule = "lobes" }, { series = { SeriesNumber = 7 } }]'
    bench = bench_with(tmp_path, rule("lungs", words), rule("lobes"))
    send(bench, range(4))
    bench.pass_time(30.0)
    (lobes,) = jobs_of(bench, "lobes")
    end(bench, lobes.id)
    bench.pass_time(1.0)
    decided_at = bench.study().opened_at
    (kept,) = [one for one in bench.decisions.of_study("1.2") if one.rule == "lungs"]
    assert "waits for a series with SeriesNumber 7, until" in kept.reason
    bench.pass_time(60.0)
    assert bench.study().opened_at == decided_at


def test_rule_that_is_gone_wakes_nothing(tmp_path: Path) -> None:
    bench = bench_with(tmp_path, rule("lungs", WAIT), rule("lobes"))
    send(bench, range(4))
    bench.pass_time(30.0)
    (tmp_path / "rules.toml").write_text(rule("lobes"))
    bench.load_rules()
    decided_at = bench.study().opened_at
    bench.pass_time(3 * HOUR)
    assert (bench.study().state, bench.study().opened_at) == ("decided", decided_at)


def test_end_of_a_job_between_the_look_and_its_decision_is_not_missed(tmp_path: Path) -> None:
    bench = bench_with(tmp_path, rule("lungs", WAIT), rule("lobes"))
    send(bench, range(4))
    bench.pass_time(30.0)
    (lobes,) = jobs_of(bench, "lobes")
    send(bench, range(1), series=7)

    def passing(point: str) -> None:
        if point == "decide:mid" and bench.jobs.get(lobes.id).state is JobState.READY:
            end(bench, lobes.id)

    bench.parts.passing = passing  # type: ignore[misc]
    bench.pass_time(30.0)
    bench.pass_time(0.3)
    assert len(jobs_of(bench, "lungs")) == 1


def test_growing_study_is_looked_at_again_when_the_other_rule_is_done(tmp_path: Path) -> None:
    bench = bench_with(tmp_path, rule("lungs", f"{EARLY}\n{WAIT}"), rule("lobes", EARLY))
    send(bench, range(4))
    bench.pass_time(3.0)
    assert decisions(bench)["lungs"] == ("held", WAITS)
    end(bench, bench.job().id)
    bench.pass_time(1.0)
    assert bench.study().state == "open"
    assert len(jobs_of(bench, "lungs")) == 1


@pytest.mark.parametrize("early", [EARLY, ""], ids=["starts early", "starts late"])
def test_wait_that_is_over_wakes_a_study_that_still_grows_once(tmp_path: Path, early: str) -> None:
    bench = bench_with(
        tmp_path, rule("lungs", f"{early}\n{WAIT}"), rule("lobes", early), rule("other", EARLY, series=5)
    )
    send(bench, range(4))
    bench.pass_time(3.0 if early else 30.0)
    assert decisions(bench)["lungs"] == ("held", WAITS)
    looks: list[str] = []
    bench.parts.passing = looks.append  # type: ignore[misc]
    bench.now += 2 * HOUR
    with bench.index.write() as connection:
        again = {"state": "open", "complete": "", "due_at": bench.now + HOUR, "opened_at": bench.now}
        connection.execute(sa.update(studies).values(**again))
    for _ in range(10):
        bench.pass_time(2.0)
    assert looks.count("decide:before") == 1


def test_looks_at_what_grows_leave_attempts_to_the_look_at_all_of_it(tmp_path: Path) -> None:
    bench = bench_with(tmp_path, rule("lungs", EARLY))
    send(bench, range(4))

    def die(point: str) -> None:
        raise KeyboardInterrupt

    bench.parts.passing = die  # type: ignore[misc]
    for _ in range(30):
        bench.load_rules()  # as after a start
        with contextlib.suppress(KeyboardInterrupt):
            bench.pass_time(3.0 if bench.now < 100_003 else 0.1)
    bench.parts.passing = lambda point: None  # type: ignore[misc]
    bench.pass_time(30.0)
    assert bench.study().state == "decided"
    assert len(bench.jobs.all()) == 1


def test_series_of_a_study_of_which_nothing_comes_are_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = bench_with(tmp_path, rule("lungs", EARLY))
    send(bench, range(3))
    read: list[str] = []
    arrivals = bench.instances.arrivals
    monkeypatch.setattr(bench.instances, "arrivals", lambda uid: read.append(uid) or arrivals(uid))
    for _ in range(60):
        bench.pass_time(0.3)
    assert len(read) == 2, "when they come, and when they are quiet"


NIGHT = 'not_before = "20:00-06:00"'


def at(bench: Bench, clock: str) -> None:
    """Let it be that time of the next day, local time."""
    from datetime import datetime, timedelta

    hour, minute = map(int, clock.split(":"))
    day = datetime.fromtimestamp(bench.now).astimezone() + timedelta(days=1)
    bench.now = day.replace(hour=hour, minute=minute, second=0).timestamp()


@pytest.mark.parametrize(
    ("clock", "goes"), [("19:59", False), ("20:00", True), ("02:30", True), ("05:59", True), ("06:00", False)]
)
def test_job_is_made_at_once_and_handed_over_in_its_hours(tmp_path: Path, clock: str, goes: bool) -> None:
    bench = bench_with(tmp_path, rule("lungs", NIGHT))
    bench.specs.keep("gc", "lungs", "", spec="{}")
    at(bench, clock)
    bench.specs.keep("gc", "lungs", "", spec="{}")
    send(bench, range(4))
    bench.intake.decide(bench.study())
    assert bench.job().not_before == "20:00-06:00"
    bench.relay.tick()
    assert bool(bench.enqueued) is goes
    if not goes:
        assert (bench.job().code, bench.job().state) == (CLOSED, JobState.READY)
        assert bench.job().reason == ("its rule sends between 20:00 and 06:00 (not_before); it goes at 20:00")


@pytest.mark.parametrize(("begun", "left"), [((), None), (("create",), "left")], ids=["nothing", "something"])
def test_job_whose_hours_end_in_a_queue_gives_its_place_back(
    tmp_path: Path, begun: tuple[str, ...], left: object
) -> None:
    bench = bench_with(tmp_path, rule("lungs", NIGHT + "\nfailures_in_a_row = 1"))
    at(bench, "07:00")
    send(bench, range(4))
    bench.intake.decide(bench.study())
    job = under_way(bench, *begun)
    told = submit(bench, job)
    row = bench.jobs.get(job)
    if left:
        assert (told, row.state, row.run) == (left, JobState.RUNNING, 0), "there may be a job at the platform"
        return
    assert (row.state, row.stage, row.run, row.code) == (JobState.READY, Stage.CLOUD, 1, CLOSED)
    at(bench, "21:00")
    bench.relay.tick()
    assert bench.enqueued == [("cloud", "platform-gc", f"{job}.cloud~1")]
    assert submit(bench, job) == "left"


def test_job_that_its_platform_may_have_goes_on_at_any_hour(tmp_path: Path) -> None:
    bench = bench_with(tmp_path, rule("lungs", NIGHT))
    at(bench, "07:00")
    send(bench, range(4))
    bench.intake.decide(bench.study())
    job = under_way(bench, "create")
    bench.jobs.change(job, state=JobState.READY, run=1)
    bench.relay.tick()
    assert bench.enqueued == [("cloud", "platform-gc", f"{job}.cloud~1")]


def test_folder_waits_for_nothing(tmp_path: Path) -> None:
    bench = bench_with(tmp_path, rule("lungs", WAIT), rule("lobes"))
    bench.parts.instead = ("folder",)  # type: ignore[misc]
    send(bench, range(4))
    bench.intake.decide(bench.study())
    assert len(jobs_of(bench, "lungs")) == 1
