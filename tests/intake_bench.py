"""Intake with real tables, files, settings and rules; children run here and nothing is handed to an engine."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import ExplicitVRLittleEndian

from bridge.config import load_rules, load_site
from bridge.dicom.headers import read_header
from bridge.flow.parts import Parts
from bridge.flow.relay import Relay
from bridge.flow.stages.pace import Pace
from bridge.flow.study.intake import Intake
from bridge.flow.study.rulebook import rules_of
from bridge.store.acts import Acts
from bridge.store.alerts import Alerts
from bridge.store.answers import Answers
from bridge.store.budgets import Budgets
from bridge.store.crosswalk import Crosswalk
from bridge.store.decisions import Decisions
from bridge.store.disclosures import Disclosures
from bridge.store.erasing import Erasing
from bridge.store.instances import Arrived, Instances
from bridge.store.jobs import Job, Jobs, StoredResult
from bridge.store.keys import Keys
from bridge.store.outages import Outages
from bridge.store.rows import JobEvent
from bridge.store.specs import Specs
from bridge.store.studies import Studies
from bridge.store.studies import Study as StudyRow
from bridge.store.tables import Index
from bridge.store.turns import Turns
from made_objects import ct_slice

KEY = b"k" * 32
SITE = """
[bridge]
ae_title = "BRIDGE"
data = "data"
rules = "rules.toml"

[receive]
reserve_bytes = 0

[sources.ct]
ae_title = "CT1"
{source}

[destinations.pacs]
ae_title = "PACS"
host = "127.0.0.1"
port = {port}
retry_s = [10.0, 30.0]
connect_timeout_s = 2.0
acse_timeout_s = 2.0
dimse_timeout_s = {dimse_timeout_s}

[accounts.gc]
platform = "grand-challenge"
base_url = "https://cloud.example/api/v1/"
token_file = "token"

[engine]
retry_s = [2.0, 10.0]
"""
RULES = """
[rules.lungs]
mode = "{mode}"
platform = "gc"
algorithm = "lungs-and-airways"
destinations = ["pacs"]

[rules.lungs.inputs.ct-image]
volume = {{ Modality = "CT" }}
"""


def encoded(made: Dataset) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_dataset(buffer, made)
    return buffer.getvalue()


class Bench:
    """One bridge without receiver and engine, and with a clock that is set by hand."""

    def __init__(
        self,
        folder: Path,
        *,
        mode: str = "live",
        source: str = "",
        port: int = 104,
        dimse_timeout_s: float = 2.0,
        instead: tuple[str, ...] = (),
    ) -> None:
        self.now = 100_000.0
        (folder / "site.toml").write_text(
            SITE.format(source=source, port=port, dimse_timeout_s=dimse_timeout_s)
        )
        (folder / "rules.toml").write_text(RULES.format(mode=mode))
        (folder / "token").write_text("x")
        self.index = Index(folder / "index.sqlite", clock=lambda: self.now)
        self.index.open()
        self.instances = Instances(self.index, folder / "instances", key=KEY)
        self.studies = Studies(self.index)
        self.jobs = Jobs(self.index)
        self.decisions, self.specs = Decisions(self.index), Specs(self.index)
        self.alerts = Alerts(self.index)
        self.budgets = Budgets(self.index)
        self.enqueued: list[tuple[str, str, str]] = []
        self.fail: Callable[[], None] | None = None
        self.site = load_site(folder / "site.toml")
        parts = SimpleNamespace(
            site=self.site,
            key=KEY,
            instances=self.instances,
            studies=self.studies,
            jobs=self.jobs,
            decisions=self.decisions,
            specs=self.specs,
            turns=Turns(self.index),
            alerts=self.alerts,
            budgets=self.budgets,
            answers=Answers(self.index),
            acts=Acts(self.index),
            crosswalk=Crosswalk(self.index, Keys(folder / "keys"), KEY),
            disclosures=Disclosures(self.index, KEY),
            erasing=Erasing(self.index),
            pace=Pace(Outages(self.index), lambda account: parts.platform(account), {}),
            children=SimpleNamespace(run=self._run),
            enqueue=self._enqueue,
            clock=lambda: self.now,
            instead=instead,
            passing=lambda point: None,
        )
        self.parts = cast(Parts, parts)
        self._rules_file = folder / "rules.toml"
        self.load_rules()
        self.relay = Relay(self.parts)

    def load_rules(self) -> None:
        rules = rules_of(load_rules(self._rules_file), self.site)
        self.intake = Intake(self.parts, rules, today=lambda: date(2026, 3, 1))

    def _run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        if self.fail:
            self.fail()
        return function(*arguments)

    def _enqueue(
        self, workflow: str, queue: str, id: str, *arguments: str, due_at: float | None = None
    ) -> None:
        self.enqueued.append((workflow, queue, id))

    def keep(self, made: Dataset, body: bytes = b"", syntax: str = ExplicitVRLittleEndian) -> Arrived:
        """One object arrives; `body` where its bytes are not those of an ordinary writer."""
        body = body or encoded(made)
        return self.instances.keep(
            encoded=body,
            header=read_header(body, syntax),
            sop_class_uid=made.SOPClassUID,
            sop_instance_uid=made.SOPInstanceUID,
            transfer_syntax_uid=syntax,
            calling_ae_title="CT1",
            source="ct",
            quiet_s=self.site.sources["ct"].quiet_s,
        )

    def receive(self, study: str, slices: int = 4, first: int = 0, **attributes: Any) -> list[Dataset]:
        """Slices of one series; their pixels differ from slice to slice."""
        made = []
        for number in range(first, first + slices):
            one = ct_slice(number=number, study=study, series=f"{study}.1")
            one.SeriesNumber = 3
            one.PixelData = bytes([number + 1, 0]) * 64
            for keyword, value in attributes.items():
                setattr(one, keyword, value)
            self.keep(one)
            made.append(one)
        return made

    def own_result(self, uid: str, job: str) -> None:
        self.jobs.keep_results(
            [
                StoredResult(
                    sop_instance_uid=uid,
                    job_id=job,
                    kind="SEG",
                    output_name="lungs",
                    sop_class_uid="1.2.840.10008.5.1.4.1.1.66.4",
                    series_instance_uid="2.25.3",
                    file="000.seg.dcm",
                    sha256="00",
                    size_bytes=5,
                )
            ],
            {"pacs": [uid]},
        )

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.intake.tick()

    def pass_time_answered(self, seconds: float, within_s: float = 10.0) -> None:
        """The same, and the archive has answered whatever it was asked."""
        self.now += seconds
        until = time.monotonic() + within_s
        self.intake.tick()
        while any(study.due_at <= self.now for study in self.studies.due(self.now)):
            assert time.monotonic() < until, "the archive did not answer"
            time.sleep(0.02)
            self.intake.tick()

    def study(self, study: str = "1.2") -> StudyRow:
        row = self.studies.study(study)
        assert row is not None
        return row

    def job(self) -> Job:
        (job,) = self.jobs.all()
        return job

    def told(self, job: str) -> list[str]:
        return [line.event for line in self.jobs.timeline(job)]

    def line(self, job: str, event: str) -> JobEvent:
        return next(line for line in self.jobs.timeline(job) if line.event == event)

    def outcome(self, study: str = "1.2") -> tuple[str, str]:
        (decision,) = self.decisions.of_study(study)
        return decision.outcome, decision.reason

    def alert_kinds(self) -> list[str]:
        return [alert.kind for alert in self.alerts.all()]
