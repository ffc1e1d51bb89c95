"""The table of PS3.15 as data, its options, and the Types that its combined actions ask for."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from importlib.resources import files
from pathlib import Path

import pytest

from bridge.errors import ConfigError
from bridge.export.attribute_types import Want, top_of
from bridge.export.keep import is_plain_description, keep_list, reasons
from bridge.export.profile import Action, Option, Profile, rule_for, table_tags
from bridge.export.verdicts import Deed, gone

ROOT = Path(__file__).resolve().parents[3]
CT, ENHANCED_CT, SEG = (f"1.2.840.10008.5.1.4.1.1.{one}" for one in ("2", "2.1", "66.4"))


def test_the_data_is_what_its_script_writes() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts/confidentiality.py", "--check"], check=False, timeout=120
    )
    assert done.returncode == 0


def test_the_counts_of_the_edition() -> None:
    rows = json.loads(files("bridge.export").joinpath("confidentiality.json").read_text())["rows"].values()
    # 2024b has X 384, D 92, U 54 ... (PS3.15); 35 rows of 2026c and four patterns, all X, come and go.
    assert Counter(row[0] for row in rows) == {
        "X": 412, "D": 93, "U": 55, "Z": 42, "X/D": 23, "X/Z": 11, "X/Z/D": 8, "Z/D": 6, "X/Z/U*": 2
    }  # fmt: skip
    assert len(table_tags()) == 652


DATES, MODIFIED, DEVICE = (
    Option.RETAIN_FULL_DATES,
    Option.RETAIN_MODIFIED_DATES,
    Option.RETAIN_DEVICE_IDENTITY,
)


@pytest.mark.parametrize(
    ("tag", "options", "action"),
    [
        pytest.param(0x00080020, (), Action.EMPTY, id="Study Date"),
        pytest.param(0x00080020, (DATES,), Action.KEEP, id="Study Date, in full"),
        pytest.param(0x00080020, (MODIFIED,), Action.CLEAN, id="Study Date, modified"),
        pytest.param(0x00080020, (DEVICE,), Action.EMPTY, id="Study Date is of no device"),
        pytest.param(0x00181203, (DEVICE, MODIFIED), Action.CLEAN, id="modified wins over keep"),
        pytest.param(0x00181203, (DEVICE,), Action.KEEP, id="Calibration DateTime of the device"),
        pytest.param(0x00102161, tuple(Option), Action.REMOVE, id="new in 2026c: no option is known"),
        pytest.param(0x00081140, (), Action.REMOVE_EMPTY_OR_UIDS, id="Referenced Image Sequence"),
    ],
)
def test_rule(tag: int, options: tuple[Option, ...], action: Action) -> None:
    rule = rule_for(tag, frozenset(options))
    assert rule is not None
    assert rule.action is action


def test_the_table_does_not_speak_of_everything() -> None:
    assert rule_for(0x00080060, frozenset()) is None


def test_dates_in_full_and_modified_at_once_are_refused() -> None:
    with pytest.raises(ConfigError) as refused:
        Profile(options=frozenset({DATES, MODIFIED}))
    assert refused.value.code == "DEI-002"


@pytest.mark.parametrize(
    ("sop_class", "path", "want"),
    [
        pytest.param(CT, (0x00080060,), Want.NEEDS_A_VALUE, id="Modality"),
        pytest.param(CT, (0x00080090,), Want.MAY_BE_EMPTY, id="Referring Physician's Name"),
        pytest.param(CT, (0x00081030,), Want.MAY_GO, id="Study Description"),
        pytest.param(CT, (0x00181000,), Want.MAY_GO, id="Device Serial Number in CT"),
        pytest.param(
            ENHANCED_CT, (0x00181000,), Want.NEEDS_A_VALUE, id="Device Serial Number in Enhanced CT"
        ),
        pytest.param(SEG, (0x00620002, 0x00620005), Want.NEEDS_A_VALUE, id="Segment Label"),
        pytest.param(SEG, (0x00620002, 0x00620006), Want.MAY_GO, id="Segment Description"),
        pytest.param(CT, (0x00620002, 0x00620005), Want.NEEDS_A_VALUE, id="by the same sequence elsewhere"),
        pytest.param(CT, (0x00620002, 0x00100010), Want.UNKNOWN, id="where no IOD has it"),
    ],
)
def test_type_of_an_attribute_where_it_stands(sop_class: str, path: tuple[int, ...], want: Want) -> None:
    place = top_of(sop_class)
    for sequence in path[:-1]:
        place = place.item(sequence)
    assert place.want(path[-1]) is want


X, Z, D = Deed.REMOVED, Deed.EMPTIED, Deed.DUMMY
BY_TYPE = [
    # action: with Type 1, Type 2, Type 3, unknown (PS3.15 E.1.1 and Table E.1-1a)
    (Action.REMOVE, D, Z, X, X),
    (Action.EMPTY, D, Z, Z, Z),
    (Action.DUMMY, D, D, D, D),
    (Action.REMOVE_OR_EMPTY, D, Z, X, Z),
    (Action.REMOVE_OR_DUMMY, D, Z, X, D),
    (Action.EMPTY_OR_DUMMY, D, Z, Z, D),
    (Action.REMOVE_EMPTY_OR_DUMMY, D, Z, X, D),
]


@pytest.mark.parametrize("row", BY_TYPE, ids=lambda row: row[0].value)
def test_how_a_value_goes_depends_on_the_type(row: tuple[Action, Deed, Deed, Deed, Deed]) -> None:
    wants = (Want.NEEDS_A_VALUE, Want.MAY_BE_EMPTY, Want.MAY_GO, Want.UNKNOWN)
    assert tuple(gone(row[0], "LO", want).deed for want in wants) == row[1:]


@pytest.mark.parametrize(
    ("text", "is_plain"),
    [
        ("T1 AX POST 3.0mm", True),
        ("t2_tse_sag", True),
        ("Thorax/Abdomen, 120 kV", True),
        ("Dr Smith", False),
        ("CHEST 12345", False),
        ("CHEST 120", False),
        ("CHEST 1.2345", False),
        ("chest\u0301", False),
        ("chest " * 12, False),
        ("٣ mm", False),
        ("\x0b", False),
        ("01/02/45", False),
        ("12.03.45", False),
        ("12-03-45", False),
        ("CHEST 06 12 34 56 78", False),
        ("CHEST 3.0 / 1.5", False),
        ("CHEST 3.0mm 1.5mm", True),
        ("CHEST 1-2", True),
        ("t1 2 t2 3", True),
    ],
)
def test_a_description_stays_when_all_of_it_is_known(text: str, is_plain: bool) -> None:
    assert is_plain_description(text) is is_plain


def test_words_of_the_site_are_known_too() -> None:
    assert is_plain_description("CHEST HOUSEPROTOCOL", frozenset({"houseprotocol"}))
    assert not is_plain_description("CHEST HOUSEPROTOCOL")


def test_the_keep_list_gives_a_reason_and_holds_legal_code_strings() -> None:
    assert all(len(reason) > 5 for reason in reasons().values())
    every = keep_list().terms.union(*keep_list().texts.values())
    assert len(every) > 700
    assert not any("\n" in one or one != one.strip() for one in every)
    assert all(len(one) <= 16 for one in keep_list().terms)
