"""Series that are no plain stack, among real peers: a multi-frame twin, one of four volumes, a tilted gantry.

    unshare -rn python -m tests.peers.forms_in_namespace ORDER_JSON

Asserts nothing: writes what the world saw into `facts.json` of the order's folder, for `test_forms.py` to judge.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.peers.house import BRIDGE, BRIDGE_PORT, SCANNER, Order, Sending, follow, house, store
from tests.peers.orthanc import Filed

RULES = """\
[rules.head]
mode = "live"
platform = "gc"
algorithm = "identity-mask"
destinations = ["pacs"]

[rules.head.inputs.ct-image]
volume = { Modality = "CT" }
repair = ["shear"]

[rules.first-echo]
mode = "live"
platform = "gc"
algorithm = "identity-mask"
destinations = ["pacs"]

[rules.first-echo.inputs.ct-image]
volume = { Modality = "MR", EchoTime = { max = 8 }, ImageType = { contains = "M_FFE" } }
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    sent: tuple[Sending, ...]
    filed: tuple[Filed, ...]
    """Everything that the archive holds at the end; it lies in `fetched/<SOP Instance UID>.dcm`."""


def run(order: Order) -> Facts:
    folder = order.folder
    (folder / "rules.toml").write_text(RULES)
    with house(order, source=f'[sources.scanner]\nae_title = "{SCANNER}"') as there:
        archive = there.archive
        sent = [
            store(order.storescu, study, ae_title, port)
            for study in order.studies
            for ae_title, port in ((archive.AE_TITLE, archive.PORT), (BRIDGE, BRIDGE_PORT))
        ]
        there.wait_for_jobs(len(order.studies))
        there.end_bridge()
        filed = archive.everything()
        fetched = folder / "fetched"
        fetched.mkdir()
        for one in filed:
            (fetched / f"{one.sop_instance_uid}.dcm").write_bytes(archive.file(one.orthanc_id))
        return Facts(sent=tuple(sent), filed=tuple(filed))


if __name__ == "__main__":
    follow(run, Facts)
