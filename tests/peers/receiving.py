"""A real receiver over a real store, in a folder of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bridge.receive.listening import Listening, Peer
from bridge.receive.scp import Receiver
from bridge.store.instances import Instances
from bridge.store.refusals import Refusals
from bridge.store.tables import Index


@contextmanager
def receiving(folder: Path, *, calling: str) -> Iterator[int]:
    """Receive on loopback from one AE title into `folder`, with the settings that a site gets; yields the port."""
    folder.mkdir()
    index = Index(folder / "index.sqlite")
    index.open()
    listening = Listening(
        ae_title="BRIDGE",
        host="127.0.0.1",
        port=0,
        peers=(Peer(name="scanner", ae_title=calling, quiet_s=30.0),),
        any_calling_ae=False,
        quiet_s=30.0,
        maximum_associations=25,
        maximum_pdu_bytes=131072,
        maximum_instance_bytes=1 << 32,
        acse_timeout_s=30.0,
        dimse_timeout_s=60.0,
        network_timeout_s=60.0,
    )
    receiver = Receiver(listening, Instances(index, folder / "instances", key=b"k" * 32), Refusals(index))
    receiver.start()
    try:
        yield receiver.port
    finally:
        receiver.drain(10.0)
        index.close()
