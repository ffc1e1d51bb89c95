"""From instances to jobs: decided once, explained always, and one study's trouble is never another's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from bridge.errors import BridgeError, Damaged, TryLater
from bridge.flow.study.intake import MOST_ATTEMPTS
from bridge.store.instances import Arrived
from bridge.store.jobs import JobState
from intake_bench import RULES, Bench
from made_objects import ct_slice


def test_study_is_looked_at_when_it_is_due_and_not_before(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.receive("1.2")
    bench.pass_time(29.0)
    assert bench.jobs.all() == []
    bench.pass_time(1.0)
    job = bench.job()
    assert (job.rule, job.state) == ("lungs", JobState.READY)


@pytest.mark.parametrize(("mode", "states"), [("explain", []), ("hold", ["held"]), ("live", ["ready"])])
def test_mode_of_the_rule_says_what_becomes_of_a_match(tmp_path: Path, mode: str, states: list[str]) -> None:
    bench = Bench(tmp_path, mode=mode)
    bench.receive("1.2")
    bench.pass_time(30.0)
    assert [job.state for job in bench.jobs.all()] == states
    assert bench.outcome()[0] == "match"


def test_reason_why_the_study_was_complete_is_in_row_and_timeline(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.receive("1.2")
    bench.pass_time(30.0)
    assert bench.study().complete == "nothing for 30 s"
    assert bench.told(bench.job().id) == [
        "study.first-instance",
        "study.last-instance",
        "study.complete",
        "rule.matched",
    ]
    assert bench.line(bench.job().id, "study.complete").keys == {"reason": "nothing for 30 s"}


@pytest.mark.parametrize(
    "error",
    [TryLater("CHI-001", "a working process died"), Damaged("PIX-008", "a file that cannot be opened")],
    ids=["child", "file"],
)
def test_trouble_with_one_study_keeps_no_other_from_its_turn(tmp_path: Path, error: BridgeError) -> None:
    bench = Bench(tmp_path)
    bench.receive("1.2")
    turns = iter([error])

    def fail_once() -> None:
        for error in turns:
            raise error

    bench.fail = fail_once
    bench.receive("1.3")
    bench.pass_time(30.0)
    assert [job.study_instance_uid for job in bench.jobs.all()] == ["1.3"]
    bench.pass_time(1.0)
    assert len(bench.jobs.all()) == 1, "it rests for two seconds"
    bench.pass_time(1.0)
    assert len(bench.jobs.all()) == 2


def bright_padding(one: Dataset) -> None:
    """Padding of 63536 in unsigned pixels was meant to be -2000, and reads as the brightest tissue."""
    one.PixelRepresentation, one.PixelPaddingValue = 0, 63536
    one["PixelPaddingValue"].VR = "US"
    one.PixelData = (63536).to_bytes(2, "little") * 64


def half_a_frame(one: Dataset) -> None:
    one.PixelData = bytes(64)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (bright_padding, "PIX-010: padding of 63536"),
        (half_a_frame, "PIX-001: 64 bytes for frame 1; expected 128"),
    ],
    ids=["refused", "damaged"],
)
def test_what_pixels_forbid_refuses_the_rule_with_its_numbers_and_no_other(
    tmp_path: Path, change: Callable[[Dataset], None], reason: str
) -> None:
    bench = Bench(tmp_path)
    (tmp_path / "rules.toml").write_text(
        "".join(
            RULES.format(mode="live")
            .replace("rules.lungs", f"rules.{name}")
            .replace('"CT" }', f'"CT", SeriesNumber = {number} }}')
            for name, number in (("lungs", 3), ("thick", 4))
        )
    )
    bench.load_rules()
    for number in range(4):
        one = ct_slice(number=number, study="1.2", series="1.2.1")
        one.SeriesNumber = 3
        change(one)
        bench.keep(one)
        other = ct_slice(number=number, study="1.2", series="1.2.2")
        other.SeriesNumber = 4
        bench.keep(other)
    bench.pass_time(30.0)
    told = {one.rule: (one.outcome, one.reason) for one in bench.decisions.of_study("1.2")}
    assert told["lungs"][0] == "refused"
    assert reason in told["lungs"][1]
    assert told["thick"][0] == "match"
    assert [job.rule for job in bench.jobs.all()] == ["thick"]


def test_damaged_images_that_are_sent_again_whole_make_the_job(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    sent = [ct_slice(number=number, study="1.2", series="1.2.1") for number in range(4)]
    whole = sent[2].PixelData
    half_a_frame(sent[2])
    assert [bench.keep(one) for one in sent] == [Arrived.STORED] * 4
    bench.pass_time(30.0)
    assert bench.outcome()[0] == "refused"
    assert bench.jobs.all() == []
    sent[2].PixelData = whole
    assert bench.keep(sent[2]) is Arrived.VERSION
    bench.pass_time(30.0)
    assert bench.outcome()[0] == "match"
    assert bench.job().state is JobState.READY


@pytest.mark.parametrize("more", [False, True], ids=["the same once more", "more of it"])
def test_study_that_never_can_be_decided_is_set_aside_until_it_is_sent_again(
    tmp_path: Path, more: bool
) -> None:
    bench = Bench(tmp_path)
    sent = bench.receive("1.2")

    def fail() -> None:
        raise TryLater("CHI-001", "a working process died")

    bench.fail = fail
    for _ in range(MOST_ATTEMPTS + 2):
        bench.pass_time(30.0)
    assert bench.study().state == "set-aside"
    assert bench.alert_kinds() == ["study-set-aside"]
    bench.fail = None
    if more:
        bench.receive("1.2", first=4)
    else:
        assert [bench.keep(one) for one in sent] == [Arrived.IDENTICAL] * 4
    bench.pass_time(30.0)
    assert bench.study().state == "decided"
    assert bench.alert_kinds() == []


def test_waiting_for_completeness_uses_up_no_attempt(tmp_path: Path) -> None:
    bench = Bench(tmp_path, source='longest_s = 20.0\nthen = "alert"')
    for number in range(3 * MOST_ATTEMPTS):
        bench.receive("1.2", slices=1, first=number)
        bench.pass_time(10.0)
    assert bench.study().attempts == 0
    bench.pass_time(30.0)
    assert len(bench.jobs.all()) == 1


FIXED_RULE = """
[rules.fixed]
mode = "live"
platform = "gc"
algorithm = "all-kinds"
destinations = ["pacs"]
study = { StudyInstanceUID = "1.2" }

[rules.fixed.values]
ct-image = { image = "IMAGE" }
"""


def test_rule_without_a_volume_makes_one_job_of_its_study_and_none_of_another(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    rules = tmp_path / "rules.toml"
    rules.write_text(FIXED_RULE)
    bench.load_rules()
    bench.receive("1.2")
    bench.receive("1.3")
    bench.pass_time(30.0)
    job = bench.job()
    assert (job.rule, job.study_instance_uid, job.inputs, job.state) == ("fixed", "1.2", "{}", JobState.READY)
    assert bench.outcome("1.3")[0] == "no-match"
    bench.receive("1.2", first=4)
    bench.pass_time(30.0)
    assert bench.job().id == job.id, "what else arrives is no input of it"
    rules.write_text(FIXED_RULE.replace("IMAGE", "ANOTHER"))
    bench.load_rules()
    bench.receive("1.2", first=8)
    bench.pass_time(30.0)
    first, second = sorted(bench.jobs.all(), key=lambda one: one.id != job.id)
    assert (first.id, first.state) == (job.id, JobState.CANCELLED), "it had not begun"
    assert second.state is JobState.READY
