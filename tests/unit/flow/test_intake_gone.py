"""Something comes late for a study whose pixels retention has removed: it is held until it is sent again."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from pydicom.dataset import Dataset

from bridge.flow.acts.perform import release
from bridge.store.acts import Acts
from bridge.store.instances import Arrived
from bridge.store.jobs import JobState
from bridge.store.not_begun import REPLACED
from bridge.store.studies import DECIDED, SET_ASIDE
from bridge.store.tables import instances
from intake_bench import Bench
from made_objects import ct_slice


def long_over(folder: Path) -> tuple[Bench, list[Dataset]]:
    """A study that was computed, and of which retention has left the headers."""
    bench = Bench(folder)
    sent = bench.receive("1.2")
    bench.pass_time(30.0)
    bench.jobs.change(bench.job().id, state=JobState.DONE)
    with bench.index.write() as connection:
        rows = connection.execute(
            sa.update(instances).values(dropped_at=bench.now).returning(instances.c.file)
        )
        for row in rows.all():
            (folder / "instances" / row.file).unlink()
    bench.now += 40 * 86400.0
    return bench, sent


def late_report(bench: Bench) -> None:
    made = ct_slice(study="1.2", series="1.2.SR")
    for keyword in ("PixelData", "Rows", "Columns", "ImagePositionPatient", "ImageOrientationPatient"):
        delattr(made, keyword)
    made.Modality, made.SOPClassUID = "SR", "1.2.840.10008.5.1.4.1.1.88.67"
    bench.keep(made)
    bench.pass_time(30.0)


def want_another_algorithm(bench: Bench, folder: Path) -> None:
    rules = folder / "rules.toml"
    rules.write_text(rules.read_text().replace("lungs-and-airways", "lungs-2"))
    bench.load_rules()


def test_late_slice_holds_the_study_and_says_what_is_missing(tmp_path: Path) -> None:
    bench, _ = long_over(tmp_path)
    bench.receive("1.2", slices=1, first=4)
    bench.pass_time(30.0)
    outcome, reason = bench.outcome()
    assert outcome == "held"
    assert (
        "STU-010: the pixels of 4 of 5 chosen objects are gone; expected all of them. Send the study again"
        in reason
    )
    assert bench.alert_kinds() == ["study-held"]
    assert bench.study().state == DECIDED
    assert len(bench.jobs.all()) == 1


def test_study_that_is_sent_again_is_decided_when_all_of_it_is_here(tmp_path: Path) -> None:
    bench, sent = long_over(tmp_path)
    bench.receive("1.2", slices=1, first=4)
    bench.pass_time(30.0)
    for made in sent:
        bench.pass_time(20.0)
        assert bench.keep(made) is Arrived.RESTORED
    bench.pass_time(20.0)
    assert len(bench.jobs.all()) == 1, "each object that comes back moves the due time"
    bench.pass_time(10.0)
    assert sorted(job.state for job in bench.jobs.all()) == [JobState.DONE, JobState.READY]
    assert bench.outcome()[0] == "match"
    assert bench.alert_kinds() == []


def test_late_report_starts_and_holds_nothing(tmp_path: Path) -> None:
    bench, _ = long_over(tmp_path)
    late_report(bench)
    assert bench.outcome()[0] == "match"
    assert (bench.alert_kinds(), len(bench.jobs.all())) == ([], 1)


def test_job_that_a_changed_rule_wants_is_held_without_pixels(tmp_path: Path) -> None:
    bench, _ = long_over(tmp_path)
    want_another_algorithm(bench, tmp_path)
    late_report(bench)
    assert bench.outcome()[0] == "held"
    assert "STU-010" in bench.outcome()[1]
    assert len(bench.jobs.all()) == 1


def test_job_that_was_replaced_does_not_come_back_without_pixels(tmp_path: Path) -> None:
    bench, _ = long_over(tmp_path)
    bench.jobs.change(bench.job().id, state=JobState.CANCELLED, code=REPLACED)
    late_report(bench)
    assert bench.job().state is JobState.CANCELLED
    assert "STU-010" in bench.outcome()[1]


def test_identical_objects_of_a_study_that_waits_for_nothing_start_nothing(tmp_path: Path) -> None:
    bench, sent = long_over(tmp_path)
    want_another_algorithm(bench, tmp_path)
    for made in sent:
        assert bench.keep(made) is Arrived.RESTORED
    bench.pass_time(100.0)
    assert len(bench.jobs.all()) == 1


def test_file_that_is_gone_by_itself_holds_the_study_too(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.receive("1.2")
    for one in bench.instances.of_study("1.2"):
        one.file.unlink()
    bench.pass_time(30.0)
    assert bench.outcome()[0] == "held"
    assert bench.study().state != SET_ASIDE


def test_nobody_releases_a_study_whose_pixels_are_gone(tmp_path: Path) -> None:
    bench, _ = long_over(tmp_path)
    bench.receive("1.2", slices=1, first=4)
    bench.pass_time(30.0)
    acts = Acts(bench.index)
    act = acts.get(acts.ask("release", bench.study().name, who="ann"))
    with pytest.raises(Exception, match=r"whose pixels are gone; expected .* sent again") as told:
        release(bench.parts, act)
    assert told.value.code == "ACT-007"  # type: ignore[attr-defined]
