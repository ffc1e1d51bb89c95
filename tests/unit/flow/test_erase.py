"""A study is erased: files, rows, names, and what a platform has; the record says what is left of it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa

from bridge.errors import TryLater
from bridge.flow.acts import forget
from bridge.flow.acts.perform import perform
from bridge.flow.stages import prepare
from bridge.flow.stages.cloud import REMOTE
from bridge.platforms.protocol import Forgotten, RemoteJob
from bridge.store.disclosures import Sent
from bridge.store.jobs import JobState
from bridge.store.patients import Patients
from bridge.store.retention import Retention
from bridge.store.rows import Act
from bridge.store.tables import jobs
from intake_bench import KEY
from prepared import Prepared

STUDY = "2.25.4711"
INPUT = '[rules.mask.inputs.ct]\nvolume = { Modality = "CT", InstitutionName = { contains = "House^" } }'
PERSON = (b"Canary", b"Yellow", b"House^West", b"C-1\0", b'"C-1"')


class Dies(BaseException):
    """The process is gone."""


class Cloud:
    def __init__(self) -> None:
        self.answers: list[Any] = [
            (
                Forgotten(what="upload 7", erased=True),
                Forgotten(what="job 9", erased=False, reason="no route"),
            )
        ]

    async def forget(self, job: RemoteJob) -> tuple[Forgotten, ...]:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[no-any-return]


class Bench(Prepared):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder, INPUT)
        self.cloud, self.dies_at = Cloud(), ""
        self.receive(STUDY, InstitutionName="House^West")
        self.decide(STUDY)
        self.id, self.name = self.job().id, self.study(STUDY).name
        prepare.convert(self.parts, self.job())
        sent = Sent(
            job_id=self.id,
            attempt=1,
            name="ct.mha",
            sha256="00",
            size_bytes=5,
            input="ct",
            format="mha",
            rule="mask",
            account="gc",
            platform="grand-challenge",
            algorithm="identity-mask",
            pseudonym="P-1",
            profile="f00",
        )
        self.parts.disclosures.begin([sent])
        self.parts.disclosures.left([sent])
        remote = REMOTE.dump_json(RemoteJob(key=self.id, begun=("upload:ct",))).decode()
        self.jobs.change(self.id, state=JobState.DONE, remote=remote, outputs='[{"value":"C-1"}]')
        for name, value in {
            "retention": Retention(self.index, folder / "instances"),
            "platform": lambda account: SimpleNamespace(plan=self._plan, forget=self.cloud.forget),
            "passing": self._pass,
        }.items():
            setattr(self.parts, name, value)

    def _pass(self, point: str) -> None:
        if point == self.dies_at:
            self.dies_at = ""
            raise Dies

    def erase(self) -> Act:
        number = self.parts.acts.ask("erase", self.name, who="op", reason="asked by the patient")
        return self.perform(number)

    def perform(self, number: int) -> Act:
        perform(self.parts, reload=lambda: "")
        return self.parts.acts.get(number)

    def ask_platform(self, act: Act, attempt: int = 0) -> dict[str, Any]:
        return dict(asyncio.run(forget.ask(self.parts, self.id, act.id, attempt)))

    def bytes(self) -> bytes:
        self.index.write_back()
        files = [self.folder / "index.sqlite", *(self.folder / "instances").rglob("*"), *self.shelf()]
        return b"".join(one.read_bytes() for one in files if one.is_file())

    def rows(self, table: sa.Table) -> list[dict[str, Any]]:
        with self.index.read() as connection:
            return [dict(one) for one in connection.execute(sa.select(table)).mappings()]

    def shelf(self) -> list[Path]:
        return list((self.folder / "jobs").rglob("*"))

    def record(self) -> list[tuple[str, str, bool]]:
        return [(one.place, one.what, one.erased) for one in self.parts.disclosures.erased([self.name])]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_nothing_of_the_person_is_left_and_the_record_is(bench: Bench) -> None:
    assert all(one in bench.bytes() for one in PERSON[:3])
    act = bench.erase()
    assert (act.outcome, act.answer.split(";")[0]) == ("done", f"study {bench.name} is erased here")
    held = bench.bytes()
    assert [one for one in PERSON if one in held] == []
    assert bench.shelf() == []
    assert bench.parts.crosswalk.of_job(bench.id) == []
    assert bench.studies.study(STUDY) is None
    (sent,) = bench.parts.disclosures.of_patient("C-1")
    assert (sent.name, sent.sent_at) == ("ct.mha", bench.now)
    assert bench.record()[:2] == [
        ("here", "4 objects with their headers", True),
        ("here", "1 rows of the crosswalk", True),
    ]


def test_of_its_uids_the_study_s_own_is_left_in_the_row_of_its_job_alone(bench: Bench) -> None:
    """docs/privacy.md says so: by it a study that comes again is known, and not billed again."""
    held = bench.instances.of_study(STUDY)
    uids = {STUDY, *(one.sop_instance_uid for one in held), *(one.series_instance_uid for one in held)}
    assert len(uids) > 5

    def places() -> set[tuple[str, str]]:
        return {
            (table.name, column)
            for table in jobs.metadata.sorted_tables
            for row in bench.rows(table)
            for column, value in row.items()
            if any(
                uid in (value.decode("latin-1") if isinstance(value, bytes) else str(value)) for uid in uids
            )
        }

    assert {("instances", "sop_instance_uid"), ("jobs", "study_instance_uid")} < places()
    bench.erase()
    assert places() == {("jobs", "study_instance_uid")}


def test_the_platform_is_asked_and_what_it_keeps_is_written_down(bench: Bench) -> None:
    act = bench.erase()
    assert bench.enqueued == [("forget", "platform-gc", f"{bench.id}.forget~{act.id}")]
    bench.cloud.answers.insert(0, TryLater("X-1", "away"))
    assert bench.ask_platform(act)["then"] == "again"
    assert bench.ask_platform(act, 1)["then"] == "stop"
    assert bench.record()[-2:] == [("gc", "upload 7", True), ("gc", "job 9", False)]
    assert bench.ask_platform(act, 2)["then"] == "stop", "a step that is done twice asks once"
    assert len([one for one in bench.record() if one[0] == "gc"]) == 2


def test_a_platform_that_never_answers_is_written_down_too(bench: Bench) -> None:
    act = bench.erase()
    bench.cloud.answers = [TryLater("X-1", "away")]
    assert bench.ask_platform(act, forget.TRIES - 1)["then"] == "stop"
    assert bench.record()[-1] == ("gc", "what was sent", False)


@pytest.mark.parametrize("point", ["erase:before", "erase:mid", "erase:after"])
def test_a_crash_anywhere_is_finished_at_the_next_look(bench: Bench, point: str) -> None:
    bench.dies_at = point
    number = bench.parts.acts.ask("erase", bench.name, who="op", reason="r")
    with pytest.raises(Dies):
        bench.perform(number)
    act = bench.perform(number)
    assert act.outcome == "done"
    assert [one for one in PERSON if one in bench.bytes()] == []
    assert bench.enqueued == [("forget", "platform-gc", f"{bench.id}.forget~{act.id}")]
    assert bench.record().count(("here", "1 rows of the crosswalk", True)) == 1


@pytest.mark.parametrize("state", [JobState.READY, JobState.RUNNING, JobState.HELD])
def test_what_is_under_way_is_not_erased(bench: Bench, state: JobState) -> None:
    bench.jobs.change(bench.id, state=state)
    act = bench.erase()
    assert (act.outcome, "bridge jobs cancel" in act.answer) == ("refused", True)
    assert bench.studies.study(STUDY) is not None
    assert len(bench.instances.of_study(STUDY)) == 4


def test_a_job_of_another_study_that_took_volumes_is_waited_for(bench: Bench) -> None:
    bench.receive("1.9", InstitutionName="House^West")
    bench.decide("1.9")
    (other,) = (one for one in bench.jobs.all() if one.id != bench.id)
    with bench.index.write() as connection:
        connection.execute(
            sa.text("INSERT INTO borrowed (job_id, study_instance_uid) VALUES (:job, :study)"),
            {"job": other.id, "study": STUDY},
        )
    assert bench.erase().outcome == "refused"
    prepare.convert(bench.parts, other)
    bench.jobs.change(other.id, state=JobState.DONE)
    assert bench.erase().outcome == "done"
    left = {one.name for one in (bench.folder / "jobs" / other.id).iterdir()}
    assert "parcel" not in left
    assert ("gc", "what left for a job of another study", False) in bench.record()
    assert bench.parts.crosswalk.of_job(other.id) != []


def test_a_study_that_comes_again_is_not_billed_again(bench: Bench) -> None:
    bench.erase()
    bench.receive(STUDY, InstitutionName="House^West")
    bench.decide(STUDY)
    assert [(one.id, one.state) for one in bench.jobs.all()] == [(bench.id, JobState.DONE)]


def test_an_account_that_is_gone_is_written_down(bench: Bench) -> None:
    with bench.index.write() as connection:
        connection.execute(sa.update(jobs).values(account="old"))
    bench.erase()
    assert bench.enqueued == []
    assert bench.record()[-1] == ("old", "what was sent", False)


def test_studies_of_a_patient_are_found_by_their_headers(bench: Bench) -> None:
    bench.receive("1.9", PatientID="C-2")
    bench.receive("1.8", PatientID="C-1", IssuerOfPatientID="Elsewhere")
    patients = Patients(bench.index, KEY)

    def found(*who: Any) -> set[str]:
        return {one.study_instance_uid for one in patients.named(*who)}

    assert found(" C-1 ") == {STUDY, "1.8"}
    assert found("C-1", "") == {STUDY}
    assert found("C-1", "Elsewhere") == {"1.8"}
    assert found("C-3") == set()
