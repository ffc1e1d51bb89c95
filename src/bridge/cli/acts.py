"""What people ask of the service, such as `bridge jobs retry`: the wish is written down, the service does it.

Exit code: 0 done, 1 refused, 2 a mistake in what was typed, 3 recorded, because the service does not run.
"""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from bridge.cli.index import open_index, the_job
from bridge.config import load_rules, load_site
from bridge.config.site import Site
from bridge.errors import ConfigError
from bridge.operate.acts import ask, is_alive, user
from bridge.store.acts import DONE
from bridge.store.alerts import Alerts
from bridge.store.jobs import Jobs, Stage
from bridge.store.overview import Overview
from bridge.store.tables import Index

REFUSED_CODE, RECORDED_CODE = 1, 3
LIFT, RELOAD, RESUME, ROTATE = "fence-lift", "rules-reload", "rules-resume", "keys-rotate"


def act_on_job(config: Path, act: str, beginning: str, reason: str, stage: str = "") -> None:
    """Raises ConfigError: CLI-002 for an unknown job, CLI-006 for an unknown stage."""
    if stage and stage not in tuple(Stage):
        raise ConfigError("CLI-006", f"the stage {stage!r}", f"one of {', '.join(Stage)}")
    site = load_site(config)
    index = open_index(site)
    job = the_job(Jobs(index), beginning)
    _ask(site, index, act, f"{job.id}.{stage}" if stage else job.id, reason)


def release(config: Path, beginning: str, reason: str) -> None:
    """Release a job, or a study that is held. Raises ConfigError (CLI-002, CLI-007) for an unknown name."""
    site = load_site(config)
    index = open_index(site)
    studies = [] if Jobs(index).find(beginning) else Overview(index).studies_named(beginning)
    if len(studies) > 1:
        raise ConfigError(
            "CLI-007", f"{len(studies)} studies begin with {beginning!r}", "one", "Write more of the name"
        )
    target = studies[0].name if studies else the_job(Jobs(index), beginning).id
    _ask(site, index, "release", target, reason)


def lift_fence(config: Path, reason: str) -> None:
    site = load_site(config)
    _ask(site, open_index(site), LIFT, "fence", reason)


def reload_rules(config: Path, reason: str) -> None:
    """Raises ConfigError (CFG-...) for a file with mistakes, before anybody is asked."""
    from bridge.flow.study.rulebook import rules_of

    site = load_site(config)
    rules_of(load_rules(site.rules_file), site)
    _ask(site, open_index(site), RELOAD, "rules", reason)


def resume_rule(config: Path, rule: str, reason: str) -> None:
    site = load_site(config)
    _ask(site, open_index(site), RESUME, rule, reason)


def rotate_keys(config: Path, kind: str, reason: str) -> None:
    """Raises ConfigError (CLI-014) for a kind that there is not."""
    from bridge.store.keys import Kind

    if kind not in tuple(Kind):
        raise ConfigError("CLI-014", f"no kind of key {kind[:20]!r}", " or ".join(Kind))
    site = load_site(config)
    _ask(site, open_index(site), ROTATE, kind, reason)


def _ask(site: Site, index: Index, act: str, target: str, reason: str) -> None:
    asked = ask(index, act, target, user(), reason, data=site.data)
    if asked.outcome == DONE:
        print(asked.answer)
        return
    if asked.outcome:
        print(asked.answer, file=sys.stderr)
        raise typer.Exit(REFUSED_CODE)
    print(f"recorded as number {asked.id}; {_why_not_yet(site, index, act)}", file=sys.stderr)
    raise typer.Exit(RECORDED_CODE)


def _why_not_yet(site: Site, index: Index, act: str) -> str:
    if not is_alive(site.data):
        return "the service does not run: it is done when it starts"
    if act not in (LIFT, RELOAD) and any(alert.kind == "fenced" for alert in Alerts(index).all()):
        return "the fence stands: it is done when the fence is lifted (`bridge fence show`)"
    return "the service is busy: it is done when it looks"
