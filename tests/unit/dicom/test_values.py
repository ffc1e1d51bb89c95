from __future__ import annotations

import pytest

from bridge.dicom.charsets import plain
from bridge.dicom.values import is_valid


@pytest.mark.parametrize(
    ("vr", "text", "legal"),
    [
        ("AS", "042D", True),
        ("AS", "42D", False),
        ("CS", "AB_C 1", True),
        ("CS", "ab", False),
        ("CS", "A" * 17, False),
        ("DA", "20240229", True),
        ("DA", "20230229", False),
        ("DA", "2023", False),
        ("DS", " -1.5e3 ", True),
        ("DS", "1,5", False),
        ("DS", "1e400", False),
        ("DS", "1.23456789012345", True),
        ("DS", "1.234567890123456", False),
        ("IS", "-12", True),
        ("IS", "1.0", False),
        ("LO", "a" * 64, True),
        ("LO", "a" * 65, False),
        ("LO", "a\tb", False),
        ("SH", "a" * 17, False),
        ("PN", "A^B^C^D^E=F=G", True),
        ("PN", "A^B^C^D^E^F", False),
        ("PN", "A=B=C=D", False),
        ("TM", "23", True),
        ("TM", "235960.123456", True),
        ("TM", "24", False),
        ("UI", "1.2.0.3", True),
        ("UI", "1.02", False),
        ("UI", "1." + "2" * 64, False),
        ("LT", "a\\b", True),
    ],
)
def test_legal_values_of_a_vr(vr: str, text: str, legal: bool) -> None:
    assert is_valid("AnyKeyword", vr, "1", text) is legal


def test_many_values_need_a_multiplicity() -> None:
    assert is_valid("AnyKeyword", "LO", "1-n", "a\\b")
    assert not is_valid("AnyKeyword", "LO", "1", "a\\b")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("Lésion du foie", "Lesion du foie"),
        ("肺", "?"),
        ("a\\b\n c", "a/b c"),
        ("x" * 70, "x" * 64),
        (" Größe ", "Gro?e"),
    ],
)
def test_our_own_words_fit_every_character_set(given: str, expected: str) -> None:
    assert plain(given) == expected
