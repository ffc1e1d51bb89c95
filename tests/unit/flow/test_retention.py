"""Pixels of what is over go, in their time; what anybody may still want never does."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from bridge.cli.report import write
from bridge.config.grid import GridSettings
from bridge.config.rules import RuleModel
from bridge.config.site import RetentionSettings, Site
from bridge.dicom.headers import read_header
from bridge.dicom.pixels import FileReader
from bridge.errors import Damaged
from bridge.flow.keeping.retention import PART_S, PARTS, Retention
from bridge.flow.parts import Parts
from bridge.flow.stages.shelf import JobShelf
from bridge.rules import Explanation
from bridge.rules.explanation import Outcome
from bridge.store import retention as store
from bridge.store.alerts import Alerts
from bridge.store.decisions import Decisions
from bridge.store.deliveries import Answered, Deliveries
from bridge.store.instances import Instances
from bridge.store.jobs import Jobs, JobState, StoredResult
from bridge.store.rows import Decision, NewJob
from bridge.store.tables import Index, deliveries, instances, jobs, studies, turns
from made_objects import ct_slice

EXPLICIT = "1.2.840.10008.1.2.1"
DAY_S = 86400.0
START = 1_800_000_000.0
JOB = "ab" * 16


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it."""


RULE = RuleModel.model_validate(
    {
        "mode": "live",
        "platform": "gc",
        "algorithm": "a",
        "destinations": ["pacs"],
        "inputs": {"ct-image": {"volume": {"Modality": "CT"}}},
    }
)


class Bench:
    """Retention with real tables and real files, and a clock in the test's hand."""

    def __init__(self, folder: Path, *, pixels_days: float = 30.0, keep_pixels: bool = False) -> None:
        folder.mkdir(exist_ok=True)
        self.now = START
        self.folder = folder
        self.index = Index(folder / "index.sqlite", clock=lambda: self.now)
        self.index.open()
        self.instances = Instances(self.index, folder / "instances", key=b"k" * 32)
        self.jobs = Jobs(self.index)
        self.alerts = Alerts(self.index)
        self.kill_at = ""
        self.settings = RetentionSettings(pixels_days=pixels_days, keep_pixels=keep_pixels)
        (folder / "jobs").mkdir(exist_ok=True)
        self.start()

    def start(self) -> None:
        """Like a start of the service, with its first look, in which nothing is removed."""
        parts = SimpleNamespace(
            site=SimpleNamespace(retention=self.settings),
            retention=store.Retention(self.index, self.folder / "instances"),
            alerts=self.alerts,
            clock=lambda: self.now,
            passing=self._passing,
            folder=self.folder / "jobs",
            shelf=self.shelf,
        )
        self.retention = Retention(cast(Parts, parts))
        self.retention.tick()

    def _passing(self, point: str) -> None:
        if point == self.kill_at:
            raise Killed

    def shelf(self, job_id: str) -> JobShelf:
        return JobShelf(self.folder / "jobs" / job_id)

    def receive(self, study: str = "1.2", slices: int = 2, first: int = 0) -> list[bytes]:
        sent = []
        for number in range(first, first + slices):
            made = ct_slice(number=number, study=study, series=f"{study}.1")
            made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = f"{study}.1.{number + 1}"
            sent.append(self.send(made))
        return sent

    def send(self, made: Any) -> bytes:
        buffer = DicomBytesIO()
        buffer.is_little_endian, buffer.is_implicit_VR = True, False
        write_dataset(buffer, made)
        data = buffer.getvalue()
        self.instances.keep(
            encoded=data,
            header=read_header(data, EXPLICIT),
            sop_class_uid=made.SOPClassUID,
            sop_instance_uid=made.SOPInstanceUID,
            transfer_syntax_uid=EXPLICIT,
            calling_ae_title="CT1",
            source="ct",
            quiet_s=30.0,
        )
        return data

    def decide(self, study: str = "1.2", *, outcome: str = "match", job: str | None = JOB) -> None:
        with self.index.read() as connection:
            due_at = connection.execute(
                sa.select(studies.c.due_at).where(studies.c.study_instance_uid == study)
            ).scalar_one()
        made = [
            Decision(
                rule="lungs",
                outcome=outcome,
                reason="",
                explanation="{}",
                jobs=(
                    NewJob(
                        id=job,
                        rule="lungs",
                        account="gc",
                        algorithm="a",
                        declared_version="",
                        state=JobState.READY,
                        reason="",
                        frozen="{}",
                        inputs="{}",
                    ),
                )
                if job
                else (),
            )
        ]
        Decisions(self.index).decide(study, due_at, made)

    def finish(self, job: str = JOB, state: JobState = JobState.DONE, outcome: str = "delivered") -> None:
        """Payloads, one result, one delivery, as the stages leave them."""
        shelf = self.shelf(job)
        for ref in ("parcel/ct.mha", "parcel.json", "spec.json", "outputs/000.mha", "results/000.seg.dcm"):
            shelf.write(ref, b"x")
        uid = f"2.25.{int(job[:8], 16)}"
        result = StoredResult(
            sop_instance_uid=uid,
            job_id=job,
            kind="SEG",
            output_name="lungs",
            sop_class_uid="1.2.840.10008.5.1.4.1.1.66.4",
            series_instance_uid="2.25.3",
            file="000.seg.dcm",
            sha256="00",
            size_bytes=1,
        )
        self.jobs.keep_results([result], {"pacs": [uid]})
        answer = Answered(outcome=outcome, status=0, reason="")
        Deliveries(self.index).answered(job, "pacs", {uid: answer})
        self.turn(job, due_at=None)
        self.jobs.change(job, state=state)

    def turn(self, job: str, *, due_at: float | None) -> None:
        with self.index.write() as connection:
            connection.execute(sa.update(turns).where(turns.c.job_id == job).values(due_at=due_at))

    def round(self) -> None:
        """A tick at every part that has something, as the next day brings them; then the clock is set back."""
        begin = self.now
        folders = [*self.folder.glob("instances/??"), *self.folder.glob("jobs/*")]
        for part in sorted({(int(one.name[:2], 16) - int(begin // PART_S)) % PARTS for one in folders}):
            self.now = begin + part * PART_S
            self.retention.tick()
        self.now = begin

    def after(self, days: float) -> None:
        self.now += days * DAY_S
        self.round()

    def files(self) -> list[str]:
        """Instance files on the disk, by name."""
        return sorted(
            str(f.relative_to(self.folder / "instances")) for f in self.folder.glob("instances/*/*.dcm")
        )

    def promised(self) -> list[str]:
        """Instance files that rows say are there."""
        with self.index.read() as connection:
            return sorted(
                connection.execute(
                    sa.select(instances.c.file).where(instances.c.dropped_at.is_(None))
                ).scalars()
            )

    def payloads(self, job: str = JOB) -> set[str]:
        return {one.name for one in self.shelf(job).folder.iterdir()}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
def over(bench: Bench) -> Bench:
    """A study whose job is done and delivered."""
    bench.receive()
    bench.decide()
    bench.finish()
    return bench


def test_pixels_go_when_their_days_are_over_and_not_before(over: Bench) -> None:
    over.after(29)
    assert len(over.files()) == 2
    over.after(1.1)
    assert over.files() == over.promised() == []


def test_headers_digests_and_results_stay(over: Bench) -> None:
    over.instances.keep_frame_digests({(1, 1): "aa"})
    over.after(31)
    assert [one.header.Modality for one in over.instances.of_study("1.2")] == ["CT", "CT"]
    assert over.instances.frame_digests([1]) == {(1, 1): "aa"}
    assert over.payloads() == {"parcel.json", "spec.json", "results"}
    assert over.shelf(JOB).path("results/000.seg.dcm").exists()


def test_reading_pixels_that_are_gone_says_when_and_what_to_do(over: Bench) -> None:
    over.after(31)
    (first, _) = over.instances.of_study("1.2")
    with pytest.raises(Damaged, match=r"retention removed on 2027-02-15.*Send the study again") as told:
        FileReader()(first, 1)
    assert told.value.code == "PIX-009"


def test_report_of_a_job_without_pixels_says_so_and_tells_the_rest(bench: Bench) -> None:
    bench.receive(slices=4)
    bench.decide()
    bench.finish()
    numbers = [one.number for one in bench.instances.of_study("1.2")]
    explanation = Explanation(rule="lungs", outcome=Outcome.MATCH, reason="because", study=(), inputs=())
    bench.jobs.change(
        JOB,
        frozen=RULE.model_dump_json(),
        inputs=json.dumps({"ct-image": numbers}),
        explanation=TypeAdapter(Explanation).dump_json(explanation).decode(),
    )
    bench.shelf(JOB).path("parcel.json").unlink()
    site = cast(Site, SimpleNamespace(data=bench.folder, grid=GridSettings()))
    page = bench.folder / "report.html"
    write(site, bench.index, bench.jobs.get(JOB), page)
    assert "<figure" in page.read_text()
    bench.after(31)
    write(site, bench.index, bench.jobs.get(JOB), page)
    said = page.read_text()
    assert "<figure" not in said
    assert "No pictures: pixels that retention removed on 2027-02-15" in said
    assert "Why rule lungs matched" in said


def test_file_that_is_gone_by_itself_is_not_called_retention(over: Bench) -> None:
    (first, _) = over.instances.of_study("1.2")
    first.file.unlink()
    with pytest.raises(Damaged) as told:
        FileReader()(first, 1)
    assert told.value.code == "PIX-008"


def test_pixels_stay_for_ever_where_the_site_says_so(tmp_path: Path) -> None:
    bench = Bench(tmp_path, keep_pixels=True)
    bench.receive()
    bench.decide()
    bench.finish()
    bench.after(3000)
    assert len(bench.files()) == 2
    assert bench.payloads() == {"parcel", "outputs", "parcel.json", "spec.json", "results"}


def test_start_removes_nothing(over: Bench) -> None:
    over.now += 100 * DAY_S
    over.start()
    assert len(over.files()) == 2
    over.retention.tick()
    assert over.files() == []


def test_nothing_goes_while_the_bridge_is_fenced(over: Bench) -> None:
    over.alerts.begin("fenced", "data", "another machine")
    over.after(100)
    assert len(over.files()) == 2
    over.alerts.end("fenced", "data")
    over.round()
    assert over.files() == []


@pytest.mark.parametrize(
    ("state", "goes"),
    [
        (JobState.READY, False),
        (JobState.RUNNING, False),
        (JobState.HELD, False),
        (JobState.FAILED, False),
        (JobState.DONE, True),
        (JobState.REFUSED, True),
        (JobState.CANCELLED, True),
    ],
)
def test_state_of_the_job_decides(bench: Bench, state: JobState, goes: bool) -> None:
    bench.receive()
    bench.decide()
    bench.finish(state=state)
    bench.after(400)
    assert (bench.files() == []) is goes
    assert (bench.payloads() == {"parcel.json", "spec.json", "results"}) is goes


def test_one_job_that_waits_keeps_what_its_study_has(over: Bench) -> None:
    other = "cd" * 16
    over.receive(slices=1, first=5)
    over.decide(job=other)
    over.finish(other, state=JobState.FAILED)
    over.after(400)
    assert len(over.files()) == 3
    assert "parcel" in over.payloads(JOB)


@pytest.mark.parametrize("values", [{"state": "open"}, {"state": "set-aside"}, {"doubts": "STU-003"}])
def test_study_that_waits_keeps_its_pixels(over: Bench, values: dict[str, str]) -> None:
    with over.index.write() as connection:
        connection.execute(sa.update(studies).values(**values))
    over.after(400)
    assert len(over.files()) == 2


def test_study_that_no_rule_wanted_goes_too(bench: Bench) -> None:
    bench.receive()
    bench.decide(outcome="no-match", job=None)
    bench.after(31)
    assert bench.files() == []


def test_study_for_which_a_rule_waits_for_a_person_stays(bench: Bench) -> None:
    bench.receive()
    bench.decide(outcome="held", job=None)
    bench.after(400)
    assert len(bench.files()) == 2


@pytest.mark.parametrize("outcome", ["owed", "retry", "refused", "held", "duplicate"])
def test_undelivered_result_keeps_everything(bench: Bench, outcome: str) -> None:
    bench.receive()
    bench.decide()
    bench.finish(outcome=outcome)
    bench.after(400)
    assert len(bench.files()) == 2
    assert "parcel" in bench.payloads()


def test_turn_that_is_owed_keeps_everything_whatever_the_job_says(over: Bench) -> None:
    over.turn(JOB, due_at=0.0)
    over.after(400)
    assert len(over.files()) == 2


def test_identical_object_that_is_sent_again_stays_for_its_days_anew(bench: Bench) -> None:
    made = ct_slice(study="1.2")
    bench.send(made)
    bench.decide(job=None, outcome="no-match")
    bench.after(31)
    assert bench.files() == []
    bench.send(made)
    bench.after(29)
    (held,) = bench.instances.of_study("1.2")
    assert FileReader()(held, 1).shape == (8, 8)
    bench.after(2)
    assert bench.files() == []


def test_late_instance_keeps_the_study_for_its_days(over: Bench) -> None:
    over.now += 20 * DAY_S
    over.receive(slices=1, first=5)
    over.decide(job=None, outcome="no-match")
    over.after(20)
    assert len(over.files()) == 3
    over.after(11)
    assert over.files() == []


def test_own_result_that_came_back_goes_in_its_time(over: Bench) -> None:
    back = ct_slice(study="1.2")
    back.SOPInstanceUID = f"2.25.{int(JOB[:8], 16)}"
    over.now += 20 * DAY_S
    over.send(back)
    over.after(11)
    assert len(over.files()) == 1
    over.after(20)
    assert over.files() == []


def test_own_result_of_a_study_that_never_came_goes_too(over: Bench) -> None:
    back = ct_slice(study="7.7")
    back.SOPInstanceUID = f"2.25.{int(JOB[:8], 16)}"
    over.send(back)
    assert len(over.files()) == 3
    over.after(31)
    assert over.files() == []


def test_mask_that_was_taken_in_goes_with_its_study_and_stays_with_its_job(over: Bench) -> None:
    mask = ct_slice(study="1.2")
    mask.SOPInstanceUID = mask.file_meta.MediaStorageSOPInstanceUID = f"2.25.{int(JOB[:8], 16)}"
    result = over.shelf(JOB).path("results/000.seg.dcm")
    mask.save_as(result, enforce_file_format=True)
    over.instances.take_in(result)
    assert len(over.files()) == 3
    over.after(29)
    assert len(over.files()) == 3
    over.after(2)
    assert over.files() == over.promised() == []
    assert result.is_file(), "results stay"
    over.instances.take_in(result)
    assert len(over.files()) == len(over.promised()) == 1, "a rule that takes it again finds it"


def test_study_that_lends_a_volume_waits_for_that_job_and_no_other_study_does(over: Bench) -> None:
    over.receive("3.4")
    over.decide("3.4", job=None)
    over.receive("7.8")
    later = NewJob(
        id="cd" * 16,
        rule="growth",
        account="gc",
        algorithm="a",
        declared_version="",
        state=JobState.HELD,
        reason="",
        frozen="{}",
        inputs="{}",
        borrows=("3.4",),
    )
    over.jobs.add("7.8", later, explanation="{}", event="job.rerun-of", keys={})
    over.after(31)
    kept = {one.study_instance_uid for one in over.instances.of_study("3.4") if one.dropped_at is None}
    assert (kept, len(over.files())) == ({"3.4"}, 4), "of 1.2 everything is over"


def test_instance_that_comes_between_the_look_and_the_removal_saves_its_study(over: Bench) -> None:
    over.now += 31 * DAY_S
    looked = store.Retention(over.index, over.folder / "instances")
    assert looked.studies(over.now - 30 * DAY_S) == ["1.2"]
    over.receive(slices=1, first=5)
    assert looked.drop("1.2", over.now - 30 * DAY_S).files == ()
    assert len(over.files()) == 3


def test_crash_between_row_and_file_leaves_litter_and_no_lie(over: Bench) -> None:
    over.now += 31 * DAY_S
    over.kill_at = "retention:mid"
    with pytest.raises(Killed):
        over.retention.tick()
    assert len(over.files()) == 2
    assert over.promised() == []
    (first, _) = over.instances.of_study("1.2")
    assert first.dropped_at == over.now
    over.kill_at = ""
    age(over, 32)
    over.start()
    over.round()
    assert over.files() == []


def age(bench: Bench, days: float) -> None:
    """Let everything on the disk have been written so many days ago."""
    for file in bench.folder.rglob("*"):
        os.utime(file, (bench.now - days * DAY_S,) * 2)


def test_work_that_does_not_end_in_time_goes_on_at_the_next_tick(bench: Bench) -> None:
    for number in range(3):
        bench.receive(f"1.{number}")
        bench.decide(f"1.{number}", outcome="no-match", job=None)
    bench.now += 31 * DAY_S
    seconds = iter([0.0, 1.0, 6.0, 0.0, 1.0, 2.0])
    bench.retention._stopwatch = lambda: next(seconds)
    bench.retention.tick()
    assert len(bench.files()) == 4
    bench.retention.tick()
    assert bench.files() == []


def test_file_that_a_crash_left_without_a_row_goes_when_its_bytes_are_held(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.receive()
    (name, _) = bench.files()
    left = bench.folder / "instances" / "ab" / f"ab{'0' * 30}.dcm"
    left.parent.mkdir(exist_ok=True)
    left.write_bytes((bench.folder / "instances" / name).read_bytes())
    age(bench, 0.1)
    bench.round()
    assert left.exists(), "its row may be about to be written"
    age(bench, 1.1)
    with caplog.at_level(logging.INFO, "bridge.retention"):
        bench.round()
    assert bench.files() == bench.promised()
    assert [record.getMessage() for record in caplog.records] == ["retention.litter-removed"]


def test_bytes_without_any_row_are_told_and_stay_as_long_as_pixels(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.receive()
    with bench.index.write() as connection:  # an older index was restored
        connection.exec_driver_sql("DELETE FROM headers")
        connection.exec_driver_sql("DELETE FROM instances")
    age(bench, 29)
    with caplog.at_level(logging.INFO, "bridge.retention"):
        bench.round()
    assert len(bench.files()) == 2
    assert {record.getMessage() for record in caplog.records} == {"retention.unknown-files"}
    age(bench, 31)
    bench.round()
    assert bench.files() == []


def test_half_written_files_go_after_a_day(bench: Bench) -> None:
    for number, part in enumerate(("parcel/ct.mha.part", "results/000.seg.dcm.part")):
        bench.shelf(f"{number:02x}" * 16).path(part).parent.mkdir(parents=True)
        bench.shelf(f"{number:02x}" * 16).path(part).write_bytes(b"half")
    age(bench, 0.1)
    bench.round()
    assert len(list(bench.folder.rglob("*.part"))) == 2
    age(bench, 1.5)
    bench.round()
    assert list(bench.folder.rglob("*.part")) == []


@dataclass(frozen=True)
class Made:
    """One study as rows, ages in days."""

    state: str
    age: float
    instances: tuple[tuple[float, bool], ...]
    jobs: tuple[tuple[JobState, float, str, bool], ...]

    def goes(self) -> set[int]:
        """Places of the instances that may go after 30 days: the rules once more, in words of Python."""
        for state, changed, outcome, turn in self.jobs:
            if state not in ("done", "cancelled", "refused") or changed <= 30 or turn:
                return set()
            if state != "cancelled" and outcome not in ("delivered", "warned"):
                return set()
        if self.state != "decided" or self.age <= 30:
            return set()
        return {place for place, (age, _) in enumerate(self.instances) if age > 30}


AGES = st.sampled_from((0.0, 29.0, 31.0, 400.0))
MADE = st.builds(
    Made,
    state=st.sampled_from(("open", "decided", "decided", "decided", "set-aside", "held")),
    age=AGES,
    instances=st.lists(st.tuples(AGES, st.booleans()), min_size=1, max_size=3).map(tuple),
    jobs=st.lists(
        st.tuples(
            st.sampled_from((*JobState, JobState.DONE, JobState.DONE, JobState.DONE)),
            AGES,
            st.sampled_from(("owed", "retry", "delivered", "delivered", "warned", "held")),
            st.sampled_from((False, False, False, True)),
        ),
        max_size=2,
    ).map(tuple),
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(made=st.lists(MADE, min_size=1, max_size=3))
def test_what_goes_is_what_the_rules_say(tmp_path: Path, made: list[Made]) -> None:
    index = Index(tmp_path / "rows.sqlite", clock=lambda: START)
    index.open()
    expected = set()
    with index.write() as connection:
        for table in (deliveries, turns, jobs, instances, studies):
            connection.execute(sa.delete(table))
        for number, one in enumerate(made):
            insert(connection, number, one)
            expected |= {f"{number}/{place}" for place in one.goes()}
    retention = store.Retention(index, tmp_path)
    before = START - 30 * DAY_S
    gone: set[str] = set()
    for study in retention.studies(before):
        files = retention.drop(study, before).files
        assert files, "a study is named only when something of it goes"
        gone |= set(files)
    index.close()
    assert gone == expected


def insert(connection: sa.Connection, number: int, one: Made) -> None:
    study = f"1.{number}"
    last_at = START - one.age * DAY_S
    row = {"study_instance_uid": study, "name": study, "state": one.state, "source": "ct", "quiet_s": 1.0}
    row["doubts"] = "STU-003" if one.state == "held" else ""
    row["state"] = "decided" if one.state == "held" else one.state
    row |= dict.fromkeys(("first_at", "last_at", "due_at", "opened_at"), last_at)
    connection.execute(sa.insert(studies).values(**row))
    for place, (days, own) in enumerate(one.instances):
        connection.execute(
            sa.insert(instances).values(
                sop_instance_uid=f"{study}.{place}",
                version=1,
                sop_class_uid="1",
                series_instance_uid="1",
                study_instance_uid=study,
                transfer_syntax_uid=EXPLICIT,
                digest="",
                size_bytes=1,
                file=f"{number}/{place}",
                calling_ae_title="CT1",
                own=own,
                received_at=START - days * DAY_S,
            )
        )
    for place, (state, days, outcome, turn) in enumerate(one.jobs):
        job = f"{number}-{place}"
        at = START - days * DAY_S
        text = dict.fromkeys(("rule", "account", "algorithm", "declared_version", "frozen", "inputs"), "")
        connection.execute(
            sa.insert(jobs).values(
                id=job,
                study_instance_uid=study,
                state=state,
                stage="deliver",
                explanation="{}",
                created_at=at,
                changed_at=at,
                **text,
            )
        )
        connection.execute(
            sa.insert(deliveries).values(
                job_id=job, destination="pacs", sop_instance_uid=job, outcome=outcome, last_at=at
            )
        )
        connection.execute(
            sa.insert(turns).values(
                job_id=job, destination="pacs", turn=1, due_at=at if turn else None, since=at
            )
        )
