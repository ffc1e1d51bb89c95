"""The whole way among real peers: DCMTK's storescu, `bridge serve`, the sandbox's cloud, Orthanc.

    unshare -rn python -m tests.peers.thread_in_namespace ORDER_JSON

Runs in a network namespace of its own, because Orthanc cannot be told to listen on loopback only. Asserts nothing:
writes what the world saw into `facts.json` of the order's folder, for `test_thread.py` to judge.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.peers.house import BRIDGE, BRIDGE_PORT, SCANNER, Order, Sending, follow, house, store
from tests.peers.orthanc import Filed

RULES = """\
[rules.lungs]
mode = "live"
platform = "gc"
algorithm = "lungs-and-airways"
destinations = ["pacs"]

[rules.lungs.inputs.ct-image]
volume = { Modality = "CT", length_mm = { min = 200 } }

# Whatever is brighter than -400 is marked: of an MR, the whole volume, each voxel at its oblique place; and of a head
# CT the head.
[rules.head]
mode = "live"
platform = "gc"
algorithm = "identity-mask"
destinations = ["pacs"]

[rules.head.inputs.ct-image]
volume = { Modality = "CT", length_mm = { max = 199.9 } }

[rules.everything]
mode = "live"
platform = "gc"
algorithm = "identity-mask"
destinations = ["pacs"]

[rules.everything.inputs.ct-image]
volume = { Modality = "MR" }
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    sent: tuple[Sending, ...]
    filed: tuple[Filed, ...]
    """Everything that the archive holds at the end; it lies in `fetched/<SOP Instance UID>.dcm`."""
    orthanc_version: str
    bridge_status: int
    """How the bridge ended when it was told to."""
    seconds: dict[str, float]


def run(order: Order) -> Facts:
    folder = order.folder
    (folder / "rules.toml").write_text(RULES)
    seconds: dict[str, float] = {}
    with (
        house(order, source=f'[sources.scanner]\nae_title = "{SCANNER}"') as there,
        kept_uploads(folder / "cloud" / "store", folder / "uploaded"),
    ):
        archive, sent = there.archive, []
        for study in order.studies:
            # As in a hospital: the scanner's images go to the archive, and to the bridge.
            for ae_title, port in ((archive.AE_TITLE, archive.PORT), (BRIDGE, BRIDGE_PORT)):
                begun = time.monotonic()
                sent.append(store(order.storescu, study, ae_title, port))
                seconds[f"storescu {study.name} to {ae_title}"] = time.monotonic() - begun
        begun = time.monotonic()
        there.wait_for_jobs(len(order.studies))
        seconds["from the last image sent to the last job done"] = time.monotonic() - begun
        # Stopped first: from here on nothing can arrive any more.
        status = there.end_bridge()
        filed = archive.everything()
        fetched = folder / "fetched"
        fetched.mkdir()
        for one in filed:
            (fetched / f"{one.sop_instance_uid}.dcm").write_bytes(archive.file(one.orthanc_id))
        return Facts(
            sent=tuple(sent),
            filed=tuple(filed),
            orthanc_version=archive.ask("/system")["Version"],
            bridge_status=status,
            seconds=seconds,
        )


@contextmanager
def kept_uploads(store: Path, kept: Path) -> Iterator[None]:
    """Give every object that is uploaded a second name: the cloud deletes it when it has imported it."""
    kept.mkdir()
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.005):
            for file in (store / "grand-challenge-uploads").rglob("*"):
                link = kept / "-".join(file.relative_to(store).parts[1:])
                with suppress(FileNotFoundError):  # gone between two lines of ours
                    if file.is_file() and not link.exists():
                        link.hardlink_to(file)

    watcher = threading.Thread(target=look, name="uploads", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join(5)


if __name__ == "__main__":
    follow(run, Facts)
