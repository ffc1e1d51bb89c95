"""The folder of one case, and `case.json` in it: whose it is, and what each file is.

Two cases never share a folder, however much alike their names are: the folder of a case is the one whose `case.json`
has its mark. A folder with anything else in it is somebody else's, and the case takes the next name.
"""

from __future__ import annotations

import json
import os
import stat
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bridge.deliver.file_names import safe
from bridge.dicom.uids import keyed_name

INDEX = "case.json"
FORMAT = 1
PART = ".bridge-"
"""Names of files that are being written begin so."""
MOST_NAMES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Of which job of which study results are."""

    study: str
    """Our name of the study, as in logs and tables: it tells nothing without the key."""
    rule: str
    job: str
    algorithm: str
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """The name of a case, and what tells it from every other case."""

    name: str
    mark: str
    told: dict[str, str] = field(default_factory=dict, repr=False)
    """What `case.json` says of the patient: nothing, where the name says nothing either."""


def name_case(template: str, case: Case, header: dict[str, str]) -> Named:
    """Fill a name such as "{PatientID}_{StudyDate}".

    Args:
        header: values of a result by keyword. For one that is empty our name of the study stands.
    """
    ours = {"study": case.study, "rule": case.rule, "job": case.job[:8]}
    patient = [header.get(keyword, "") for keyword in ("PatientID", "IssuerOfPatientID")]
    name, values, shows = template, [], False
    for word in ours:
        if f"{{{word}}}" in template:
            name = name.replace(f"{{{word}}}", ours[word])
            values.append(ours[word])
    # In one pass: what stands in a header may look like a word.
    pieces = name.split("{")
    filled = [pieces[0]]
    for piece in pieces[1:]:
        word, _, rest = piece.partition("}")
        value, shows = header.get(word, ""), True
        values.append(value)
        filled.append((value or case.study).replace("^", "_") + rest)
    told = {"PatientID": patient[0]} if shows and patient[0] else {}
    mark = keyed_name(case.key, "case", template, *values, *patient)
    return Named(name=safe("".join(filled)), mark=mark, told=told)


def open_case(root: Path, named: Named) -> Path:
    """The folder of a case, made where there is none. Raises OSError."""
    for number in range(1, MOST_NAMES + 1):
        folder = root / (named.name if number == 1 else f"{named.name}-{number}")
        try:
            folder.mkdir()
        except FileExistsError:
            if _mark_of(folder) == named.mark:
                return folder
            if not _is_empty(folder):
                continue
        share_mode(folder, root)
        _write(folder, {"format": FORMAT, "case": named.mark, **named.told, "files": {}})
        return folder
    raise OSError(f"{MOST_NAMES} folders of that name belong to other cases")


def note_files(folder: Path, files: dict[str, dict[str, str]]) -> None:
    """Say in `case.json` what these files are. Raises OSError."""
    index = _read(folder)
    if index is None:
        return  # taken away by whoever took the files
    there = index["files"]
    if any(there.get(name) != what for name, what in files.items()):
        _write(folder, {**index, "files": {**there, **files}})


def share_mode(path: Path, like: Path) -> None:
    """Let whoever may read a folder read what is written into it: our files are private otherwise."""
    mode = stat.S_IMODE(like.stat().st_mode)
    # Some file systems have no such rights.
    with suppress(OSError):
        path.chmod(mode if path.is_dir() else mode & 0o666)


def sync_folder(folder: Path) -> None:
    """Make names durable, where a file system knows how to: many on a network do not."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _write(folder: Path, index: dict[str, Any]) -> None:
    part = folder / f"{PART}{INDEX}.part"
    with part.open("w", encoding="utf-8") as stream:
        json.dump(index, stream, indent=1, ensure_ascii=False)
        stream.flush()
        os.fsync(stream.fileno())
    share_mode(part, folder)
    part.replace(folder / INDEX)
    sync_folder(folder)


def _read(folder: Path) -> dict[str, Any] | None:
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return index if isinstance(index, dict) and isinstance(index.get("files"), dict) else None


def _mark_of(folder: Path) -> str:
    index = _read(folder)
    return str(index.get("case", "")) if index else ""


def _is_empty(folder: Path) -> bool:
    """Nothing but what a crash left of ours."""
    try:
        return all(one.name.startswith(PART) for one in folder.iterdir())
    except NotADirectoryError:
        return False
