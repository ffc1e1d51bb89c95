"""A turn is one try; what is left waits, each thing for its own reason, and nothing waits for another's."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bridge.deliver.query import Silent
from bridge.deliver.receipt import Receipt
from bridge.dicom.statuses import Outcome
from bridge.flow.stages import custody, deliveries, offers
from bridge.flow.stages.destinations import line_down
from bridge.flow.stages.offers import TRIES, weigh
from bridge.sandbox.pacs import Orders, SmallPacs, order
from bridge.store.acts import Acts, Turning
from bridge.store.deliveries import HELD, SPOILT, UNNAMED
from bridge.store.jobs import Delivery, JobState
from owed import DeliveryBench, job_ids
from raw_acceptor import RawAcceptor, rejection

A, B, C = job_ids(3)
NOBODY = 1
DAY_S = 86400.0
CALLING_AE_UNKNOWN = rejection(1, 1, 3)


@pytest.fixture
def pacs(tmp_path: Path) -> Iterator[SmallPacs]:
    with SmallPacs(tmp_path / "pacs", ae_title="PACS") as pacs:
        yield pacs


@pytest.fixture
def bench(tmp_path: Path, pacs: SmallPacs) -> DeliveryBench:
    return DeliveryBench(tmp_path, pacs=pacs.port)


def said(pacs: SmallPacs, *statuses: int) -> None:
    """What the next requests are answered."""
    (status,) = set(statuses)
    order(pacs.folder, Orders(refuse=len(statuses), status=status))


FEW, ONCE = TRIES[Outcome.RETRY_FEW], TRIES[Outcome.RETRY_ONCE]
MEANINGS = [
    # answer, offered before, such answers before, asked back -> outcome
    (Outcome.DELIVERED, 0, 0, False, "delivered"),
    (Outcome.WARNED, 0, 0, False, "warned"),
    (Outcome.REFUSED, 0, 0, False, "refused"),
    (Outcome.RETRY, 99, 99, False, "retry"),
    (Outcome.CONFIGURATION, 99, 99, False, "configuration"),
    (Outcome.RETRY_FEW, 99, FEW - 2, False, "retry-few"),
    (Outcome.RETRY_FEW, 99, FEW - 1, False, HELD),
    (Outcome.RETRY_ONCE, 99, ONCE - 2, False, "retry-once"),
    (Outcome.RETRY_ONCE, 99, ONCE - 1, False, HELD),
    (Outcome.DUPLICATE, 1, 0, False, "delivered"),
    (Outcome.DUPLICATE, 0, 0, False, HELD),
    (Outcome.DUPLICATE, 0, 0, True, "duplicate"),
    (Outcome.DUPLICATE, 1, 0, True, "duplicate"),
]


@pytest.mark.parametrize(("answer", "attempts", "few", "asked_back", "meaning"), MEANINGS)
def test_answer_has_its_meaning(
    answer: Outcome, attempts: int, few: int, asked_back: bool, meaning: str
) -> None:
    before = Delivery(
        job_id="j",
        destination="pacs",
        sop_instance_uid="1.2",
        outcome="owed",
        status=None,
        reason="",
        attempts=attempts,
        first_at=None,
        last_at=None,
        few=few,
    )
    receipt = Receipt(destination="pacs", sop_instance_uid="1.2", outcome=answer, status=0, reason="")
    assert weigh(receipt, before, asked_back).outcome == meaning


def test_everything_stored_ends_the_job(bench: DeliveryBench, pacs: SmallPacs) -> None:
    uids = bench.owe(A)
    assert bench.look() == [(A, "pacs")]
    assert [attempt.sop_instance_uid for attempt in pacs.attempts] == uids
    assert bench.outcomes(A) == ["delivered", "delivered"]
    assert bench.job(A).state is JobState.DONE
    assert bench.turns.owed() == []
    assert bench.look() == []


def test_one_refused_instance_is_sent_again_alone_after_growing_pauses(
    bench: DeliveryBench, pacs: SmallPacs
) -> None:
    first, _ = bench.owe(A)
    said(pacs, 0xA700)
    bench.look()
    assert bench.outcomes(A) == ["retry", "delivered"]
    assert bench.job(A).code == "DLV-001"
    assert bench.job(A).reason == "pacs: 0xA700 refused: out of resources"
    pauses = []
    for _ in range(4):
        said(pacs, 0xA700)
        turn = bench.turns.get(A, "pacs")
        assert turn is not None
        assert turn.due_at is not None
        pauses.append(turn.due_at - bench.now)
        bench.now = turn.due_at
        assert bench.look() == [(A, "pacs")]
    assert pauses == [10.0, 60.0, 3600.0, 3600.0]
    assert {attempt.sop_instance_uid for attempt in pacs.attempts[2:]} == {first}
    said(pacs, 0xB000)
    bench.pass_time(3600.0)
    assert bench.outcomes(A) == ["warned", "delivered"]
    assert bench.job(A).state is JobState.DONE
    assert bench.job(A).reason == ""


def test_trouble_of_one_job_delays_no_other(bench: DeliveryBench, pacs: SmallPacs) -> None:
    bench.owe(A, results=1)
    said(pacs, 0xA700)
    bench.look()
    bench.owe(B)
    assert bench.look() == [(B, "pacs")]
    assert bench.job(B).state is JobState.DONE
    assert bench.job(A).state is JobState.RUNNING
    assert bench.turns.lines() == {}
    assert bench.alerts.all() == []


def test_what_a_peer_cannot_understand_is_tried_few_times_with_long_pauses(
    bench: DeliveryBench, pacs: SmallPacs
) -> None:
    bench.owe(A, results=1)
    said(pacs, 0xC000, 0xC000, 0xC000, 0xC000)
    assert bench.pass_time(DAY_S) == 3
    assert bench.outcomes(A) == [HELD]
    job = bench.job(A)
    assert (job.state, job.code) == (JobState.FAILED, "DLV-002")
    assert "0xC000" in job.reason
    assert f"bridge jobs retry {A[:8]}" in job.reason
    begun, ended = pacs.attempts[0], pacs.attempts[-1]
    assert begun.status == ended.status == 0xC000


def test_instance_with_a_long_pause_is_not_sent_along_with_one_that_has_a_short_one(
    bench: DeliveryBench, pacs: SmallPacs
) -> None:
    slow, quick = bench.owe(A)
    said(pacs, 0xC000)
    bench.look()
    assert bench.outcomes(A) == ["retry-few", "delivered"]
    bench.deliveries.hold(A, "pacs", [quick], "retry", "0xA700 refused: out of resources")
    turn = bench.turns.get(A, "pacs")
    assert turn is not None
    bench.turns.later(turn, bench.now + 10.0, "", "")
    bench.now += 10.0
    bench.look()
    assert [attempt.sop_instance_uid for attempt in pacs.attempts] == [slow, quick, quick]


def test_request_that_was_not_understood_is_repeated_once(bench: DeliveryBench, pacs: SmallPacs) -> None:
    bench.owe(A, results=1)
    said(pacs, 0x0211, 0x0211, 0x0211)
    bench.pass_time(DAY_S)
    assert len(pacs.attempts) == 2
    assert bench.outcomes(A) == [HELD]


def test_passing_trouble_before_does_not_use_up_the_few_tries(bench: DeliveryBench, pacs: SmallPacs) -> None:
    bench.owe(A, results=1)
    said(pacs, *[0xA700] * 5)
    bench.pass_time(3 * 3600.0)
    assert len(pacs.attempts) >= 4
    said(pacs, 0xC000)
    bench.pass_time(3600.0)
    assert bench.outcomes(A) == ["retry-few"]


def test_refused_for_good_ends_the_job_and_says_what_may_do(bench: DeliveryBench, pacs: SmallPacs) -> None:
    bench.owe(A)
    said(pacs, 0x0122)
    bench.look()
    assert bench.outcomes(A) == ["refused", "delivered"]
    job = bench.job(A)
    assert (job.state, job.code) == (JobState.FAILED, "DLV-002")
    assert job.reason.startswith("1 of 2 results not stored; pacs: 0x0122")
    assert "Another kind of result" in job.reason


def test_peer_that_does_not_authorize_us_alerts_and_is_tried_slowly(
    bench: DeliveryBench, pacs: SmallPacs
) -> None:
    bench.owe(A, results=1)
    said(pacs, 0x0124)
    bench.look()
    (alert,) = bench.alerts.all()
    assert (alert.kind, alert.subject) == ("destination-away", "pacs")
    assert bench.job(A).code == "DLV-004"
    assert bench.pass_time(3599.0) == 0
    assert bench.pass_time(1.0) == 1
    assert bench.job(A).state is JobState.DONE
    assert bench.alerts.all() == []


@pytest.mark.parametrize("point", ["deliver:before", "deliver:mid", "deliver:after"])
def test_crash_anywhere_in_a_turn_files_everything_once(
    bench: DeliveryBench, pacs: SmallPacs, point: str
) -> None:
    """A peer that refuses what it has already: the answer that the crash swallowed was an attempt all the same."""
    uids = bench.owe(A, results=1)

    class Killed(BaseException):
        pass

    def die(here: str) -> None:
        if here == point:
            raise Killed

    bench.passing = die
    with pytest.raises(Killed):
        bench.look()
    bench.passing = lambda point: None
    if pacs.attempts:
        said(pacs, 0x0111)
    bench.new_relay()
    bench.look()
    assert bench.outcomes(A) == ["delivered"]
    assert bench.job(A).state is JobState.DONE
    assert set(pacs.held) == set(uids)


def test_line_goes_down_once_for_all_and_comes_back_for_all(tmp_path: Path) -> None:
    with RawAcceptor(b"") as nobody:
        bench = DeliveryBench(tmp_path, pacs=nobody.port)
        for job in (A, B, C):
            bench.owe(job)
        bench.pass_time(8 * 3600.0)
        pauses = 1 + 1 + 8  # 10 s, 60 s, then each hour
        assert pauses - 1 <= nobody.calls <= pauses + 1
        (line,) = bench.turns.lines().values()
        assert line.tries == nobody.calls
        (alert,) = bench.alerts.all()
        assert (alert.kind, alert.subject, alert.since) == ("destination-away", "pacs", 1_000_000.0)
        for job in (A, B, C):
            assert bench.job(job).state is JobState.RUNNING
            assert bench.job(job).code == "DLV-005"
            assert bench.job(job).reason.startswith("pacs: the association was not answered")
            assert bench.outcomes(job) == ["owed", "owed"]
            turn = bench.turns.get(job, "pacs")
            assert turn is not None
            assert turn.tries == 0
            assert [row.attempts for row in bench.deliveries.of(job)] == [0, 0]
    with SmallPacs(tmp_path / "pacs", port=nobody.port) as pacs:
        assert bench.look() == []
        bench.now = line.next_at
        assert len(bench.look()) == 1
        assert len(bench.look()) == 2
        assert len(pacs.attempts) == len(pacs.held) == 6
    assert {bench.job(job).state for job in (A, B, C)} == {JobState.DONE}
    assert bench.turns.lines() == {}
    assert bench.alerts.all() == []


def test_line_that_is_down_is_paced_by_its_trial_alone(tmp_path: Path) -> None:
    bench = DeliveryBench(tmp_path, pacs=1)
    for job in (A, B):
        bench.owe(job)
    first = line_down(bench.parts, bench.job(A), "pacs", Outcome.RETRY, "no connection")
    # Two were under way at once: the second says no more than the first.
    second = line_down(bench.parts, bench.job(B), "pacs", Outcome.RETRY, "timed out")
    assert second == first
    bench.turns.line_trial("pacs", B)
    line_down(bench.parts, bench.job(A), "pacs", Outcome.RETRY, "timed out")
    assert bench.turns.lines()["pacs"].tries == 1
    line_down(bench.parts, bench.job(B), "pacs", Outcome.RETRY, "timed out")
    assert bench.turns.lines()["pacs"].tries == 2


def test_turns_that_were_handed_over_before_the_line_went_down_do_not_try(tmp_path: Path) -> None:
    with RawAcceptor(b"") as nobody:
        bench = DeliveryBench(tmp_path, pacs=nobody.port)
        for job in (A, B, C):
            bench.owe(job)
        assert len(bench.look()) == 3
        assert nobody.calls == 1


def test_job_that_comes_while_the_line_is_down_waits_and_says_why(tmp_path: Path) -> None:
    bench = DeliveryBench(tmp_path, pacs=NOBODY)
    bench.owe(A)
    bench.look()
    bench.owe(B)
    assert bench.look() == []
    assert bench.job(B).reason == bench.job(A).reason
    assert "no connection" in bench.job(B).reason


def test_restart_keeps_the_trial_with_its_job(tmp_path: Path) -> None:
    with RawAcceptor(b"") as nobody:
        bench = DeliveryBench(tmp_path, pacs=nobody.port)
        bench.owe(A)
        bench.owe(B)
        bench.pass_time(0.0)
        bench.now += 10.0
        bench.relay.tick()
        (trial,) = bench.handed
        bench.handed.clear()
        bench.new_relay().tick()
        assert bench.handed == [trial]


def test_cancelled_job_gives_the_trial_to_another(tmp_path: Path) -> None:
    bench = DeliveryBench(tmp_path, pacs=NOBODY)
    for job in (A, B):
        bench.owe(job)
    bench.look()
    bench.handed.clear()
    bench.now += 10.0
    bench.relay.tick()
    ((first, _, turn),) = bench.handed
    bench.jobs.change(first, state=JobState.CANCELLED)
    deliveries.turn(bench.parts, first, "pacs", turn)
    other = {A: B, B: A}[first]
    assert bench.look() == [(other, "pacs")]


def test_unknown_ae_title_alerts_at_once_and_says_what_to_check(tmp_path: Path) -> None:
    with RawAcceptor(CALLING_AE_UNKNOWN) as peer:
        bench = DeliveryBench(tmp_path, pacs=peer.port)
        bench.owe(A)
        bench.owe(B)
        bench.look()
    assert peer.calls == 1
    (alert,) = bench.alerts.all()
    assert "must be entered there" in alert.reason
    assert {bench.job(job).code for job in (A, B)} == {"DLV-004"}


def test_days_without_connection_end_in_a_persons_hands(tmp_path: Path) -> None:
    bench = DeliveryBench(tmp_path, pacs=NOBODY)
    bench.change("pacs", retry_s=(10.0, DAY_S))
    bench.owe(A)
    bench.pass_time(3 * DAY_S)
    bench.owe(B)
    bench.pass_time(3.9 * DAY_S)
    assert bench.job(A).state is JobState.RUNNING
    bench.pass_time(1.2 * DAY_S)
    job = bench.job(A)
    assert (job.state, job.code) == (JobState.FAILED, "DLV-002")
    assert "2 of 2 results not stored; pacs: no connection" in job.reason
    assert f"bridge jobs retry {A[:8]}" in job.reason
    assert bench.outcomes(A) == [HELD, HELD]
    assert bench.job(B).state is JobState.RUNNING


def let_go_on(bench: DeliveryBench) -> None:
    """As a person does with job A."""
    acts = Acts(bench.index)
    act = acts.get(acts.ask("retry", A, who="somebody"))
    assert acts.fulfil(act, bench.job(A), turning=Turning.AGAIN, state=JobState.RUNNING)


def test_retry_by_a_person_begins_the_days_again(tmp_path: Path, pacs: SmallPacs) -> None:
    bench = DeliveryBench(tmp_path, pacs=NOBODY)
    bench.change("pacs", retry_s=(DAY_S,))
    bench.owe(A)
    bench.pass_time(9 * DAY_S)
    assert bench.job(A).state is JobState.FAILED
    let_go_on(bench)
    bench.look()
    assert bench.job(A).state is JobState.RUNNING
    bench.change("pacs", port=pacs.port)
    bench.pass_time(DAY_S)
    assert bench.job(A).state is JobState.DONE


def test_dead_destination_holds_up_no_other(bench: DeliveryBench, pacs: SmallPacs) -> None:
    bench.settings["archive"] = bench.settings["pacs"].model_copy(update={"port": NOBODY})
    bench.new_relay()
    bench.owe(A, "archive", "pacs")
    bench.look()
    assert bench.outcomes(A, "pacs") == ["delivered", "delivered"]
    assert bench.outcomes(A, "archive") == ["owed", "owed"]
    job = bench.job(A)
    assert job.state is JobState.RUNNING
    assert job.reason.startswith("archive: no connection")
    bench.change("archive", port=pacs.port)
    bench.pass_time(60.0)
    assert bench.job(A).state is JobState.DONE
    assert len(pacs.attempts) == 4


def test_row_shows_the_worst_of_the_destinations(bench: DeliveryBench, pacs: SmallPacs) -> None:
    bench.settings["archive"] = bench.settings["pacs"].model_copy(update={"port": NOBODY})
    bench.new_relay()
    bench.owe(A, "archive", "pacs", results=1)
    said(pacs, 0xA700)
    bench.look()
    reasons = {turn.destination: turn.code for turn in bench.turns.of_job(A)}
    assert reasons == {"archive": "DLV-005", "pacs": "DLV-001"}
    assert bench.job(A).code == "DLV-005"
    bench.change("archive", port=pacs.port)
    said(pacs, 0xA700, 0xA700, 0xA700)
    bench.pass_time(15.0)
    assert bench.job(A).code == "DLV-001"


def test_destination_that_left_site_toml_is_named_and_waited_for(bench: DeliveryBench) -> None:
    bench.settings["archive"] = bench.settings["pacs"].model_copy(update={"port": NOBODY})
    bench.new_relay()
    bench.owe(A, "archive", "pacs")
    archive = bench.settings.pop("archive")
    bench.look()
    assert bench.job(A).code == "CFG-020"
    assert "destination archive is no longer in site.toml" in bench.job(A).reason
    bench.settings["archive"] = archive.model_copy(update={"port": bench.settings["pacs"].port})
    bench.look()
    assert bench.job(A).state is JobState.DONE


def test_machine_trouble_at_the_end_of_a_turn_loses_no_turn(
    bench: DeliveryBench, pacs: SmallPacs, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.owe(A)
    monkeypatch.setattr(deliveries, "MACHINE_S", 0.0)
    failures = [OSError(28, "no space left") for _ in range(3)]

    def failing(write: Callable[..., None]) -> Callable[..., None]:
        def fail_first(*arguments: object) -> None:
            if failures:
                raise failures.pop()
            write(*arguments)

        return fail_first

    # The body cannot write its end, and then not even its pause can be written.
    monkeypatch.setattr(bench.turns, "over", failing(bench.turns.over))
    monkeypatch.setattr(bench.turns, "later", failing(bench.turns.later))
    bench.pass_time(60.0)
    assert failures == []
    assert len(pacs.attempts) == 2
    assert bench.job(A).state is JobState.DONE
    assert bench.turns.owed() == []


def test_asked_back_and_named_is_confirmed(bench: DeliveryBench, pacs: SmallPacs) -> None:
    bench.change("pacs", ask_back=True)
    bench.owe(A)
    bench.look()
    assert bench.outcomes(A) == ["delivered", "delivered"]
    assert bench.job(A).state is JobState.RUNNING
    assert bench.pass_time(4.0) == 0
    bench.pass_time(1.0)
    assert bench.outcomes(A) == ["confirmed", "confirmed"]
    assert bench.job(A).state is JobState.DONE
    assert len(pacs.attempts) == 2


def test_what_is_not_named_is_sent_again_once(bench: DeliveryBench, pacs: SmallPacs) -> None:
    bench.change("pacs", ask_back=True)
    lost, _ = bench.owe(A)
    order(pacs.folder, Orders(lose=1))
    bench.look()
    bench.pass_time(5.0)
    assert bench.outcomes(A) == ["delivered", "confirmed"]
    assert bench.job(A).reason == ""  # absence is no failure at first
    bench.pass_time(30.0)
    assert [attempt.sop_instance_uid for attempt in pacs.attempts[2:]] == [lost]
    bench.pass_time(5.0)
    assert bench.outcomes(A) == ["confirmed", "confirmed"]
    assert bench.job(A).state is JobState.DONE


def test_what_is_never_named_waits_for_a_person(bench: DeliveryBench, pacs: SmallPacs) -> None:
    bench.change("pacs", ask_back=True)
    lost, _ = bench.owe(A)
    order(pacs.folder, Orders(lose=1))
    bench.look()
    order(pacs.folder, Orders(lose=99))
    bench.pass_time(DAY_S)
    assert bench.outcomes(A) == [UNNAMED, "confirmed"]
    job = bench.job(A)
    assert (job.state, job.code) == (JobState.FAILED, "DLV-003")
    assert "1 of 2 results not confirmed" in job.reason
    assert [attempt.sop_instance_uid for attempt in pacs.attempts].count(lost) == 2


def test_duplicate_counts_when_the_peer_names_it(bench: DeliveryBench, pacs: SmallPacs) -> None:
    bench.change("pacs", ask_back=True)
    bench.owe(A)
    bench.look()
    for row in bench.deliveries.of(A):  # the bridge's memory of it is lost, as by a restored back-up
        bench.deliveries.send_again(A, "pacs", [row.sop_instance_uid])
    said(pacs, 0x0111, 0x0111)
    bench.pass_time(5.0)
    assert bench.outcomes(A) == ["duplicate", "duplicate"]
    bench.pass_time(5.0)
    assert bench.outcomes(A) == ["confirmed", "confirmed"]


def test_peer_that_cannot_be_asked_is_asked_again_and_nothing_is_sent_again(
    bench: DeliveryBench, pacs: SmallPacs
) -> None:
    bench.change("pacs", ask_back=True)
    bench.owe(A)
    bench.look()
    bench.change("pacs", port=NOBODY)
    bench.pass_time(100.0)
    assert bench.outcomes(A) == ["delivered", "delivered"]
    assert bench.job(A).code == "DLV-005"
    assert {row.asked for row in bench.deliveries.of(A)} == {0}
    bench.change("pacs", port=pacs.port)
    bench.pass_time(3600.0)
    assert bench.job(A).state is JobState.DONE
    assert len(pacs.attempts) == 2


def test_peer_that_does_not_answer_questions_ends_in_a_persons_hands(
    bench: DeliveryBench, pacs: SmallPacs, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.change("pacs", ask_back=True, retry_s=(10.0, DAY_S))
    bench.owe(A, results=1)
    silent = Silent(reason="no answer to C-FIND: time-out, abort or lost connection")
    monkeypatch.setattr(custody, "named", lambda *question: silent)
    bench.pass_time(2 * DAY_S)
    job = bench.job(A)
    assert (job.state, job.code) == (JobState.RUNNING, "DLV-006")
    assert "no answer to C-FIND" in job.reason
    assert bench.alerts.all() == []
    bench.pass_time(7 * DAY_S)
    assert bench.outcomes(A) == [UNNAMED]
    assert (bench.job(A).state, bench.job(A).code) == (JobState.FAILED, "DLV-003")
    assert len(pacs.attempts) == 1


def test_crash_between_the_end_of_the_job_and_the_end_of_its_turn(
    bench: DeliveryBench, pacs: SmallPacs, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.owe(A)

    class Killed(BaseException):
        pass

    def die(turn: object) -> None:
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(bench.turns, "over", die)
        bench.look()
    bench.new_relay()
    bench.pass_time(10.0)
    assert bench.job(A).state is JobState.DONE
    assert bench.turns.owed() == []
    assert [event.event for event in bench.jobs.timeline(A)].count("job.done") == 1


def first_file(bench: DeliveryBench) -> Path:
    return bench.folder / "jobs" / A / "results" / "000.dcm"


def flipped(file: Path) -> None:
    """One bit of its pixels."""
    content = bytearray(file.read_bytes())
    content[-7] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize("spoiled", [flipped, Path.unlink, lambda file: file.write_bytes(b"")])
def test_a_file_that_is_not_what_was_issued_is_not_sent_and_fails_the_job_with_its_reason(
    bench: DeliveryBench, pacs: SmallPacs, spoiled: Callable[[Path], object]
) -> None:
    _, second = bench.owe(A)
    spoiled(first_file(bench))
    bench.look()
    assert [attempt.sop_instance_uid for attempt in pacs.attempts] == [second]
    assert bench.outcomes(A) == [SPOILT, "delivered"]
    job = bench.job(A)
    assert (job.state, job.code) == (JobState.FAILED, "DLV-002")
    assert "pacs: not sent: 000.dcm " in job.reason
    assert "from a backup" in job.reason and second not in job.reason
    assert bench.turns.owed() == []


def test_a_spoilt_file_that_was_put_back_is_sent_when_a_person_lets_the_job_go_on(
    bench: DeliveryBench, pacs: SmallPacs
) -> None:
    bench.owe(A, results=1)
    file = first_file(bench)
    issued = file.read_bytes()
    flipped(file)
    bench.look()
    assert not pacs.attempts
    file.write_bytes(issued)
    let_go_on(bench)
    bench.look()
    assert bench.outcomes(A) == ["delivered"]
    assert bench.job(A).state is JobState.DONE


def test_a_file_that_cannot_be_read_now_is_tried_again(
    bench: DeliveryBench, pacs: SmallPacs, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.owe(A, results=1)
    monkeypatch.setattr(offers.hashlib, "file_digest", broken_disk)
    bench.look()
    assert bench.outcomes(A) == ["retry"]
    assert bench.job(A).reason == "pacs: not sent: 000.dcm cannot be read here (Input/output error)"
    assert not pacs.attempts
    monkeypatch.undo()
    bench.pass_time(60.0)
    assert bench.job(A).state is JobState.DONE


def broken_disk(*_: object) -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_research_results_are_held_where_they_are_no_longer_accepted(
    bench: DeliveryBench, pacs: SmallPacs
) -> None:
    """The rule was checked when it was read; the destination has changed its mind since."""
    bench.owe(A)
    bench.jobs.change(A, frozen='{"purpose": "research"}')
    bench.change("pacs", accepts=("clinical",))
    bench.look()
    assert set(bench.outcomes(A)) == {HELD}
    assert bench.job(A).state is JobState.FAILED
    assert "research results, and `accepts` of the destination has clinical only" in bench.job(A).reason
    assert list(pacs.attempts) == []
