"""A real Orthanc is asked what it has of a study, in a network namespace of its own.

    unshare -rn python -m tests.peers.ask_in_namespace FOLDER ORTHANC

Asserts nothing: writes what the world saw into `facts.json`, for `test_ask.py` to judge.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from tests.peers.house import bring_loopback_up
from tests.peers.orthanc import Orthanc, Peer

from bridge.deliver.query import Named, Silent, instances_of, named
from bridge.flow.stages.destinations import address_of
from bridge.sandbox.pacs import send
from intake_bench import Bench
from made_objects import ct_slice


def main() -> None:
    folder, program = Path(sys.argv[1]), sys.argv[2]
    bring_loopback_up()
    archive = Orthanc(
        program, folder / "orthanc", [Peer(ae_title="SCANNER", port=1), Peer(ae_title="BRIDGE", port=1)]
    )
    archive.start()
    try:
        facts = asked(folder, archive)
    finally:
        archive.stop()
    (folder / "facts.json").write_text(json.dumps(facts))


def asked(folder: Path, archive: Orthanc) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    bench = Bench(folder, port=archive.PORT, source='ask = "pacs"')
    address = address_of(bench.site, "pacs")
    here = bench.receive("1.2.3", slices=6)
    late = [ct_slice(number=n, study="1.2.3", series="1.2.3.9") for n in range(3)]
    facts["before"] = shown(instances_of(address, "1.2.3"))
    store(folder, archive, [*here, *late])
    facts["all"] = sorted(str(one.SOPInstanceUID) for one in (*here, *late))
    facts["named"] = shown(instances_of(address, "1.2.3"))
    wanted = [late[0].SOPInstanceUID, late[1].SOPInstanceUID, "1.2.3.4.5"]
    back = named(address, "1.2.3", "1.2.3.9", wanted)
    facts["wanted"], facts["back"] = (
        sorted(wanted[:2]),
        sorted(back) if isinstance(back, set) else back.reason,
    )
    bench.pass_time_answered(30.0)
    facts["waits"] = [bench.study("1.2.3").waits]
    for one in late:
        one.Modality = "MR"
        bench.keep(one)
    bench.pass_time_answered(30.0)
    facts["waits"].append(bench.study("1.2.3").waits)
    bench.pass_time_answered(30.0)
    facts["complete"], facts["jobs"] = bench.study("1.2.3").complete, len(bench.jobs.all())
    facts["stranger"] = shown(instances_of(replace(address, calling_ae_title="STRANGER"), "1.2.3"))
    facts["wrong"] = shown(instances_of(replace(address, ae_title="WRONG"), "1.2.3"))
    return facts


def shown(answer: Named | Silent) -> list[str] | str:
    return sorted(answer.sop_instance_uids) if isinstance(answer, Named) else answer.reason


def store(folder: Path, archive: Orthanc, made: list[Dataset]) -> None:
    files = []
    for one in made:
        files.append(folder / f"{one.SOPInstanceUID}.dcm")
        one.save_as(files[-1], enforce_file_format=True)
    statuses = send(files, port=archive.PORT, called_ae_title=archive.AE_TITLE, calling_ae_title="SCANNER")
    assert statuses == [0] * len(files), statuses


if __name__ == "__main__":
    main()
