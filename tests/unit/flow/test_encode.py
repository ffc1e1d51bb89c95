"""Stage `encode`: each destination is owed its own variant, and what was issued is never made again."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import sqlalchemy as sa
from pydicom import dcmread
from tests.unit.operate.report_example import JOB, make_example
from tests.unit.results.shapes import box, stl

from bridge.config.results import ResultsModel
from bridge.config.rules import RuleModel
from bridge.errors import Refused, TryLater
from bridge.export import format_named
from bridge.flow.parts import Parts
from bridge.flow.stages import encode as stage
from bridge.flow.stages.cloud import OUTPUT_LIST, REMOTE
from bridge.flow.stages.shelf import FileSink, JobShelf
from bridge.platforms.protocol import RemoteJob
from bridge.results.output import Label, MeshFrame, Output, OutputKind, Presence
from bridge.sandbox.pacs import SmallPacs
from bridge.store.jobs import Jobs, JobState, Stage
from bridge.store.tables import jobs as job_table
from bridge.version import __version__
from bridge.volumes import Volume
from owed import DeliveryBench

pytestmark = pytest.mark.filterwarnings("ignore")

SEG, LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7"


@pytest.fixture(scope="module")
def volume(tmp_path_factory: pytest.TempPathFactory) -> Volume:
    return make_example(tmp_path_factory.mktemp("ct")).volume


class Bench(DeliveryBench):
    """One job whose outputs are fetched: a mask and a number."""

    def __init__(self, folder: Path, volume: Volume, port: int, **destinations: dict[str, Any]) -> None:
        super().__init__(folder, **dict.fromkeys(destinations, port))
        for name, wishes in destinations.items():
            self.change(name, **wishes)
        self.calls = 0
        self.run: Callable[..., Any] = self._run
        self.parts.site.series_number_base = 9000  # type: ignore[misc]
        self.parts.site.uid_root = ""  # type: ignore[misc]
        self.points: list[str] = []
        extra = {
            "key": b"k" * 32,
            "instances": None,
            "instead": (),
            "children": SimpleNamespace(run=lambda *given: self.run(*given)),
        }
        for name, value in extra.items():
            setattr(self.parts, name, value)
        shelf = JobShelf(folder / "jobs" / JOB)
        (folder / "jobs" / JOB / "outputs").mkdir(parents=True)
        mask = np.zeros(volume.geometry.shape, np.uint8)
        mask[4:7, 5:20, 5:30] = 3
        with FileSink(shelf.path("outputs/mask.mha")) as sink:
            format_named("mha").write(volume.geometry, mask, sink)
        shelf.write("outputs/score.json", b"0.5")
        outputs = [
            Output(
                name="lungs",
                kind=OutputKind.MASK,
                media_type="image/x-mha",
                ref="outputs/mask.mha",
                labels=(Label(value=3, name="lung"),),
            ),
            Output(
                name="score", kind=OutputKind.VALUE, media_type="application/json", ref="outputs/score.json"
            ),
        ]
        rule = RuleModel(
            mode="live",
            platform="gc",
            algorithm="lungs-and-airways",
            destinations=tuple(destinations),
            inputs={"ct": {"volume": {"Modality": "CT"}}},  # type: ignore[dict-item]
            results=ResultsModel(private_codes=True),
        )
        row = {
            "id": JOB,
            "rule": "lungs",
            "study_instance_uid": volume.study_instance_uid,
            "account": "gc",
            "algorithm": "lungs-and-airways",
            "declared_version": "",
            "state": JobState.RUNNING,
            "stage": Stage.ENCODE,
            "frozen": rule.model_dump_json(),
            "inputs": "{}",
            "explanation": "{}",
            "remote": REMOTE.dump_json(RemoteJob(key=JOB, pin="image-1")).decode(),
            "outputs": OUTPUT_LIST.dump_json(tuple(outputs)).decode(),
            "created_at": self.now,
            "changed_at": self.now,
        }
        with self.index.write() as connection:
            connection.execute(sa.insert(job_table).values(**row))

    def _run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        self.calls += 1
        return function(*arguments)

    def wants(self, results: ResultsModel) -> None:
        """Another `[rules.NAME.results]` in the rule as the job has it."""
        rule = RuleModel.model_validate_json(self.jobs.get(JOB).frozen)
        self.jobs.change(JOB, frozen=rule.model_copy(update={"results": results}).model_dump_json())

    def forget_the_mask(self) -> None:
        outputs = OUTPUT_LIST.validate_json(self.jobs.get(JOB).outputs)
        left = tuple(one for one in outputs if one.kind is not OutputKind.MASK)
        self.jobs.change(JOB, outputs=OUTPUT_LIST.dump_json(left).decode())

    def comes_back_too(self, output: Output, data: bytes = b"") -> None:
        outputs = OUTPUT_LIST.validate_json(self.jobs.get(JOB).outputs)
        self.jobs.change(JOB, outputs=OUTPUT_LIST.dump_json((*outputs, output)).decode())
        if output.presence is Presence.HERE:
            JobShelf(self.folder / "jobs" / JOB).write(output.ref, data)

    def encode(self) -> None:
        stage.encode(cast(Parts, self.parts), self.jobs.get(JOB))

    def owed(self, destination: str) -> dict[str, str]:
        """Kind and variant of what is owed there, by file."""
        uids = {one.sop_instance_uid for one in self.deliveries.of(JOB, destination)}
        return {one.file: one.sop_class_uid for one in self.jobs.results(JOB) if one.sop_instance_uid in uids}

    def digests(self) -> dict[str, str]:
        folder = self.folder / "jobs" / JOB / "results"
        return {one.name: hashlib.sha256(one.read_bytes()).hexdigest() for one in sorted(folder.iterdir())}


Make = Callable[..., Bench]


@pytest.fixture
def pacs(tmp_path: Path) -> Iterator[SmallPacs]:
    with SmallPacs(tmp_path / "pacs", ae_title="PACS") as pacs:
        yield pacs


@pytest.fixture
def make(tmp_path: Path, volume: Volume, pacs: SmallPacs, monkeypatch: pytest.MonkeyPatch) -> Make:
    monkeypatch.setattr(stage, "volumes_of", lambda *_: {"ct": volume})
    return lambda **destinations: Bench(tmp_path, volume, pacs.port, **destinations)


def test_each_destination_is_owed_the_objects_of_its_variant_alone(make: Make) -> None:
    bench = make(pacs={}, research={"segmentation": "labelmap"}, twin={}, old={"series_number_base": 500})
    bench.encode()
    assert list(bench.owed("pacs")) == ["000.seg.dcm", "001.sr.dcm", "002.sr.dcm"]
    assert bench.owed("twin") == bench.owed("pacs")
    assert list(bench.owed("old")) == ["003.500.seg.dcm", "004.500.sr.dcm", "005.500.sr.dcm"]
    # The number without a place is the very object that the others get.
    assert list(bench.owed("research")) == ["002.sr.dcm", "006.labelmap.seg.dcm", "007.labelmap.sr.dcm"]
    assert bench.owed("pacs")["000.seg.dcm"] == SEG
    assert bench.owed("research")["006.labelmap.seg.dcm"] == LABEL_MAP
    assert bench.calls == 1
    assert {one.file: one.sha256 for one in bench.jobs.results(JOB)} == bench.digests()


def test_bridge_without_wishes_makes_what_it_always_made(make: Make) -> None:
    bench = make(pacs={})
    bench.encode()
    assert list(bench.digests()) == ["000.seg.dcm", "001.sr.dcm", "002.sr.dcm"]
    assert {one.variant for one in bench.jobs.results(JOB)} == {""}


def test_a_destination_that_left_the_settings_is_owed_what_is_usual(make: Make) -> None:
    bench = make(pacs={}, gone={"segmentation": "labelmap"})
    del bench.settings["gone"]
    bench.encode()
    assert bench.owed("gone") == bench.owed("pacs")


def test_issued_results_are_not_encoded_again_by_another_version_with_other_settings(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make(pacs={})
    bench.encode()
    before, rows = bench.digests(), bench.jobs.results(JOB)
    monkeypatch.setattr(stage, "__version__", f"{__version__}.99")
    bench.change("pacs", segmentation="labelmap")
    bench.run = lambda *_: pytest.fail("encoded again")
    bench.encode()
    assert bench.digests() == before
    assert bench.jobs.results(JOB) == rows


def test_an_upgrade_between_two_tries_sends_the_bytes_that_were_issued(
    make: Make, pacs: SmallPacs, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make(pacs={})
    bench.encode()
    bench.jobs.change(JOB, stage=Stage.DELIVER)
    bench.change("pacs", port=1)
    bench.pass_time(60)
    monkeypatch.setattr(stage, "__version__", f"{__version__}.99")
    bench.run = lambda *_: pytest.fail("encoded again")
    bench.encode()
    bench.change("pacs", port=pacs.port)
    bench.new_relay()
    bench.pass_time(7200)
    assert set(bench.outcomes(JOB)) == {"delivered"}
    sent = {one.sop_instance_uid: bench.folder / "jobs" / JOB / "results" / one.file for one in _rows(bench)}
    assert len(pacs.held) == len(sent)
    for uid, file in pacs.held.items():
        assert _data_set(file) == _data_set(sent[uid])


def test_a_crash_before_results_are_issued_makes_the_same_files_again(make: Make) -> None:
    bench = make(pacs={}, research={"segmentation": "labelmap"})

    class Crash(Exception):
        pass

    def crash(point: str) -> None:
        if point == "encode:mid":
            raise Crash

    bench.passing = crash
    with pytest.raises(Crash):
        bench.encode()
    assert bench.jobs.results(JOB) == []
    before = bench.digests()
    bench.passing = lambda point: None
    bench.encode()
    assert bench.digests() == before
    assert {one.file: one.sha256 for one in bench.jobs.results(JOB)} == before


def test_a_child_that_dies_leaves_nothing_issued(make: Make) -> None:
    bench = make(pacs={})

    def die(*_: Any) -> None:
        raise TryLater("CHI-001", "a working process died", "a result")

    bench.run = die
    with pytest.raises(TryLater):
        bench.encode()
    assert bench.jobs.results(JOB) == []
    assert bench.deliveries.of(JOB) == []


def _rows(bench: Bench) -> Any:
    return Jobs(bench.index).results(JOB)


def _data_set(file: Path) -> bytes:
    """What stands behind the file meta information, which belongs to whoever wrote the file."""
    content = file.read_bytes()
    length = dcmread(file, stop_before_pixels=True).file_meta.FileMetaInformationGroupLength
    return content[128 + 4 + 12 + length :]


def test_job_says_once_that_its_images_were_compressed_with_loss(
    make: Make, volume: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    header = copy.deepcopy(volume.planes[0].instance.header)
    header.LossyImageCompression = "01"
    plane = replace(volume.planes[0], instance=replace(volume.planes[0].instance, header=header))
    lossy = replace(volume, planes=(plane, *volume.planes[1:]))
    bench = make(pacs={}, old={"series_number_base": 500})
    monkeypatch.setattr(stage, "volumes_of", lambda *_: {"ct": lossy})
    bench.encode()
    said = [one.keys["notes"] for one in bench.jobs.timeline(JOB) if one.event == "encode.made"]
    assert sum("loss" in notes for notes in said) == 1


OFF = ResultsModel(segmentation=False, measurement_report=False, documents=False)


def test_a_rule_that_wants_no_results_ends_done_without_a_child(make: Make, pacs: SmallPacs) -> None:
    bench = make(pacs={})
    bench.wants(OFF)
    bench.run = lambda *_: pytest.fail("encoded")
    bench.encode()
    job = bench.jobs.get(JOB)
    assert (job.state, job.code) == (JobState.DONE, "")
    assert bench.jobs.results(JOB) == []
    assert bench.deliveries.of(JOB) == []
    (ended,) = (one for one in bench.jobs.timeline(JOB) if one.event == "job.done")
    assert ended.keys == {"results": 0}


def mesh_of(name: str, **other: Any) -> Output:
    return Output(
        name=name,
        kind=OutputKind.MESH,
        media_type="model/stl",
        ref=f"outputs/{name}.stl",
        frame=MeshFrame.LPS_MM,
        **other,
    )


def test_a_mesh_is_encoded_where_all_else_is_switched_off(make: Make, volume: Volume) -> None:
    bench = make(pacs={})
    bench.wants(OFF)
    affine = volume.geometry.affine_lps
    middle = affine[:3, :3] @ (np.array(volume.geometry.shape) / 2) + affine[:3, 3]
    data = stl(box(tuple(middle.tolist()), (6, 6, 6)))
    bench.comes_back_too(mesh_of("mandible"), data)
    bench.encode()
    (result,) = bench.jobs.results(JOB)
    made = dcmread(bench.folder / "jobs" / JOB / "results" / result.file)
    assert made.EncapsulatedDocument[: made.EncapsulatedDocumentLength] == data


def test_what_the_platform_did_not_find_is_a_line_of_the_job(make: Make) -> None:
    bench = make(pacs={})
    bench.comes_back_too(mesh_of("tooth18", presence=Presence.MISSING))
    bench.comes_back_too(mesh_of("tooth28", presence=Presence.FAILED, reason="no memory"))
    bench.encode()
    notes = "; ".join(
        str(one.keys["notes"]) for one in bench.jobs.timeline(JOB) if one.event == "encode.made"
    )
    assert "tooth18: not there (a finding of the platform)" in notes
    assert "tooth28: the platform could not make it: no memory" in notes


@pytest.mark.parametrize(
    "wanted",
    [
        OFF.model_copy(update={"documents": True}),
        OFF.model_copy(update={"heat_map": "fractional"}),
        OFF.model_copy(update={"picture": True}),
    ],
)
def test_a_rule_that_wants_what_does_not_come_back_is_refused(make: Make, wanted: ResultsModel) -> None:
    bench = make(pacs={})
    bench.wants(wanted)
    bench.forget_the_mask()
    with pytest.raises(Refused) as caught:
        bench.encode()
    assert caught.value.code == "RES-060"
    assert bench.jobs.get(JOB).state is JobState.RUNNING


def moved(volume: Volume, by_mm: float, frame_of_reference_uid: str) -> Volume:
    """Another input that overlaps the volume in millimetres."""
    x, y, z = volume.geometry.origin_lps
    geometry = replace(volume.geometry, origin_lps=(x, y, z + by_mm))
    return replace(volume, geometry=geometry, frame_of_reference_uid=frame_of_reference_uid)


def test_a_mask_on_an_input_in_another_frame_of_reference_is_refused_and_not_brought_over(
    make: Make, volume: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make(pacs={})
    # The mask has the voxels of `volume`; results refer to the first input by name.
    inputs = {"a-pet": moved(volume, 5.0, "2.25.4711"), "ct": volume}
    monkeypatch.setattr(stage, "volumes_of", lambda *_: inputs)
    with pytest.raises(Refused) as caught:
        bench.encode()
    assert caught.value.code == "HVY-003"
    assert "2.25." not in str(caught.value)


def test_a_mask_on_an_earlier_study_is_refused_even_in_the_same_frame_of_reference(
    make: Make, volume: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make(pacs={})
    prior = replace(volume, study_instance_uid="2.25.4712")
    now = moved(volume, 5.0, volume.frame_of_reference_uid)
    monkeypatch.setattr(stage, "volumes_of", lambda *_: {"a-prior": prior, "ct": now})
    with pytest.raises(Refused) as caught:
        bench.encode()
    assert caught.value.code == "HVY-003"
    assert "of an earlier study (" in caught.value.found and " voxels)" in caught.value.found


def test_results_refer_to_the_current_study_whatever_inputs_are_called(
    make: Make, volume: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make(pacs={})
    prior = replace(moved(volume, 500.0, "2.25.4711"), study_instance_uid="2.25.4712")
    monkeypatch.setattr(stage, "volumes_of", lambda *_: {"a-prior": prior, "ct": volume})
    bench.encode()
    folder = JobShelf(bench.folder / "jobs" / JOB).path("results")
    for stored in bench.jobs.results(JOB):
        made = dcmread(folder / stored.file)
        assert made.StudyInstanceUID == volume.study_instance_uid
        assert made.get("FrameOfReferenceUID", volume.frame_of_reference_uid) == volume.frame_of_reference_uid


def test_a_mask_on_another_input_in_the_same_frame_of_reference_is_brought_over(
    make: Make, volume: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make(pacs={})
    first = moved(volume, volume.geometry.spacing_mm[0] / 2, volume.frame_of_reference_uid)
    planes = tuple(
        replace(one, position_lps=tuple((first.geometry.affine_lps @ (k, 0, 0, 1))[:3].tolist()))
        for k, one in enumerate(first.planes)
    )
    inputs = {"a-pet": replace(first, planes=planes), "ct": volume}
    monkeypatch.setattr(stage, "volumes_of", lambda *_: inputs)
    bench.encode()
    assert len(bench.jobs.results(JOB)) == 3
