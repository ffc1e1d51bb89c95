"""`bridge run RULE FOLDER --out DIR`: one case without a PACS."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import typer
from rich.console import Console

from bridge.assembly import Built, build
from bridge.config import check_rules, load_rules, load_site
from bridge.config.load import raise_first
from bridge.dicom.headers import is_part10, read_body, read_header
from bridge.dicom.statuses import Outcome
from bridge.errors import BridgeError, ConfigError, Refused
from bridge.flow.keeping import fence
from bridge.flow.single import run_job
from bridge.flow.stages.shelf import RESULTS
from bridge.flow.study.intake import Intake
from bridge.flow.study.rulebook import Rules
from bridge.log import silence_libraries
from bridge.rules import compile_rules
from bridge.rules.guards import named_test_patients
from bridge.store.deliveries import Answered
from bridge.store.jobs import Job, JobState

FOLDER = "folder"
"""The destination of a case that is written into a folder."""

EXTENSIONS = {
    "SEG": "seg.dcm",
    "SR": "sr.dcm",
    "SC": "picture.dcm",
    "PM": "map.dcm",
    "FRACTIONAL": "fractional.dcm",
    "DOC": "pdf.dcm",
    "M3D": "mesh.dcm",
}


def run(rule: str, folder: Path, out: Path, config: Path) -> None:
    """Raises ConfigError (RUN-001, RUN-002) for a rule or folder that is not there."""
    silence_libraries()
    site = load_site(config)
    rules = load_rules(site.rules_file)
    if rule not in rules.rules:
        known = ", ".join(rules.rules)
        raise ConfigError("RUN-001", f"no rule {rule!r} in {site.rules_file}", f"one of: {known}")
    raise_first(check_rules(rules, site))
    if not folder.is_dir():
        raise ConfigError("RUN-002", f"{folder} is no folder", "a folder of DICOM files")
    # What a crash leaves stands in the out folder: the same command goes on, and asks the platform before it pays.
    work = out / ".bridge"
    work.mkdir(parents=True, exist_ok=True, mode=0o700)
    site = replace(site, data=work)
    model = rules.rules[rule].model_copy(update={"mode": "live"})
    compiled = tuple(replace(one, mode="live") for one in compile_rules(rules) if one.name == rule)
    with fence.lock(work):
        built = build(site, enqueue=_no_queue, instead=(FOLDER,))
        try:
            console = Console(highlight=False)
            study = _read(built, folder, console)
            intake = Intake(
                built.parts,
                Rules(
                    compiled=compiled,
                    models={rule: model},
                    volumes=rules.volumes,
                    test_patients=named_test_patients(site),
                ),
                today=lambda: datetime.now().astimezone().date(),
            )
            jobs = _decide(built, intake, study, rule)
            ended = [run_job(built.parts, job.id, lambda what: console.print(f"  {what}")) for job in jobs]
            for job in sorted(ended, key=lambda job: job.state is not JobState.DONE):
                # What one of several could not do takes nothing from the others.
                _hand_out(built, job, out / job.id[:8] if len(ended) > 1 else out, console)
        finally:
            built.close()


def _no_queue(workflow: str, queue: str, id: str, *arguments: str, due_at: float | None = None) -> None:
    raise AssertionError("a case without the engine has no queue")


def _read(built: Built, folder: Path, console: Console) -> str:
    studies: set[str] = set()
    skipped = kept = 0
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        if not is_part10(file):
            skipped += 1
            continue
        try:
            encoded, syntax = read_body(file)
            header = read_header(encoded, syntax)
        except Refused:
            skipped += 1
            continue
        studies.add(header.uid("StudyInstanceUID"))
        built.parts.instances.keep(
            encoded=encoded,
            header=header,
            sop_class_uid=header.uid("SOPClassUID"),
            sop_instance_uid=header.uid("SOPInstanceUID"),
            transfer_syntax_uid=syntax,
            calling_ae_title="",
            source="folder",
            quiet_s=0.0,
        )
        kept += 1
    console.print(f"  {kept} instances read" + (f", {skipped} other files left out" if skipped else ""))
    if len(studies) != 1:
        raise Refused(
            "RUN-003",
            f"{len(studies)} studies in the folder",
            "one study",
            "Give each study a folder of its own",
        )
    return studies.pop()


def _decide(built: Built, intake: Intake, study: str, rule: str) -> list[Job]:
    row = built.parts.studies.study(study)
    assert row is not None
    intake.decide(row)
    # Not any job of the rule: an earlier form of it may have left others in the same folder.
    if jobs := built.parts.decisions.jobs(study, rule):
        return jobs
    decision = next(one for one in built.parts.decisions.of_study(study) if one.rule == rule)
    raise Refused("RUN-004", f"the rule did not choose: {decision.reason}", "a volume that it wants")


def _hand_out(built: Built, job: Job, out: Path, console: Console) -> None:
    if job.state is not JobState.DONE:
        raise BridgeError(job.code or "RUN-005", job.reason or f"the job ended as {job.state}")
    out.mkdir(parents=True, exist_ok=True)
    shelf = built.parts.shelf(job.id)
    for result in built.parts.jobs.results(job.id):
        name = f"{result.output_name or job.rule}.{EXTENSIONS.get(result.kind, 'dcm')}"
        shutil.copyfile(shelf.path(f"{RESULTS}/{result.file}"), out / name)
        written = {
            result.sop_instance_uid: Answered(
                outcome=Outcome.DELIVERED, status=None, reason=f"written as {name}"
            )
        }
        built.parts.deliveries.answered(job.id, FOLDER, written)
        typer.echo(str(out / name))
    from bridge.cli.report import write

    write(built.parts.site, built.index, job, out / "report.html")
    typer.echo(str(out / "report.html"))
