"""The short form of `make canaries`, and the parts that it stands on."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from tests.canaries import campaign, sources, ways
from tests.canaries.platforms import PLATFORMS, UNDOCUMENTED
from tests.canaries.search import Searcher
from tests.canaries.tap import tap
from tests.canaries.ways import Row

from bridge.platforms import names


def test_every_platform_of_the_registry_has_a_way() -> None:
    assert set(names()) == set(PLATFORMS)


def test_the_tap_records_what_every_origin_reads(tmp_path: Path) -> None:
    from bridge.sandbox.grand_challenge import Sandbox

    with tap() as wire, Sandbox(tmp_path) as sandbox:
        with httpx.Client(verify=str(sandbox.ca_file)) as client:
            client.get(f"{sandbox.base_url}users/", headers={"X-Mark": "CNRY000001Z"})
            client.post(f"{sandbox.base_url}uploads/", json={"filename": "CNRY000002Z"})
            client.put(sandbox.store.url + "/CNRY000003Z", content=b"CNRY000004Z")
        sent = wire.requests()
    searcher = Searcher.of_texts([f"CNRY00000{n}Z" for n in range(1, 5)])
    assert [one.line.split()[0] for one in sent] == ["GET", "POST", "PUT"]
    assert len({one.port for one in sent}) == 2
    where = [(searcher.search(one.head).marks, searcher.search(one.body).marks) for one in sent]
    assert where == [
        ({"CNRY000001Z"}, set()),
        (set(), {"CNRY000002Z"}),
        ({"CNRY000003Z"}, {"CNRY000004Z"}),
    ]


@pytest.mark.slow
def test_a_made_object_holds_a_mark_in_every_attribute_that_can_hold_one() -> None:
    study = sources.MADE["WSI"]()
    assert len(study.marks.planted) > 20_000
    assert Searcher(study.wanted).search(study.files[0]).marks == study.marks.planted.keys()


def test_a_campaign_that_is_short_of_something_says_of_what() -> None:
    def row(source: str, format: str, way: str, refused: str = "", objects: int = 1) -> Row:
        return Row(source=source, format=format, way=way, planted=9, objects=objects, refused=refused)

    good = [
        row("CT", "mha", "gc"),
        row("US", "mha", "gc", "RUN-004", 0),
        row("US", "dicom", "file", "DEI-009", 0),
    ]
    good.append(row("CT", "dicom", "file"))
    assert campaign.wrong(good) == []
    assert campaign.wrong([*good, row("MR", "mha", "gc", "CLD-001")]) == ["MR, mha, gc: CLD-001, not left"]
    assert campaign.wrong([*good, row("US", "dicom", "file")]) == ["US, dicom, file: left, not DEI-009"]
    assert campaign.wrong([*good, row("MR", "mha", "gc", objects=0)]) == ["MR, mha, gc: nothing was sent"]
    assert campaign.wrong([*good, row("CT", "nii", "vpe", "then EXP-009")])[1:] == [
        "nothing left as nii to vpe"
    ]


def test_every_format_of_the_virtual_patient_engine_is_sent(tmp_path: Path) -> None:
    from bridge.platforms.virtual_patient_engine.planning import FORMATS

    with PLATFORMS["virtual-patient-engine"](tmp_path) as way:
        assert set(way.formats) == set(FORMATS.values()) - UNDOCUMENTED


@pytest.mark.slow
def test_meshes_hold_words_beside_their_shape() -> None:
    study = sources.with_meshes()
    assert ways.in_sources(study) >= study.raw.keys() and len(study.raw) == 3


@pytest.mark.slow
def test_no_mark_leaves_on_any_way() -> None:
    rows = list(campaign.run(short=True))
    assert [row for row in rows if row.found] == []
    assert campaign.wrong(rows) == []
    assert {row.way for row in rows if row.objects} == {"file", *PLATFORMS}
    assert {row.source for row in rows if not row.objects} == {"US"}
    assert [row.refused for row in rows if row.source == "CT and meshes"] == [""]
