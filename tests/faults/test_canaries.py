"""Nothing that names a patient gets into logs, checkpoints, reasons or what leaves, on good days and on bad ones."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from harness import World

from bridge.sandbox.pacs import Orders, order
from bridge.sandbox.phantom import PhantomStudy, make_study, write_study
from bridge.store.decisions import Decisions
from bridge.store.jobs import Jobs
from bridge.store.tables import Index

CANARY = {
    "PatientName": "Kanarienvogel^Gelbschnabel",
    "PatientID": "QX-77120-CANARY",
    "PatientBirthDate": "19470823",
    "AccessionNumber": "ACCCANARY9",
    "StudyDescription": "Canary description",
    "SeriesDescription": "Canary series",
    "InstitutionName": "Canary House",
    "ReferringPhysicianName": "Zaunkoenig^Braunfeder",
    "DeviceSerialNumber": "SN-CANARY-1",
}


def marked(study: PhantomStudy) -> PhantomStudy:
    for data_set in study.datasets:
        for keyword, value in CANARY.items():
            setattr(data_set, keyword, value)
    return study


def needles(study: PhantomStudy) -> dict[str, list[bytes]]:
    """Every canary as bytes, in UTF-16 and in the three alignments of base64."""
    values = [part for value in CANARY.values() for part in value.split("^")]
    first = study.datasets[0]
    values += [first.StudyInstanceUID, first.FrameOfReferenceUID]
    values += [data_set.SOPInstanceUID for data_set in study.datasets[:3]]
    values += {data_set.SeriesInstanceUID for data_set in study.datasets}
    return {value: list(_forms(value)) for value in values}


def _forms(value: str) -> Iterator[bytes]:
    raw = value.encode()
    yield raw
    yield value.encode("utf-16-le")
    for shift in range(3):
        # The characters at both ends also hold bits of the neighbours.
        encoded = base64.b64encode(b"\0" * shift + raw)
        yield encoded[(0, 2, 3)[shift] : len(encoded) - 4]


def found(study: PhantomStudy, files: list[Path]) -> list[str]:
    hits = []
    for file in files:
        data = file.read_bytes()
        for value, forms in needles(study).items():
            # Shorter forms stand in any large file by chance.
            if any(form in data for form in forms if len(form) >= 8):
                hits.append(f"{value} in {file.name}")
    return hits


def outside(world: World) -> list[Path]:
    """Logs, the engine's file, job files that are no DICOM, and everything that the cloud holds."""
    data = world.folder / "data"
    files = [world.folder / "bridge.log", data / "health.json", *data.glob("engine.sqlite*")]
    files += [file for file in (data / "jobs").rglob("*") if file.is_file() and file.suffix != ".dcm"]
    files += [file for file in (world.folder / "cloud").rglob("*") if file.is_file()]
    return [file for file in files if file.exists()]


def reasons(world: World) -> str:
    index = Index(world.folder / "data" / "index.sqlite")
    jobs = Jobs(index)
    said = [job.reason for job in jobs.all()] + [one.reason for one in Decisions(index).all()]
    said += [str(event.keys) for job in jobs.all() for event in jobs.timeline(job.id)]
    index.close()
    return "\n".join(said)


def test_needles_are_found_where_they_are(tmp_path: Path) -> None:
    study = marked(make_study(when=datetime(2026, 3, 1, tzinfo=UTC), scale=0.12))
    planted = tmp_path / "x"
    for shift in range(3):
        planted.write_bytes(base64.b64encode(b"ab"[:shift] + b"QX-77120-CANARY and more"))
        assert found(study, [planted]) == ["QX-77120-CANARY in x"]


@pytest.mark.slow
def test_no_canary_in_logs_checkpoints_reasons_or_at_the_cloud(tmp_path: Path) -> None:
    study = marked(make_study(when=datetime(2026, 3, 1, 8, tzinfo=UTC), scale=0.12))
    # A second study whose pixels end early, so that decoding fails; a third without a study to file it under.
    broken = marked(make_study(when=datetime(2026, 3, 2, 8, tzinfo=UTC), scale=0.12, variant="broken"))
    for data_set in broken.datasets:
        data_set.PixelData = data_set.PixelData[: len(data_set.PixelData) // 2]
    homeless = marked(make_study(when=datetime(2026, 3, 3, 8, tzinfo=UTC), scale=0.12, variant="homeless"))
    for data_set in homeless.datasets:
        data_set.StudyInstanceUID = ""
    with World(tmp_path) as world:
        order(tmp_path / "pacs", Orders(abort=1))
        world.start()
        world.studies = 1
        world.send_all(write_study(study, tmp_path / "sent" / "a"))
        world.send(write_study(broken, tmp_path / "sent" / "b"))
        world.send(write_study(homeless, tmp_path / "sent" / "c"))
        world.finish(within_s=150)
        seen = world.seen()
        world.stop()
        assert (seen.segs, seen.srs) == (1, 1)
        log = (tmp_path / "bridge.log").read_text()
        assert "instance.refused" in log
        assert '"outcome": "refused"' in log, "the one whose pixels break off"
        for one in (study, broken, homeless):
            assert found(one, outside(world)) == []
            said = reasons(world)
            assert [value for value in needles(one) if value and value in said] == []
