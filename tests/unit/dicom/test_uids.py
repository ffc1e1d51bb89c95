from __future__ import annotations

import re

import pytest

from bridge.dicom.uids import is_below, keyed_name, keyed_uid

KEY = b"k" * 32

# printf '\x00\x00\x00\x08instance\x00\x00\x00\x05job-1\x00\x00\x00\x03SEG' |
#   openssl dgst -sha256 -mac HMAC -macopt key:kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk
DIGEST = "8caaf53fb75c73075a2018953c2650a7"


def test_uid_is_what_openssl_says_for_ever() -> None:
    assert keyed_uid(KEY, "instance", "job-1", "SEG") == f"2.25.{int(DIGEST, 16)}"


def test_uid_is_legal() -> None:
    for number in range(200):
        uid = keyed_uid(KEY, str(number))
        assert re.fullmatch(r"2\.25\.(0|[1-9]\d{0,38})", uid)
        assert int(uid.split(".")[2]) < 2**128


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("ab", "c"), ("a", "bc")),
        (("ab",), ("ab", "")),
        (("a", "b"), ("b", "a")),
        (("ä",), ("a",)),
    ],
)
def test_different_parts_have_different_uids(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    assert keyed_uid(KEY, *one) != keyed_uid(KEY, *other)


def test_another_key_has_other_uids_and_names() -> None:
    assert keyed_uid(KEY, "a") != keyed_uid(b"other", "a")
    assert keyed_name(KEY, "a") != keyed_name(b"other", "a")


def test_root_of_a_site_stands_in_front_of_the_same_digits() -> None:
    digits = keyed_uid(KEY, "instance").removeprefix("2.25.")
    assert keyed_uid(KEY, "instance", root="1.2.840.9") == f"1.2.840.9.{digits}"


def test_longest_root_leaves_room_for_every_number() -> None:
    root = "1." + "2" * 22
    assert len(root) == 24
    assert len(f"{root}.{2**128 - 1}") == 64


def test_uid_is_below_a_root_by_whole_components() -> None:
    assert is_below("1.2.3.4", "1.2.3")
    assert not is_below("1.2.34", "1.2.3")
    assert not is_below("1.2.3", "1.2.3")
    assert not is_below("1.2.3", "")
