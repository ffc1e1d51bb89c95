"""`bridge disclosures`: what of a patient left, to whom, when, under which profile, and what was erased since."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from bridge.cli.index import open_index
from bridge.cli.words import console, plain, size, table
from bridge.config import load_site
from bridge.dicom.uids import keyed_name
from bridge.errors import ConfigError
from bridge.flow.keeping.fence import installation_key
from bridge.store.crosswalk import Crosswalk, Entry
from bridge.store.disclosures import Disclosures, Erased, Sent
from bridge.store.keys import FOLDER, Keys


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Who is asked about; exactly one of patient, study and name."""

    patient: str | None = None
    issuer: str | None = None
    study: str | None = None
    name: str | None = None


def show_disclosures(config: Path, asked: Asked, *, as_json: bool) -> None:
    """Raises ConfigError: DIS-001, not one question; Damaged: KEY-001, KEY-003."""
    given = [one for one in (asked.patient, asked.study, asked.name) if one]
    if len(given) != 1 or (asked.issuer is not None and not asked.patient):
        raise ConfigError(
            "DIS-001",
            f"{len(given)} of --patient, --study and --name",
            "exactly one of them; --issuer goes with --patient",
        )
    site = load_site(config)
    index = open_index(site)
    try:
        key = installation_key(site.data)
        record = Disclosures(index, key)
        meant: list[Entry] = []
        if asked.patient:
            sent = record.of_patient(asked.patient, asked.issuer)
            studies = record.studies_of(asked.patient, asked.issuer)
        elif asked.study:
            studies = [keyed_name(key, "study", asked.study)]
            sent = record.of_study(studies[0])
        else:
            meant = Crosswalk(index, Keys(site.data / FOLDER), key).of_name(str(asked.name))
            jobs = dict.fromkeys(one.job_id for one in meant)
            sent = [one for job in jobs for one in record.of_job(job)]
            studies = sorted({one.study for one in meant})
        erased = record.erased(studies)
    finally:
        index.close()
    if as_json:
        told = {
            "meant": [_meant(one) for one in meant],
            "sent": [asdict(one) | _times(one) for one in sent],
            "erased": [asdict(one) | {"at": _at(one.at)} for one in erased],
        }
        print(json.dumps(told, indent=1))
    else:
        _show(sent, erased, meant)


def _show(sent: list[Sent], erased: list[Erased], meant: list[Entry]) -> None:
    out = console()
    for one in {(one.person.patient_id, one.person.issuer, one.study_instance_uid) for one in meant}:
        issuer = f" of {one[1]}" if one[1] else ""
        out.print(
            f"[bold]patient[/] {plain(one[0] or 'without an ID')}{plain(issuer)}, study {plain(one[2])}"
        )
    if not sent:
        out.print("nothing left this house")
    else:
        rows = [
            (
                _at(one.sent_at) if one.sent_at else f"{_at(one.begun_at)} begun",
                plain(f"{one.account} ({one.platform})"),
                plain(one.algorithm),
                plain(one.name),
                one.format,
                size(one.size_bytes),
                one.pseudonym,
                one.profile,
                one.sha256[:16],
                one.job_id[:8],
            )
            for one in sent
        ]
        titles = (
            "when (UTC)",
            "to",
            "algorithm",
            "what",
            "format",
            "size",
            "name outside",
            "profile",
            "sha256",
            "job",
        )
        out.print(table(titles, rows))
        unsure = sum(one.sent_at is None for one in sent)
        if unsure:
            out.print(f"{unsure} begun: the platform never said that it has them; count them as sent")
    if erased:
        gone = [
            (
                _at(one.at),
                one.place,
                plain(one.what),
                "erased" if one.erased else "not erased",
                plain(one.reason),
            )
            for one in erased
        ]
        out.print()
        out.print(table(("erased (UTC)", "where", "what", "", ""), gone))


def _times(one: Sent) -> dict[str, str | None]:
    return {"begun_at": _at(one.begun_at), "sent_at": _at(one.sent_at) if one.sent_at else None}


def _meant(one: Entry) -> dict[str, str]:
    return {
        "name": one.pseudonym,
        "outward_study_instance_uid": one.outward_study,
        "patient_id": one.person.patient_id,
        "issuer": one.person.issuer,
        "study_instance_uid": one.study_instance_uid,
        "job": one.job_id,
    }


def _at(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
