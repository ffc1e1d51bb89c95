"""Which of dciodvfy's errors are the source's: only an identifier that must be kept, with the same value."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.peers.validators import errors_of_ours

from bridge.sandbox.phantom import make_study

pytestmark = pytest.mark.peer


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    clean = make_study(when=datetime(2024, 3, 5, tzinfo=UTC), scale=0.2).datasets[1]

    def write(**values: str) -> Path:
        file = tmp_path_factory.mktemp("one") / "instance.dcm"
        changed = deepcopy(clean)
        for keyword, value in values.items():
            setattr(changed, keyword, value)
        changed.save_as(file, enforce_file_format=True)
        return file

    return write


LONG, OTHER_LONG = "A" * 20, "B" * 20


@pytest.mark.filterwarnings("ignore:The value length", "ignore:Invalid value for VR")
@pytest.mark.parametrize(
    ("result", "source", "ours"),
    [
        pytest.param({}, {}, 0, id="nothing wrong"),
        pytest.param({"AccessionNumber": LONG}, {"AccessionNumber": LONG}, 0, id="kept as it came"),
        pytest.param({"AccessionNumber": LONG}, {}, 1, id="not wrong in the source"),
        pytest.param({"AccessionNumber": LONG}, {"AccessionNumber": OTHER_LONG}, 1, id="wrong, but changed"),
        pytest.param(
            {"PatientAge": "42"}, {"PatientAge": "42"}, 1, id="wrong in the source, and no identifier"
        ),
    ],
)
def test_only_a_kept_identifier_with_the_same_value_is_the_sources_error(
    written: Callable[..., Path], result: dict[str, str], source: dict[str, str], ours: int
) -> None:
    assert len(errors_of_ours(written(**result), [written(**source)])) == ours
