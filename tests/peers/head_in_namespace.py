"""A head from the archive to the Virtual Patient Engine's sandbox, and its meshes into the archive.

    unshare -rn python -m tests.peers.head_in_namespace ORDER_JSON

Asserts nothing: writes what the world saw into `facts.json` of the order's folder, for `test_head.py` to judge.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.peers.house import BRIDGE, Order, Sending, follow, house, store
from tests.peers.orthanc import Filed, Orthanc

RULES = """\
[rules.head]
mode = "live"
platform = "vpe"
algorithm = "virtual-patient"
version = "24.06"
destinations = ["pacs"]

[rules.head.inputs.cbct]
volume = { Modality = "CT" }

[rules.head.values]
inputs = { cbct = { extension = ".dcm" } }
outputs = { meshes = [{ structures = ["mandible", "skull"] }] }
options = { mandible = { makeManifold = true, smoothingIterations = 0 } }
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    sent: Sending
    filed: tuple[Filed, ...]
    """Everything that the archive holds at the end; it lies in `fetched/<SOP Instance UID>.dcm`."""


def run(order: Order) -> Facts:
    (study,) = order.studies
    folder = order.folder
    (folder / "rules.toml").write_text(RULES)
    source = f'[sources.pacs]\nae_title = "{Orthanc.AE_TITLE}"'
    with house(order, source=source, platform="virtual-patient-engine", forward_to=BRIDGE) as there:
        archive = there.archive
        sent = store(order.storescu, study, archive.AE_TITLE, archive.PORT)
        there.wait_for_jobs(1)
        there.end_bridge()
        filed = archive.everything()
        fetched = folder / "fetched"
        fetched.mkdir()
        for one in filed:
            (fetched / f"{one.sop_instance_uid}.dcm").write_bytes(archive.file(one.orthanc_id))
        return Facts(sent=sent, filed=tuple(filed))


if __name__ == "__main__":
    follow(run, Facts)
