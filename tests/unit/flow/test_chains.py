"""One rule's answer is another rule's input, without an archive that sends it back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from bridge.config.results import ResultsModel
from bridge.config.rules import RuleModel
from bridge.errors import Damaged
from bridge.export import format_named
from bridge.flow.stages import encode, prepare
from bridge.flow.stages.cloud import OUTPUT_LIST, REMOTE
from bridge.flow.stages.inputs import tolerance_of, volumes_of
from bridge.flow.stages.shelf import FileSink, JobShelf
from bridge.flow.study.sight import sight_of
from bridge.itk import read_image
from bridge.platforms.protocol import RemoteJob, There
from bridge.results.output import Label, Output, OutputKind
from bridge.rules import choose
from bridge.store.jobs import Job, JobState
from bridge.volumes import candidates_of
from bridge.volumes.masks import masks_of
from made_objects import ct_slice
from prepared import Prepared

pytestmark = pytest.mark.filterwarnings("ignore")

STUDY = "2.25.700"
HEAD = """
[defaults]
mode = "live"
platform = "gc"
algorithm = "identity-mask"
destinations = ["pacs"]

[rules.lobes.inputs.ct]
volume = { Modality = "CT" }
"""
SECOND = """
[rules.second.inputs.image]
volume = { Modality = "CT", SeriesNumber = 3 }

[rules.second.inputs.lungs]
mask = "lobes"
volume = { Modality = "SEG" }
"""
EACH = HEAD.replace("[rules.lobes.inputs", '[rules.lobes]\nfor_each = "ct"\n\n[rules.lobes.inputs')
PAIR = """
[rules.register.inputs.fixed-image]
volume = { Modality = "CT", SeriesNumber = 3 }

[rules.register.inputs.moving-image]
volume = { Modality = "CT", SeriesNumber = 4 }

[rules.register.inputs.fixed-mask]
mask = "lobes"
of = "fixed-image"
volume = { Modality = "SEG" }

[rules.register.inputs.moving-mask]
mask = "lobes"
of = "moving-image"
volume = { Modality = "SEG" }
"""
VALUE = """
[rules.second.inputs.image]
volume = { Modality = "CT", SeriesNumber = 3 }

[rules.second.values]
level = { from = "lobes", output = "level" }
"""


class Chain(Prepared):
    def __init__(self, folder: Path, rules: str) -> None:
        super().__init__(folder, '[rules.mask.inputs.image]\nvolume = { Modality = "CT" }\n')
        self.points: list[str] = []
        self.parts.passing = self.points.append  # type: ignore[misc]
        self.rules(rules)

    def rules(self, text: str) -> None:
        (self.folder / "rules.toml").write_text(text)
        self.load_rules()

    def scan(self, number: int = 3) -> None:
        """One series of four slices, whose pixels nothing else has."""
        for place in range(4):
            one = ct_slice(number=place, study=STUDY, series=f"{STUDY}.{number}")
            one.SeriesNumber, one.PixelData = number, bytes([place + 1, number]) * 64
            self.keep(one)

    def of(self, rule: str) -> list[Job]:
        return sorted((one for one in self.jobs.all() if one.rule == rule), key=lambda one: one.created_at)

    def only(self, rule: str) -> Job:
        (job,) = self.of(rule)
        return job

    def look(self) -> None:
        """As the service does it, later."""
        self.now += 40
        self.intake.tick()

    def do(self, job: Job, *more: Output, mark: int = 1, values: dict[str, Any] | None = None) -> None:
        """The job gets its answer, a mask and what else is given, and its results are issued."""
        prepare.convert(self.parts, job)
        (image,) = [one for one in self.shown(job).values() if not one.slots][:1]
        shelf = JobShelf(self.folder / "jobs" / job.id)
        mask = np.zeros(image.geometry.shape, np.uint8)
        mask[1:3, 2:5, 2:6] = mark
        with FileSink(shelf.path("outputs/mask.mha")) as sink:
            format_named("mha").write(image.geometry, mask, sink)
        labels = (Label(value=1, name="lung"), Label(value=2, name="airways"))
        outputs = [
            Output(
                name="mask",
                kind=OutputKind.MASK,
                media_type="image/x-mha",
                ref="outputs/mask.mha",
                labels=labels,
                sha256=sink.sha256,
            )
        ]
        for name, value in (values or {}).items():
            shelf.write(f"outputs/{name}.json", json.dumps(value).encode())
            ref = f"outputs/{name}.json"
            outputs.append(Output(name=name, kind=OutputKind.VALUE, media_type="application/json", ref=ref))
        self.jobs.change(
            job.id,
            outputs=OUTPUT_LIST.dump_json((*outputs, *more)).decode(),
            remote=REMOTE.dump_json(RemoteJob(key=job.id, pin="v1", remote_id=f"at-{job.id}")).decode(),
        )
        encode.encode(self.parts, self.jobs.get(job.id))

    def shown(self, job: Job) -> dict[str, Any]:
        return volumes_of(self.instances, job, tolerance_of(self.site))

    def leaves(self, job: Job, socket: str) -> Any:
        prepare.convert(self.parts, job)
        return read_image(self.folder / "jobs" / job.id / "parcel" / f"{socket}.mha").array

    def said(self, rule: str) -> tuple[str, str]:
        (one,) = [one for one in self.decisions.of_study(STUDY) if one.rule == rule]
        return str(one.outcome), one.reason

    def asked(self, rule: str) -> tuple[str, str]:
        """What `bridge explain` says now."""
        rules = [one for one in self.intake._rules if one.name == rule]
        seen = sight_of(
            self.instances,
            self.jobs,
            self.study(STUDY),
            rules,
            today=self.intake._today(),
            shelf=self.parts.shelf,
        )
        masks = masks_of(seen.instances)
        told = choose(rules[0], seen, candidates_of(seen.instances), masks=masks).explanation
        return str(told.outcome), told.reason


def test_masks_of_an_answer_are_the_input_of_the_next_rule_once(tmp_path: Path) -> None:
    work = Chain(tmp_path, HEAD + SECOND)
    work.scan()
    work.look()
    assert work.said("second") == ("no-match", "lungs: lobes has no answer yet")
    assert work.asked("second") == ("no-match", "lungs: waits for the answer of lobes")
    work.do(work.only("lobes"))
    assert work.of("second") == []
    for _ in range(3):
        work.look()
    np.testing.assert_array_equal(np.unique(work.leaves(work.only("second"), "lungs")), [0, 1])
    (mask,) = [one for one in work.instances.of_study(STUDY) if one.own]
    assert mask.file.is_file()
    assert work.points.count("chain:before") == work.points.count("chain:after") == 1
    assert "result.came-back" not in work.told(work.only("lobes").id)


def test_nothing_is_held_of_answers_that_no_rule_takes(tmp_path: Path) -> None:
    work = Chain(tmp_path, HEAD)
    work.scan()
    work.look()
    work.do(work.only("lobes"))
    work.look()
    assert not [one for one in work.instances.of_study(STUDY) if one.own]
    assert work.parts.answers.new() == []
    assert work.points.count("decide:before") == 1
    # A rule that comes later finds the answer when the study is looked at, and no study is looked at for it.
    work.rules(HEAD + SECOND)
    work.look()
    assert work.of("second") == []
    assert work.asked("second")[0] == "match"
    work.studies.decide_again([STUDY])
    work.look()
    assert len(work.of("second")) == 1


def test_the_archive_sends_back_what_was_taken_in(tmp_path: Path) -> None:
    work = Chain(tmp_path, HEAD + SECOND)
    work.scan()
    work.look()
    work.do(work.only("lobes"))
    work.look()
    rows = len(work.instances.of_study(STUDY))
    assert work.instances.calling_ae_titles(STUDY) == ("CT1",)
    result = next((tmp_path / "jobs" / work.only("lobes").id / "results").glob("*.seg.dcm"))
    for _ in range(2):
        work.send(result)
    assert len(work.instances.of_study(STUDY)) == rows
    assert work.told(work.only("lobes").id).count("result.came-back") == 1
    work.look()
    assert len(work.jobs.all()) == 2


def test_one_that_came_back_changed_starts_nothing(tmp_path: Path) -> None:
    from pydicom import dcmread

    work = Chain(tmp_path, HEAD + SECOND)
    work.scan()
    work.look()
    work.do(work.only("lobes"))
    work.look()
    changed: Dataset = dcmread(
        next((tmp_path / "jobs" / work.only("lobes").id / "results").glob("*.seg.dcm"))
    )
    changed.PatientName = "Coerced^Name"
    changed.save_as(tmp_path / "changed.dcm")
    work.send(tmp_path / "changed.dcm")
    work.studies.decide_again([STUDY])
    work.look()
    assert len(work.jobs.all()) == 2
    assert work.said("second")[0] == "match"


def test_each_mask_goes_with_its_image(tmp_path: Path) -> None:
    work = Chain(tmp_path, EACH + PAIR)
    work.scan(3)
    work.scan(4)
    work.look()
    first, second = sorted(work.of("lobes"), key=lambda one: one.inputs)
    work.do(first, mark=1)
    work.look()
    assert work.said("register")[0] == "no-match"
    assert work.said("register")[1].endswith("waits for the answer of lobes")
    work.do(second, mark=2)
    work.look()
    job = work.only("register")
    chosen = work.shown(job)
    for image, mask in (("fixed-image", "fixed-mask"), ("moving-image", "moving-mask")):
        made_of = next(one for one in (first, second) if json.loads(job.contents)[image] in one.contents)
        (result,) = [one for one in work.jobs.results(made_of.id) if one.kind == "SEG"]
        assert chosen[mask].instances[0].sop_instance_uid == result.sop_instance_uid
    assert np.unique(work.leaves(job, "fixed-mask")).tolist() == [0, 1]
    assert np.unique(work.leaves(job, "moving-mask")).tolist() == [0, 2]


def test_one_image_input_takes_the_mask_of_its_image_without_being_told(tmp_path: Path) -> None:
    work = Chain(tmp_path, EACH + SECOND)
    work.scan(3)
    work.scan(4)
    work.look()
    for mark, one in enumerate(sorted(work.of("lobes"), key=lambda one: one.inputs), start=1):
        work.do(one, mark=mark)
    work.look()
    assert np.unique(work.leaves(work.only("second"), "lungs")).tolist() == [0, 1]


def test_masks_that_nothing_tells_apart_are_for_a_person(tmp_path: Path) -> None:
    work = Chain(tmp_path, EACH + PAIR.replace('of = "fixed-image"\n', ""))
    work.scan(3)
    work.scan(4)
    work.look()
    for one in work.of("lobes"):
        work.do(one)
    work.look()
    assert work.said("register")[0] == "held"
    assert "the rule does not say which to prefer" in work.said("register")[1]


def test_each_volume_of_a_rule_takes_its_own_mask_when_it_is_there(tmp_path: Path) -> None:
    after = """
[rules.second]
for_each = "image"

[rules.second.inputs.image]
volume = { Modality = "CT" }

[rules.second.inputs.lungs]
mask = "lobes"
of = "image"
volume = { Modality = "SEG" }
"""
    work = Chain(tmp_path, EACH + after)
    work.scan(3)
    work.scan(4)
    work.look()
    first, second = sorted(work.of("lobes"), key=lambda one: one.inputs)
    work.do(first, mark=1)
    work.look()
    assert len(work.of("second")) == 1
    assert "no job of 1 of them, lungs: " in work.said("second")[1]
    work.do(second, mark=2)
    work.look()
    marks = {tuple(np.unique(work.leaves(one, "lungs")).tolist()) for one in work.of("second")}
    assert marks == {(0, 1), (0, 2)}
    work.look()
    assert len(work.jobs.all()) == 4


def rerun(work: Chain, job: Job) -> Job:
    from bridge.flow.acts.rerun import rerun as again

    work.now += 1
    return work.jobs.get(again(work.parts, job.id))


def test_the_newest_answer_to_an_image_counts(tmp_path: Path) -> None:
    work = Chain(tmp_path, HEAD + SECOND)
    work.scan()
    work.look()
    old = work.only("lobes")
    work.do(old, mark=1)
    work.look()
    prepare.convert(work.parts, work.only("second"))
    work.jobs.ended(work.only("second").id, JobState.FAILED, code="X")
    work.do(rerun(work, old), mark=2)
    work.look()
    assert [np.unique(work.leaves(one, "lungs")).tolist() for one in work.of("second")] == [[0, 1], [0, 2]]


def test_a_cancelled_answer_is_none(tmp_path: Path) -> None:
    work = Chain(tmp_path, HEAD + SECOND)
    work.scan()
    work.look()
    work.do(work.only("lobes"))
    work.jobs.change(work.only("lobes").id, state=JobState.CANCELLED)
    work.look()
    job = work.only("lobes").id[:8]
    assert work.said("second") == ("no-match", f"lungs: lobes has no answer: its job {job} is cancelled")


def test_value_of_an_answer_is_part_of_the_next_job(tmp_path: Path) -> None:
    work = Chain(tmp_path, HEAD + VALUE)
    work.scan()
    work.look()
    assert work.said("second") == ("no-match", "level: lobes has no answer yet")
    work.do(work.only("lobes"), values={"level": 12.5})
    work.look()
    first = work.only("second")
    assert RuleModel.model_validate_json(first.frozen).values == {"level": 12.5}
    prepare.convert(work.parts, first)
    assert work.requested is not None and work.requested.values == {"level": 12.5}
    # Another value is another job; the same one is none.
    work.do(rerun(work, work.only("lobes")), values={"level": 12.5})
    work.look()
    assert len(work.of("second")) == 1
    work.do(rerun(work, work.of("lobes")[0]), values={"level": 13.5})
    work.look()
    assert [RuleModel.model_validate_json(one.frozen).values["level"] for one in work.of("second")] == [
        12.5,
        13.5,
    ]


def test_a_rule_that_wants_no_results_answers_all_the_same(tmp_path: Path) -> None:
    off = "\n".join(
        f"{name} = false" for name, one in ResultsModel.model_fields.items() if one.default is True
    )
    none = f"\n[rules.lobes.results]\n{off}\n"
    work = Chain(tmp_path, HEAD + none + VALUE)
    work.scan()
    work.look()
    work.do(work.only("lobes"), values={"level": 3})
    assert work.only("lobes").state is JobState.DONE
    work.look()
    assert RuleModel.model_validate_json(work.only("second").frozen).values == {"level": 3}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"volume": 1}, ("refused", "level: lobes gave no level: it gave mask, volume")),
        ({"level": None}, ("refused", "level: level of lobes is null, which no platform takes")),
    ],
)
def test_answer_without_what_is_asked_for_says_what_there_is(
    tmp_path: Path, given: dict[str, Any], expected: tuple[str, str]
) -> None:
    work = Chain(tmp_path, HEAD + VALUE)
    work.scan()
    work.look()
    work.do(work.only("lobes"), values=given)
    work.look()
    assert work.said("second") == expected
    assert work.of("second") == []


def test_values_of_two_images_that_differ_are_for_a_person(tmp_path: Path) -> None:
    asked = VALUE.replace("SeriesNumber = 3", "SeriesNumber = 5")
    work = Chain(tmp_path, EACH.replace('Modality = "CT" }', "SeriesNumber = [3, 4] }") + asked)
    for number in (3, 4, 5):
        work.scan(number)
    work.look()
    for value, one in enumerate(work.of("lobes")):
        work.do(one, values={"level": value})
    work.look()
    assert work.said("second") == (
        "held",
        "level: 2 answers of lobes differ in level, and nothing says which is meant",
    )


def test_an_image_at_the_platform_is_named_and_not_sent(tmp_path: Path) -> None:
    work = Chain(tmp_path, HEAD + VALUE.replace('output = "level"', 'output = "mask"'))
    work.scan()
    work.look()
    maker = work.only("lobes")
    work.do(maker)
    work.look()
    job = work.only("second")
    prepare.convert(work.parts, job)
    assert work.requested is not None
    assert work.requested.values == {}
    assert work.requested.there == (There(input="level", job=f"at-{maker.id}", socket="mask"),)
    work.jobs.change(maker.id, outputs="[]")
    with pytest.raises(Damaged) as error:
        prepare.convert(work.parts, job)
    assert error.value.code == "PRE-006"


def test_an_image_at_another_account_is_no_input(tmp_path: Path) -> None:
    asked = VALUE.replace('output = "level"', 'output = "mask"')
    work = Chain(tmp_path, HEAD + asked)
    work.scan()
    work.look()
    work.do(work.only("lobes"))
    work.jobs.change(work.only("lobes").id, account="other")
    work.look()
    assert work.said("second") == (
        "refused",
        "level: mask of lobes is an image at other, and not at gc",
    )
