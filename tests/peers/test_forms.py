"""The whole way for series that are no plain stack: `make interop` prints the figures."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter
from pydicom import dcmread
from pydicom.dataset import Dataset
from tests.conftest import data_folder, peer_tool
from tests.peers.forms_in_namespace import Facts
from tests.peers.house import Order
from tests.peers.namespace import run_in_namespace
from tests.peers.validators import errors_of_ours, measurement_groups, segmentation_images
from tests.peers.voxels import bare_mha, marked, onto
from tests.peers.way import MASK, RUN_S, SEG, SR

from bridge.flow.stages.cloud import OUTPUT_LIST
from bridge.itk import ItkImage, read_image
from bridge.results.output import OutputKind
from bridge.store.deliveries import Deliveries
from bridge.store.jobs import Job, Jobs, StoredResult
from bridge.store.tables import Index
from prepared import frames_of

pytestmark = [pytest.mark.peer, pytest.mark.slow]

TWIN, ECHOES, TILTED = (
    "multiframe/ct-legacy-converted-enhanced",
    "mr-dual-echo-philips",
    "ct-head-tilt-philips",
)
STUDIES = (TWIN, ECHOES, TILTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """One study and what became of it."""

    sources: tuple[Path, ...]
    job: Job
    results: tuple[StoredResult, ...]
    statuses: frozenset[int | None]
    folder: Path

    def of_mask(self, sop_class_uid: str) -> Path:
        """The one result of that class that the mask became, as it came out of the archive again."""
        (one,) = (r for r in self.results if (r.sop_class_uid, r.output_name) == (sop_class_uid, MASK))
        return self.folder / "fetched" / f"{one.sop_instance_uid}.dcm"

    @property
    def shelf(self) -> Path:
        return self.folder / "data" / "jobs" / self.job.id

    def mask(self) -> ItkImage:
        """The algorithm's mask as it came back, untouched."""
        (ref,) = (
            one.ref for one in OUTPUT_LIST.validate_json(self.job.outputs) if one.kind is OutputKind.MASK
        )
        return read_image(self.shelf / ref)

    def left(self) -> Path:
        """The file that was uploaded, as it stands with the job."""
        (file,) = (self.shelf / "parcel").iterdir()
        return file


@pytest.fixture(scope="module")
def figures() -> Iterator[list[str]]:
    """Lines that are printed when all is over."""
    lines: list[str] = []
    yield lines
    print("\n\n" + "\n".join(lines))


@pytest.fixture(scope="module")
def forms(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Form]:
    folder = tmp_path_factory.mktemp("forms")
    studies = {name: data_folder(name) for name in STUDIES}
    studies[TWIN] = _decoded(studies[TWIN], folder / "twin")
    order = Order(
        folder=folder,
        orthanc=peer_tool("Orthanc"),
        storescu=peer_tool("storescu"),
        studies=tuple(studies.values()),
    )
    (folder / "order.json").write_bytes(TypeAdapter(Order).dump_json(order))
    run_in_namespace("forms_in_namespace", folder / "order.json", within_s=RUN_S)
    facts = TypeAdapter(Facts).validate_json((folder / "facts.json").read_bytes())
    assert {one.status for one in facts.sent} == {0}, [one.output for one in facts.sent]
    index = Index(folder / "data" / "index.sqlite")
    try:
        return {name: _form(index, folder, studies[name]) for name in STUDIES}
    finally:
        index.close()


def _decoded(study: Path, folder: Path) -> Path:
    """storescu sends what it can decode; JPEG-LS it cannot."""
    folder.mkdir()
    for file in study.iterdir():
        whole = dcmread(file)
        whole.decompress(generate_instance_uid=False)
        whole.save_as(folder / file.name)
    return folder


def _form(index: Index, folder: Path, study: Path) -> Form:
    sources = tuple(sorted(study.iterdir()))
    (job,) = Jobs(index).of_study(str(dcmread(sources[0], stop_before_pixels=True).StudyInstanceUID))
    return Form(
        sources=sources,
        job=job,
        results=tuple(Jobs(index).results(job.id)),
        statuses=frozenset(one.status for one in Deliveries(index).of(job.id)),
        folder=folder,
    )


@pytest.mark.parametrize("name", STUDIES)
def test_each_is_one_job_whose_results_the_archive_took(forms: dict[str, Form], name: str) -> None:
    form = forms[name]
    assert form.job.state == "done", form.job.reason
    assert form.statuses == {0x0000}
    assert len(form.results) == 2


@pytest.mark.parametrize("name", STUDIES)
def test_dciodvfy_finds_no_error_of_ours(forms: dict[str, Form], name: str) -> None:
    form = forms[name]
    for kind in (SEG, SR):
        assert errors_of_ours(form.of_mask(kind), form.sources[:1]) == []


def test_twin_leaves_with_the_voxels_of_the_series_it_was_made_from(forms: dict[str, Form]) -> None:
    # SHA-256 of the stored values of the single frames, by the README of the data.
    head, voxels = bare_mha(forms[TWIN].left())
    stored = (voxels - np.int16(-1024)).astype("<i2")
    digest = hashlib.sha256(stored.tobytes()).hexdigest()
    assert digest == "d87c25027d72e7840ddfb59bd04613ca228ee6f0917b675e23c608805769d3f2"
    assert [float(x) for x in head["Offset"].split()] == pytest.approx([-115.5, -1.85, 696.21], abs=1e-9)


def test_first_echo_leaves_alone_and_rescaled(forms: dict[str, Form]) -> None:
    chosen = []
    for file in forms[ECHOES].sources:
        one = dcmread(file)
        if float(one.EchoTime) < 8 and "M_FFE" in one.ImageType:
            chosen.append(one)
    chosen.sort(key=lambda one: float(one.ImagePositionPatient[2]))
    assert len(chosen) == 30
    expected = np.stack(
        [
            (one.pixel_array * float(one.RescaleSlope) + float(one.RescaleIntercept)).astype(np.float32)
            for one in chosen
        ]
    )
    np.testing.assert_array_equal(read_image(forms[ECHOES].left()).array, expected)
    named = {
        str(item.ReferencedSOPInstanceUID)
        for item in dcmread(forms[ECHOES].of_mask(SEG)).ReferencedSeriesSequence[0].ReferencedInstanceSequence
    }
    assert named == {str(one.SOPInstanceUID) for one in chosen}


@pytest.mark.parametrize("name", [TWIN, ECHOES])
def test_dcmqi_decodes_exactly_the_mask_at_its_place(
    forms: dict[str, Form], name: str, tmp_path: Path, figures: list[str]
) -> None:
    mask = forms[name].mask()
    images = [read_image(file) for file in segmentation_images(forms[name].of_mask(SEG), tmp_path)]
    rebuilt, off = onto(mask, images)
    different = int(np.count_nonzero(rebuilt != mask.array))
    figures.append(
        f"dcmqi, {name}: {np.count_nonzero(rebuilt):,} voxels, {different} different, within {off:.1e} voxel"
    )
    assert different == 0 and np.count_nonzero(rebuilt) > 100_000


def test_twin_is_referred_to_frame_by_frame(forms: dict[str, Form]) -> None:
    seg = dcmread(forms[TWIN].of_mask(SEG))
    source = dcmread(forms[TWIN].sources[0], stop_before_pixels=True)
    places = {
        number: _position(groups)
        for number, groups in enumerate(source.PerFrameFunctionalGroupsSequence, start=1)
    }
    for groups in seg.PerFrameFunctionalGroupsSequence:
        (image,) = groups.DerivationImageSequence[0].SourceImageSequence
        assert image.ReferencedSOPInstanceUID == source.SOPInstanceUID
        assert places[int(image.ReferencedFrameNumber)] == pytest.approx(_position(groups), abs=1e-3)


def test_tilted_head_returns_to_its_images_by_positions(forms: dict[str, Form], figures: list[str]) -> None:
    # dcmqi decodes no stack that leans: each frame is laid over the mask by its own position.
    form, mask = forms[TILTED], forms[TILTED].mask()
    seg = dcmread(form.of_mask(SEG))
    assert seg.ContentDescription.endswith("not verified; sheared")
    direction = np.array(mask.direction).reshape(3, 3) * mask.spacing_mm
    shared = seg.SharedFunctionalGroupsSequence[0]
    cosines = np.array([float(x) for x in shared.PlaneOrientationSequence[0].ImageOrientationPatient])
    down, right = (float(x) for x in shared.PixelMeasuresSequence[0].PixelSpacing)
    rows, columns = np.mgrid[: seg.Rows, : seg.Columns]
    compared = different = 0
    for (_, position), bits in frames_of(seg).items():
        points = (
            np.array(position)
            + columns[..., None] * right * cosines[:3]
            + rows[..., None] * down * cosines[3:]
        )
        at = np.linalg.solve(direction, (points.reshape(-1, 3) - mask.origin_lps).T).T[:, ::-1]
        sure = (np.abs(at - np.floor(at) - 0.5) > 1e-4).all(axis=1)
        k, j, i = np.round(at[sure]).astype(int).T
        different += int(np.count_nonzero((mask.array[k, j, i] > 0) != bits.ravel()[sure].astype(bool)))
        compared += int(sure.sum())
    figures.append(f"{TILTED}: {compared:,} voxels of images compared by position, {different} different")
    assert different == 0 and compared > 2_000_000
    images = {_position(dcmread(file, stop_before_pixels=True)) for file in form.sources}
    assert {position for _, position in frames_of(seg)} <= images


@pytest.mark.parametrize("name", STUDIES)
def test_dcmqi_reads_volumes_that_are_voxels_times_their_size(
    forms: dict[str, Form], name: str, tmp_path: Path
) -> None:
    mask = forms[name].mask()
    volumes = {
        int(group["ReferencedSegment"]): float(item["value"])
        for group in measurement_groups(forms[name].of_mask(SR), tmp_path)
        for item in group["measurementItems"]
        if item["quantity"]["CodeValue"] == "118565006"
    }
    voxel_ml = float(np.prod(mask.spacing_mm)) / 1000
    expected = {number: count * voxel_ml for number, count in marked(mask).items()}
    assert {n: v for n, v in volumes.items() if v} == pytest.approx(expected, rel=1e-5)


def test_report_of_the_tilted_head_tells_what_was_done(forms: dict[str, Form]) -> None:
    report = dcmread(forms[TILTED].of_mask(SR)).to_json_dict()
    assert "images sheared upright by 18.50 degrees" in json.dumps(report)


def _position(data_set: Dataset) -> Any:
    held = data_set if "ImagePositionPatient" in data_set else data_set.PlanePositionSequence[0]
    return tuple(float(x) for x in held.ImagePositionPatient)
