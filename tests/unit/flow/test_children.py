"""Child processes: a value, our own error, a crash and a time-out each arrive as what they are."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest

from bridge.errors import Refused, TryLater
from bridge.flow.stages.children import Children
from child_calls import add, crash, dawdle, fill_the_disk, leak, pid, refuse


@pytest.fixture
def children() -> Iterator[Children]:
    children = Children(1, timeout_s=20)
    yield children
    children.stop()


def test_value_comes_back_from_another_process(children: Children) -> None:
    assert children.run(add, 2, 3) == 5
    assert children.run(pid) != os.getpid()


def test_child_stays_warm(children: Children) -> None:
    assert children.run(pid) == children.run(pid)


def test_our_error_keeps_code_and_numbers(children: Children) -> None:
    with pytest.raises(Refused, match="3 slices; expected at least 4") as raised:
        children.run(refuse)
    assert (raised.value.code, raised.value.numbers) == ("GEO-005", {"slices": 3})


def test_text_of_a_foreign_error_stays_in_the_child(children: Children) -> None:
    with pytest.raises(RuntimeError, match="ValueError at ") as raised:
        children.run(leak)
    assert "Canary" not in str(raised.value)


def test_full_disk_is_no_fault_of_the_input(children: Children) -> None:
    with pytest.raises(TryLater, match="errno 28") as raised:
        children.run(fill_the_disk)
    assert raised.value.tries is None
    assert "Canary" not in str(raised.value)


def test_crash_of_a_child_is_tried_later_and_the_next_call_works(children: Children) -> None:
    with pytest.raises(TryLater, match="died"):
        children.run(crash)
    assert children.run(add, 1, 1) == 2


def test_slow_child_is_ended() -> None:
    children = Children(1, timeout_s=3)
    begun = time.monotonic()
    with pytest.raises(TryLater, match="longer than 3 s"):
        children.run(dawdle)
    assert time.monotonic() - begun < 15
    children.stop()
