"""What a small PACS holds: one Part 10 file per instance and an append-only list of every attempt to store."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

from pydicom.dataset import FileMetaDataset
from pydicom.filebase import DicomIO
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import PYDICOM_IMPLEMENTATION_UID, UID

LOG = "pacs.jsonl"
INSTANCES = "instances"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One C-STORE request and the answer to it: a line of `pacs.jsonl`."""

    time: str
    """UTC, ISO 8601."""
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    calling_ae_title: str
    size_bytes: int
    digest: str
    """SHA-256 of the data set's bytes as they came, hexadecimal."""
    status: int | None
    """None: no answer, the association was dropped."""
    file: str
    """Name in the folder; empty when nothing was kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """One data set as it came over the wire."""

    encoded: bytes
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    calling_ae_title: str


def read_attempts(folder: Path) -> tuple[Attempt, ...]:
    """Every attempt so far, oldest first; from any process, also while the PACS runs."""
    log = folder / LOG
    if not log.exists():
        return ()
    # A line without its end is still being written.
    complete, _, _ = log.read_text().rpartition("\n")
    return tuple(Attempt(**json.loads(line)) for line in complete.splitlines())


class Archive:
    """The folder of one PACS. Safe for many threads; what a former run left there is still held."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / INSTANCES).mkdir(parents=True, exist_ok=True)
        self._log = folder / LOG
        self._lock = threading.Lock()
        kept = [attempt for attempt in read_attempts(folder) if attempt.file]
        self._files = {(attempt.sop_instance_uid, attempt.digest): attempt.file for attempt in kept}

    def held(self) -> dict[str, Path]:
        """SOP Instance UID -> file of all instances held; of one that changed, the file that came last."""
        kept = (attempt for attempt in read_attempts(self.folder) if attempt.file)
        return {attempt.sop_instance_uid: self.folder / attempt.file for attempt in kept}

    def keep(self, arrival: Arrival, status: int) -> None:
        """Make the instance and its line durable; the same bytes under the same UID are kept once."""
        digest = hashlib.sha256(arrival.encoded).hexdigest()
        with self._lock:
            name = self._files.get((arrival.sop_instance_uid, digest), "")
            if not name:
                name = f"{INSTANCES}/{len(self._files) + 1:06d}.dcm"
                _write_durably(self.folder / name, _part10(arrival))
                self._files[arrival.sop_instance_uid, digest] = name
            self._append(arrival, digest, status, name)

    def note(self, arrival: Arrival, status: int | None) -> None:
        """Write down an attempt of which nothing was kept."""
        with self._lock:
            self._append(arrival, hashlib.sha256(arrival.encoded).hexdigest(), status, "")

    def _append(self, arrival: Arrival, digest: str, status: int | None, name: str) -> None:
        attempt = Attempt(
            time=datetime.now(UTC).isoformat(),
            sop_class_uid=arrival.sop_class_uid,
            sop_instance_uid=arrival.sop_instance_uid,
            transfer_syntax_uid=arrival.transfer_syntax_uid,
            calling_ae_title=arrival.calling_ae_title,
            size_bytes=len(arrival.encoded),
            digest=digest,
            status=status,
            file=name,
        )
        with self._log.open("a") as log:
            log.write(json.dumps(asdict(attempt)) + "\n")
            log.flush()
            os.fsync(log.fileno())


def _part10(arrival: Arrival) -> bytes:
    """The data set's bytes behind a header of ours (PS3.10 7.1): the sender's never travels with a C-STORE."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(arrival.sop_class_uid)
    meta.MediaStorageSOPInstanceUID = UID(arrival.sop_instance_uid)
    meta.TransferSyntaxUID = UID(arrival.transfer_syntax_uid)
    meta.ImplementationClassUID = PYDICOM_IMPLEMENTATION_UID
    header = BytesIO()
    write_file_meta_info(DicomIO(header), meta, enforce_standard=True)
    return b"\0" * 128 + b"DICM" + header.getvalue() + arrival.encoded


def _write_durably(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
