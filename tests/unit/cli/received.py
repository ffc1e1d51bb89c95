"""Objects of a folder, kept as the receiver keeps them."""

from __future__ import annotations

from pathlib import Path

from tests.unit.cli.site_bench import Bench

from bridge.dicom.headers import read_body, read_header
from bridge.store.instances import Instances

KEY = bytes(32)


def receive(bench: Bench, folder: Path) -> str:
    """Returns the Study Instance UID."""
    secret = bench.site.data / "secret.key"
    secret.write_bytes(KEY)
    secret.chmod(0o600)
    store = Instances(bench.index, bench.site.data / "instances", key=KEY)
    for file in sorted(folder.iterdir()):
        body, syntax = read_body(file)
        header = read_header(body, syntax)
        store.keep(
            encoded=body,
            header=header,
            sop_class_uid=header.uid("SOPClassUID"),
            sop_instance_uid=header.uid("SOPInstanceUID"),
            transfer_syntax_uid=syntax,
            calling_ae_title="CT1",
            source="ct",
            quiet_s=30.0,
        )
    return header.uid("StudyInstanceUID")
