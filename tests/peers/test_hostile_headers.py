"""What validators say of results whose sources break the standard: nothing but about identifiers that are kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.conftest import data_folder
from tests.peers.validators import errors, errors_of_ours
from tests.unit.results.test_hostile_headers import FILES, ROWS, Row, candidates, results_of
from tests.unit.volumes.real import instances_of

from bridge.volumes import candidates_of

pytestmark = [pytest.mark.peer, pytest.mark.filterwarnings("ignore")]


@pytest.mark.parametrize("row", [row for row in ROWS if not row.refused], ids=lambda row: row.name)
def test_results_of_a_header_that_breaks_the_standard_break_no_rule(row: Row, tmp_path: Path) -> None:
    for source, results in results_of(candidates(row, tmp_path)):
        files = []
        for result in results:
            files.append(tmp_path / f"{result.sop_instance_uid}.dcm")
            files[-1].write_bytes(result.data)
            assert errors_of_ours(files[-1], [source.volume.planes[0].instance.file]) == []
        assert errors("dcentvfy", *files) == []


@pytest.mark.parametrize("name", [name for name, volumes, _ in FILES if volumes])
def test_results_of_objects_of_others_break_no_rule(name: str, tmp_path: Path) -> None:
    for source, results in results_of(tuple(candidates_of(instances_of(data_folder(name))))):
        for result in results:
            file = tmp_path / f"{result.kind}.dcm"
            file.write_bytes(result.data)
            assert errors_of_ours(file, [source.volume.planes[0].instance.file]) == []
