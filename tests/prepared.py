"""One study from its objects through intake, `prepare` and `encode`, with a mask in place of a cloud."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter
from pydicom import dcmread
from pydicom.dataset import Dataset

from bridge.config import load_site
from bridge.dicom.headers import read_body, read_header
from bridge.export import format_named
from bridge.export.parcel import Order, OrderedFile
from bridge.flow.stages import encode, prepare
from bridge.flow.stages.cloud import OUTPUT_LIST, REMOTE
from bridge.flow.stages.inputs import tolerance_of, volumes_of
from bridge.flow.stages.shelf import FileSink, JobShelf
from bridge.itk import ItkImage, read_image
from bridge.platforms.protocol import RemoteJob, Request, Spec
from bridge.results.output import Label, Output, OutputKind
from bridge.store.deliveries import Deliveries
from intake_bench import Bench

Mask = NDArray[np.uint8]

RULE = """
[rules.mask]
mode = "live"
platform = "gc"
algorithm = "identity-mask"
destinations = [{destinations}]

[rules.mask.results]
{results}
{inputs}
"""


class Prepared(Bench):
    """`inputs`: TOML of the tables below `rules.mask.inputs`."""

    def __init__(
        self,
        folder: Path,
        inputs: str,
        *,
        results: str = "",
        site: str = "",
        destinations: tuple[str, ...] = ("pacs",),
    ) -> None:
        super().__init__(folder)
        named = ", ".join(f'"{one}"' for one in destinations)
        (folder / "rules.toml").write_text(RULE.format(inputs=inputs, results=results, destinations=named))
        if site:
            (folder / "site.toml").write_text(f"{(folder / 'site.toml').read_text()}\n{site}")
            self.site = load_site(folder / "site.toml")
            self.parts.site = self.site  # type: ignore[misc]
        self.folder = folder
        self.sent = ""
        self.requested: Request | None = None
        self.specs.keep("gc", "identity-mask", "", spec=SPEC)
        for name, value in {
            "platform": lambda account: SimpleNamespace(plan=self._plan),
            "shelf": lambda job_id: JobShelf(folder / "jobs" / job_id),
            "deliveries": Deliveries(self.index),
            "specs": self.specs,
        }.items():
            setattr(self.parts, name, value)
        self.as_labels: dict[str, tuple[int, ...]] = {}
        self.load_rules()

    def send(self, *folders: Path) -> str:
        """Every file as it is. Returns the Study Instance UID of the last."""
        study = ""
        for folder in folders:
            for file in [folder] if folder.is_file() else sorted(folder.iterdir()):
                encoded, syntax = read_body(file)
                header = read_header(encoded, syntax)
                study = self.sent = header.uid("StudyInstanceUID")
                self.instances.keep(
                    encoded=encoded,
                    header=header,
                    sop_class_uid=header.uid("SOPClassUID"),
                    sop_instance_uid=header.uid("SOPInstanceUID"),
                    transfer_syntax_uid=syntax,
                    calling_ae_title="CT1",
                    source="ct",
                    quiet_s=1.0,
                )
        return study

    def decide(self, study: str) -> None:
        self.intake.decide(self.study(study))

    def convert(self) -> ItkImage:
        """Stage `prepare`; the file of the first input by name."""
        prepare.convert(self.parts, self.job())
        return self.parcel()

    def stage(self, rule: str) -> None:
        """Stage `prepare` of the job of one rule of several."""
        (job,) = (one for one in self.jobs.all() if one.rule == rule)
        prepare.convert(self.parts, job)

    def parcel(self, input: str = "") -> ItkImage:
        files = sorted((self.folder / "jobs" / self.job().id / "parcel").iterdir())
        (file,) = [one for one in files if one.stem == input] if input else files[:1]
        return read_image(file)

    def volumes(self) -> dict[str, Any]:
        return volumes_of(self.instances, self.job(), tolerance_of(self.site))

    def answer(self, mask: NDArray[Any], about: str = "", *, heat_map: bool = False) -> None:
        """The mask, or numbers, come back on the grid of what was sent."""
        job, volumes = self.job(), self.volumes()
        shelf = JobShelf(self.folder / "jobs" / job.id)
        with FileSink(shelf.path("outputs/mask.mha")) as sink:
            format_named("mha").write(volumes[about or min(volumes)].geometry, mask, sink)
        output = Output(
            name="mask",
            kind=OutputKind.IMAGE if heat_map else OutputKind.MASK,
            word="Heat Map" if heat_map else "",
            media_type="image/x-mha",
            ref="outputs/mask.mha",
            labels=(Label(value=1, name="lung"), Label(value=2, name="airways")),
        )
        self.jobs.change(
            job.id,
            outputs=OUTPUT_LIST.dump_json((output,)).decode(),
            remote=REMOTE.dump_json(RemoteJob(key=job.id, pin="image-1")).decode(),
        )

    def encode(self) -> list[Dataset]:
        """Stage `encode`; the results in the order of sending."""
        encode.encode(self.parts, self.job())
        folder = self.folder / "jobs" / self.job().id / "results"
        return [dcmread(folder / one.file) for one in self.jobs.results(self.job().id)]

    def _plan(self, spec: Spec, request: Request) -> Order:
        self.requested = request
        return Order(
            files=tuple(
                OrderedFile(
                    input=one.input,
                    format="mha",
                    file_name=f"{one.input}.mha",
                    as_labels=one.is_labels,
                    labels=self.as_labels.get(one.input, ()),
                )
                for one in request.volumes
            ),
            steps=(),
            details={},
        )


SPEC = (
    TypeAdapter(Spec)
    .dump_json(Spec(algorithm="identity-mask", title="Identity mask", interfaces=(), details={}))
    .decode()
)


def frames_of(seg: Dataset) -> dict[tuple[int, tuple[float, ...]], Mask]:
    """Bits of a binary segmentation by segment and Image Position (Patient)."""
    bits = np.unpackbits(np.frombuffer(seg.PixelData, np.uint8), bitorder="little")
    size = seg.Rows * seg.Columns
    found = {}
    for place, groups in enumerate(seg.PerFrameFunctionalGroupsSequence):
        position = tuple(float(one) for one in groups.PlanePositionSequence[0].ImagePositionPatient)
        number = int(groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber)
        found[number, position] = bits[place * size : (place + 1) * size].reshape(seg.Rows, seg.Columns)
    return found
