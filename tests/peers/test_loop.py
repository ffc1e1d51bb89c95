"""The five series of a head CT by storescu into an archive that forwards all it has, results too, again and again."""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import TypeAdapter
from pydicom import dcmread
from tests.conftest import ROOT, data_folder, peer_tool
from tests.peers.house import Order
from tests.peers.loop_in_namespace import FORWARDED_AGAIN, Facts
from tests.peers.namespace import run_in_namespace
from tests.peers.way import RUN_S, SEG, SR

from bridge.store.decisions import Decisions
from bridge.store.jobs import Decision, Job, Jobs
from bridge.store.tables import Index

pytestmark = [pytest.mark.peer, pytest.mark.slow]

HEAD = "ct-head-phantom-philips"


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    facts: Facts
    jobs: list[Job]
    decisions: list[Decision]
    folder: Path
    study: Path


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> Loop:
    folder = tmp_path_factory.mktemp("loop")
    order = Order(
        folder=folder,
        orthanc=peer_tool("Orthanc"),
        storescu=peer_tool("storescu"),
        studies=(data_folder(HEAD),),
    )
    (folder / "rules.toml").write_text(_example_rule_gone_live())
    (folder / "order.json").write_bytes(TypeAdapter(Order).dump_json(order))
    run_in_namespace("loop_in_namespace", folder / "order.json", within_s=RUN_S, log=folder / "bridge.log")
    facts = TypeAdapter(Facts).validate_json((folder / "facts.json").read_bytes())
    index = Index(folder / "data" / "index.sqlite")
    try:
        store = Jobs(index)
        return Loop(
            facts=facts,
            jobs=store.all(),
            decisions=Decisions(index).all(),
            folder=folder,
            study=order.studies[0],
        )
    finally:
        index.close()


def _example_rule_gone_live() -> str:
    """The head rule of config/rules.toml, with an algorithm of the sandbox."""
    text = (ROOT / "config" / "rules.toml").read_text()
    rule = text[text.index("[rules.head]") :]
    rule = rule.replace('"explain"', '"live"').replace('"head-ct-segmentation"', '"identity-mask"')
    assert tomllib.loads(rule)["rules"]["head"]["mode"] == "live"
    return rule


def test_every_object_arrived_and_came_again(loop: Loop) -> None:
    assert loop.facts.sent.status == 0, loop.facts.sent.output
    images = sum(1 for file in loop.study.rglob("*") if file.is_file())
    kept = Counter(line["event"] for line in loop.facts.log)
    assert len(loop.facts.filed) == images + 2
    assert kept["rule.decided"] >= 1


def test_archive_that_forwards_everything_back_gets_one_job_one_seg_one_sr(loop: Loop) -> None:
    classes = Counter(one.sop_class_uid for one in loop.facts.filed)
    ledger = (loop.folder / "cloud" / "ledger.jsonl").read_text().splitlines()
    figures = f"jobs {len(loop.jobs)}, cloud jobs {len(ledger)}, SEG {classes[SEG]}, SR {classes[SR]}"
    print(f"\nforwarded {1 + FORWARDED_AGAIN} times: {figures}")
    assert (loop.facts.jobs_before, len(loop.jobs), len(ledger)) == (1, 1, 1)
    assert (classes[SEG], classes[SR]) == (1, 1)
    assert loop.jobs[0].state == "done", loop.jobs[0].reason


def test_bridge_noted_its_own_results_when_they_came_back(loop: Loop) -> None:
    index = Index(loop.folder / "data" / "index.sqlite")
    try:
        events = [one.event for one in Jobs(index).timeline(loop.jobs[0].id)]
    finally:
        index.close()
    assert "result.came-back" in events


def test_example_rule_takes_the_whole_volume_of_five_series(loop: Loop) -> None:
    whole = {
        str(dcmread(file, stop_before_pixels=True).SOPInstanceUID) for file in _files(loop.study, "S2010")
    }
    (seg,) = (one for one in loop.facts.filed if one.sop_class_uid == SEG)
    (file,) = (loop.folder / "data" / "jobs" / loop.jobs[0].id / "results").glob("*seg*")
    written = dcmread(file, stop_before_pixels=True)
    assert str(written.SOPInstanceUID) == seg.sop_instance_uid
    named = {
        str(one.ReferencedSOPInstanceUID)
        for series in written.ReferencedSeriesSequence
        for one in series.ReferencedInstanceSequence
    }
    assert named == whole


def test_every_other_series_is_explained(loop: Loop) -> None:
    (decision,) = loop.decisions
    (given,) = json.loads(decision.explanation)["inputs"]
    chosen = [one for one in given["candidates"] if one["chosen"]]
    others = [one for one in given["candidates"] if not one["chosen"]]
    assert len(chosen) == 1 and len(others) == 4
    assert all(one["reason"] for one in others)


def _files(study: Path, series: str) -> list[Path]:
    return [file for file in (study / series).rglob("*") if file.is_file()]
