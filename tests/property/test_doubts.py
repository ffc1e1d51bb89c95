"""Doubts about a study do not depend on how its objects came; nor on what says nothing."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.dicom.instance import Instance
from bridge.dicom.names import are_alike
from bridge.flow.study.doubts import Doubt, doubts
from made_studies import instance

KEY = b"k" * 32
WHO = {
    "PatientID": st.sampled_from([None, "", "C-1", "C-2", "c-1"]),
    "IssuerOfPatientID": st.sampled_from([None, "A", "B"]),
    "PatientBirthDate": st.sampled_from([None, "19700102", "1970.01.02", "19800304", "x"]),
    "PatientName": st.sampled_from([None, "^", "Canary^Yellow", "YELLOW CANARY", "Robin^Red", "鳥^黄色"]),
}
IDENTITIES = st.fixed_dictionaries(WHO)
STUDIES = st.lists(st.tuples(st.integers(1, 3), st.booleans(), IDENTITIES), max_size=8)


def made(rows: list[tuple[int, bool, dict[str, str | None]]]) -> list[Instance]:
    return [
        replace(instance(series, number, own=own, **who), number=number)
        for number, (series, own, who) in enumerate(rows)
    ]


def of(instances: list[Instance]) -> tuple[Doubt, ...]:
    return doubts(instances, elsewhere=["1.2.2"], sent_as_another=[0], key=KEY)


@settings(max_examples=100, deadline=None)
@given(rows=STUDIES, order=st.randoms(use_true_random=False))
def test_order_of_arrival_does_not_matter(
    rows: list[tuple[int, bool, dict[str, str | None]]], order: object
) -> None:
    instances = made(rows)
    shuffled = list(instances)
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    assert of(shuffled) == of(instances)


@settings(max_examples=100, deadline=None)
@given(rows=STUDIES, ours=IDENTITIES)
def test_result_of_ours_changes_nothing(
    rows: list[tuple[int, bool, dict[str, str | None]]], ours: dict[str, str | None]
) -> None:
    instances = made(rows)
    assert of([*instances, replace(instance(2, 99, own=True, **ours), number=99)]) == of(instances)


@settings(max_examples=100, deadline=None)
@given(who=IDENTITIES, count=st.integers(1, 5))
def test_one_identity_throughout_is_never_two(who: dict[str, str | None], count: int) -> None:
    instances = [instance(1, number, **who) for number in range(1, count + 1)]
    found = doubts(instances, elsewhere=(), sent_as_another=(), key=KEY)
    assert {one.code for one in found} <= {"STU-007"}
    assert bool(found) is (not who["PatientID"])


NAMES = st.text(alphabet="AbcÄöß山田Иё^= ,'-?", max_size=12)


@given(one=NAMES, other=NAMES)
def test_names_are_alike_in_both_directions_and_to_themselves(one: str, other: str) -> None:
    assert are_alike(one, one)
    assert are_alike(one, other) == are_alike(other, one)
