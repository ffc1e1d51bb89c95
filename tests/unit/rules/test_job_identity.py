"""The job id: one vector computed elsewhere, and everything that must or must not change it."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.rules import job_id

KEY = bytes(range(32))
WORK: dict[str, Any] = {
    "rule": "lungs",
    "platform": "gc",
    "algorithm": "lungs-and-airways",
    "version": "2.1",
    "study_instance_uid": "1.2.3",
    "inputs": {"ct-image": "c1", "pet": "c2"},
    "values": {"threshold": 0.5, "words": ["ä", True, None]},
    "rerun": 0,
}


def test_the_id_is_the_one_that_another_program_computes() -> None:
    # openssl mac -macopt hexkey:0001...1f -macopt size:16 -macopt custom:'bridge job id' -in FILE BLAKE2BMAC
    # FILE: {"algorithm":"lungs-and-airways","inputs":{"ct-image":"c1","pet":"c2"},"platform":"gc","rerun":0,
    # "rule":"lungs","study_instance_uid":"1.2.3","values":{"threshold":0.5,"words":["\u00e4",true,null]},
    # "version":"2.1"} on one line, without its end
    assert job_id(KEY, **WORK) == "ba0f2b9b9bc5b171fb9945cec00fa525"


CHANGES: list[dict[str, Any]] = [
    {"rule": "lungs2"},
    {"platform": "gc2"},
    {"algorithm": "lungs"},
    {"version": ""},
    {"study_instance_uid": "1.2.4"},
    {"inputs": {"ct-image": "c2", "pet": "c1"}},
    {"inputs": {"ct-image": "c1"}},
    {"values": {}},
    {"values": {"threshold": 0.5, "words": ["ä", True]}},
    {"rerun": 1},
    {"repairs": {"ct-image": ["shear"]}},
    {"repairs": {"pet": ["shear"]}},
    {"repairs": {"ct-image": ["shear", "resample-gaps"]}},
    {"rule": "gc", "platform": "lungs"},
]


def test_every_part_of_the_work_is_part_of_its_name() -> None:
    ids = {job_id(KEY, **{**WORK, **change}) for change in ({}, *CHANGES)} | {job_id(KEY[::-1], **WORK)}
    assert len(ids) == len(CHANGES) + 2


def test_the_order_in_which_inputs_and_values_are_named_is_not() -> None:
    turned = {name: dict(reversed(WORK[name].items())) for name in ("inputs", "values")}
    assert job_id(KEY, **{**WORK, **turned}) == job_id(KEY, **WORK)


@pytest.mark.parametrize("repairs", [{}, {"ct-image": ()}, None])
def test_a_job_without_repairs_has_the_name_that_it_had_before_there_were_any(repairs: Any) -> None:
    assert job_id(KEY, **WORK, repairs=repairs) == job_id(KEY, **WORK)


@pytest.mark.parametrize("key", [b"", bytes(15), bytes(65)])
def test_a_key_that_protects_nothing_is_refused(key: bytes) -> None:
    with pytest.raises(ValueError, match="16 to 64"):
        job_id(key, **WORK)


def test_a_value_that_json_cannot_say_is_refused() -> None:
    with pytest.raises(ValueError):
        job_id(KEY, **{**WORK, "values": {"x": float("nan")}})
