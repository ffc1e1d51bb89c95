"""Files to an Orthanc by DCMTK's storescu and out of it again, where there is nothing but loopback.

    unshare -rn python -m tests.peers.meshes_in_namespace ORTHANC STORESCU FOLDER

Sends `*.dcm` of the folder, writes what the archive holds into its `fetched`, by SOP Instance UID.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.peers.house import bring_loopback_up
from tests.peers.orthanc import Orthanc, Peer


def main() -> None:
    program, storescu, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    bring_loopback_up()
    archive = Orthanc(program, folder / "archive", [Peer(ae_title="SENDER", port=11113)])
    archive.start()
    try:
        for file in sorted(folder.glob("*.dcm")):
            # -R: only the class of the file is proposed; the usual list leaves out meshes.
            command = [
                storescu,
                "-R",
                "-aet",
                "SENDER",
                "-aec",
                archive.AE_TITLE,
                "127.0.0.1",
                str(archive.PORT),
            ]
            subprocess.run([*command, str(file)], check=True, capture_output=True, timeout=60)
        out = folder / "fetched"
        out.mkdir()
        for one in archive.everything():
            (out / f"{one.sop_instance_uid}.dcm").write_bytes(archive.file(one.orthanc_id))
    finally:
        archive.stop()


if __name__ == "__main__":
    main()
