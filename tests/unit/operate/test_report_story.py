"""The timeline of the report: attempts, pauses, stops."""

from __future__ import annotations

from collections.abc import Sequence

from tests.unit.operate.report_example import ZERO, happened

from bridge.operate.report.story import Phase, Row, tell
from bridge.operate.report.words import Tone
from bridge.store.jobs import JobEvent

NO_ROOM = "0xA700 refused: out of resources"


def rows(*events: JobEvent) -> Sequence[Row]:
    story = tell(events)
    assert story is not None
    return story.rows


def seconds(row: Row) -> tuple[float, float, float | None]:
    """Begin, end and end of the pause, from the zero of the example."""
    zero = ZERO.timestamp()
    pause = None if row.pause_until is None else row.pause_until - zero
    return row.begin - zero, row.end - zero, pause


def answered(at: float, kind: str, outcome: str, destination: str = "pacs", reason: str = "") -> JobEvent:
    return happened(
        at, "deliver.answered", destination=destination, kind=kind, outcome=outcome, reason=reason
    )


def test_nothing_known_is_no_story() -> None:
    assert tell(()) is None


def test_bars_reach_from_event_to_event() -> None:
    told = rows(
        happened(0, "study.first-instance"),
        happened(9, "study.last-instance"),
        happened(39, "rule.matched", rule="lungs"),
        happened(41, "prepare.converted", input="ct", format="mha", bytes=2_000_000, shape="1x2x3"),
    )
    assert [seconds(row) for row in told] == [(0, 0, None), (0, 9, None), (9, 39, None), (39, 41, None)]
    assert [row.phase for row in told] == [Phase.RECEIVE, Phase.RECEIVE, Phase.SETTLE, Phase.PREPARE]
    assert told[3].text == "ct written as mha, 2.0 MB"


def test_order_is_that_of_time() -> None:
    told = rows(happened(9, "study.last-instance"), happened(0, "study.first-instance"))
    assert [row.text for row in told] == ["first image arrived", "last image arrived"]


def test_end_says_whether_anything_was_made() -> None:
    told = rows(happened(1, "job.done", results=2), happened(2, "job.done", results=0))
    assert [row.text for row in told] == ["everything stored", "done: the rule makes no results"]


def test_pause_is_no_work() -> None:
    told = rows(
        happened(10, "cloud.state", state="Started"),
        happened(12, "job.waits", stage="cloud", code="NET-003", pause_s=30.0),
        happened(47, "cloud.fetched", outputs=2, bytes=5),
    )
    assert [seconds(row) for row in told] == [(10, 10, None), (10, 12, 42), (42, 47, None)]
    assert told[1].tone is Tone.CARE
    assert "NET-003" in told[1].text


def test_pause_ends_when_something_happens() -> None:
    told = rows(
        happened(12, "job.waits", stage="cloud", code="NET-003", pause_s=600.0),
        happened(20, "job.cancelled"),
    )
    assert [seconds(row) for row in told] == [(12, 12, 20), (20, 20, None)]


def test_answers_of_one_attempt_are_one_row() -> None:
    told = rows(
        happened(0, "encode.made", kind="SEG", bytes=1, notes="n1"),
        answered(3.0, "SEG", "retry", reason=NO_ROOM),
        answered(3.5, "SR", "delivered"),
        answered(63.0, "SEG", "delivered"),
    )
    assert [row.text for row in told[1:]] == ["pacs: SEG refused for now, SR stored", "pacs: SEG stored"]
    assert told[0].detail == "n1"
    assert told[1].detail == NO_ROOM
    assert told[1].tone is Tone.CARE
    # The refused one pauses until the next attempt, which then takes no time of its own.
    assert [seconds(row) for row in told[1:]] == [(0, 3.5, 63), (63, 63, None)]


def test_destinations_do_not_wait_for_each_other() -> None:
    told = rows(
        happened(0, "encode.made", kind="SEG", bytes=1, notes=""),
        answered(2, "SEG", "retry", "a", NO_ROOM),
        answered(5, "SEG", "delivered", "b"),
        answered(62, "SEG", "delivered", "a"),
        happened(63, "job.done", results=1),
    )
    assert [seconds(row) for row in told] == [
        (0, 0, None),
        (0, 2, 62),
        (0, 5, None),
        (62, 62, None),
        (62, 63, None),
    ]


def test_long_runs_of_the_same_are_folded() -> None:
    tries = [answered(10 * n, "SEG", "retry", reason=NO_ROOM) for n in range(8)]
    told = rows(*tries, answered(80, "SEG", "delivered"))
    assert [row.alike for row in told] == [0, 6, 0, 0]
    assert [seconds(row) for row in told] == [(0, 0, None), (0, 60, 70), (70, 70, 80), (80, 80, None)]


def test_short_runs_are_not_folded() -> None:
    told = rows(*(answered(10 * n, "SEG", "retry", reason=NO_ROOM) for n in range(3)))
    assert [row.alike for row in told] == [0, 0, 0]


def test_stop_of_the_bridge_is_a_gap() -> None:
    told = rows(
        happened(0, "cloud.state", state="Started"),
        happened(300, "job.resumed"),
        happened(310, "cloud.state", state="Succeeded"),
    )
    assert [(row.gap, row.phase) for row in told] == [
        (False, Phase.CLOUD),
        (True, Phase.CLOUD),
        (False, Phase.CLOUD),
    ]


def test_unknown_events_are_shown_by_their_name() -> None:
    (told,) = rows(happened(0, "moon.rose", colour="red", count=2))
    assert (told.text, told.detail) == ("moon.rose", "colour red, count 2")


def test_shares_add_up() -> None:
    story = tell(
        (
            happened(0, "study.first-instance"),
            happened(9, "study.last-instance"),
            happened(39, "rule.matched", rule="lungs"),
            happened(40, "job.waits", stage="prepare", code="X-1", pause_s=5.0),
            happened(47, "prepare.converted", input="ct", format="mha", bytes=1, shape=""),
            happened(50, "job.failed", stage="cloud", code="X-2", reason="why"),
        )
    )
    assert story is not None
    assert {share.phase: share.seconds for share in story.shares} == {
        Phase.RECEIVE: 9,
        Phase.SETTLE: 30,
        Phase.PREPARE: 8,
        Phase.CLOUD: 3,
    }
    assert story.end - story.begin == 50
