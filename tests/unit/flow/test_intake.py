"""From instances to jobs: decided once, explained always, and one study's trouble is never another's."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from bridge.config import load_rules
from bridge.dicom.headers import read_header
from bridge.errors import Refused
from bridge.flow.intake import ASK_AGAIN_S, MOST_ATTEMPTS, Intake
from bridge.flow.parts import Parts
from bridge.rules import compile_rules
from bridge.store.instances import Instances
from bridge.store.jobs import Jobs, JobState
from bridge.store.tables import Index
from made_objects import ct_slice

EXPLICIT = "1.2.840.10008.1.2.1"
RULES = """
[rules.lungs]
mode = "{mode}"
platform = "gc"
algorithm = "lungs-and-airways"
destinations = ["pacs"]

[rules.lungs.inputs.ct-image]
volume = {{ Modality = "CT" }}
"""


class Bench:
    """Intake with real tables, files and rules; children run here and the engine only remembers."""

    def __init__(self, folder: Path, *, mode: str = "live") -> None:
        self.now = 1000.0
        index = Index(folder / "index.sqlite", clock=lambda: self.now)
        index.open()
        self.instances = Instances(index, folder / "instances", key=b"k" * 32)
        self.jobs = Jobs(index)
        self.enqueued: list[tuple[str, str, str]] = []
        self.fail: Callable[[], None] | None = None
        self.site = SimpleNamespace(
            accounts={"gc": SimpleNamespace(describe_again_s=3600.0, retry_s=(5.0,))},
            engine=SimpleNamespace(retry_s=(2.0, 10.0)),
        )
        parts = SimpleNamespace(
            site=self.site,
            key=b"k" * 32,
            instances=self.instances,
            jobs=self.jobs,
            children=SimpleNamespace(run=self._run),
            enqueue=self._enqueue,
            clock=lambda: self.now,
            passing=lambda point: None,
        )
        (folder / "rules.toml").write_text(RULES.format(mode=mode))
        file = load_rules(folder / "rules.toml")
        self.intake = Intake(
            cast(Parts, parts), compile_rules(file), dict(file.rules), today=lambda: date(2026, 3, 1)
        )

    def _run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        if self.fail:
            self.fail()
        return function(*arguments)

    def _enqueue(self, workflow: str, queue: str, id: str, *arguments: str, urgent: bool = False) -> None:
        self.enqueued.append((workflow, queue, id))

    def receive(self, study: str, slices: int = 4, first: int = 0) -> None:
        for number in range(first, first + slices):
            made = ct_slice(number=number, study=study, series=f"{study}.1")
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

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.intake.tick()


def test_study_is_looked_at_when_it_is_due_and_not_before(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.receive("1.2")
    bench.pass_time(29.0)
    assert bench.jobs.all() == []
    bench.pass_time(1.0)
    (job,) = bench.jobs.all()
    assert (job.rule, job.state) == ("lungs", JobState.READY)


@pytest.mark.parametrize(("mode", "states"), [("explain", []), ("hold", ["held"]), ("live", ["ready"])])
def test_mode_of_the_rule_says_what_becomes_of_a_match(tmp_path: Path, mode: str, states: list[str]) -> None:
    bench = Bench(tmp_path, mode=mode)
    bench.receive("1.2")
    bench.pass_time(30.0)
    assert [job.state for job in bench.jobs.all()] == states
    assert [one.outcome for one in bench.jobs.decisions("1.2")] == ["match"]


def test_held_job_goes_on_when_it_is_released(tmp_path: Path) -> None:
    bench = Bench(tmp_path, mode="hold")
    bench.receive("1.2")
    bench.pass_time(30.0)
    (job,) = bench.jobs.all()
    assert bench.jobs.release(job.id)
    assert not bench.jobs.release(job.id)
    assert bench.jobs.get(job.id).state is JobState.READY


def test_late_object_that_changes_no_input_starts_no_job(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.receive("1.2")
    bench.pass_time(30.0)
    (job,) = bench.jobs.all()
    late = ct_slice(study="1.2", series="1.2.99")
    late.Modality = "SR"
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_dataset(buffer, late)
    data = buffer.getvalue()
    bench.instances.keep(
        encoded=data,
        header=read_header(data, EXPLICIT),
        sop_class_uid="1.2.840.10008.5.1.4.1.1.88.67",
        sop_instance_uid=late.SOPInstanceUID,
        transfer_syntax_uid=EXPLICIT,
        calling_ae_title="CT1",
        source="ct",
        quiet_s=30.0,
    )
    bench.pass_time(30.0)
    assert [one.id for one in bench.jobs.all()] == [job.id]


def test_slice_that_was_missing_makes_another_job(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.receive("1.2", slices=4)
    bench.pass_time(30.0)
    bench.receive("1.2", slices=1, first=4)
    bench.pass_time(30.0)
    assert len(bench.jobs.of_study("1.2")) == 2


def test_trouble_with_one_study_keeps_no_other_from_its_turn(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.receive("1.2")
    turns = iter([Refused("PIX-001", "half a frame")])

    def fail_once() -> None:
        for error in turns:
            raise error

    bench.fail = fail_once
    bench.receive("1.3")
    bench.pass_time(30.0)
    assert [job.study_instance_uid for job in bench.jobs.all()] == ["1.3"]
    bench.pass_time(1.0)
    assert len(bench.jobs.all()) == 1, "it rests for two seconds"
    bench.pass_time(1.0)
    assert len(bench.jobs.all()) == 2


def test_study_that_never_can_be_decided_is_set_aside_until_it_grows(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.receive("1.2")

    def fail() -> None:
        raise Refused("PIX-001", "half a frame")

    bench.fail = fail
    for _ in range(MOST_ATTEMPTS + 2):
        bench.pass_time(30.0)
    study = bench.instances.study("1.2")
    assert study is not None
    assert study.state == "set-aside"
    bench.fail = None
    bench.receive("1.2")
    bench.pass_time(30.0)
    study = bench.instances.study("1.2")
    assert study is not None
    assert study.state == "decided"


def test_job_waits_for_the_description_and_asks_once(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.receive("1.2")
    bench.pass_time(30.0)
    bench.pass_time(1.0)
    assert [workflow for workflow, _, _ in bench.enqueued] == ["describe"]
    (job,) = bench.jobs.all()
    bench.jobs.keep_spec("gc", "lungs-and-airways", "", spec="{}")
    bench.pass_time(1.0)
    assert bench.enqueued[-1] == ("prepare", "cpu", f"{job.id}.prepare")
    assert bench.jobs.get(job.id).state is JobState.RUNNING


def test_job_says_why_the_platform_cannot_describe_and_asks_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.receive("1.2")
    bench.pass_time(30.0)
    bench.jobs.keep_spec("gc", "lungs-and-airways", "", spec=None, code="GC-010", reason="not visible")
    bench.pass_time(1.0)
    (job,) = bench.jobs.all()
    assert (job.code, job.reason, job.state) == ("GC-010", "not visible", JobState.READY)
    asked = len(bench.enqueued)
    bench.pass_time(ASK_AGAIN_S)
    assert len(bench.enqueued) == asked + 1


def test_job_of_an_account_that_is_gone_waits_and_stops_no_other(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.receive("1.2")
    bench.pass_time(30.0)
    bench.site.accounts.clear()
    bench.pass_time(1.0)
    (job,) = bench.jobs.all()
    assert "no longer in site.toml" in job.reason
    assert job.state is JobState.READY
