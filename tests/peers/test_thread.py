"""The whole way among real peers: DCMTK's storescu -> `bridge serve` -> the sandbox's cloud -> Orthanc.

One run, judged from many sides. `make interop` prints the figures.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from tests.conftest import ROOT
from tests.peers.pixelmed import ReportValidator
from tests.peers.validators import (
    complaints,
    errors,
    errors_of_ours,
    measurement_groups,
    segmentation_images,
    value_bytes,
)
from tests.peers.voxels import bare_mha, marked, onto, stored_values
from tests.peers.way import CHEST, RUN_S, SEG, SR, STUDIES, Thread, Way, run_thread

from bridge.itk import read_image

pytestmark = [pytest.mark.peer, pytest.mark.slow]

MHA_KEYS = {
    *("ObjectType", "NDims", "BinaryData", "BinaryDataByteOrderMSB", "CompressedData", "TransformMatrix"),
    *("Offset", "CenterOfRotation", "ElementSpacing", "DimSize", "ElementType", "ElementDataFile"),
}


@pytest.fixture(scope="module")
def figures() -> Iterator[list[str]]:
    """Lines that are printed when all is over."""
    lines: list[str] = []
    yield lines
    print("\n\n" + "\n".join(lines))


@pytest.fixture(scope="module")
def thread(tmp_path_factory: pytest.TempPathFactory, figures: list[str]) -> Thread:
    ran = run_thread(tmp_path_factory.mktemp("thread"))
    figures.append(f"Orthanc {ran.facts.orthanc_version}, data in {ran.folder}")
    figures += [f"{seconds:7.1f} s  {what}" for what, seconds in ran.facts.seconds.items()]
    return ran


@pytest.fixture(params=[known.folder for known in STUDIES])
def way(request: pytest.FixtureRequest, thread: Thread) -> Way:
    return thread.ways[request.param]


@pytest.fixture
def chest(thread: Thread) -> Way:
    return thread.ways[CHEST.folder]


def test_storescu_heard_success_for_every_object(thread: Thread) -> None:
    assert [(one.study, one.called_ae_title, one.status) for one in thread.facts.sent] == [
        (known.name, ae_title, 0) for known in STUDIES for ae_title in ("PACS", "BRIDGE")
    ], [one.output for one in thread.facts.sent]


def test_bridge_keeps_the_bytes_that_the_archive_got_from_the_same_sender(thread: Thread) -> None:
    # storescu writes sequences anew before it sends, so the files are not the measure.
    held = Counter(_sha256(_data_set(file)) for file in _files(thread.folder / "data" / "instances"))
    results = {one.sop_instance_uid for way in thread.ways.values() for one in way.results}
    images = [file for file in (thread.folder / "fetched").iterdir() if file.stem not in results]
    assert held == Counter(_sha256(_data_set(file)) for file in images)
    assert len(images) == sum(len(way.sources) for way in thread.ways.values())


def test_each_job_is_done_and_each_result_was_answered_success(way: Way) -> None:
    assert way.job.state == "done", way.job.reason
    answers = {one.sop_instance_uid: (one.destination, one.status) for one in way.deliveries}
    assert answers == {one.sop_instance_uid: ("pacs", 0x0000) for one in way.results}


def test_bridge_ends_cleanly_when_told_to(thread: Thread) -> None:
    assert thread.facts.bridge_status == 0


def test_archive_files_one_seg_and_one_sr_beside_the_images_of_their_study(thread: Thread) -> None:
    # The archive's study is a hash of Patient ID and Study Instance UID: another identity is another study.
    studies: dict[str, Counter[str]] = {}
    for one in thread.facts.filed:
        studies.setdefault(one.study, Counter())[one.sop_class_uid] += 1
    found = {(max(counted.values()), counted[SEG], counted[SR]) for counted in studies.values()}
    assert found == {(len(way.sources), 1, 1) for way in thread.ways.values()}
    assert len(thread.facts.filed) == sum(len(way.sources) + 2 for way in thread.ways.values())


def test_archive_has_the_results_from_the_bridge_and_the_images_from_the_scanner(thread: Thread) -> None:
    assert {(one.sop_class_uid in (SEG, SR), one.calling_ae_title) for one in thread.facts.filed} == {
        (True, "BRIDGE"),
        (False, "SCANNER"),
    }


def test_cloud_bills_one_job_for_each_study(thread: Thread) -> None:
    ledger = [
        json.loads(line) for line in (thread.folder / "cloud" / "ledger.jsonl").read_text().splitlines()
    ]
    assert sorted(line["algorithm"] for line in ledger) == [
        "identity-mask",
        "identity-mask",
        "lungs-and-airways",
    ]


def test_token_goes_to_the_platform_and_never_to_its_object_store(thread: Thread) -> None:
    lines = (thread.folder / "cloud" / "requests.jsonl").read_text().splitlines()
    requests = Counter((one["origin"], one["authorization"]) for one in map(json.loads, lines))
    assert requests["store", False] >= 2 and requests["store", True] == 0
    assert requests["api", True] >= 10


def test_only_the_voxels_and_their_place_left_the_house(thread: Thread, figures: list[str]) -> None:
    left = {}
    for file in thread.uploaded:
        head, voxels = bare_mha(file)
        assert set(head) == MHA_KEYS
        assert head["ElementType"] == "MET_SHORT"
        left[_sha256(voxels.tobytes())] = (file, head)
    assert len(left) == len(thread.uploaded) == len(STUDIES)
    for known in STUDIES:
        stored = stored_values(thread.ways[known.folder].sources)
        assert _sha256(stored.tobytes()) == known.voxels_sha256
        file, head = left[_sha256((stored + np.int16(known.intercept)).tobytes())]
        assert _numbers(head["Offset"]) == pytest.approx(known.first_position, abs=1e-9)
        assert _numbers(head["TransformMatrix"])[:6] == pytest.approx(known.orientation, abs=1e-6)
        assert _numbers(head["ElementSpacing"]) == pytest.approx(known.spacing_mm, abs=1e-6)
        figures.append(f"uploaded {file.stat().st_size:,} bytes of {known.folder}: its voxels, bit for bit")


def test_lungs_and_airways_have_the_voxels_that_their_threshold_gives(chest: Way, figures: list[str]) -> None:
    voxels = marked(chest.mask())
    figures.append(f"lungs and airways: {sum(voxels.values()):,} voxels {voxels}")
    assert sum(voxels.values()) == CHEST.marked


def test_dcmqi_decodes_exactly_the_mask_at_its_place(way: Way, tmp_path: Path, figures: list[str]) -> None:
    mask = way.mask()
    images = [read_image(file) for file in segmentation_images(way.of_mask(SEG), tmp_path)]
    rebuilt, off = onto(mask, images)
    different = np.count_nonzero(rebuilt != mask.array)
    figures.append(
        f"dcmqi, {way.known.folder}: {np.count_nonzero(rebuilt):,} voxels, {different} different, "
        f"grid within {off:.1e} voxel"
    )
    assert different == 0
    assert np.count_nonzero(rebuilt) == way.known.marked


def test_a_segmentation_one_slice_off_would_have_been_found(chest: Way) -> None:
    mask = chest.mask()
    x, y, z = mask.origin_lps
    rebuilt, _ = onto(mask, [replace(mask, origin_lps=(x, y, z - mask.spacing_mm[2]))])
    assert np.count_nonzero(rebuilt) == CHEST.marked
    assert np.count_nonzero(rebuilt != mask.array) > 0


def test_dciodvfy_finds_no_error_of_ours(way: Way, figures: list[str]) -> None:
    found = {one.file: errors_of_ours(way.archived(one), way.sources[:1]) for one in way.results}
    theirs = len(errors("dciodvfy", "-new", way.sources[0]))
    figures += [
        f"dciodvfy, {way.known.folder}: {len(lines)} errors of ours in {name}, {theirs} in a source image"
        for name, lines in found.items()
    ]
    assert found == {one.file: [] for one in way.results}


def test_dcentvfy_finds_results_and_images_of_one_patient_and_study(way: Way, figures: list[str]) -> None:
    theirs = set(complaints("dcentvfy", *way.sources))
    together = complaints("dcentvfy", *way.sources, *map(way.archived, way.results))
    found = [line for line in together if line not in theirs]
    warned = {match[1] for line in found if (match := re.search(r"Element=<(\w+)>", line))}
    wrong = [line for line in found if line.startswith("Error")]
    figures.append(
        f"dcentvfy, {way.known.folder}: {len(wrong)} errors, warnings on {', '.join(sorted(warned)) or 'nothing'}"
    )
    assert wrong == []
    # The tool's table puts the Accession Number of an SR into the series, that of an image into the study.
    assert warned <= {"AccessionNumber"} | way.known.ill_formed


@pytest.mark.long
def test_report_fits_its_template(way: Way, report_validator: ReportValidator, figures: list[str]) -> None:
    found = report_validator.complaints(way.of_mask(SR))
    figures.append(f"PixelMed, {way.known.folder}: {len(found)} complaints about the report")
    assert found == []


@pytest.mark.parametrize(
    "keyword",
    [
        "SpecificCharacterSet",
        "PatientName",
        "PatientID",
        "IssuerOfPatientID",
        "PatientBirthDate",
        "PatientSex",
        "StudyInstanceUID",
        "StudyID",
        "StudyDate",
        "StudyTime",
        "StudyDescription",
        "AccessionNumber",
        "ReferringPhysicianName",
    ],
)
def test_patient_and_study_are_the_sources_byte_for_byte(way: Way, keyword: str) -> None:
    expected = value_bytes(dcmread(way.sources[0], stop_before_pixels=True), keyword)
    results = {r.file: dcmread(way.archived(r), stop_before_pixels=True) for r in way.results}
    assert {name: value_bytes(result, keyword) for name, result in results.items()} == dict.fromkeys(
        results, expected
    )


def test_results_refer_to_nothing_that_the_archive_does_not_hold(way: Way, thread: Thread) -> None:
    held = {one.sop_instance_uid for one in thread.facts.filed}
    named = {
        str(item.ReferencedSOPInstanceUID)
        for result in way.results
        for element in dcmread(way.archived(result), stop_before_pixels=True).iterall()
        if element.VR == "SQ"
        for item in element.value
        if "ReferencedSOPInstanceUID" in item and element.keyword != "ReferencedStudySequence"
    }
    assert named - held == set()
    assert {str(dcmread(file, stop_before_pixels=True).SOPInstanceUID) for file in way.sources} <= named


def test_dcmqi_reads_volumes_that_are_voxels_times_their_size(
    way: Way, tmp_path: Path, figures: list[str]
) -> None:
    volumes = {}
    for group in measurement_groups(way.of_mask(SR), tmp_path):
        for item in group["measurementItems"]:
            if item["quantity"]["CodeValue"] == "118565006":
                assert item["units"]["CodeValue"] == "ml"
                volumes[int(group["ReferencedSegment"])] = float(item["value"])
    present = {number: volume for number, volume in volumes.items() if volume}
    figures.append(
        f"SR, {way.known.folder}: "
        + ", ".join(f"segment {number} {volume:g} ml" for number, volume in sorted(volumes.items()))
    )
    expected = {number: count * way.known.voxel_ml for number, count in marked(way.mask()).items()}
    assert present == pytest.approx(expected, rel=1e-5)


def test_encoding_again_in_another_process_gives_the_bytes_that_the_archive_got(
    thread: Thread, tmp_path: Path, figures: list[str]
) -> None:
    for name in ("site.toml", "rules.toml"):
        shutil.copy(thread.folder / name, tmp_path)
    shutil.copytree(thread.folder / "data", tmp_path / "data")
    for folder in (tmp_path / "data" / "jobs").glob("*/results"):
        shutil.rmtree(folder)
    subprocess.run(
        [sys.executable, "-m", "tests.peers.encode_again", str(tmp_path / "site.toml")],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "17"},
        timeout=RUN_S,
        check=True,
    )
    for way in thread.ways.values():
        for result in way.results:
            again = tmp_path / "data" / "jobs" / way.job.id / "results" / result.file
            assert _sha256(again.read_bytes()) == result.sha256
            # The archive writes file meta information of its own; the data set is what travelled.
            digest = _sha256(_data_set(way.archived(result)))
            assert _sha256(_data_set(again)) == digest
            figures.append(
                f"{result.kind} of {way.known.folder}: {result.size_bytes:,} bytes, data set SHA-256 "
                f"{digest[:16]} on the shelf, in the archive, and encoded again"
            )


def _data_set(file: Path) -> bytes:
    """What stands behind the File Meta Information, whose group length says where that ends (PS3.10 7.1)."""
    content = file.read_bytes()
    return content[144 + int.from_bytes(content[140:144], "little") :]


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def _numbers(text: str) -> list[float]:
    return [float(word) for word in text.split()]


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
