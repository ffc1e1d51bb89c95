"""A study that may not be one patient's makes no job until a person has looked, and says so."""

from __future__ import annotations

import copy
import time
from pathlib import Path

import pytest
from pynetdicom import AE

from bridge.errors import Damaged
from bridge.receive.listening import Listening, Peer
from bridge.receive.scp import Receiver
from bridge.store.jobs import JobState
from intake_bench import Bench
from made_objects import CT_IMAGE_STORAGE, ct_slice


def held(folder: Path, **bench: str) -> Bench:
    """Decided, with two Patient IDs in it."""
    made = Bench(folder, **bench)  # type: ignore[arg-type]
    made.receive("1.2")
    stranger(made)
    made.pass_time(30.0)
    return made


def stranger(bench: Bench, patient_id: str = "C-2") -> None:
    other = ct_slice(study="1.2", series="1.2.77")
    other.Modality, other.PatientID = "SR", patient_id
    bench.keep(other)


def test_doubt_holds_what_the_rule_wants_and_calls_a_person(tmp_path: Path) -> None:
    bench = held(tmp_path)
    assert bench.jobs.all() == []
    assert bench.outcome() == ("held", "STU-001: the study has 2 different Patient IDs")
    assert bench.alert_kinds() == ["study-held"]
    assert [(name, one.outcome) for name, one in bench.decisions.waiting()] == [(bench.study().name, "held")]


def test_rule_that_wants_nothing_is_not_held(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.receive("1.2", Modality="MR")
    stranger(bench)
    bench.pass_time(30.0)
    assert bench.outcome()[0] == "no-match"
    assert bench.alert_kinds() == []
    assert not bench.studies.accept(bench.study().name)


def test_rule_that_only_explains_says_what_it_would_do(tmp_path: Path) -> None:
    bench = held(tmp_path, mode="explain")
    assert bench.outcome()[0] == "match"
    assert bench.alert_kinds() == []


def test_person_who_accepts_lets_the_study_go_on_at_once(tmp_path: Path) -> None:
    bench = held(tmp_path)
    complete = bench.study().complete
    assert bench.studies.accept(bench.study().name)
    bench.pass_time(0.0)
    assert bench.job().state is JobState.READY
    assert bench.study().complete == complete
    assert bench.alert_kinds() == []
    assert not bench.studies.accept(bench.study().name), "there is nothing to accept any more"


def test_what_was_accepted_stays_accepted_and_something_new_does_not(tmp_path: Path) -> None:
    bench = held(tmp_path)
    bench.studies.accept(bench.study().name)
    bench.pass_time(0.0)
    stranger(bench)
    bench.pass_time(30.0)
    assert bench.outcome()[0] == "match"
    stranger(bench, "C-3")
    bench.pass_time(30.0)
    assert bench.outcome()[0] == "held"
    assert bench.alert_kinds() == ["study-held"]


def test_only_the_doubts_that_are_named_are_accepted(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.receive("1.2")
    other = ct_slice(study="1.2", series="1.2.77", name="Robin^Red")
    other.PatientID = "C-2"
    bench.keep(other)
    bench.pass_time(30.0)
    first, second = bench.study().doubts.split()
    assert bench.studies.accept(bench.study().name, [first])
    bench.pass_time(0.0)
    assert bench.study().doubts == second
    assert bench.outcome()[0] == "held"


def test_accepting_does_not_cut_short_a_study_that_grows_again(tmp_path: Path) -> None:
    bench = held(tmp_path)
    bench.receive("1.2", slices=1, first=4)
    assert bench.studies.accept(bench.study().name)
    bench.pass_time(0.0)
    assert bench.jobs.all() == []
    bench.pass_time(30.0)
    assert bench.job().state is JobState.READY


def test_nobody_accepts_a_study_that_is_not_there(tmp_path: Path) -> None:
    assert not Bench(tmp_path).studies.accept("abc")


@pytest.mark.parametrize("mode", ["live", "hold"])
def test_job_that_has_not_begun_is_held_by_a_later_doubt_and_goes_on_after_it(
    tmp_path: Path, mode: str
) -> None:
    bench = Bench(tmp_path, mode=mode)
    bench.receive("1.2")
    bench.pass_time(30.0)
    before = bench.job()
    stranger(bench)
    bench.pass_time(30.0)
    job = bench.job()
    assert (job.state, job.code) == (JobState.HELD, "STU-001")
    bench.studies.accept(bench.study().name)
    bench.pass_time(0.0)
    assert (bench.job().state, bench.job().code) == (before.state, "")


def test_job_that_has_begun_is_not_touched_by_a_later_doubt(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.receive("1.2")
    bench.pass_time(30.0)
    bench.jobs.started(bench.job().id)
    stranger(bench)
    bench.pass_time(30.0)
    assert bench.job().state is JobState.RUNNING


def test_series_of_two_studies_is_held_in_the_one_that_came_second(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.receive("1.2")
    bench.pass_time(30.0)
    bench.receive("1.3", SeriesInstanceUID="1.2.1")
    bench.pass_time(30.0)
    outcome, reason = bench.outcome("1.3")
    assert outcome == "held"
    assert reason.startswith("STU-006: ")


def test_study_that_comes_again_as_another_patients_is_held(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    sent = bench.receive("1.2")
    bench.pass_time(30.0)
    bench.jobs.started(bench.job().id)
    for one in sent:
        other = copy.deepcopy(one)
        other.PatientID, other.PatientName = "C-2", "Robin^Red"
        bench.keep(other)
    bench.pass_time(30.0)
    assert bench.outcome() == ("held", "STU-008: 4 of 4 objects came again as another patient's")
    assert bench.line(bench.job().id, "instance.late").keys["change"] == "other-identity"


def test_empty_patient_id_holds_for_an_archive_and_not_for_a_folder(tmp_path: Path) -> None:
    (tmp_path / "pacs").mkdir()
    bench = Bench(tmp_path / "pacs")
    bench.receive("1.2", PatientID="")
    bench.pass_time(30.0)
    assert bench.outcome()[1] == "STU-007: no object of the study has a Patient ID"
    (tmp_path / "folder").mkdir()
    bench = Bench(tmp_path / "folder", instead=("folder",))
    bench.receive("1.2", PatientID="")
    assert bench.intake.decide(bench.study()) == [bench.job().id]


def test_undecodable_study_with_a_doubt_is_held_without_being_decoded(tmp_path: Path) -> None:
    bench = Bench(tmp_path)

    def fail() -> None:
        raise Damaged("PIX-001", "half a frame")

    bench.fail = fail
    bench.receive("1.2")
    stranger(bench)
    bench.pass_time(30.0)
    assert bench.outcome()[0] == "held"


def test_end_of_an_association_triggers_nothing(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    listening = Listening(
        ae_title="BRIDGE",
        host="127.0.0.1",
        port=0,
        peers=(Peer(name="ct", ae_title="CT1", quiet_s=30.0),),
        any_calling_ae=False,
        quiet_s=30.0,
        maximum_associations=10,
        maximum_pdu_bytes=131072,
        maximum_instance_bytes=1 << 32,
        acse_timeout_s=5.0,
        dimse_timeout_s=5.0,
        network_timeout_s=5.0,
    )
    receiver = Receiver(listening, bench.instances)
    receiver.start()
    try:
        for number in range(3):
            entity = AE(ae_title="CT1")
            entity.add_requested_context(CT_IMAGE_STORAGE, ["1.2.840.10008.1.2.1"])
            association = entity.associate("127.0.0.1", receiver.port, ae_title="BRIDGE")
            made = ct_slice(number=number, study="1.2", series="1.2.1")
            assert association.send_c_store(made).Status == 0
            association.release() if number else association.abort()
            time.sleep(0.05)
            bench.pass_time(29.0)
            assert bench.study().state == "open"
            assert bench.jobs.all() == []
    finally:
        receiver.stop()
    bench.pass_time(1.0)
    assert len(bench.jobs.all()) == 1
