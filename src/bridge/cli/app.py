"""All commands, each a thin function that imports its body.

`bridge --help` must answer at once: nothing here imports a DICOM library, pydantic or the engine, and Typer's Rich
help, which alone takes longer than everything else together, is off.
"""

from __future__ import annotations

from pathlib import Path

import typer

app = typer.Typer(
    name="bridge",
    help="The bridge between hospital imaging and cloud algorithms.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    add_completion=False,
)


@app.callback()
def begin() -> None:
    # Libraries quote values of attributes in their warnings, also where a command only reads. A help text needs none.
    from bridge.log import silence_libraries

    silence_libraries()


jobs = typer.Typer(
    help="Look at jobs and decide about them. What is decided the service does: exit code 0 done, 1 refused, "
    "3 recorded, because the service does not run or is busy.",
    short_help="Look at jobs and decide about them.",
    rich_markup_mode=None,
    no_args_is_help=True,
)
rules = typer.Typer(help="The rules in force.", rich_markup_mode=None, no_args_is_help=True)
fence = typer.Typer(
    help="What keeps two bridges from sending the same.", rich_markup_mode=None, no_args_is_help=True
)
sandbox = typer.Typer(
    help="Platforms on this machine, for trying and testing.", rich_markup_mode=None, no_args_is_help=True
)
privacy = typer.Typer(help="What leaves of a study.", rich_markup_mode=None, no_args_is_help=True)
keys = typer.Typer(help="Keys behind names outside.", rich_markup_mode=None, no_args_is_help=True)
app.add_typer(jobs, name="jobs")
app.add_typer(rules, name="rules")
app.add_typer(fence, name="fence")
app.add_typer(privacy, name="privacy")
app.add_typer(sandbox, name="sandbox")
app.add_typer(keys, name="keys")

CONFIG = typer.Option(Path("site.toml"), "--config", "-c", help="site.toml; it names rules.toml.")
JSON = typer.Option(False, "--json", help="For scripts.")
JOB = typer.Argument(help="The job's id, or how it begins.")
REASON = typer.Option("", "--reason", help="Why, for the record. Nothing about the patient.")


@app.command()
def serve(config: Path = CONFIG) -> None:
    """Receive, decide, compute, deliver, until stopped."""
    from bridge.cli.serve import serve

    serve(config)


@app.command()
def init(
    folder: Path = typer.Argument(Path(), help="Where site.toml and rules.toml are written."),
    ae_title: str = typer.Option("BRIDGE", prompt="AE title of this bridge"),
    host: str = typer.Option("127.0.0.1", prompt="Address to listen on (0.0.0.0 is every network)"),
    port: int = typer.Option(11112, prompt="Port to listen on"),
    pacs_ae_title: str = typer.Option("PACS", prompt="AE title of the PACS"),
    pacs_host: str = typer.Option("127.0.0.1", prompt="Host of the PACS"),
    pacs_port: int = typer.Option(104, prompt="Port of the PACS"),
    base_url: str = typer.Option("https://grand-challenge.org/api/v1/", prompt="API of Grand Challenge"),
    algorithm: str = typer.Option("lungs-and-airways", prompt="Algorithm (its slug)"),
    socket: str = typer.Option("ct-image", prompt="Input socket of the algorithm"),
    modality: str = typer.Option("CT", prompt="Modality that the algorithm takes"),
) -> None:
    """Ask for what is needed and write site.toml and rules.toml. Answers given as options are not asked."""
    from bridge.cli.init import Answers, init

    init(
        folder,
        Answers(
            ae_title=ae_title,
            host=host,
            port=port,
            pacs_ae_title=pacs_ae_title,
            pacs_host=pacs_host,
            pacs_port=pacs_port,
            base_url=base_url,
            algorithm=algorithm,
            socket=socket,
            modality=modality,
        ),
    )


@app.command()
def check(config: Path = CONFIG, json: bool = JSON) -> None:
    """Check both files, this machine, every destination and every platform."""
    from bridge.cli.check import check

    check(config, as_json=json)


@app.command()
def run(
    rule: str = typer.Argument(help="A rule of rules.toml."),
    folder: Path = typer.Argument(help="A folder of DICOM files: one study."),
    out: Path = typer.Option(..., "--out", help="Where the results are written."),
    config: Path = CONFIG,
) -> None:
    """Run one rule on one folder, without a PACS; results are written as files."""
    from bridge.cli.run import run

    run(rule, folder, out, config)


@app.command()
def explain(
    study: str = typer.Argument(help="A folder of DICOM files, a Study Instance UID, or a study's name."),
    config: Path = CONFIG,
    rules: Path | None = typer.Option(None, "--rules", help="Another rules.toml than the one in use."),
    rule: str = typer.Option("", "--rule", help="One rule instead of all."),
    show_values: bool = typer.Option(False, "--show-values", help="Show values that may identify a person."),
    json: bool = JSON,
) -> None:
    """Say what every rule makes of a study, condition by condition. Nothing is sent and nothing is written."""
    from bridge.cli.explain import explain

    explain(config, study, rules=rules, rule=rule, show_values=show_values, as_json=json)


@app.command()
def replay(
    rules: Path = typer.Option(..., "--rules", help="The rules.toml to try."),
    since: str = typer.Option(
        "30d", "--since", help="How far back: hours, days or weeks, such as 12h, 30d, 8w."
    ),
    rule: str = typer.Option("", "--rule", help="One rule instead of all."),
    config: Path = CONFIG,
    json: bool = JSON,
) -> None:
    """Say what other rules would have made of the studies that arrived. Nothing is sent and nothing is written."""
    from bridge.cli.replay import show_replay

    show_replay(config, rules, since=since, rule=rule, as_json=json)


@app.command()
def health(config: Path = CONFIG) -> None:
    """Exit with 0 when the service lives, 1 when it does not. Reads one small file."""
    from bridge.cli.health import health

    health(config)


@app.command()
def status(config: Path = CONFIG, json: bool = JSON) -> None:
    """Show what waits, on whom and since when. Exit with 0 when nothing needs a person, 1 otherwise."""
    from bridge.cli.status import show_status

    show_status(config, as_json=json)


@app.command()
def backup(
    folder: Path = typer.Argument(help="A new folder; it looks like a data directory."),
    files: bool = typer.Option(False, "--files", help="Take objects and files of jobs along."),
    config: Path = CONFIG,
) -> None:
    """Copy both databases and the key, beside the running service."""
    from bridge.cli.backup import backup

    backup(config, folder, files=files)


@app.command()
def disclosures(
    patient: str = typer.Option("", "--patient", help="A Patient ID."),
    issuer: str | None = typer.Option(None, "--issuer", help="Who issued it; whoever, when left out."),
    study: str = typer.Option("", "--study", help="A Study Instance UID."),
    name: str = typer.Option("", "--name", help="A patient's name, or a Study Instance UID, outside."),
    config: Path = CONFIG,
    json: bool = JSON,
) -> None:
    """Say what left of a patient or a study: what, to whom, when, under which profile; or whom a name outside means."""
    from bridge.cli.disclosures import Asked, show_disclosures

    asked = Asked(patient=patient or None, issuer=issuer, study=study or None, name=name or None)
    show_disclosures(config, asked, as_json=json)


@app.command()
def erase(
    patient: str = typer.Option("", "--patient", help="A Patient ID: every study of it."),
    issuer: str | None = typer.Option(None, "--issuer", help="Who issued it; whoever, when left out."),
    study: str = typer.Option("", "--study", help="A Study Instance UID."),
    reason: str = typer.Option(..., "--reason", help="Why, for the record. Nothing about the patient."),
    yes: bool = typer.Option(False, "--yes", help="Do not ask again."),
    config: Path = CONFIG,
) -> None:
    """Erase a patient or a study here, and where the platform allows it; the record says what could not be."""
    from bridge.cli.erase import erase

    erase(config, patient, issuer, study, reason, yes=yes)


@app.command()
def demo(
    study: Path | None = typer.Argument(None, help="A folder of DICOM files; a phantom when left out."),
    out: Path = typer.Option(Path("demo"), "--out", help="Everything the demo makes is in here."),
    platform: str = typer.Option(
        "grand-challenge", "--platform", help="grand-challenge or virtual-patient-engine."
    ),
) -> None:
    """Show the whole way on this machine: PACS, bridge, cloud, and a crash in the middle."""
    from bridge.cli.demo import demo

    demo(study, out, platform)


@app.command()
def version() -> None:
    """Print the version."""
    from bridge.version import __version__

    typer.echo(__version__)


@rules.command("reload")
def rules_reload(config: Path = CONFIG, reason: str = REASON) -> None:
    """Read rules.toml again without a restart. Jobs keep the rule that they began with."""
    from bridge.cli.acts import reload_rules

    reload_rules(config, reason)


@rules.command("resume")
def rules_resume(
    rule: str = typer.Argument(help="The name of a rule that pauses, as `bridge status` shows it."),
    reason: str = REASON,
    config: Path = CONFIG,
) -> None:
    """Let a rule go on that paused itself. Its count begins again; what waited for it is decided now."""
    from bridge.cli.acts import resume_rule

    resume_rule(config, rule, reason)


@jobs.command("list")
def jobs_list(
    config: Path = CONFIG,
    state: str = typer.Option("", help="Only jobs in this state, for example held."),
    json: bool = JSON,
) -> None:
    """List jobs, newest first, and studies that wait for a person."""
    from bridge.cli.jobs import list_jobs

    list_jobs(config, state, as_json=json)


@jobs.command("show")
def jobs_show(
    job: str = JOB,
    config: Path = CONFIG,
    json: bool = JSON,
    report: Path | None = typer.Option(None, "--report", help="Write the job's report.html there."),
) -> None:
    """Show one job: why, when, what came back, what each destination said, what people asked."""
    from bridge.cli.jobs import show_job

    show_job(config, job, as_json=json, report=report)


@jobs.command("release")
def jobs_release(
    job: str = typer.Argument(help="A job's id or a study's name, or how it begins."),
    reason: str = REASON,
    config: Path = CONFIG,
) -> None:
    """Let a job go on that its rule holds, or a study that is held for a doubt."""
    from bridge.cli.acts import release

    release(config, job, reason)


@jobs.command("retry")
def jobs_retry(
    job: str = JOB,
    stage: str = typer.Option("", "--from", help="An earlier stage: prepare, cloud, encode or deliver."),
    reason: str = REASON,
    config: Path = CONFIG,
) -> None:
    """Go on with a job that stopped, at the stage where it stopped. Nothing is billed that runs or succeeded."""
    from bridge.cli.acts import act_on_job

    act_on_job(config, "retry", job, reason, stage)


@jobs.command("cancel")
def jobs_cancel(job: str = JOB, reason: str = REASON, config: Path = CONFIG) -> None:
    """End a job that has not ended well. Its platform is told, where it can be told."""
    from bridge.cli.acts import act_on_job

    act_on_job(config, "cancel", job, reason)


@jobs.command("rerun")
def jobs_rerun(
    job: str = JOB,
    reason: str = typer.Option(..., "--reason", help="Why, for the record. Nothing about the patient."),
    config: Path = CONFIG,
) -> None:
    """Do the work of a job that has ended again, as a new job. It is computed and billed again."""
    from bridge.cli.acts import act_on_job

    act_on_job(config, "rerun", job, reason)


@jobs.command("adopt")
def jobs_adopt(
    algorithm: str = typer.Argument(help="The platform's name of the algorithm."),
    out: Path = typer.Option(..., "--out", help="Where results are written; the same folder goes on."),
    account: str = typer.Option("", "--account", help="An account of site.toml, where there are several."),
    pin: str = typer.Option("", "--pin", help="Only jobs that this version computed."),
    image: list[str] = typer.Option([], "--image", help="Only jobs that were given this image."),
    item: list[str] = typer.Option([], "--item", help="Only jobs that were made from this archive item."),
    archive: str = typer.Option("", "--archive", help="Only jobs that were made from items of this archive."),
    config: Path = CONFIG,
    json: bool = JSON,
) -> None:
    """Find jobs of earlier days at the platform and fetch their results. Needs no service, and costs nothing."""
    from bridge.cli.adopt import adopt_jobs
    from bridge.flow.adopt import Asked

    asked = Asked(algorithm=algorithm, pin=pin, images=tuple(image), items=tuple(item), archive=archive)
    adopt_jobs(config, account, asked, out, as_json=json)


@fence.command("show")
def fence_show(config: Path = CONFIG, json: bool = JSON) -> None:
    """Say whether anything may be sent, and why not."""
    from bridge.cli.fence import show_fence

    show_fence(config, as_json=json)


@fence.command("lift")
def fence_lift(
    reason: str = typer.Option(..., "--reason", help="Why this bridge is the only one, for the record."),
    config: Path = CONFIG,
) -> None:
    """Send again: this data directory is the only one of its kind."""
    from bridge.cli.acts import lift_fence

    lift_fence(config, reason)


@privacy.command("audit")
def privacy_audit(
    folder: Path = typer.Argument(help="A folder of DICOM files."),
    rule: str = typer.Option(..., "--rule", help="A rule of rules.toml."),
    format: str = typer.Option("", "--format", help="Instead of the format that the platform orders."),
    show_values: bool = typer.Option(False, "--show-values", help="Show values that may identify a person."),
    config: Path = CONFIG,
    json: bool = JSON,
) -> None:
    """Say what would leave of a study, attribute by attribute. Nothing is sent. Exit with 1 when it is refused."""
    from bridge.cli.privacy import audit

    audit(config, folder, rule=rule, format=format, show_values=show_values, as_json=json)


@keys.command("rotate")
def keys_rotate(
    kind: str = typer.Argument(
        help="seal: encrypts the crosswalk. names: behind names, UIDs and dates outside."
    ),
    reason: str = typer.Option(..., "--reason", help="Why, for the record."),
    config: Path = CONFIG,
) -> None:
    """Make a new key. seal: every row is sealed anew. names: patients have other names from the next job on."""
    from bridge.cli.acts import rotate_keys

    rotate_keys(config, kind, reason)


@sandbox.command("grand-challenge")
def sandbox_grand_challenge(
    folder: Path = typer.Argument(help="Working folder; its CA, token and logs are written there."),
    port: int = typer.Option(0, help="API port; 0 takes a free one."),
    store_port: int = typer.Option(0, help="Port of the object store."),
    compute_seconds: float = typer.Option(0.0, help="Least time that a job computes."),
) -> None:
    """A Grand Challenge on 127.0.0.1 with an algorithm that really computes."""
    from bridge.sandbox.grand_challenge import run

    run(folder, port=port, store_port=store_port, compute_seconds=compute_seconds)


@sandbox.command("virtual-patient-engine")
def sandbox_virtual_patient_engine(
    folder: Path = typer.Argument(help="Working folder; its CA, secret and logs are written there."),
    port: int = typer.Option(0, help="Port of the engine; 0 takes a free one."),
    compute_seconds: float = typer.Option(0.0, help="Least time that a job computes."),
    jaw_phantom: bool = typer.Option(
        False,
        "--jaw-phantom",
        help="Find jaws, teeth and canals of that phantom, in place of cuts by planes.",
    ),
) -> None:
    """A Virtual Patient Engine on 127.0.0.1 that really computes meshes."""
    from bridge.sandbox.virtual_patient_engine import run

    run(folder, port=port, compute_seconds=compute_seconds, anatomy="levels" if jaw_phantom else "planes")


@sandbox.command("pacs")
def sandbox_pacs(
    folder: Path = typer.Argument(help="Where received objects are written."),
    port: int = typer.Option(0, help="DICOM port; 0 takes a free one."),
    ae_title: str = typer.Option("PACS"),
    refuse: int = typer.Option(0, help="Refuse so many C-STORE requests first."),
) -> None:
    """A small PACS on 127.0.0.1."""
    from bridge.sandbox.pacs.__main__ import run

    run(folder, port=port, ae_title=ae_title, refuse=refuse)


@sandbox.command("phantom")
def sandbox_phantom(
    folder: Path = typer.Argument(help="Where the files are written."),
    kind: str = typer.Option(
        "thorax", "--kind", help="thorax (a CT of four series) or jaw (a dental CBCT of known volumes)."
    ),
) -> None:
    """A synthetic study of nobody."""
    from datetime import datetime

    from bridge.errors import ConfigError
    from bridge.sandbox.phantom import KINDS, write_study

    if kind not in KINDS:
        raise ConfigError("SBX-040", f'"{kind}" is no kind of phantom', "one of " + ", ".join(KINDS))
    files = write_study(KINDS[kind](when=datetime.now().astimezone()), folder)
    typer.echo(f"{len(files)} files in {folder}")
