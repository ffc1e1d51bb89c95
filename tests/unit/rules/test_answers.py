"""Which of several answers is meant: pure, whatever their order."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.rules.answers import About, Answer, passed_over, shortage
from bridge.volumes.volume import Candidate
from made_studies import SEGMENTATION, instance, volume


def mask(number: int) -> Candidate:
    """A segmentation of the SOP Instance UID 1.2.<number>.1."""
    return volume(number, slices=1, sop_class=SEGMENTATION)


def answer(job: str, content: str = "x", *masks: int, at: float = 1.0, **more: Any) -> Answer:
    uids = frozenset(instance(number).sop_instance_uid for number in masks)
    given = {"is_given": True, "contents": frozenset({content}), "masks": uids, **more}
    return Answer(rule="lobes", job=job, at=at, **given)


TWO = (answer("a", "x", 1), answer("b", "y", 2))
X = frozenset({"x"})

MEANT = [
    ("nothing is known of the image", TWO, None, {}),
    ("the image is named", TWO, About(contents=X, socket="ct"), {2: "made of another image than ct"}),
    ("preferred", TWO, About(contents=X), {2: "another is made of the image that is chosen"}),
    ("of none of them, preferred", TWO, About(contents=frozenset({"z"})), {}),
    (
        "of none of them, named",
        TWO,
        About(contents=frozenset({"z"}), socket="ct"),
        dict.fromkeys((1, 2), "made of another image than ct"),
    ),
    (
        "an older answer to the same image",
        (answer("b", "x", 1, at=1.0), answer("a", "x", 2, at=2.0)),
        None,
        {1: "lobes has answered again since"},
    ),
    ("two masks of one answer", (answer("a", "x", 1, 2),), About(contents=X), {}),
    ("no answer of ours", (), About(contents=X, socket="ct"), {}),
]


@pytest.mark.parametrize(
    ("answers", "meant", "expected"), [row[1:] for row in MEANT], ids=[row[0] for row in MEANT]
)
def test_masks_that_are_not_meant_say_why(
    answers: tuple[Answer, ...], meant: About | None, expected: dict[int, str]
) -> None:
    fits = {number: mask(number) for number in (1, 2)}
    assert passed_over(fits, answers, meant) == expected


@given(st.data())
def test_the_order_of_answers_and_masks_tells_nothing(data: st.DataObject) -> None:
    answers = [
        answer(
            f"job{number}",
            data.draw(st.sampled_from("xyz")),
            number,
            at=data.draw(st.sampled_from([1.0, 2.0])),
        )
        for number in range(1, data.draw(st.integers(2, 5)))
    ]
    meant = data.draw(st.sampled_from([None, About(contents=X), About(contents=X, socket="ct")]))
    numbers = range(1, len(answers) + 1)
    plain = passed_over({number: mask(number) for number in numbers}, answers, meant)
    other = passed_over(
        {number: mask(number) for number in data.draw(st.permutations(numbers))},
        data.draw(st.permutations(answers)),
        meant,
    )
    assert plain == other
    # One mask is left for each image at most: the one of the last answer to it.
    left = [one for number, one in zip(numbers, answers, strict=True) if number not in plain]
    assert len({one.contents for one in left}) == len(left)


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ((), "lobes has no answer yet"),
        ((answer("a", is_given=False),), "waits for the answer of lobes"),
        ((answer("a", is_given=False), answer("b")), "waits for the answer of lobes"),
        ((answer("a", is_given=False, ended="failed"), answer("b")), ""),
        ((answer("a", is_given=False, ended="failed"),), "lobes has no answer: its job a is failed"),
        (
            (
                answer("a", at=2.0, is_given=False, ended="refused"),
                answer("b", at=1.0, is_given=False, ended="failed"),
            ),
            "lobes has no answer: its job a is refused",
        ),
    ],
)
def test_why_a_rule_has_not_answered(answers: tuple[Answer, ...], expected: str) -> None:
    assert shortage(answers, "lobes") == expected
