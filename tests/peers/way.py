"""Three real studies, what is known of them, and what became of them on the way through everything."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter
from pydicom import dcmread
from tests.conftest import data_folder, peer_tool
from tests.peers.house import Order
from tests.peers.namespace import run_in_namespace
from tests.peers.thread_in_namespace import Facts

from bridge.flow.stages.cloud import OUTPUT_LIST
from bridge.itk import ItkImage, read_image
from bridge.results.output import OutputKind
from bridge.store.deliveries import Deliveries
from bridge.store.jobs import Delivery, Job, Jobs, StoredResult
from bridge.store.tables import Index

MASK = "lung-segmentation"
SEG, SR = "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.88.34"
"""Nothing in it is reachable from outside, and nothing of it outlives the process that was started."""
RUN_S = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is true of a study, by the README of the data: derived with other programs than ours."""

    folder: str
    voxels_sha256: str
    """Of the stored values, int16 little-endian, slice by slice from the lowest position."""
    intercept: int
    first_position: tuple[float, float, float]
    """Image Position (Patient) of the lowest slice, LPS, mm."""
    orientation: tuple[float, ...]
    """Image Orientation (Patient)."""
    spacing_mm: tuple[float, float, float]
    """Between columns, between rows, between slices."""
    marked: int
    """Voxels that the algorithm marks."""
    ill_formed: frozenset[str] = frozenset()
    """Attributes of patient and study that no validator takes, and that results leave out."""

    @property
    def name(self) -> str:
        """Of the folder alone."""
        return Path(self.folder).name

    @property
    def voxel_ml(self) -> float:
        return math.prod(self.spacing_mm) / 1000


CHEST = Known(
    folder="ct-chest-philips",
    voxels_sha256="70354e466588f66a2087540fd94425750eeb85da29ca2561640ecd40aba7899f",
    intercept=-1024,
    first_position=(-228.036842, -93.0631599, -439.0),
    orientation=(1, 0, 0, 0, 1, 0),
    spacing_mm=(0.841797, 0.841797, 5.0),
    marked=1_520_918,
)
BRAIN = Known(
    folder="mr-brain-t1",
    voxels_sha256="73129ea12e3b7457d28a27df45413d9b0823620d83db8c16df57b45198e90a6d",
    intercept=0,
    first_position=(-95.7073796510087, -144.416447374611, -22.2602466211107),
    orientation=(
        *(0.999032176441525, -0.0217883751691557, 0.0382096472372976),
        *(0.026519476938784, 0.991413870277297, -0.128043957939),
    ),
    spacing_mm=(0.699987828731537, 0.666666686534882, 0.6666666865),
    marked=20 * 384 * 274,
    ill_formed=frozenset({"PatientAge"}),
)
HEAD = Known(
    folder="ct-head-phantom-philips/S2010",
    voxels_sha256="d87c25027d72e7840ddfb59bd04613ca228ee6f0917b675e23c608805769d3f2",
    intercept=-1024,
    first_position=(-115.5, -1.85, 696.21),
    orientation=(1, 0, 0, 0, 1, 0),
    spacing_mm=(0.451171875, 0.451171875, 5.0),
    marked=850_998,
)
STUDIES = (CHEST, BRAIN, HEAD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One study and what became of it."""

    known: Known
    sources: tuple[Path, ...]
    job: Job
    results: tuple[StoredResult, ...]
    deliveries: tuple[Delivery, ...]
    shelf: Path
    folder: Path
    """Of the whole run."""

    def archived(self, result: StoredResult) -> Path:
        """A result as it came out of the archive again."""
        return self.folder / "fetched" / f"{result.sop_instance_uid}.dcm"

    def of_mask(self, sop_class_uid: str) -> Path:
        """The one result of that class that the mask became, as it came out of the archive again."""
        (result,) = (r for r in self.results if (r.sop_class_uid, r.output_name) == (sop_class_uid, MASK))
        return self.archived(result)

    def mask(self) -> ItkImage:
        """The algorithm's mask as it came back, untouched."""
        outputs = OUTPUT_LIST.validate_json(self.job.outputs)
        (ref,) = (one.ref for one in outputs if one.kind is OutputKind.MASK)
        return read_image(self.shelf / ref)


@dataclass(frozen=True, slots=True, kw_only=True)
class Thread:
    folder: Path
    facts: Facts
    ways: dict[str, Way]
    uploaded: tuple[Path, ...]


def run_thread(folder: Path) -> Thread:
    """Send the studies through everything, in `folder`.

    The test is skipped, with the reason, where a peer, the data or a network namespace is missing.
    """
    studies = {known.folder: data_folder(known.folder) for known in STUDIES}
    order = Order(
        folder=folder,
        orthanc=peer_tool("Orthanc"),
        storescu=peer_tool("storescu"),
        studies=tuple(studies.values()),
    )
    (folder / "order.json").write_bytes(TypeAdapter(Order).dump_json(order))
    run_in_namespace("thread_in_namespace", folder / "order.json", within_s=RUN_S, log=folder / "bridge.log")
    facts = TypeAdapter(Facts).validate_json((folder / "facts.json").read_bytes())
    return Thread(
        folder=folder,
        facts=facts,
        ways=_ways(folder, studies),
        uploaded=tuple(sorted((folder / "uploaded").iterdir())),
    )


def _ways(folder: Path, studies: dict[str, Path]) -> dict[str, Way]:
    index = Index(folder / "data" / "index.sqlite")
    store = Jobs(index)
    ways = {}
    try:
        for known in STUDIES:
            sources = tuple(sorted(studies[known.folder].iterdir()))
            (job,) = store.of_study(str(dcmread(sources[0], stop_before_pixels=True).StudyInstanceUID))
            ways[known.folder] = Way(
                known=known,
                sources=sources,
                job=job,
                results=tuple(store.results(job.id)),
                deliveries=tuple(Deliveries(index).of(job.id)),
                shelf=folder / "data" / "jobs" / job.id,
                folder=folder,
            )
    finally:
        index.close()
    return ways
