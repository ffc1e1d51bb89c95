"""A hospital in a network namespace of its own: an archive, the sandbox's cloud, `bridge serve`, a scanner's storescu.

What a program in a namespace needs to build it, watch it and write down what it saw. Asserts nothing.
"""

from __future__ import annotations

import fcntl
import json
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter
from tests.peers.orthanc import Orthanc, Peer

SCANNER = "SCANNER"
BRIDGE = "BRIDGE"
BRIDGE_PORT = 11112
PATIENCE_S = 300.0
QUIET_S = 2.0
FINAL = frozenset({"held", "done", "refused", "failed", "cancelled"})

SITE = """\
[bridge]
ae_title = "{bridge}"
data = "data"
rules = "rules.toml"

[receive]
port = {port}
quiet_s = {quiet_s}
reserve_bytes = 0

{source}
host = "127.0.0.1"

[destinations.pacs]
ae_title = "{pacs}"
host = "127.0.0.1"
port = {pacs_port}
retry_s = [1.0, 2.0, 5.0]
{destination}

[accounts.{account}]
platform = "{platform}"
base_url = {base_url}
token_file = {token_file}
ca = {ca}
retry_s = [1.0, 2.0, 5.0]
options = {{ {options} }}
"""
ACCOUNTS = {
    "grand-challenge": ("gc", "poll_first_s = 0.5, poll_s = 0.5"),
    "virtual-patient-engine": ("vpe", 'client_id = "{client_id}", token_url = "{token_url}", poll_s = 0.5'),
}
"""By platform: what its account is called, and the options of that."""

F = TypeVar("F")


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
class House:
    archive: Orthanc
    bridge: subprocess.Popen[str]
    data: Path
    """The bridge's data directory."""

    def wait_for_jobs(self, expected: int) -> None:
        """Until there are so many and every one has ended."""
        wait_for(lambda: all_jobs_ended(self.data, expected), self.bridge)

    def end_bridge(self) -> int:
        self.bridge.terminate()
        return self.bridge.wait(30)


def follow(run: Callable[[Order], F], facts: type[F]) -> None:
    """The whole of such a program: the order that the command line names, and `facts.json` in its folder."""
    order = TypeAdapter(Order).validate_json(Path(sys.argv[1]).read_bytes())
    bring_loopback_up()
    seen = run(order)
    (order.folder / "facts.json").write_bytes(TypeAdapter(facts).dump_json(seen, indent=1))


@contextmanager
def house(
    order: Order,
    *,
    source: str,
    destination: str = "",
    forward_to: str | None = None,
    platform: str = "grand-challenge",
) -> Iterator[House]:
    """Everything started; `rules.toml` lies in the order's folder.

    Args:
        source: the section of the one source, with its `ae_title`.
        destination: more settings of the archive as a destination.
        forward_to: where the archive sends whatever it stores.
        platform: whose sandbox is the cloud.
    """
    account, options = ACCOUNTS[platform]
    folder = order.folder
    archive = Orthanc(
        order.orthanc,
        folder / "orthanc",
        [Peer(ae_title=BRIDGE, port=BRIDGE_PORT), Peer(ae_title=SCANNER, port=104)],
        forward_to=forward_to,
    )
    with ExitStack() as stack:
        cloud = stack.enter_context(program(folder, "cloud", "sandbox", platform, str(folder / "cloud")))
        archive.start()
        stack.callback(archive.stop)
        told = first_line(cloud)
        (folder / "site.toml").write_text(
            SITE.format(
                bridge=BRIDGE,
                port=BRIDGE_PORT,
                quiet_s=QUIET_S,
                source=source.strip(),
                pacs=Orthanc.AE_TITLE,
                pacs_port=Orthanc.PORT,
                destination=destination.strip(),
                account=account,
                platform=platform,
                options=options.format_map(told),
                **{key: json.dumps(told[key]) for key in ("base_url", "token_file", "ca")},
            )
        )
        bridge = stack.enter_context(
            program(folder, "bridge", "serve", "--config", str(folder / "site.toml"))
        )
        wait_for(lambda: listens(BRIDGE_PORT), bridge)
        yield House(archive=archive, bridge=bridge, data=folder / "data")


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


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def job_states(data: Path) -> list[str]:
    from bridge.store.jobs import Jobs
    from bridge.store.tables import Index

    index = Index(data / "index.sqlite")
    try:
        return [job.state for job in Jobs(index).all()]
    finally:
        index.close()


def all_jobs_ended(data: Path, expected: int) -> bool:
    states = job_states(data)
    return len(states) >= expected and all(state in FINAL for state in states)


def wait_for(happened: Callable[[], bool], bridge: subprocess.Popen[str]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not happened():
        if bridge.poll() is not None:
            raise SystemExit(f"the bridge ended with {bridge.returncode}: see bridge.log")
        if time.monotonic() > until:
            raise SystemExit(f"nothing for {PATIENCE_S:.0f} s: see bridge.log")
        time.sleep(0.2)
