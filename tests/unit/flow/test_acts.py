"""What a person asks of a job: done once, refused with a sentence, and never paid twice."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import sqlalchemy as sa
from pydantic import TypeAdapter

from bridge.errors import ConfigError, TryLater
from bridge.export.parcel import Order, Parcel, Repeat, Step
from bridge.flow.acts import abort
from bridge.flow.acts import perform as acts
from bridge.flow.at_work import at_work
from bridge.flow.parts import Parts
from bridge.flow.relay import Relay
from bridge.flow.stages import cloud
from bridge.flow.stages.pace import Pace
from bridge.flow.stages.prepare import PARCEL_FILE, SPEC_FILE
from bridge.flow.stages.shelf import JobShelf
from bridge.flow.verdicts import GOING, guard
from bridge.platforms import Absent, Found, Phase, Platform, RemoteJob, Spec, State, Stopped
from bridge.store.acts import DONE, REFUSED, Acts, Turning
from bridge.store.alerts import Alerts
from bridge.store.budgets import Budgets
from bridge.store.decisions import Decisions
from bridge.store.deliveries import Deliveries
from bridge.store.disclosures import Disclosures
from bridge.store.jobs import Decision, Job, Jobs, JobState, NewJob, Stage, StoredResult
from bridge.store.outages import Outages
from bridge.store.rows import Act
from bridge.store.studies import Studies
from bridge.store.tables import Index, deliveries, studies, turns
from bridge.store.turns import Turns

NOW = 1_000_000.0
HOURS = 50.0
STEPS = (Step(name="upload"), Step(name="create", commits=True, repeat=Repeat.FIND_FIRST))
UPLOADED = RemoteJob(key="j1", begun=("upload",), notes={"upload": {"pk": "u"}})
COMPUTING = RemoteJob(
    key="j1", remote_id="r", begun=("upload", "create"), notes={"upload": {"pk": "u"}, "create": {"pk": "r"}}
)
UNSURE = RemoteJob(key="j1", begun=("upload", "create"), notes={"upload": {"pk": "u"}})


class Cloud:
    def __init__(self) -> None:
        self.answers: list[Stopped | Exception] = []
        self.asked: list[RemoteJob] = []
        self.there = False

    async def stop(self, job: RemoteJob) -> Stopped:
        self.asked.append(job)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def find(self, job: RemoteJob, spec: Spec, order: Order) -> Found | Absent:
        return Found(job=dataclasses.replace(job, remote_id="found")) if self.there else Absent()

    async def state(self, job: RemoteJob) -> State:
        return State(phase=Phase.RUNNING, raw="Started", look_again_s=3600.0)


class Bench:
    """Real tables; one job `j1`, whose row a test sets as it likes."""

    def __init__(self, folder: Path) -> None:
        self.now = NOW
        self.index = Index(folder / "index.sqlite", clock=lambda: self.now)
        self.index.open()
        self.jobs, self.acts, self.turns = Jobs(self.index), Acts(self.index), Turns(self.index)
        self.enqueued: list[str] = []
        self.wrong_rules = False
        self.cloud = Cloud()
        shelf = JobShelf(folder / "j1")
        order = Order(files=(), steps=STEPS, details={})
        shelf.write(PARCEL_FILE, TypeAdapter(Parcel).dump_json(Parcel(order=order, files=())))
        spec = Spec(algorithm="a", title="a", interfaces=(), details={})
        shelf.write(SPEC_FILE, TypeAdapter(Spec).dump_json(spec))
        self.parcel = shelf.path(PARCEL_FILE)
        account = SimpleNamespace(
            deadline_hours=HOURS, retry_s=(1.0, 2.0), describe_again_s=1e9, platform="grand-challenge"
        )
        there = SimpleNamespace(give_up_after_days=7.0)
        self.parts = cast(
            Parts,
            SimpleNamespace(
                jobs=self.jobs,
                acts=self.acts,
                turns=self.turns,
                deliveries=Deliveries(self.index),
                studies=Studies(self.index),
                alerts=Alerts(self.index),
                budgets=Budgets(self.index),
                disclosures=Disclosures(self.index, b"k" * 32),
                platform=lambda name: self.cloud,
                pace=Pace(Outages(self.index), lambda name: cast(Platform, self.cloud), {}),
                shelf=lambda job: shelf,
                site=SimpleNamespace(accounts={"gc": account}, destinations={"pacs": there, "old": there}),
                clock=lambda: self.now,
                enqueue=lambda workflow, queue, id, *words, due_at=None: self.enqueued.append(id),
                passing=lambda point: None,
            ),
        )
        with self.index.write() as connection:
            connection.execute(
                sa.insert(studies).values(
                    study_instance_uid="1.2",
                    name="abcdef012345",
                    state="decided",
                    source="ct",
                    first_at=1.0,
                    last_at=2.0,
                    due_at=3.0,
                    quiet_s=1.0,
                    attempts=0,
                    opened_at=1.0,
                    waits="",
                    complete="",
                    asked="",
                    released="",
                    doubts="",
                )
            )
        new = NewJob(
            id="j1",
            rule="lungs",
            account="gc",
            algorithm="a",
            declared_version="",
            state=JobState.READY,
            reason="",
            frozen="{}",
            inputs="{}",
        )
        made = Decision(rule="lungs", outcome="match", reason="", explanation="{}", jobs=(new,))
        Decisions(self.index).decide("1.2", 3.0, [made])

    def set(self, remote: RemoteJob | None = None, **values: Any) -> None:
        if remote:
            values["remote"] = cloud.REMOTE.dump_json(remote).decode()
        self.jobs.change("j1", **values)

    def reload(self) -> str:
        if self.wrong_rules:
            raise ConfigError("CFG-003", "no such file", "")
        return "nothing has changed"

    def ask(self, act: str, target: str = "j1", reason: str = "because") -> Act:
        number = self.acts.ask(act, target, who="ann", reason=reason)
        acts.perform(self.parts, reload=self.reload)
        return self.acts.get(number)

    def deliver(self, **outcomes: str) -> None:
        """Results at destinations, by the outcome that each has."""
        result = StoredResult(
            sop_instance_uid="1.2.3",
            job_id="j1",
            kind="SEG",
            output_name="mask",
            sop_class_uid="1.2.840.10008.5.1.4.1.1.66.4",
            series_instance_uid="1.2.4",
            file="1",
            sha256="",
            size_bytes=1,
        )
        self.jobs.keep_results([result], {key: ["1.2.3"] for key in outcomes})
        with self.index.write() as connection:
            connection.execute(sa.update(turns).values(due_at=None))
            for destination, outcome in outcomes.items():
                connection.execute(
                    sa.update(deliveries)
                    .where(deliveries.c.destination == destination)
                    .values(outcome=outcome, attempts=3)
                )

    @property
    def row(self) -> Job:
        return self.jobs.get("j1")

    @property
    def remote(self) -> RemoteJob:
        return cloud.REMOTE.validate_json(self.row.remote)

    @property
    def events(self) -> list[str]:
        return [one.event for one in self.jobs.timeline("j1")]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


STOPPED = [JobState.HELD, JobState.FAILED, JobState.REFUSED, JobState.CANCELLED]


@pytest.mark.parametrize("state", STOPPED)
@pytest.mark.parametrize("stage", [Stage.PREPARE, Stage.CLOUD, Stage.ENCODE])
def test_retry_begins_another_run_at_the_stage_where_it_stopped(
    bench: Bench, state: JobState, stage: Stage
) -> None:
    bench.set(state=state, stage=stage, code="X-1", reason="so")
    assert bench.ask("retry").outcome == DONE
    row = bench.row
    assert (row.state, row.stage, row.run, row.code, row.reason) == (JobState.READY, stage, 1, "", "")
    Relay(bench.parts)._jobs() if stage is not Stage.PREPARE else None
    if stage is not Stage.PREPARE:
        assert bench.enqueued == [f"j1.{stage}~1"]


@pytest.mark.parametrize("state", [JobState.READY, JobState.RUNNING, JobState.DONE])
def test_retry_of_a_job_that_did_not_stop_is_refused(bench: Bench, state: JobState) -> None:
    bench.set(state=state, stage=Stage.CLOUD)
    told = bench.ask("retry")
    assert told.outcome == REFUSED
    assert f"is {state} in cloud" in told.answer
    assert bench.row.run == 0


def test_retry_of_a_job_that_waits_for_release_points_there(bench: Bench) -> None:
    bench.set(state=JobState.HELD)
    told = bench.ask("retry")
    assert told.outcome == REFUSED
    assert "bridge jobs release" in told.answer


def test_who_and_why_stand_in_the_timeline(bench: Bench) -> None:
    bench.set(state=JobState.FAILED, stage=Stage.ENCODE)
    bench.ask("retry", reason="disk was full")
    noted = bench.jobs.timeline("j1")[-1]
    assert (noted.event, noted.keys["who"], noted.keys["reason"]) == ("act.retry", "ann", "disk was full")


def test_act_that_a_crash_kept_from_its_answer_is_not_done_twice(bench: Bench) -> None:
    bench.set(state=JobState.FAILED, stage=Stage.ENCODE)
    number = bench.acts.ask("retry", "j1", who="ann")
    acts.ACTS["retry"](bench.parts, bench.acts.get(number))  # done, and the answer was never written
    acts.perform(bench.parts, reload=bench.reload)
    assert bench.acts.get(number).outcome == DONE
    assert bench.row.run == 1


@pytest.mark.parametrize(
    ("wrong", "outcome", "answer"),
    [(False, DONE, "nothing has changed"), (True, REFUSED, "no such file")],
)
def test_rules_are_read_again_when_a_person_asks(
    bench: Bench, wrong: bool, outcome: str, answer: str
) -> None:
    bench.wrong_rules = wrong
    done = bench.ask("rules-reload", "rules")
    assert (done.outcome, done.answer) == (outcome, answer)


def test_deadline_begins_again_for_what_it_ended(bench: Bench) -> None:
    bench.set(COMPUTING, state=JobState.HELD, stage=Stage.CLOUD, code="CLD-001", deadline_at=NOW - 1)
    bench.ask("retry")
    assert bench.row.deadline_at == NOW + HOURS * 3600
    assert bench.remote == COMPUTING


def test_job_that_the_platform_ended_as_failed_is_made_anew_there(bench: Bench) -> None:
    bench.set(COMPUTING, state=JobState.FAILED, stage=Stage.CLOUD, code="CLD-003")
    bench.jobs.note("j1", "job.failed", code="CLD-003")
    assert "bills" in bench.ask("retry").answer
    assert bench.remote == RemoteJob(key="j1", attempt=2)


def test_second_retry_goes_on_with_the_job_that_the_first_one_made(bench: Bench) -> None:
    bench.set(COMPUTING, state=JobState.FAILED, stage=Stage.CLOUD, code="CLD-003")
    bench.jobs.note("j1", "job.failed", code="CLD-003")
    bench.now += 1
    bench.ask("retry")
    bench.now += 1
    second = dataclasses.replace(COMPUTING, attempt=2, remote_id="r2")
    bench.set(second, state=JobState.FAILED, code="GC-116")
    bench.jobs.note("j1", "job.failed", code="GC-116")
    bench.now += 1
    bench.ask("retry")
    assert bench.remote == second


@pytest.mark.parametrize("remote", [UPLOADED, UNSURE, COMPUTING])
@pytest.mark.parametrize("code", ["CLD-001", "CLD-004", "GC-116", "NET-003", ""])
def test_job_that_may_run_or_succeeded_there_is_gone_on_with(
    bench: Bench, remote: RemoteJob, code: str
) -> None:
    bench.set(remote, state=JobState.FAILED, stage=Stage.CLOUD, code=code)
    bench.ask("retry")
    assert bench.remote == remote


@pytest.mark.parametrize("remote", [UNSURE, COMPUTING])
def test_going_back_to_prepare_keeps_what_may_run_there(bench: Bench, remote: RemoteJob) -> None:
    bench.set(remote, state=JobState.FAILED, stage=Stage.CLOUD)
    bench.ask("retry", "j1.prepare")
    assert (bench.row.stage, bench.remote) == (Stage.PREPARE, remote)


def test_going_back_to_prepare_sends_files_that_are_made_again_again(bench: Bench) -> None:
    bench.set(UPLOADED, state=JobState.FAILED, stage=Stage.CLOUD)
    bench.ask("retry", "j1.prepare")
    assert bench.remote == RemoteJob(key="j1")


def test_job_whose_parcel_is_gone_begins_at_prepare(bench: Bench) -> None:
    bench.parcel.unlink()
    bench.set(COMPUTING, state=JobState.FAILED, stage=Stage.CLOUD)
    bench.ask("retry")
    assert (bench.row.stage, bench.remote) == (Stage.PREPARE, COMPUTING)


def test_stage_that_was_not_reached_is_refused(bench: Bench) -> None:
    bench.set(state=JobState.FAILED, stage=Stage.CLOUD)
    assert "prepare or cloud" in bench.ask("retry", "j1.encode").answer
    assert bench.row.run == 0


def test_issued_results_are_only_sent_again(bench: Bench) -> None:
    bench.deliver(pacs="held")
    bench.set(state=JobState.FAILED, stage=Stage.DELIVER)
    assert bench.ask("retry", "j1.encode").outcome == REFUSED
    assert bench.ask("retry").outcome == DONE


def test_retry_of_a_delivery_owes_only_what_is_not_stored(bench: Bench) -> None:
    bench.deliver(pacs="held", old="confirmed")
    before = {one.destination: one.turn for one in bench.turns.of_job("j1")}
    bench.set(state=JobState.FAILED, stage=Stage.DELIVER, code="DLV-002")
    bench.ask("retry")
    outcomes = {one.destination: one.outcome for one in bench.parts.deliveries.of("j1")}
    due = {
        one.destination: (one.turn - before[one.destination], one.due_at) for one in bench.turns.of_job("j1")
    }
    assert outcomes == {"pacs": "owed", "old": "confirmed"}
    assert due == {"pacs": (1, NOW), "old": (0, None)}
    assert (bench.row.state, bench.row.run) == (JobState.RUNNING, 1)


def test_retry_begins_the_few_tries_and_the_days_again_and_knows_what_was_sent(bench: Bench) -> None:
    bench.deliver(pacs="held")
    with bench.index.write() as connection:
        connection.execute(sa.update(deliveries).values(few=3, asked=2, resent=1, first_at=1.0))
    bench.set(state=JobState.FAILED, stage=Stage.DELIVER, code="DLV-002")
    bench.ask("retry")
    (row,) = bench.parts.deliveries.of("j1")
    assert (row.few, row.asked, row.resent, row.first_at) == (0, 0, 0, None)
    assert row.attempts == 3, "what a duplicate means depends on it"


@pytest.mark.parametrize(
    "moved", [{"state": JobState.DONE}, {"run": 1}, {"stage": Stage.CLOUD}], ids=["state", "run", "stage"]
)
def test_job_that_has_moved_on_since_it_was_read_is_left_as_it_is(
    bench: Bench, moved: dict[str, Any]
) -> None:
    seen = bench.row
    bench.set(**moved)
    act = bench.acts.get(bench.acts.ask("cancel", "j1", who="ann"))
    assert not bench.acts.fulfil(act, seen, turning=Turning.OVER, state=JobState.CANCELLED)
    assert bench.row.state is not JobState.CANCELLED
    assert "act.cancel" not in bench.events


def test_delivery_that_is_under_way_can_be_tried_now(bench: Bench) -> None:
    bench.deliver(pacs="retry")
    bench.turns.line_down("pacs", NOW + 3600, "DLV-005", "away")
    bench.set(state=JobState.RUNNING, stage=Stage.DELIVER)
    assert "1 result tried again now" in bench.ask("retry").answer
    assert [one.due_at for one in bench.turns.of_job("j1")] == [NOW]
    assert bench.turns.lines()["pacs"].next_at == NOW
    assert bench.row.run == 0


def test_new_run_waits_for_what_an_older_one_has_in_its_hands(bench: Bench) -> None:
    bench.set(state=JobState.FAILED, stage=Stage.ENCODE)
    bench.ask("retry")
    relay = Relay(bench.parts)
    with at_work("j1"):
        relay._jobs()
    assert bench.enqueued == []
    relay._jobs()
    assert bench.enqueued == ["j1.encode~1"]


def test_step_of_an_older_run_does_nothing(bench: Bench) -> None:
    bench.set(state=JobState.RUNNING, run=1)
    answer = guard(bench.parts, lambda job: pytest.fail("at work"), "j1", 0, 0, (1.0,))
    assert answer["then"] == "stop"


def test_failure_of_a_step_is_no_news_of_a_job_that_was_cancelled_meanwhile(bench: Bench) -> None:
    bench.set(state=JobState.RUNNING, stage=Stage.CLOUD)

    def body(job: Job) -> None:
        bench.ask("cancel")
        raise TryLater("X-1", "away")

    assert guard(bench.parts, body, "j1", 0, 0, (1.0,))["then"] == "stop"
    assert bench.row.state is JobState.CANCELLED
    assert bench.row.reason == "cancelled by ann: because"


@pytest.mark.parametrize("state", [JobState.READY, JobState.RUNNING, JobState.HELD, JobState.FAILED])
def test_cancel_ends_what_has_not_ended_well(bench: Bench, state: JobState) -> None:
    bench.parts.alerts.begin("job-stranded", "j1", "pacs is no longer in site.toml")
    bench.set(state=state)
    assert bench.ask("cancel").outcome == DONE
    assert bench.row.state is JobState.CANCELLED
    assert bench.row.state not in GOING
    assert bench.parts.alerts.all() == []


@pytest.mark.parametrize("state", [JobState.DONE, JobState.REFUSED, JobState.CANCELLED])
def test_cancel_of_what_is_over_is_refused(bench: Bench, state: JobState) -> None:
    bench.set(state=state)
    assert bench.ask("cancel").outcome == REFUSED
    assert bench.row.state is state


def test_cancelled_job_has_no_turn_left(bench: Bench) -> None:
    bench.deliver(pacs="retry", old="delivered")
    turn = bench.turns.get("j1", "pacs")
    assert turn is not None
    with bench.index.write() as connection:
        connection.execute(sa.update(turns).where(turns.c.destination == "pacs").values(due_at=NOW))
    bench.set(state=JobState.RUNNING, stage=Stage.DELIVER)
    assert "1 of 2 results had been stored already" in bench.ask("cancel").answer
    assert bench.turns.owed() == []
    bench.turns.later(turn, NOW, "", "")  # the turn that was under way when the person cancelled
    assert bench.turns.owed() == []


def test_platform_is_told_only_where_it_may_have_something(bench: Bench) -> None:
    bench.set(state=JobState.RUNNING, stage=Stage.PREPARE)
    bench.ask("cancel")
    assert bench.enqueued == []
    bench.set(COMPUTING, state=JobState.RUNNING, stage=Stage.CLOUD, run=1)
    bench.ask("cancel")
    assert bench.enqueued == ["j1.abort~1"]
    # A retry from `prepare` keeps what the platform has.
    bench.set(COMPUTING, state=JobState.RUNNING, stage=Stage.PREPARE, run=2)
    bench.ask("cancel")
    assert bench.enqueued == ["j1.abort~1", "j1.abort~2"]
    bench.set(COMPUTING, state=JobState.RUNNING, stage=Stage.ENCODE, run=3)
    bench.ask("cancel")
    assert bench.enqueued == ["j1.abort~1", "j1.abort~2"]


WORDS = [
    (Stopped.STOPPED, "cloud.stopped"),
    (Stopped.TOO_LATE, "cloud.not-stopped"),
    (Stopped.NOT_POSSIBLE, "cloud.not-stopped"),
]


@pytest.mark.parametrize(("said", "event"), WORDS)
def test_what_the_platform_said_stands_in_the_timeline(bench: Bench, said: Stopped, event: str) -> None:
    bench.set(COMPUTING, state=JobState.CANCELLED, stage=Stage.CLOUD)
    bench.cloud.answers = [said]
    assert asyncio.run(abort.tell(bench.parts, "j1", 0, 0))["then"] == "stop"
    assert bench.events[-1] == event


def test_platform_that_is_away_is_told_later_and_not_for_ever(bench: Bench) -> None:
    bench.set(COMPUTING, state=JobState.CANCELLED, stage=Stage.CLOUD)
    bench.cloud.answers = [TryLater("NET-001", "away"), TryLater("NET-001", "away")]
    assert asyncio.run(abort.tell(bench.parts, "j1", 0, 0)) == {"then": "again", "pause_s": 1.0}
    assert asyncio.run(abort.tell(bench.parts, "j1", 0, abort.TRIES - 1))["then"] == "stop"
    assert bench.events[-1] == "cloud.not-stopped"


def test_job_that_was_retried_meanwhile_is_not_stopped(bench: Bench) -> None:
    bench.set(COMPUTING, state=JobState.READY, stage=Stage.CLOUD, run=1)
    assert asyncio.run(abort.tell(bench.parts, "j1", 0, 0))["then"] == "stop"
    assert bench.cloud.asked == []


def test_platform_is_not_told_while_a_step_may_just_be_making_the_job(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(abort, "LOOK_S", 0.01)
    bench.set(UPLOADED, state=JobState.CANCELLED, stage=Stage.CLOUD)
    bench.cloud.answers = [Stopped.STOPPED]

    async def story() -> Any:
        with at_work("j1"):
            telling = asyncio.create_task(abort.tell(bench.parts, "j1", 0, 0))
            await asyncio.sleep(0.1)
            assert bench.cloud.asked == []
            bench.set(COMPUTING)
        return await asyncio.wait_for(telling, 5)

    asyncio.run(story())
    assert [one.remote_id for one in bench.cloud.asked] == ["r"]


def test_job_of_unsure_existence_is_looked_for_before_it_is_stopped(bench: Bench) -> None:
    bench.set(UNSURE, state=JobState.CANCELLED, stage=Stage.CLOUD)
    bench.cloud.there = True
    bench.cloud.answers = [Stopped.STOPPED]
    asyncio.run(abort.tell(bench.parts, "j1", 0, 0))
    assert bench.cloud.asked[0].remote_id == "found"
    assert bench.remote.remote_id == "found"


def test_retry_of_a_job_that_was_stopped_for_us_makes_it_anew(bench: Bench) -> None:
    bench.set(COMPUTING, state=JobState.RUNNING, stage=Stage.CLOUD)
    bench.ask("cancel")
    bench.cloud.answers = [Stopped.STOPPED]
    asyncio.run(abort.tell(bench.parts, "j1", 0, 0))
    bench.ask("retry")
    assert bench.remote == RemoteJob(key="j1", attempt=2)


def test_retry_of_a_cancelled_job_that_goes_on_there_goes_on_with_it(bench: Bench) -> None:
    bench.set(COMPUTING, state=JobState.RUNNING, stage=Stage.CLOUD)
    bench.ask("cancel")
    bench.cloud.answers = [Stopped.NOT_POSSIBLE]
    asyncio.run(abort.tell(bench.parts, "j1", 0, 0))
    bench.ask("retry")
    assert bench.remote == COMPUTING


def test_wait_notices_that_its_job_was_cancelled(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloud, "LOOK_S", 0.01)
    bench.set(COMPUTING, state=JobState.RUNNING, stage=Stage.CLOUD)

    async def story() -> Any:
        waiting = asyncio.create_task(cloud.wait(bench.parts, bench.row))
        await asyncio.sleep(0.05)
        bench.ask("cancel")
        return await asyncio.wait_for(waiting, 5)

    assert asyncio.run(story())["then"] == "stop"


def test_release_lets_a_job_go_on_that_its_rule_holds(bench: Bench) -> None:
    bench.set(state=JobState.HELD)
    assert bench.ask("release").outcome == DONE
    assert (bench.row.state, bench.row.run) == (JobState.READY, 0)
    assert bench.ask("release").outcome == REFUSED


def test_release_of_a_study_accepts_its_doubts(bench: Bench) -> None:
    with bench.index.write() as connection:
        connection.execute(sa.update(studies).values(doubts="STU-001:x"))
    assert bench.ask("release", "abcdef012345").outcome == DONE
    study = bench.parts.studies.study("1.2")
    assert study is not None
    assert (study.released, study.doubts) == ("STU-001:x", "")


def test_release_of_a_job_in_doubt_releases_its_study(bench: Bench) -> None:
    bench.set(state=JobState.HELD, code="STU-001", reason="two Patient IDs")
    with bench.index.write() as connection:
        connection.execute(sa.update(studies).values(doubts="STU-001:x"))
    assert "abcdef012345 is released" in bench.ask("release").answer


@pytest.mark.parametrize("crash", ["before the study is accepted", "before the answer is written"])
def test_release_that_a_crash_cut_short_is_finished(bench: Bench, crash: str) -> None:
    bench.set(state=JobState.HELD, code="STU-001", reason="two Patient IDs")
    with bench.index.write() as connection:
        connection.execute(sa.update(studies).values(doubts="STU-001:x"))
    act = bench.acts.get(bench.acts.ask("release", "j1", who="ann"))
    assert bench.acts.fulfil(act, bench.row)
    if crash == "before the answer is written":
        bench.parts.studies.accept("abcdef012345")
    acts.perform(bench.parts, reload=bench.reload)
    assert bench.acts.get(act.id).outcome == DONE
    study = bench.parts.studies.study("1.2")
    assert study is not None
    assert study.doubts == ""


@pytest.mark.parametrize("act", ["retry", "cancel", "rerun", "release", "dance"])
def test_unknown_targets_and_acts_are_refused_and_hold_up_no_other(bench: Bench, act: str) -> None:
    told = bench.ask(act, "nothing")
    assert told.outcome == REFUSED
    assert "expected" in told.answer
    assert bench.ask("cancel").outcome == DONE


def test_rerun_of_a_job_under_way_is_refused(bench: Bench) -> None:
    bench.set(state=JobState.RUNNING)
    assert "a job that has ended" in bench.ask("rerun").answer


def test_rerun_says_that_it_is_billed_and_is_done_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.set(state=JobState.DONE)
    begun: list[str] = []

    def begin(parts: Parts, job_id: str) -> str:
        begun.append(job_id)
        new = dataclasses.replace(NEW, id=f"j{len(begun) + 1}", rerun=len(begun))
        made = Decision(rule="lungs", outcome="match", reason="", explanation="{}", jobs=(new,))
        Decisions(bench.index).decide("1.2", 3.0, [made])
        return new.id

    monkeypatch.setattr("bridge.flow.acts.rerun.rerun", begin)
    number = bench.acts.ask("rerun", "j1", who="ann", reason="new scanner")
    acts.ACTS["rerun"](bench.parts, bench.acts.get(number))  # a crash before the answer
    acts.perform(bench.parts, reload=bench.reload)
    told = bench.acts.get(number)
    assert begun == ["j1"]
    assert "bills it again" in told.answer
    assert "j2" in told.answer


NEW = NewJob(
    id="j2",
    rule="lungs",
    account="gc",
    algorithm="a",
    declared_version="",
    state=JobState.READY,
    reason="",
    frozen="{}",
    inputs="{}",
)
