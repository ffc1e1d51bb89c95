"""How results go to a destination, by its shape: over an association, or into a folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol, assert_never

from bridge.config.destinations import DicomDestination, FolderDestination
from bridge.config.site import Site
from bridge.deliver import folder, store_scu
from bridge.deliver.file_names import stem
from bridge.deliver.folder import Beside, Case, Share
from bridge.deliver.outgoing import Outgoing
from bridge.deliver.receipt import Receipt
from bridge.dicom.uids import keyed_name
from bridge.flow.parts import Parts
from bridge.flow.stages.cloud import OUTPUT_LIST
from bridge.flow.stages.destinations import address_of
from bridge.flow.stages.shelf import RESULTS
from bridge.results.output import Output, OutputKind, Presence
from bridge.store.rows import Job, StoredResult

MOST_BYTES = 16 << 20
"""Of a value or a table that goes along as a plain file."""


class Sender(Protocol):
    def __call__(
        self, outgoing: Sequence[Outgoing], *, reached: Callable[[], None]
    ) -> tuple[Receipt, ...]: ...


def sender_of(parts: Parts, job: Job, destination: str) -> Sender:
    """What sends results of a job to a destination of site.toml."""
    there = parts.site.destinations[destination]
    match there:
        case DicomDestination():
            return partial(store_scu.store, address_of(parts.site, destination))
        case FolderDestination():
            case = Case(
                study=keyed_name(parts.key, "study", job.study_instance_uid),
                rule=job.rule,
                job=job.id,
                algorithm=job.algorithm,
                key=parts.key,
            )
            owed = {one.sop_instance_uid for one in parts.deliveries.of(job.id, destination)}
            everything = [
                outgoing_of(parts, one)
                for one in sorted(parts.jobs.results(job.id), key=lambda one: one.file)
                if one.sop_instance_uid in owed
            ]
            return partial(
                folder.store,
                share_of(parts.site, destination),
                case,
                everything=everything,
                beside=_beside(parts, job),
                passing=parts.passing,
            )
        case _:
            assert_never(there)


def share_of(site: Site, destination: str) -> Share:
    """A folder of site.toml as a place to write into."""
    there = site.destinations[destination]
    assert isinstance(there, FolderDestination)
    return Share(
        name=destination, folder=there.folder, files=there.files, case=there.case, marker=there.marker
    )


def outgoing_of(parts: Parts, result: StoredResult) -> Outgoing:
    return Outgoing(
        sop_class_uid=result.sop_class_uid,
        sop_instance_uid=result.sop_instance_uid,
        file=parts.shelf(result.job_id).path(f"{RESULTS}/{result.file}"),
        kind=result.kind,
        output_name=result.output_name,
    )


def _beside(parts: Parts, job: Job) -> list[Beside]:
    """The values of the answer in one file, and its tables as they came."""
    outputs = [one for one in OUTPUT_LIST.validate_json(job.outputs) if one.presence is Presence.HERE]
    found = []
    values = {}
    for one in sorted(outputs, key=lambda one: one.name):
        if one.kind not in (OutputKind.VALUE, OutputKind.TABLE) or (data := _read(parts, job, one)) is None:
            continue
        if one.kind is OutputKind.TABLE:
            found.append(Beside(stem=stem(one.name), ending=".csv", data=data))
            continue
        try:
            values[one.name] = json.loads(data)
        except ValueError:
            continue  # the report says of it what can be said
    if values:
        text = json.dumps(values, indent=1, ensure_ascii=False)
        found.append(Beside(stem="values", ending=".json", data=text.encode()))
    return found


def _read(parts: Parts, job: Job, output: Output) -> bytes | None:
    """The file of an output; None where it is gone, or too large to be a value."""
    file = parts.shelf(job.id).path(output.ref)
    try:
        return file.read_bytes() if file.stat().st_size <= MOST_BYTES else None
    except OSError:
        return None
