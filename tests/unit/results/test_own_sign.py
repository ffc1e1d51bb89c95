"""What tells a result from everything else when it comes back: its equipment, and its root when the site has one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pydicom.dataset import Dataset
from tests.unit.results.build import made_source, read_back, wrapping
from tests.unit.results.test_encoders import whole_answer

from bridge.dicom.equipment import made_by_a_bridge
from bridge.results.encoders import encode
from bridge.results.result import Result

pytestmark = pytest.mark.filterwarnings("ignore")

ROOT = "1.2.826.0.1.3680043.9.77"


@pytest.fixture(scope="module")
def results() -> tuple[Result, ...]:
    return encode(whole_answer(), made_source(), wrapping(uid_root=ROOT, device_uid="1.9.9"))


def uids(data_set: Dataset) -> Iterator[tuple[str, str]]:
    for element in data_set:
        if element.VR == "SQ":
            for item in element.value:
                yield from uids(item)
        elif element.VR == "UI":
            for value in element.value if element.VM > 1 else [element.value]:
                yield element.keyword, str(value)


def test_every_result_bears_the_sign_of_a_bridge(results: tuple[Result, ...]) -> None:
    assert len(results) >= 3
    assert all(made_by_a_bridge(read_back(one.data)) for one in results)


def test_source_does_not_bear_it() -> None:
    assert not any(made_by_a_bridge(one.header) for one in made_source().volume.instances)


def test_every_uid_that_a_result_is_given_lies_under_the_root(results: tuple[Result, ...]) -> None:
    for one in results:
        found = list(uids(read_back(one.data)))
        assert [uid for _, uid in found if uid.startswith("2.25.")] == []
        below = {keyword for keyword, uid in found if uid.startswith(f"{ROOT}.")}
        assert {"SOPInstanceUID", "SeriesInstanceUID"} <= below
        assert max(len(uid) for _, uid in found) <= 64
