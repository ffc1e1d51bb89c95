"""Stage `encode`: what came back becomes DICOM, once; from then on the files are sent, never made again."""

from __future__ import annotations

from datetime import datetime

from bridge.config.rules import RuleModel
from bridge.dicom.uids import UUID_ROOT, keyed_uid
from bridge.flow.parts import Parts
from bridge.flow.stages import heavy
from bridge.flow.stages.cloud import OUTPUT_LIST, REMOTE
from bridge.flow.stages.prepare import volumes_of
from bridge.flow.stages.shelf import OUTPUTS, RESULTS
from bridge.flow.stages.wishes import labels_of, tables_of, values_of, variant_for
from bridge.results.output import Presence
from bridge.results.result import HeatMaps, Wrapping
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
    wishes = {name: variant_for(parts.site, name) for name in parts.instead or rule.destinations}
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
            uid_root=parts.site.uid_root or UUID_ROOT,
            series_number_base=parts.site.series_number_base,
            segmentation=rule.results.segmentation,
            measurement_report=rule.results.measurement_report,
            picture=rule.results.picture,
            heat_maps=HeatMaps(rule.results.heat_map),
            documents=rule.results.documents,
            values=values_of(rule.results),
            tables=tables_of(rule.results),
            labels=labels_of(rule.results.segments),
            private_codes=rule.results.private_codes,
            bridge_version=__version__,
            device_uid=keyed_uid(parts.key, "device"),
        ),
        # The usual variant first: its objects have the lowest numbers, and a reader meets them first.
        sorted(set(wishes.values()), key=lambda variant: variant.name),
    )
    parts.passing("encode:mid")
    owed = {
        name: {one.stored.sop_instance_uid for one in made if wish in one.variants}
        for name, wish in wishes.items()
    }
    parts.jobs.keep_results([one.stored for one in made], owed)
    for one in made:
        parts.jobs.note(
            job.id,
            "encode.made",
            kind=one.stored.kind,
            bytes=one.stored.size_bytes,
            notes="; ".join(one.notes),
        )
    parts.passing("encode:after")
