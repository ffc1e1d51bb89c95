"""What arrives after a decision: most of it changes no input and bills nothing; what does makes another job."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import RLELossless, generate_uid

from bridge.store.jobs import JobState
from bridge.store.not_begun import REPLACED
from intake_bench import Bench, encoded
from made_objects import ct_slice

SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"


def without_pixels(modality: str, sop_class: str) -> Dataset:
    made = ct_slice(study="1.2", series=f"1.2.{modality}")
    for keyword in ("PixelData", "Rows", "Columns", "ImagePositionPatient", "ImageOrientationPatient"):
        delattr(made, keyword)
    made.Modality, made.SOPClassUID = modality, sop_class
    return made


def in_rle(made: Dataset) -> tuple[Dataset, bytes]:
    packed = copy.deepcopy(made)
    packed.compress(RLELossless, generate_instance_uid=False)
    return packed, encoded(packed)


def corrected(made: Dataset, **attributes: object) -> Dataset:
    other = copy.deepcopy(made)
    for keyword, value in attributes.items():
        setattr(other, keyword, value)
    return other


def a_dose_report(bench: Bench, sent: list[Dataset]) -> None:
    bench.keep(without_pixels("SR", "1.2.840.10008.5.1.4.1.1.88.67"))


def a_key_object(bench: Bench, sent: list[Dataset]) -> None:
    bench.keep(without_pixels("KO", "1.2.840.10008.5.1.4.1.1.88.59"))


def a_presentation_state(bench: Bench, sent: list[Dataset]) -> None:
    bench.keep(without_pixels("PR", "1.2.840.10008.5.1.4.1.1.11.1"))


def the_same_bytes(bench: Bench, sent: list[Dataset]) -> None:
    for one in sent:
        bench.keep(one)


def another_codec(bench: Bench, sent: list[Dataset]) -> None:
    for one in sent:
        packed, body = in_rle(one)
        assert body != encoded(one)
        bench.keep(packed, body, RLELossless)


def a_coerced_header(bench: Bench, sent: list[Dataset]) -> None:
    for one in sent:
        bench.keep(corrected(one, AccessionNumber="A-9"))


def our_own_result(bench: Bench, sent: list[Dataset]) -> None:
    made = corrected(sent[0], SOPInstanceUID=generate_uid(prefix="2.25."), SOPClassUID=SEGMENTATION)
    bench.own_result(made.SOPInstanceUID, bench.job().id)
    bench.keep(made)
    assert bench.study().state == "decided", "it opens nothing"


SAME = [
    a_dose_report,
    a_key_object,
    a_presentation_state,
    the_same_bytes,
    another_codec,
    a_coerced_header,
    our_own_result,
]


@pytest.mark.parametrize("more", SAME)
@pytest.mark.parametrize("begun", [True, False])
def test_what_changes_no_input_starts_and_bills_nothing(
    tmp_path: Path, more: Callable[[Bench, list[Dataset]], None], begun: bool
) -> None:
    bench = Bench(tmp_path)
    sent = bench.receive("1.2")
    bench.pass_time(30.0)
    job = bench.job()
    if begun:
        bench.jobs.started(job.id)
    more(bench, sent)
    bench.pass_time(30.0)
    after = bench.job()
    assert after.id == job.id
    assert after.state is (JobState.RUNNING if begun else JobState.READY)


def a_missing_slice(bench: Bench, sent: list[Dataset]) -> None:
    bench.receive("1.2", slices=1, first=4)


def other_pixels(bench: Bench, sent: list[Dataset]) -> None:
    bench.keep(corrected(sent[1], PixelData=bytes([99, 0]) * 64))


def another_rescale(bench: Bench, sent: list[Dataset]) -> None:
    for one in sent:
        bench.keep(corrected(one, RescaleIntercept=-1000))


OTHER = [a_missing_slice, other_pixels, another_rescale]


@pytest.mark.parametrize("more", OTHER)
def test_changed_input_makes_another_job_beside_one_that_has_begun(
    tmp_path: Path, more: Callable[[Bench, list[Dataset]], None]
) -> None:
    bench = Bench(tmp_path)
    sent = bench.receive("1.2")
    bench.pass_time(30.0)
    first = bench.job()
    bench.jobs.started(first.id)
    more(bench, sent)
    bench.pass_time(30.0)
    second = next(job for job in bench.jobs.all() if job.id != first.id)
    assert second.state is JobState.READY
    assert second.contents != first.contents
    assert bench.jobs.get(first.id).state is JobState.RUNNING
    assert bench.jobs.get(first.id).inputs == first.inputs


@pytest.mark.parametrize("more", OTHER)
@pytest.mark.parametrize("mode", ["live", "hold"])
def test_changed_input_replaces_a_job_that_has_not_begun(
    tmp_path: Path, more: Callable[[Bench, list[Dataset]], None], mode: str
) -> None:
    bench = Bench(tmp_path, mode=mode)
    sent = bench.receive("1.2")
    bench.pass_time(30.0)
    first = bench.job()
    more(bench, sent)
    bench.pass_time(30.0)
    second = next(job for job in bench.jobs.all() if job.id != first.id)
    replaced = bench.jobs.get(first.id)
    assert (replaced.state, replaced.code) == (JobState.CANCELLED, REPLACED)
    assert second.id[:8] in replaced.reason
    assert bench.line(first.id, "job.replaced").keys["by"] == second.id
    assert second.state is first.state


def test_job_that_was_replaced_comes_back_with_its_input(tmp_path: Path) -> None:
    bench = Bench(tmp_path, mode="hold")
    sent = bench.receive("1.2")
    bench.pass_time(30.0)
    first = bench.job()
    other_pixels(bench, sent)
    bench.pass_time(30.0)
    bench.keep(sent[1])
    bench.pass_time(30.0)
    assert bench.jobs.get(first.id).state is JobState.HELD
    assert bench.told(first.id)[-1] == "job.restored"
    assert [job.state for job in bench.jobs.all() if job.id != first.id] == [JobState.CANCELLED]


@pytest.mark.parametrize("mode", ["live", "hold"])
def test_job_that_has_not_begun_takes_the_newest_versions(tmp_path: Path, mode: str) -> None:
    bench = Bench(tmp_path, mode=mode)
    sent = bench.receive("1.2")
    bench.pass_time(30.0)
    another_codec(bench, sent)
    bench.pass_time(30.0)
    newest = {one.number for one in bench.instances.of_study("1.2")}
    assert set(json.loads(bench.job().inputs)["ct-image"]) == newest == {5, 6, 7, 8}


def test_job_that_has_begun_keeps_its_versions(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    sent = bench.receive("1.2")
    bench.pass_time(30.0)
    bench.jobs.started(bench.job().id)
    another_codec(bench, sent)
    bench.pass_time(30.0)
    assert set(json.loads(bench.job().inputs)["ct-image"]) == {1, 2, 3, 4}


@pytest.mark.parametrize(("begun", "event"), [(False, "instance.version"), (True, "instance.late")])
def test_version_stands_in_the_timeline_once(tmp_path: Path, begun: bool, event: str) -> None:
    bench = Bench(tmp_path)
    sent = bench.receive("1.2")
    bench.pass_time(30.0)
    if begun:
        bench.jobs.started(bench.job().id)
    packed, body = in_rle(sent[0])
    bench.keep(packed, body, RLELossless)
    bench.pass_time(30.0)
    a_dose_report(bench, sent)
    bench.pass_time(30.0)
    assert bench.told(bench.job().id).count(event) == 1
    assert bench.line(bench.job().id, event).keys == {"instance": 5, "change": "re-encoded"}


def test_rule_that_was_edited_replaces_its_job_that_has_not_begun(tmp_path: Path) -> None:
    bench = Bench(tmp_path, mode="hold")
    sent = bench.receive("1.2")
    bench.pass_time(30.0)
    first = bench.job()
    rules = tmp_path / "rules.toml"
    rules.write_text(rules.read_text().replace("lungs-and-airways", "lungs-2"))
    bench.load_rules()
    a_dose_report(bench, sent)
    bench.pass_time(30.0)
    assert bench.jobs.get(first.id).reason.startswith("its rule has changed")


def test_retried_job_counts_as_begun(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    sent = bench.receive("1.2")
    bench.pass_time(30.0)
    bench.jobs.change(bench.job().id, run=1)
    other_pixels(bench, sent)
    bench.pass_time(30.0)
    assert [job.state for job in bench.jobs.all()] == [JobState.READY, JobState.READY]
