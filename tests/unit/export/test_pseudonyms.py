"""Names and dates for outside: the same within a scope, others beyond it, and recognised when they come back."""

from __future__ import annotations

import hashlib
import hmac
import re
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import ConfigError
from bridge.export.pseudonyms import Pseudonyms, Scope

KEY = bytes(range(32))
JOB = Pseudonyms(KEY, Scope.of_job("job-1"))
uids = st.from_regex(r"\A[0-2](\.[1-9][0-9]{0,8}){1,6}\Z")


def test_patient_is_an_hmac_of_key_and_scope_for_ever() -> None:
    parts = [b"job", b"job-1", b"|", b"patient"]
    message = b"outward names" + b"".join(len(one).to_bytes(4, "big") + one for one in parts)
    expected = hmac.new(KEY, message, hashlib.sha256).hexdigest()[:12]
    assert JOB.patient()[:14] == f"P-{expected}"
    assert re.fullmatch(r"P-[0-9a-f]{18}", JOB.patient())


OTHERS = [
    pytest.param(Pseudonyms(KEY, Scope.of_job("job-2")), id="another job"),
    pytest.param(Pseudonyms(KEY[::-1], Scope.of_job("job-1")), id="another key"),
    pytest.param(Pseudonyms(KEY, Scope.of_patient("", "job-1")), id="a patient of that name"),
    pytest.param(Pseudonyms(KEY, Scope.of_patient("job", "1")), id="parts cut elsewhere"),
]


@pytest.mark.parametrize("other", OTHERS)
def test_another_scope_has_other_names_and_knows_none_of_these(other: Pseudonyms) -> None:
    assert other.patient() != JOB.patient()
    assert not other.is_patient(JOB.patient())
    assert other.uid("1.2.3") != JOB.uid("1.2.3")
    assert not other.is_uid(JOB.uid("1.2.3"))
    assert other.uid(JOB.uid("1.2.3")) != JOB.uid("1.2.3")


@given(uid=uids, other=uids)
def test_uids_are_legal_equal_for_equal_ones_and_mapped_once(uid: str, other: str) -> None:
    mapped = JOB.uid(uid)
    assert re.fullmatch(r"2\.25\.[1-9]\d{0,38}", mapped)
    assert JOB.uid(mapped) == mapped
    assert (JOB.uid(other) == mapped) == (uid == other)


@given(number=st.integers(min_value=0, max_value=2**140))
def test_a_uid_made_elsewhere_is_not_taken_for_ours(number: int) -> None:
    assert not JOB.is_uid(f"2.25.{number}")


@given(one=st.dates(min_value=date(1900, 1, 1)), other=st.dates(min_value=date(1900, 1, 1)))
def test_dates_move_into_the_past_and_keep_their_distance(one: date, other: date) -> None:
    moved = [JOB.shifted(f"{day:%Y%m%d}") for day in (one, other)]
    first, second = (date(int(day[:4]), int(day[4:6]), int(day[6:])) for day in moved if day)
    assert first - second == one - other
    assert 366 <= (one - first).days <= 3653


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("20240301101112.123456+0100", "101112.123456+0100"),
        ("20240301", ""),
        ("2024", None),
        ("202403", None),
        ("20241301", None),
        ("JONES^AA", None),
        ("00010101", None),
        ("", None),
    ],
)
def test_only_what_names_a_day_is_shifted(text: str, kept: str | None) -> None:
    shifted = JOB.shifted(text)
    assert (shifted if shifted is None else shifted[8:]) == kept


def test_a_short_key_is_refused_and_no_text_shows_a_key() -> None:
    with pytest.raises(ConfigError) as refused:
        Pseudonyms(b"secret", Scope.of_job("1"))
    assert refused.value.code == "DEI-001"
    assert repr(JOB) == "Pseudonyms()"
