"""report.html of a job, from what its data directory holds."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from pydantic import TypeAdapter

from bridge.config import Site
from bridge.errors import BridgeError
from bridge.export.parcel import Parcel
from bridge.flow.stages.inputs import image_of, tolerance_of, volumes_of
from bridge.flow.stages.prepare import PARCEL_FILE
from bridge.flow.stages.shelf import RESULTS, JobShelf
from bridge.operate.report import Facts, ResultFile, Version, write_report
from bridge.rules import Explanation
from bridge.store.deliveries import Deliveries
from bridge.store.instances import Instances
from bridge.store.jobs import Job, Jobs
from bridge.store.tables import Index
from bridge.version import __version__
from bridge.volumes import Volume


def write(site: Site, index: Index, job: Job, path: Path, *, webp: bool = True) -> None:
    """Write the report of a job; what is no longer held is said in it.

    `webp`: smaller pictures, for a second or two more.
    """
    jobs = Jobs(index)
    shelf = JobShelf(site.data / "jobs" / job.id)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_report(
        path,
        Facts(
            job=job,
            explanation=TypeAdapter(Explanation).validate_json(job.explanation),
            timeline=tuple(jobs.timeline(job.id)),
            deliveries=tuple(Deliveries(index).of(job.id)),
            volume=_volume(site, Instances(index, site.data / "instances", key=b""), job),
            results=tuple(
                ResultFile(stored=one, path=shelf.path(f"{RESULTS}/{one.file}"))
                for one in jobs.results(job.id)
            ),
            parcel=_parcel(shelf),
            versions=_versions(),
            written_at=datetime.now().astimezone(),
        ),
        webp=webp,
    )


def _volume(site: Site, instances: Instances, job: Job) -> Volume | None:
    try:
        volumes = volumes_of(instances, job, tolerance_of(site))
    except BridgeError:
        return None
    return image_of(volumes, job.study_instance_uid).original if volumes else None


def _parcel(shelf: JobShelf) -> Parcel | None:
    try:
        with shelf.open(PARCEL_FILE) as stream:
            return TypeAdapter(Parcel).validate_json(stream.read())
    except FileNotFoundError:
        return None


def _versions() -> tuple[Version, ...]:
    from importlib.metadata import version

    libraries = ("highdicom", "pydicom", "pynetdicom", "SimpleITK")
    return (
        Version(name="bridge", version=__version__),
        *(Version(name=name, version=version(name)) for name in libraries),
    )
