"""Stage `encode`: what came back becomes DICOM, once; from then on the files are sent, never made again."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime

from bridge.config.results import ResultsModel
from bridge.config.rules import RuleModel
from bridge.dicom.uids import UUID_ROOT, keyed_uid
from bridge.flow.parts import Parts
from bridge.flow.stages import heavy
from bridge.flow.stages.cloud import OUTPUT_LIST, REMOTE
from bridge.flow.stages.inputs import image_of, object_of_study, tolerance_of, volumes_of
from bridge.flow.stages.shelf import OUTPUTS, RESULTS
from bridge.flow.stages.wishes import labels_of, tables_of, values_of, variant_for
from bridge.log import event
from bridge.results.result import HeatMaps, Wrapping
from bridge.results.use import use_of
from bridge.store.jobs import Job, JobState
from bridge.version import __version__
from bridge.volumes import Volume

log = logging.getLogger("bridge.job")


def encode(parts: Parts, job: Job) -> None:
    """Encode in a child process, then issue the results: rows, files and what is owed to each destination.

    A job whose rule wants no results is done here: nothing is owed to anybody.
    """
    if parts.jobs.results(job.id):
        return  # issued before a crash: perhaps by another version, whose bytes they stay
    parts.passing("encode:before")
    rule = RuleModel.model_validate_json(job.frozen)
    wrapping = _wrapping(parts, job, rule.results)
    outputs = tuple(OUTPUT_LIST.validate_json(job.outputs))
    if wrapping.wants_nothing and not any(use_of(output, wrapping)[0] for output in outputs):
        if parts.jobs.ended(job.id, JobState.DONE, results=0):
            event(log, "job.done", job=job.id, rule=job.rule, results=0)
        return
    shelf = parts.shelf(job.id)
    volumes = volumes_of(parts.instances, job, tolerance_of(parts.site))
    # A rule may have several volumes: results refer to the first input by name, and never to an earlier study.
    about = image_of(volumes, job.study_instance_uid) if volumes else object_of_study(parts.instances, job)
    wishes = {name: variant_for(parts.site, name) for name in parts.instead or rule.destinations}
    mending = about.mending if isinstance(about, Volume) else None
    if mending is None or not mending.ways:
        # The grid is that of the images: one object for all.
        wishes = {name: replace(wish, corrected_grid=False) for name, wish in wishes.items()}
    made = parts.children.run(
        heavy.encode,
        about,
        outputs,
        shelf.path(OUTPUTS).parent,
        shelf.path(RESULTS),
        wrapping,
        # The usual variant first: its objects have the lowest numbers, and a reader meets them first.
        sorted(set(wishes.values()), key=lambda variant: variant.name),
        [one for one in volumes.values() if _is_elsewhere(one, about)] if isinstance(about, Volume) else [],
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


def _is_elsewhere(volume: Volume, about: Volume) -> bool:
    """Equal millimetres are another place there; of another day they are, whatever the headers say of the frame."""
    here, there = ((one.frame_of_reference_uid, one.study_instance_uid) for one in (about, volume))
    return here != there


def _wrapping(parts: Parts, job: Job, wanted: ResultsModel) -> Wrapping:
    return Wrapping(
        job=job.id,
        key=parts.key,
        at=datetime.fromtimestamp(job.created_at).astimezone(),
        algorithm=job.algorithm,
        algorithm_version=job.declared_version or REMOTE.validate_json(job.remote).pin,
        rule=job.rule,
        uid_root=parts.site.uid_root or UUID_ROOT,
        series_number_base=parts.site.series_number_base,
        segmentation=wanted.segmentation,
        measurement_report=wanted.measurement_report,
        picture=wanted.picture,
        heat_maps=HeatMaps(wanted.heat_map),
        documents=wanted.documents,
        meshes=wanted.meshes,
        values=values_of(wanted),
        tables=tables_of(wanted),
        labels=labels_of(wanted.segments),
        private_codes=wanted.private_codes,
        bridge_version=__version__,
        device_uid=keyed_uid(parts.key, "device"),
    )
