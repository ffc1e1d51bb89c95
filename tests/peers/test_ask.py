"""C-FIND against a real Orthanc: what it names, what a study waits for, and what is not known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import peer_tool
from tests.peers.namespace import run_in_namespace

pytestmark = [pytest.mark.peer, pytest.mark.slow]


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("ask")
    run_in_namespace("ask_in_namespace", folder, peer_tool("Orthanc"), within_s=120)
    return json.loads(Path(folder / "facts.json").read_text())


def test_archive_names_every_object_of_the_study_and_nothing_before_it_has_it(facts: Any) -> None:
    assert facts["before"] == []
    assert facts["named"] == facts["all"]
    assert len(facts["all"]) == 9


def test_asked_back_it_names_what_it_has_of_a_series(facts: Any) -> None:
    assert facts["back"] == facts["wanted"]


def test_study_waits_for_the_objects_that_the_archive_has_and_we_have_not(facts: Any) -> None:
    assert facts["waits"] == [
        "pacs names 9 objects, 3 are not here",
        "pacs names 9 objects, all are here; asked again in 30 s",
    ]
    assert facts["complete"] == "pacs names 9 objects, all are here; it named the same 30 s before"
    assert facts["jobs"] == 1


def test_archive_that_does_not_know_us_is_not_known_and_never_empty(facts: Any) -> None:
    assert facts["stranger"] == "no answer to C-FIND: time-out, abort or lost connection"
    # The archive closes at once behind its rejection: on a busy machine the close is all that is seen.
    assert facts["wrong"].startswith(("association rejected", "the association was not answered"))
