from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest
from tests.conftest import ROOT
from tests.unit.results.build import (
    AT,
    LUNGS,
    answer,
    made_geometry,
    made_source,
    mask_part,
    read_back,
    value_part,
    wrapping,
)

from bridge.errors import Refused
from bridge.results.encoders import ENCODERS, encode
from bridge.results.output import Output, OutputKind
from bridge.results.result import Answer, Part, Result, Source
from bridge.results.use import Use

pytestmark = pytest.mark.filterwarnings("ignore")


def whole_answer() -> Answer:
    mask = np.zeros((4, 5, 6), np.uint8)
    mask[1:3, 1:4, 2:5] = 3
    mask[2, 0, 0] = 7
    return answer(
        mask_part(mask, made_geometry().affine_lps, LUNGS),
        value_part("score", 0.25),
        value_part("normal", True),
    )


def encoded(source: Source | None = None, **other: Any) -> tuple[Result, ...]:
    return encode(whole_answer(), source or made_source(), wrapping(**other))


AGAIN = """
import hashlib, sys, warnings
warnings.simplefilter("ignore")
from tests.unit.results.test_encoders import encoded
print(*(hashlib.sha256(one.data).hexdigest() for one in encoded()))
"""


def test_two_processes_at_two_times_make_the_same_bytes() -> None:
    here = [hashlib.sha256(one.data).hexdigest() for one in encoded()]
    time.sleep(1.1)  # the libraries write whole seconds
    done = subprocess.run(
        [sys.executable, "-c", AGAIN],
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'src'}", "PYTHONHASHSEED": "99", "TZ": "Pacific/Kiritimati"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.split() == here


def test_order_of_the_outputs_does_not_matter() -> None:
    turned = Answer(parts=whole_answer().parts[::-1])
    assert [one.data for one in encode(turned, made_source(), wrapping())] == [one.data for one in encoded()]


@pytest.mark.parametrize("other", [{"job": "job-2"}, {"key": b"z" * 32}])
def test_another_job_or_installation_has_other_uids_throughout(other: dict[str, Any]) -> None:
    def uids(results: tuple[Result, ...]) -> set[str]:
        found: set[str] = set()
        for one in results:
            data_set = read_back(one.data)
            for keyword in ("SOPInstanceUID", "SeriesInstanceUID"):
                found.add(str(data_set[keyword].value))
            for item in data_set.get("DimensionOrganizationSequence", ()):
                found.add(str(item.DimensionOrganizationUID))
            for item in data_set.get("SegmentSequence", ()):
                found.add(str(item.TrackingUID))
        return found

    assert uids(encoded()).isdisjoint(uids(encoded(**other)))


def test_dimension_uid_is_one_within_the_object() -> None:
    made = read_back(encoded()[0].data)
    (organisation,) = made.DimensionOrganizationSequence
    assert {one.DimensionOrganizationUID for one in made.DimensionIndexSequence} == {
        organisation.DimensionOrganizationUID
    }


def test_no_clock_of_the_machine_is_in_a_result() -> None:
    for result in encoded():
        text = result.data.decode("latin-1")
        assert datetime.now().astimezone().strftime("%Y%m%d") not in text
        assert AT.strftime("%Y%m%d") in text


def test_series_number_follows_from_base_and_rule() -> None:
    def number(**other: Any) -> int:
        return int(read_back(encoded(**other)[0].data).SeriesNumber)

    assert number() == number(job="another")
    assert number(series_number_base=100) == number() - 8900
    assert number(rule="another") != number()


def test_outputs_nobody_can_encode_are_named() -> None:
    lines = Output(name="outline", kind=OutputKind.POLYGONS, media_type="application/json", ref="s")
    parts = (*whole_answer().parts, Part(output=lines, content=None))
    results = encode(Answer(parts=parts), made_source(), wrapping())
    assert "outline: a polygons has no encoder and stays with the job" in results[0].notes


@pytest.mark.parametrize(
    ("given", "other"),
    [
        (answer(), {}),
        (answer(value_part("words", "abc")), {}),
        (answer(value_part("score", 1.0)), {"measurement_report": False}),
        (whole_answer(), {"segmentation": False, "measurement_report": False}),
        (answer(Part(output=whole_answer().parts[0].output, content=None)), {}),
    ],
)
def test_an_answer_of_which_nothing_becomes_a_result_is_refused(given: Answer, other: dict[str, Any]) -> None:
    with pytest.raises(Refused) as caught:
        encode(given, made_source(), wrapping(**other))
    assert caught.value.code == "RES-060"
    assert "abc" not in str(caught.value)


def test_values_of_another_shape_are_refused() -> None:
    source = made_source()
    with pytest.raises(Refused) as caught:
        replace(source, values=source.values[1:])
    assert caught.value.code == "RES-001"


def test_there_is_an_encoder_for_every_use() -> None:
    assert set(ENCODERS) == set(Use)


LIGHT = """
import sys
import bridge.results, bridge.results.encoders, bridge.results.result, bridge.results.output
heavy = {"highdicom", "SimpleITK"} & set(sys.modules)
sys.exit(f"loaded: {heavy}" if heavy else 0)
"""


def test_importing_the_room_loads_no_heavy_library() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIGHT],
        env={"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_errors_and_notes_hold_no_value_of_the_patient() -> None:
    source = made_source(PatientAge="60", PatientSex="f")
    said = " ".join(note for result in encoded(source) for note in result.notes)
    said += repr(encoded(source)) + repr(wrapping())
    assert "PatientAge" in said
    for secret in ("Muster", "P-1", "A-1", "kkkk"):
        assert secret not in said


def test_dates_and_times_are_those_of_the_job() -> None:
    later = read_back(encoded(at=AT + timedelta(hours=12))[0].data)
    assert (later.ContentDate, later.ContentTime) == ("20260204", "020506.789000")
