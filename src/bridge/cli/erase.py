"""`bridge erase`: a wish for each study of a patient, or for one; the service says what it could not erase."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from bridge.cli.acts import RECORDED_CODE, REFUSED_CODE
from bridge.cli.index import open_index
from bridge.config import load_site
from bridge.errors import ConfigError
from bridge.flow.keeping.fence import installation_key
from bridge.operate.acts import ask, user
from bridge.store.acts import DONE
from bridge.store.patients import Patients
from bridge.store.studies import Studies, Study
from bridge.store.tables import Index

ERASE = "erase"


def erase(config: Path, patient: str, issuer: str | None, study: str, reason: str, *, yes: bool) -> None:
    """Raises ConfigError: ERA-001, not one of both; ERA-002, nothing of them is here."""
    if bool(patient.strip()) == bool(study.strip()):
        raise ConfigError("ERA-001", "both or none of --patient and --study", "one of them")
    site = load_site(config)
    index = open_index(site)
    found = _studies(index, installation_key(site.data), patient, issuer, study)
    if not found:
        raise ConfigError(
            "ERA-002",
            "no study of that name is here",
            "a patient or a study that has arrived",
            "`bridge disclosures` says what was sent and erased before",
        )
    names = ", ".join(one.name for one in found)
    if not yes:
        typer.confirm(
            f"Erase {len(found)} studies ({names}) and all that was made of them, for ever?", abort=True
        )
    code = 0
    for one in found:
        # The name and never the ID: acts and logs stay.
        asked = ask(index, ERASE, one.name, user(), reason, data=site.data)
        if asked.outcome == DONE:
            print(asked.answer)
        elif asked.outcome:
            print(asked.answer, file=sys.stderr)
            code = REFUSED_CODE
        else:
            print(f"recorded as number {asked.id}: it is done when the service looks", file=sys.stderr)
            code = code or RECORDED_CODE
    if code:
        raise typer.Exit(code)


def _studies(index: Index, key: bytes, patient: str, issuer: str | None, study: str) -> list[Study]:
    if study:
        found = Studies(index).study(study.strip())
        return [found] if found else []
    return Patients(index, key).named(patient, issuer)
