"""A data directory without a service: what commands read, and a way to call them in this process."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from typer.testing import CliRunner

from bridge.cli.app import app
from bridge.config import Site, load_site
from bridge.store.decisions import Decisions
from bridge.store.jobs import Decision, Jobs, JobState, NewJob, StoredResult
from bridge.store.tables import Index, studies

SITE = """\
[bridge]
ae_title = "BRIDGE"
data = "data"
rules = "rules.toml"

[receive]
reserve_bytes = 0

[sources.ct]
ae_title = "CT1"

[destinations.pacs]
ae_title = "PACS"
host = "127.0.0.1"
port = {port}
connect_timeout_s = 2.0
{destination}

[accounts.gc]
platform = "grand-challenge"
base_url = "https://127.0.0.1:{cloud}/api/v1/"
token_file = "token"
jobs_in_flight = 2
"""
RULES = """\
[rules.lungs]
mode = "live"
platform = "gc"
algorithm = "lungs-and-airways"
destinations = ["pacs"]

[rules.lungs.inputs.ct-image]
volume = { Modality = "CT" }
"""
STUDY = "1.2.826.0.1.3680043.8.498.77"
EXPLANATION = '{"rule":"lungs","outcome":"match","reason":"","study":[],"inputs":[]}'


class Bench:
    def __init__(self, folder: Path, *, port: int = 1, cloud: int = 1, destination: str = "") -> None:
        self.folder = folder
        self.file = folder / "site.toml"
        self.file.write_text(SITE.format(port=port, cloud=cloud, destination=destination))
        (folder / "rules.toml").write_text(RULES)
        token = folder / "token"
        token.write_text("secret-token")
        token.chmod(0o600)
        self.site: Site = load_site(self.file)
        self.site.data.mkdir()
        self.index = Index(self.site.data / "index.sqlite")
        self.index.open()
        self.jobs = Jobs(self.index)
        self.study("abcdef012345", STUDY)

    def study(self, name: str, uid: str, **values: Any) -> None:
        row = {"state": "decided", "waits": "", "doubts": ""} | values
        with self.index.write() as connection:
            connection.execute(
                sa.insert(studies).values(
                    study_instance_uid=uid,
                    name=name,
                    source="ct",
                    first_at=time.time(),
                    last_at=time.time(),
                    due_at=time.time() + 30,
                    opened_at=time.time() - 600,
                    quiet_s=30.0,
                    attempts=0,
                    complete="",
                    asked="",
                    released="",
                    **row,
                )
            )

    def job(self, id: str, **values: Any) -> None:
        new = NewJob(
            id=id,
            rule="lungs",
            account="gc",
            algorithm="lungs-and-airways",
            declared_version="",
            state=JobState.READY,
            reason="",
            frozen="{}",
            inputs="{}",
        )
        made = Decision(rule="lungs", outcome="match", reason="", explanation=EXPLANATION, jobs=(new,))
        Decisions(self.index).decide(STUDY, 0.0, [made])
        self.jobs.change(id, **values)

    def results(self, id: str) -> None:
        made = [
            StoredResult(
                sop_instance_uid=f"1.2.826.0.1.3680043.8.498.{number}",
                job_id=id,
                kind=kind,
                output_name="mask",
                sop_class_uid="",
                series_instance_uid="",
                file=kind,
                sha256="",
                size_bytes=1,
            )
            for number, kind in enumerate(("SEG", "SR"))
        ]
        self.jobs.keep_results(made, {"pacs": [one.sop_instance_uid for one in made]})

    def lives(self) -> None:
        """Write a sign of life of a service that is this process."""
        state = {"pid": os.getpid(), "at": time.time(), "port": 11112}
        (self.site.data / "health.json").write_text(json.dumps(state))

    def run(self, *words: str) -> tuple[int, str]:
        """Exit code and what was printed, of any stream."""
        told = CliRunner().invoke(app, [*words, "--config", str(self.file)])
        if told.exception and not isinstance(told.exception, SystemExit):
            raise told.exception
        return told.exit_code, told.output

    def json(self, *words: str) -> Any:
        return json.loads(self.run(*words, "--json")[1])
