"""Results as files in a folder for each case, on a share or here.

A file has its name only when it is whole and on the disk, and no file is ever overwritten: what lies there with the
same bytes is delivered, and beside other bytes the file gets the next name. So a try that was interrupted anywhere is
repeated without harm. Whatever happens to all files alike, a share that is gone, full or read-only, is no answer about
a result: the line is down, as that of an archive that cannot be reached.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bridge.deliver.case_folder import (
    MOST_NAMES,
    PART,
    Case,
    name_case,
    note_files,
    open_case,
    share_mode,
    sync_folder,
)
from bridge.deliver.file_names import stems
from bridge.deliver.outgoing import Outgoing
from bridge.deliver.plain import DICOM, ENDINGS, plain_bytes
from bridge.deliver.receipt import Receipt
from bridge.dicom.headers import text
from bridge.dicom.statuses import Outcome

__all__ = ["Beside", "Case", "Share", "look", "store"]

_KEYWORDS = (
    *("PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate"),
    *("StudyDate", "StudyID", "StudyDescription", "AccessionNumber", "StudyInstanceUID"),
)
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_OF_THE_NAME = frozenset({errno.EINVAL, errno.ENAMETOOLONG, errno.EILSEQ})
_LOCKS: dict[str, threading.Lock] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A folder in which each case has a folder of its own."""

    name: str
    folder: Path
    files: Literal["plain", "dicom", "both"] = "plain"
    case: str = "{study}"
    marker: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """A plain file that goes along with the results of a job."""

    stem: str
    ending: str
    data: bytes


def look(share: Share) -> tuple[Outcome, str] | None:
    """None, or why nothing can be written into a share. A folder is never made: below a share that is not mounted
    it would be one of this machine."""
    if not share.folder.is_dir():
        return Outcome.RETRY, f"{share.folder} is not there"
    if share.marker and not (share.folder / share.marker).exists():
        return Outcome.RETRY, f"{share.folder} has no {share.marker}: the share is not mounted"
    if not os.access(share.folder, os.W_OK | os.X_OK):
        return Outcome.CONFIGURATION, f"{share.folder} cannot be written by this user"
    return None


def store(
    share: Share,
    case: Case,
    outgoing: Sequence[Outgoing],
    everything: Sequence[Outgoing],
    *,
    beside: Sequence[Beside] = (),
    reached: Callable[[], None] = lambda: None,
    passing: Callable[[str], None] = lambda point: None,
) -> tuple[Receipt, ...]:
    """Write results; one receipt each, in the order given.

    Args:
        everything: all results of the job at this destination; the names of files follow from them.
        beside: plain files of the same job.
        reached: called when a first file is whole and before it has its name.
        passing: told the name of each point at which a crash would hurt most.
    """
    receipts: list[Receipt] = []
    writer: _Writer | None = None
    try:
        problem = look(share)
        if problem is None:
            writer = _Writer(share, case, outgoing[0].file, reached, passing)
            for one in beside:
                writer.write_beside(one)
            names = stems(everything)
            for result in outgoing:
                receipts.append(_written(writer, share, result, names[result.sop_instance_uid]))
            writer.tell_reached()
            return tuple(receipts)
    except OSError as failure:
        problem = _meaning(share, failure)
    if receipts and writer is not None:
        writer.tell_reached()
    left = outgoing[len(receipts) :]
    return (*receipts, *(_receipt(share, one, *problem, reached=False) for one in left))


def _written(writer: _Writer, share: Share, result: Outgoing, stem: str) -> Receipt:
    try:
        names = writer.write(result, stem)
    except OSError as failure:
        if failure.errno not in _OF_THE_NAME:
            raise
        return _receipt(share, result, Outcome.REFUSED, f"no name for it there ({failure.strerror})")
    return _receipt(share, result, Outcome.DELIVERED, f"written as {' and '.join(names)}")


def _meaning(share: Share, failure: OSError) -> tuple[Outcome, str]:
    outcome = Outcome.CONFIGURATION if failure.errno in _FORBIDDEN else Outcome.RETRY
    # Of the error only these words: its text may hold the name of a folder.
    why = failure.strerror if failure.errno else "no name is free"
    return outcome, f"{share.folder} cannot be written: {why}"


def _receipt(share: Share, one: Outgoing, outcome: Outcome, reason: str, *, reached: bool = True) -> Receipt:
    return Receipt(
        destination=share.name,
        sop_instance_uid=one.sop_instance_uid,
        outcome=outcome,
        status=None,
        reason=reason,
        reached=reached,
    )


class _Writer:
    """Files of one job in the folder of its case."""

    def __init__(
        self,
        share: Share,
        case: Case,
        first: Path,
        reached: Callable[[], None],
        passing: Callable[[str], None],
    ) -> None:
        from pydicom import dcmread

        data_set = dcmread(first, stop_before_pixels=True, specific_tags=list(_KEYWORDS))
        header = {keyword: text(data_set, keyword) or "" for keyword in _KEYWORDS}
        named = name_case(share.case, case, header)
        self._share, self._case, self._passing = share, case, passing
        self._lock = _LOCKS.setdefault(share.name, threading.Lock())
        self._reached, self._has_reached = reached, False
        self._study_uid = header["StudyInstanceUID"] if named.told else ""
        with self._lock:
            self._folder = open_case(share.folder, named)

    def write(self, result: Outgoing, stem: str) -> list[str]:
        """Write the files of a result and return their names."""
        plain = ENDINGS.get(result.sop_class_uid) if self._share.files != "dicom" else None
        names = []
        if plain:
            data = plain_bytes(result.sop_class_uid, result.file)
            names.append(self._publish(stem, plain, data))
        if not plain or self._share.files == "both":
            names.append(self._publish(stem, DICOM, result.file))
        what = {
            "kind": result.kind,
            "output": result.output_name,
            "sop_instance_uid": result.sop_instance_uid,
        }
        self._note(names, what)
        return names

    def write_beside(self, one: Beside) -> None:
        self._note([self._publish(one.stem, one.ending, one.data)], {"kind": "values"})

    def _note(self, names: Sequence[str], what: dict[str, str]) -> None:
        case = self._case
        of_job = {"job": case.job[:8], "rule": case.rule, "algorithm": case.algorithm, "study": case.study}
        told = {"StudyInstanceUID": self._study_uid} if self._study_uid else {}
        with self._lock:
            note_files(self._folder, {name: {**what, **of_job, **told} for name in names})

    def _publish(self, stem: str, ending: str, content: bytes | Path) -> str:
        """Give the content a name in the folder that nobody has, unless it lies there already."""
        digest = _digest(content)
        part = self._folder / f"{PART}{digest[:16]}-{self._case.job[:16]}.part"
        try:
            for number in range(1, MOST_NAMES + 1):
                name = f"{stem}{ending}" if number == 1 else f"{stem}-{number}{ending}"
                target = self._folder / name
                if not os.path.lexists(target):
                    self._write_part(part, content)
                    self.tell_reached()
                    if self._name(part, target):
                        sync_folder(self._folder)
                        self._passing("folder:named")
                        return name
                if _is_same(target, digest):
                    return name
            raise OSError("no name is free")
        finally:
            part.unlink(missing_ok=True)

    def _write_part(self, part: Path, content: bytes | Path) -> None:
        with part.open("wb") as stream:
            if isinstance(content, bytes):
                stream.write(content)
            else:
                with content.open("rb") as source:
                    shutil.copyfileobj(source, stream, 1 << 20)
            self._passing("folder:mid")
            stream.flush()
            os.fsync(stream.fileno())
        share_mode(part, self._folder)
        self._passing("folder:written")

    def _name(self, part: Path, target: Path) -> bool:
        """Whether the name was free. A hard link fails on a name that is taken; a rename would replace it."""
        with self._lock:
            try:
                os.link(part, target)
            except FileExistsError:
                return False
            except OSError:
                # A file system without second names: then nobody may come between the look and the rename.
                if os.path.lexists(target):
                    return False
                part.rename(target)
            return True

    def tell_reached(self) -> None:
        """Something new could be written, or all was there: a full disk is not reached by what lies on it already."""
        if not self._has_reached:
            self._has_reached = True
            self._reached()


def _digest(content: bytes | Path) -> str:
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    with content.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _is_same(target: Path, digest: str) -> bool:
    return target.is_file() and not target.is_symlink() and _digest(target) == digest
