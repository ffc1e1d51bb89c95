"""Stage `encode`: what came back becomes DICOM, once; from then on the files are sent, never made again."""

from __future__ import annotations

from datetime import datetime

from bridge.config.rules import Concept, RuleModel
from bridge.dicom.codes import Concept as Code
from bridge.dicom.codes import Quantity
from bridge.dicom.uids import keyed_uid
from bridge.flow import heavy
from bridge.flow.cloud import OUTPUT_LIST, REMOTE
from bridge.flow.parts import Parts
from bridge.flow.prepare import volumes_of
from bridge.flow.shelf import OUTPUTS, RESULTS
from bridge.results.output import Presence
from bridge.results.result import Wrapping
from bridge.store.jobs import Job
from bridge.version import __version__


def encode(parts: Parts, job: Job) -> None:
    """Encode in a child process, then issue the results: rows, files and what is owed to each destination."""
    if parts.jobs.results(job.id):
        return  # issued before a crash: perhaps by another version, whose bytes they stay
    parts.passing("encode:before")
    rule = RuleModel.model_validate_json(job.frozen)
    shelf = parts.shelf(job.id)
    outputs = tuple(o for o in OUTPUT_LIST.validate_json(job.outputs) if o.presence is Presence.HERE)
    volumes = volumes_of(parts.instances, job)
    made = parts.children.run(
        heavy.encode,
        # Results refer to the first input by name; one rule kind has one.
        volumes[min(volumes)],
        outputs,
        shelf.path(OUTPUTS).parent,
        shelf.path(RESULTS),
        Wrapping(
            job=job.id,
            key=parts.key,
            at=datetime.fromtimestamp(job.created_at).astimezone(),
            algorithm=job.algorithm,
            algorithm_version=job.declared_version or REMOTE.validate_json(job.remote).pin,
            rule=job.rule,
            series_number_base=parts.site.series_number_base,
            segmentation=rule.results.segmentation,
            measurement_report=rule.results.measurement_report,
            quantities={socket: _quantity(concept) for socket, concept in rule.results.concepts.items()},
            private_codes=rule.results.private_codes,
            bridge_version=__version__,
            device_uid=keyed_uid(parts.key, "device"),
        ),
    )
    parts.passing("encode:mid")
    parts.jobs.keep_results([one.stored for one in made], parts.instead or rule.destinations)
    for one in made:
        parts.jobs.note(
            job.id,
            "encode.made",
            kind=one.stored.kind,
            bytes=one.stored.size_bytes,
            notes="; ".join(one.notes),
        )
    parts.passing("encode:after")


def _quantity(concept: Concept) -> Quantity:
    return Quantity(
        concept=Code(scheme=concept.scheme, code=concept.code, meaning=concept.meaning),
        unit=Code(scheme="UCUM", code=concept.unit, meaning=concept.unit_meaning),
    )


def destinations(parts: Parts, job_id: str) -> list[str]:
    """Where the results of a job go; the engine keeps the answer, so a restart walks the same list."""
    return list(RuleModel.model_validate_json(parts.jobs.get(job_id).frozen).destinations)
