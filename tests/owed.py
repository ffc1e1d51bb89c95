"""Jobs whose results are made and owed, without the stages before: rows as they stand after `encode`, and files."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import sqlalchemy as sa

from bridge.config.destinations import DestinationSettings, DicomDestination
from bridge.config.grid import GridSettings
from bridge.flow.parts import Parts, nothing
from bridge.flow.relay import Relay
from bridge.flow.stages import deliveries
from bridge.flow.stages.shelf import RESULTS, JobShelf
from bridge.store.alerts import Alerts
from bridge.store.deliveries import Deliveries
from bridge.store.jobs import Job, Jobs, JobState, Stage, StoredResult
from bridge.store.tables import Index, jobs
from bridge.store.turns import Turns
from made_objects import ct_slice


def owe(index: Index, folder: Path, job_id: str, destinations: Sequence[str], results: int = 2) -> list[str]:
    """A running job with results in `folder`/<job>/results. Returns their SOP Instance UIDs in the order of sending."""
    made = []
    for number in range(results):
        result = ct_slice(number=number, study=f"2.25.{int(job_id[:12], 16)}")
        file = folder / job_id / RESULTS / f"{number:03}.dcm"
        file.parent.mkdir(parents=True, exist_ok=True)
        result.save_as(file, enforce_file_format=True)
        made.append((result, file))
    now = index.clock()
    with index.write() as connection:
        row = {
            "id": job_id,
            "rule": "lungs",
            "study_instance_uid": str(made[0][0].StudyInstanceUID),
            "account": "gc",
            "algorithm": "lungs-and-airways",
            "declared_version": "",
            "state": JobState.RUNNING,
            "stage": Stage.DELIVER,
            "frozen": "{}",
            "inputs": "{}",
            "explanation": "{}",
            "created_at": now,
            "changed_at": now,
        }
        connection.execute(sa.insert(jobs).values(**row))
    Jobs(index).keep_results(
        [
            StoredResult(
                sop_instance_uid=str(result.SOPInstanceUID),
                job_id=job_id,
                kind=f"R{number}",
                output_name="",
                sop_class_uid=str(result.SOPClassUID),
                series_instance_uid=str(result.SeriesInstanceUID),
                file=file.name,
                sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
                size_bytes=file.stat().st_size,
            )
            for number, (result, file) in enumerate(made)
        ],
        {key: [str(result.SOPInstanceUID) for result, _ in made] for key in destinations},
    )
    return [str(result.SOPInstanceUID) for result, _ in made]


def job_ids(count: int) -> list[str]:
    return [f"{number:012x}{'0' * 20}" for number in range(1, count + 1)]


class DeliveryBench:
    """The relay and the turns on real tables and real peers, with a clock of their own and without the engine."""

    def __init__(self, folder: Path, **ports: int) -> None:
        self.now = 1_000_000.0
        self.folder = folder
        self.settings: dict[str, DestinationSettings] = {
            name: DicomDestination(
                ae_title="PACS",
                host="127.0.0.1",
                port=port,
                calling_ae_title="BRIDGE",
                connect_timeout_s=2.0,
                acse_timeout_s=2.0,
                dimse_timeout_s=2.0,
                retry_s=(10.0, 60.0, 3600.0),
                ask_back_s=(5.0, 30.0),
            )
            for name, port in ports.items()
        }
        self.index = Index(folder / "index.sqlite", clock=lambda: self.now)
        self.index.open()
        self.jobs, self.turns = Jobs(self.index), Turns(self.index)
        self.deliveries, self.alerts = Deliveries(self.index), Alerts(self.index)
        self.passing: Any = nothing
        self.handed: list[tuple[str, str, int]] = []
        self.relay = self.new_relay()

    def new_relay(self) -> Relay:
        """As after a start of the service."""
        self.parts = cast(
            Parts,
            SimpleNamespace(
                site=SimpleNamespace(
                    destinations=self.settings, ae_title="BRIDGE", accounts={}, grid=GridSettings()
                ),
                key=b"k" * 32,
                jobs=self.jobs,
                turns=self.turns,
                deliveries=self.deliveries,
                alerts=self.alerts,
                enqueue=self._enqueue,
                clock=lambda: self.now,
                passing=lambda point: self.passing(point),
                shelf=lambda job_id: JobShelf(self.folder / "jobs" / job_id),
            ),
        )
        self.relay = Relay(self.parts)
        return self.relay

    def _enqueue(
        self, workflow: str, queue: str, id: str, *arguments: str, due_at: float | None = None
    ) -> None:
        job_id, destination, turn = arguments
        assert (workflow, queue) == ("deliver", f"dest-{destination}")
        assert id == f"{job_id}.deliver.{destination}~{turn}"
        self.handed.append((job_id, destination, int(turn)))

    def change(self, destination: str, **values: Any) -> None:
        self.settings[destination] = self.settings[destination].model_copy(update=values)

    def owe(self, job_id: str, *destinations: str, results: int = 2) -> list[str]:
        return owe(self.index, self.folder / "jobs", job_id, destinations or ("pacs",), results)

    def look(self) -> list[tuple[str, str]]:
        """One look of the relay; then what it handed over is done. Returns whose turns these were."""
        self.handed.clear()
        self.relay.tick()
        done = list(self.handed)
        for job_id, destination, turn in done:
            deliveries.turn(self.parts, job_id, destination, turn)
        return [(job_id, destination) for job_id, destination, _ in done]

    def pass_time(self, seconds: float) -> int:
        """Look whenever something is due within that time. Returns how many turns there were."""
        until, turns = self.now + seconds, 0
        while True:
            while done := self.look():
                turns += len(done)
            due = [
                one.due_at for one in self.turns.owed() if one.due_at is not None and one.due_at > self.now
            ]
            due += [line.next_at for line in self.turns.lines().values() if line.next_at > self.now]
            if not due or min(due) > until:
                self.now = until
                return turns
            self.now = min(due)

    def job(self, job_id: str) -> Job:
        return self.jobs.get(job_id)

    def outcomes(self, job_id: str, destination: str = "pacs") -> list[str]:
        """In the order of sending."""
        rows = {row.sop_instance_uid: row.outcome for row in self.deliveries.of(job_id, destination)}
        return [str(rows[result.sop_instance_uid]) for result in self.jobs.results(job_id)]
