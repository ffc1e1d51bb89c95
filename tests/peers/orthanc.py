"""A real Orthanc as the archive of a test.

Debian 12's Orthanc 1.10 listens on all interfaces and has no setting against it: start one only where there is
nothing but loopback.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import ProxyHandler, Request, build_opener

READY_S = 30.0
FORWARD = """\
function OnStoredInstance(instance, tags, metadata, origin)
  SendToModality(instance, '{peer}')
end
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """Who may store: the archive knows nobody else."""

    ae_title: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Filed:
    """One instance as the archive filed it."""

    orthanc_id: str
    study: str
    """The archive's own id of the study: a hash of Patient ID and Study Instance UID."""
    sop_class_uid: str
    sop_instance_uid: str
    calling_ae_title: str


class Orthanc:
    """An archive that stores from its peers only, keeps the first of two equal UIDs, and has no plugins."""

    AE_TITLE, PORT, HTTP_PORT = "PACS", 4242, 8042

    def __init__(
        self, program: str, folder: Path, peers: Iterable[Peer], *, forward_to: str | None = None
    ) -> None:
        """`forward_to`: whatever is stored, from whomever, goes to that peer at once."""
        folder.mkdir(parents=True, exist_ok=True)
        self._program, self._folder = program, folder
        self._process: subprocess.Popen[bytes] | None = None
        # No proxy of the environment stands between a test and its own loopback.
        self._web = build_opener(ProxyHandler({}))
        settings = {
            "Name": "archive",
            "StorageDirectory": str(folder / "storage"),
            "IndexDirectory": str(folder / "storage"),
            "Plugins": [],
            "DicomAet": self.AE_TITLE,
            "DicomPort": self.PORT,
            "DicomCheckCalledAet": True,
            "DicomAlwaysAllowStore": False,
            "DicomCheckModalityHost": True,
            "DicomModalities": {p.ae_title.lower(): [p.ae_title, "127.0.0.1", p.port] for p in peers},
            "HttpPort": self.HTTP_PORT,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "DefaultEncoding": "Utf8",
            "OverwriteInstances": False,
        }
        if forward_to is not None:
            (folder / "forward.lua").write_text(FORWARD.format(peer=forward_to.lower()))
            settings["LuaScripts"] = [str(folder / "forward.lua")]
        self._settings = folder / "orthanc.json"
        self._settings.write_text(json.dumps(settings, indent=1))

    def start(self) -> None:
        with (self._folder / "orthanc.log").open("ab") as log:
            self._process = subprocess.Popen([self._program, str(self._settings)], stdout=log, stderr=log)
        until = time.monotonic() + READY_S
        while time.monotonic() < until:
            assert self._process.poll() is None, f"Orthanc ended at once: {self._folder}/orthanc.log"
            try:
                self.ask("/system")
            except URLError:
                time.sleep(0.05)
            else:
                return
        raise AssertionError(f"Orthanc does not answer: {self._folder}/orthanc.log")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)

    def ask(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        return json.loads(self._read(path, body))

    def file(self, orthanc_id: str) -> bytes:
        """The data set as it was received; the file meta information is Orthanc's own."""
        return self._read(f"/instances/{orthanc_id}/file", None)

    def everything(self) -> list[Filed]:
        filed = []
        for study in self.ask("/studies"):
            ids = [one["ID"] for one in self.ask(f"/studies/{study}/instances")]
            wanted = {"Resources": ids, "Level": "Instance", "Metadata": True}
            for one in self.ask("/tools/bulk-content", wanted):
                filed.append(
                    Filed(
                        orthanc_id=one["ID"],
                        study=study,
                        sop_class_uid=one["Metadata"]["SopClassUid"],
                        sop_instance_uid=one["MainDicomTags"]["SOPInstanceUID"],
                        calling_ae_title=one["Metadata"]["RemoteAET"],
                    )
                )
        return filed

    def _read(self, path: str, body: Mapping[str, Any] | None) -> bytes:
        data = None if body is None else json.dumps(body).encode()
        # Orthanc compresses pixels on the fly for whoever does not say otherwise.
        headers = {"Accept-Encoding": "identity", "Content-Type": "application/json"}
        url = f"http://127.0.0.1:{self.HTTP_PORT}{path}"
        with self._web.open(Request(url, data=data, headers=headers), timeout=60) as answer:
            content: bytes = answer.read()
        return content
