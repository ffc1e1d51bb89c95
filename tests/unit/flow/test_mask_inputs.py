"""Masks as inputs: a segmentation of the study, or an earlier result of the bridge, as 8-bit labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from bridge.errors import Refused
from bridge.flow.stages.encode import encode
from bridge.itk import ItkImage, read_image
from bridge.store.jobs import Job
from prepared import Prepared

pytestmark = pytest.mark.filterwarnings("ignore")

PAIR = "multiframe/ct-legacy-pair-24x38x3"
THIN = "ct-head-phantom-philips/S2020"
IMAGE = """
[rules.mask.inputs.image]
volume = { Modality = "CT" }
"""
WITH_MASK = """
[rules.mask.inputs.lesion]
mask = "study"
volume = { Modality = "SEG" }
"""
SECOND = """
[rules.second]
mode = "live"
platform = "gc"
algorithm = "identity-mask"
destinations = ["pacs"]

[rules.second.inputs.image]
volume = { Modality = "CT" }

[rules.second.inputs.lungs]
mask = "mask"
volume = { Modality = "SEG" }
"""


def same_place(one: ItkImage, other: ItkImage) -> bool:
    return (
        np.allclose(one.origin_lps, other.origin_lps, atol=1e-6)
        and np.allclose(one.spacing_mm, other.spacing_mm, atol=1e-6)
        and np.allclose(one.direction, other.direction, atol=1e-9)
    )


@pytest.mark.parametrize(("labels", "there"), [((), {0, 1}), ((1, 2), {0, 1}), ((7,), {0, 7})])
def test_a_segmentation_of_the_study_leaves_as_labels_on_the_grid_of_its_image(
    tmp_path: Path, shared_data: Path, labels: tuple[int, ...], there: set[int]
) -> None:
    work = Prepared(tmp_path, IMAGE + WITH_MASK)
    work.as_labels = {"lesion": labels}
    work.decide(work.send(shared_data / PAIR / "image", shared_data / PAIR / "seg"))
    assert work.outcome(work.sent)[0] == "match"
    image = work.convert()
    mask = work.parcel("lesion")
    assert mask.array.dtype == np.uint8 and mask.array.shape == image.array.shape
    assert set(np.unique(mask.array).tolist()) == there
    assert int(np.count_nonzero(mask.array)) == 315
    assert same_place(mask, image)
    assert work.requested is not None
    (asked,) = [one for one in work.requested.volumes if one.input == "lesion"]
    assert (asked.is_labels, asked.labels) == (True, (1,))


def test_labels_that_the_socket_does_not_know_do_not_leave(tmp_path: Path, shared_data: Path) -> None:
    work = Prepared(tmp_path, IMAGE + WITH_MASK)
    work.as_labels = {"lesion": (2, 3)}
    work.decide(work.send(shared_data / PAIR / "image", shared_data / PAIR / "seg"))
    with pytest.raises(Refused) as refusal:
        work.convert()
    assert refusal.value.code == "HVY-002"


def test_results_refer_to_the_image_and_not_to_the_mask(tmp_path: Path, shared_data: Path) -> None:
    work = Prepared(tmp_path, IMAGE.replace("image", "zz-image") + WITH_MASK)
    work.decide(work.send(shared_data / PAIR / "image", shared_data / PAIR / "seg"))
    work.convert()
    image = work.parcel("zz-image")
    work.answer((image.array > 0).astype(np.uint8), about="zz-image")
    seg, _ = work.encode()
    named = seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    assert {str(one.ReferencedSOPInstanceUID) for one in named} == {
        one.sop_instance_uid for one in work.volumes()["zz-image"].instances
    }


def test_without_a_segmentation_there_is_no_job(tmp_path: Path, shared_data: Path) -> None:
    work = Prepared(tmp_path, IMAGE + WITH_MASK)
    work.decide(work.send(shared_data / PAIR / "image"))
    outcome, reason = work.outcome(work.sent)
    assert (outcome, reason) == ("no-match", "lesion: the study has no segmentation")


def test_an_image_input_takes_no_segmentation(tmp_path: Path, shared_data: Path) -> None:
    work = Prepared(tmp_path, IMAGE.replace('Modality = "CT"', 'Modality = "SEG"'))
    work.decide(work.send(shared_data / PAIR / "image", shared_data / PAIR / "seg"))
    assert work.outcome(work.sent)[0] == "no-match"
    assert work.jobs.all() == []


def job_of(work: Prepared, rule: str) -> list[Job]:
    return [one for one in work.jobs.all() if one.rule == rule]


def test_an_earlier_result_that_came_back_is_an_input_of_the_rule_that_names_it(
    tmp_path: Path, shared_data: Path
) -> None:
    work = Prepared(tmp_path, IMAGE + SECOND)
    study = work.send(shared_data / THIN)
    work.decide(study)
    (first,) = work.jobs.all()
    image = work.convert()
    mask = np.zeros(image.array.shape, np.uint8)
    mask[2:4, 100:200, 50:60] = 1
    mask[3, 300:310, 50:60] = 2
    work.answer(mask)
    work.encode()
    assert job_of(work, "second") == []
    # The archive sends the result back; nothing is decided for that alone.
    (file,) = (tmp_path / "jobs" / first.id / "results").glob("*.seg.dcm")
    back = tmp_path / "back"
    back.mkdir()
    dcmread(file).save_as(back / "seg.dcm")
    work.send(back)
    work.decide(study)
    (second,) = job_of(work, "second")
    assert len(work.jobs.all()) == 2
    work.decide(study)
    assert len(work.jobs.all()) == 2
    work.stage("second")
    sent = read_image(tmp_path / "jobs" / second.id / "parcel" / "lungs.mha")
    np.testing.assert_array_equal(sent.array, mask)
    assert sent.array.dtype == np.uint8
    assert same_place(sent, image)


def test_a_segmentation_of_anyone_else_is_no_result_of_that_rule(tmp_path: Path, shared_data: Path) -> None:
    work = Prepared(tmp_path, IMAGE + SECOND)
    study = work.send(shared_data / PAIR / "image", shared_data / PAIR / "seg")
    work.decide(study)
    assert job_of(work, "second") == []
    (decision,) = [one for one in work.decisions.of_study(study) if one.rule == "second"]
    assert "no result of rule mask" in decision.reason


def test_a_result_of_ours_is_no_segmentation_of_the_study(tmp_path: Path, shared_data: Path) -> None:
    work = Prepared(tmp_path, IMAGE + SECOND.replace('mask = "mask"', 'mask = "study"'))
    study = work.send(shared_data / THIN)
    work.decide(study)
    (first,) = work.jobs.all()
    image = work.convert()
    work.answer((image.array > 300).astype(np.uint8))
    work.encode()
    (file,) = (tmp_path / "jobs" / first.id / "results").glob("*.seg.dcm")
    work.send(file)
    work.decide(study)
    assert job_of(work, "second") == []
    (decision,) = [one for one in work.decisions.of_study(study) if one.rule == "second"]
    assert "made by this bridge" in decision.reason


FOLLOW_UP = """
[rules.second]
mode = "live"
platform = "gc"
algorithm = "identity-mask"
destinations = ["pacs"]

[rules.second.inputs.fixed]
volume = { Modality = "CT" }

[rules.second.inputs.moving]
study = "prior"
volume = { Modality = "CT" }

[rules.second.inputs.moving-mask]
mask = "mask"
of = "moving"
volume = { Modality = "SEG" }
"""


def later(folder: Path, into: Path) -> str:
    """The same images as those of a study a year later, and brighter."""
    into.mkdir()
    for number, file in enumerate(sorted(folder.iterdir())):
        made = dcmread(file)
        made.StudyInstanceUID, made.SeriesInstanceUID = "1.2.77", "1.2.77.1"
        made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = f"1.2.77.1.{number + 1}"
        made.StudyDate = f"{int(made.StudyDate[:4]) + 1}{made.StudyDate[4:]}"
        made.RescaleIntercept = float(made.RescaleIntercept) + 1
        made.save_as(into / file.name)
    return "1.2.77"


@pytest.mark.parametrize("first", ["the answer", "the current study"])
def test_a_mask_of_a_prior_is_the_answer_to_that_prior(tmp_path: Path, shared_data: Path, first: str) -> None:
    # Both ways to say it.
    words = FOLLOW_UP if first == "the answer" else FOLLOW_UP.replace('of = "moving"', 'study = "prior"')
    work = Prepared(tmp_path, IMAGE + words)
    prior = work.send(shared_data / THIN)
    work.decide(prior)
    (made,) = work.jobs.all()
    image = work.convert()
    mask = np.zeros(image.array.shape, np.uint8)
    mask[2:4, 100:200, 50:60] = 1
    work.answer(mask)
    if first == "the current study":
        current = later(shared_data / THIN, tmp_path / "later")
        work.send(tmp_path / "later")
        work.decide(current)
        assert job_of(work, "second") == []
        encode(work.parts, work.jobs.get(made.id))
        work.pass_time(1.0)
        work.pass_time(60.0)
        work.pass_time(1.0)
    else:
        work.encode()
        current = later(shared_data / THIN, tmp_path / "later")
        work.send(tmp_path / "later")
        work.decide(current)
    (second,) = job_of(work, "second")
    assert second.study_instance_uid == current
    work.stage("second")
    parcel = tmp_path / "jobs" / second.id / "parcel"
    sent = read_image(parcel / "moving-mask.mha")
    np.testing.assert_array_equal(sent.array, mask)
    assert same_place(sent, read_image(parcel / "moving.mha"))
