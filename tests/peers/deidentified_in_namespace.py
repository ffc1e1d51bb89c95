"""De-identified objects are stored in a real Orthanc, in a network namespace of its own.

    unshare -rn python -m tests.peers.deidentified_in_namespace FOLDER ORTHANC

Sends every file of FOLDER/made. Asserts nothing: writes what the archive has into `facts.json`, for
`test_deidentified_objects.py` to judge.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.peers.house import bring_loopback_up
from tests.peers.orthanc import Orthanc, Peer

from bridge.sandbox.pacs import send


def main() -> None:
    folder, program = Path(sys.argv[1]), sys.argv[2]
    bring_loopback_up()
    archive = Orthanc(program, folder / "orthanc", [Peer(ae_title="SCANNER", port=1)])
    archive.start()
    try:
        made = sorted((folder / "made").iterdir())
        statuses = send(made, port=archive.PORT, called_ae_title=archive.AE_TITLE, calling_ae_title="SCANNER")
        facts = {one.sop_instance_uid: tags(archive, one.orthanc_id) for one in archive.everything()}
    finally:
        archive.stop()
    (folder / "facts.json").write_text(json.dumps({"statuses": statuses, "filed": facts}))


def tags(archive: Orthanc, orthanc_id: str) -> dict[str, object]:
    """What the archive reads in an object as it filed it: names by keyword."""
    found: dict[str, object] = archive.ask(f"/instances/{orthanc_id}/simplified-tags")
    frames: list[str] = archive.ask(f"/instances/{orthanc_id}/frames")
    kept = ("SOPClassUID", "StudyInstanceUID", "SeriesInstanceUID", "PatientID", "PatientIdentityRemoved")
    return {**{name: found.get(name) for name in kept}, "frames": len(frames)}


if __name__ == "__main__":
    main()
