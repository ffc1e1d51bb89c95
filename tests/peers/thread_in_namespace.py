"""The whole way among real peers: DCMTK's storescu, `bridge serve`, the sandbox's cloud, Orthanc.

    unshare -rn python -m tests.peers.thread_in_namespace ORDER_JSON

Runs in a network namespace of its own, because Orthanc cannot be told to listen on loopback only. Asserts nothing:
writes what the world saw into `facts.json` of the order's folder, for `test_thread.py` to judge.
"""

from __future__ import annotations

import fcntl
import json
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from tests.peers.orthanc import Filed, Orthanc, Peer

SCANNER = "SCANNER"
BRIDGE = "BRIDGE"
BRIDGE_PORT = 11112
PATIENCE_S = 300.0
FINAL = frozenset({"held", "done", "refused", "failed", "cancelled"})

SITE = """\
[bridge]
ae_title = "{bridge}"
data = "data"
rules = "rules.toml"

[receive]
port = {port}
quiet_s = 2.0
reserve_bytes = 0

[sources.scanner]
ae_title = "{scanner}"
host = "127.0.0.1"

[destinations.pacs]
ae_title = "{pacs}"
host = "127.0.0.1"
port = {pacs_port}
retry_s = [1.0, 2.0, 5.0]

[accounts.gc]
platform = "grand-challenge"
base_url = {base_url}
token_file = {token_file}
ca = {ca}
retry_s = [1.0, 2.0, 5.0]
options = {{ poll_first_s = 0.5, poll_s = 0.5 }}
"""

RULES = """\
[rules.lungs]
mode = "live"
platform = "gc"
algorithm = "lungs-and-airways"
destinations = ["pacs"]

[rules.lungs.inputs.ct-image]
volume = { Modality = "CT", length_mm = { min = 200 } }

# Whatever is brighter than -400 is marked: of an MR, the whole volume, each voxel at its oblique place.
[rules.everything]
mode = "live"
platform = "gc"
algorithm = "identity-mask"
destinations = ["pacs"]

[rules.everything.inputs.ct-image]
volume = { Modality = "MR" }
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    folder: Path
    orthanc: str
    storescu: str
    studies: tuple[Path, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """What storescu said about one study."""

    study: str
    called_ae_title: str
    status: int
    output: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    sent: tuple[Sending, ...]
    filed: tuple[Filed, ...]
    """Everything that the archive holds at the end; it lies in `fetched/<SOP Instance UID>.dcm`."""
    orthanc_version: str
    bridge_status: int
    """How the bridge ended when it was told to."""
    seconds: dict[str, float]


def main() -> None:
    order = TypeAdapter(Order).validate_json(Path(sys.argv[1]).read_bytes())
    bring_loopback_up()
    facts = run(order)
    (order.folder / "facts.json").write_bytes(TypeAdapter(Facts).dump_json(facts, indent=1))


def run(order: Order) -> Facts:
    folder = order.folder
    archive = Orthanc(
        order.orthanc,
        folder / "orthanc",
        [Peer(ae_title=BRIDGE, port=BRIDGE_PORT), Peer(ae_title=SCANNER, port=104)],
    )
    seconds: dict[str, float] = {}
    with ExitStack() as stack:
        cloud = stack.enter_context(
            program(folder, "cloud", "sandbox", "grand-challenge", str(folder / "cloud"))
        )
        archive.start()
        stack.callback(archive.stop)
        stack.enter_context(kept_uploads(folder / "cloud" / "store", folder / "uploaded"))
        write_configuration(folder, first_line(cloud))
        bridge = stack.enter_context(
            program(folder, "bridge", "serve", "--config", str(folder / "site.toml"))
        )
        wait_for(lambda: listens(BRIDGE_PORT), bridge)
        sent = []
        for study in order.studies:
            # As in a hospital: the scanner's images go to the archive, and to the bridge.
            for ae_title, port in ((archive.AE_TITLE, archive.PORT), (BRIDGE, BRIDGE_PORT)):
                begun = time.monotonic()
                sent.append(store(order.storescu, study, ae_title, port))
                seconds[f"storescu {study.name} to {ae_title}"] = time.monotonic() - begun
        begun = time.monotonic()
        wait_for(lambda: all_jobs_ended(folder / "data", len(order.studies)), bridge)
        seconds["from the last image sent to the last job done"] = time.monotonic() - begun
        # Stopped first: from here on nothing can arrive any more.
        bridge.terminate()
        status = bridge.wait(30)
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


def bring_loopback_up() -> None:
    """`ip link set lo up` without iproute2 (netdevice(7)).

    Refuses to go on where there is another interface: what is started here listens on all of them.
    """
    names = [name for _, name in socket.if_nameindex()]
    if names != ["lo"]:
        raise SystemExit(f"not in a network namespace of its own: {', '.join(names)}")
    get_flags, set_flags, up = 0x8913, 0x8914, 0x1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sH14x", b"lo", 0)
        (flags,) = struct.unpack_from("H", fcntl.ioctl(any_socket, get_flags, request), 16)
        fcntl.ioctl(any_socket, set_flags, struct.pack("16sH14x", b"lo", flags | up))


def write_configuration(folder: Path, cloud: dict[str, Any]) -> None:
    site = SITE.format(
        bridge=BRIDGE,
        port=BRIDGE_PORT,
        scanner=SCANNER,
        pacs=Orthanc.AE_TITLE,
        pacs_port=Orthanc.PORT,
        base_url=json.dumps(cloud["base_url"]),
        token_file=json.dumps(cloud["token_file"]),
        ca=json.dumps(cloud["ca"]),
    )
    (folder / "site.toml").write_text(site)
    (folder / "rules.toml").write_text(RULES)


def store(storescu: str, study: Path, called_ae_title: str, port: int) -> Sending:
    """`-R` proposes what the files need: the fixed list of storescu has no room for all classes."""
    done = subprocess.run(
        [
            storescu,
            "-R",
            "-aet",
            SCANNER,
            "-aec",
            called_ae_title,
            "+sd",
            "+r",
            "127.0.0.1",
            str(port),
            str(study),
        ],
        capture_output=True,
        timeout=PATIENCE_S,
        check=False,
    )
    return Sending(
        study=study.name,
        called_ae_title=called_ae_title,
        status=done.returncode,
        output=(done.stdout + done.stderr).decode(errors="replace"),
    )


@contextmanager
def program(folder: Path, name: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    with (folder / f"{name}.log").open("a") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "bridge", *arguments], stdout=subprocess.PIPE, stderr=log, text=True
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


def first_line(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    line: dict[str, Any] = json.loads(process.stdout.readline())
    return line


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


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def all_jobs_ended(data: Path, expected: int) -> bool:
    from bridge.store.jobs import Jobs
    from bridge.store.tables import Index

    index = Index(data / "index.sqlite")
    try:
        states = [job.state for job in Jobs(index).all()]
    finally:
        index.close()
    return len(states) >= expected and all(state in FINAL for state in states)


def wait_for(happened: Callable[[], bool], bridge: subprocess.Popen[str]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not happened():
        if bridge.poll() is not None:
            raise SystemExit(f"the bridge ended with {bridge.returncode}: see bridge.log")
        if time.monotonic() > until:
            raise SystemExit(f"nothing for {PATIENCE_S:.0f} s: see bridge.log")
        time.sleep(0.2)


if __name__ == "__main__":
    main()
