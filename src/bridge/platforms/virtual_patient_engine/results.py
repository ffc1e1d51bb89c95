"""What the platform's list of files means: each file that was asked for, with what became of it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydantic import ValidationError

from bridge.errors import Damaged
from bridge.platforms.protocol import Verdict
from bridge.platforms.scrub import scrub
from bridge.platforms.virtual_patient_engine.shapes import OutputFile, Polled
from bridge.platforms.virtual_patient_engine.wishes import MESHES, Wanted
from bridge.results.output import MeshFrame, Output, OutputKind, Presence

MEDIA_TYPES = {
    ".stl": "model/stl",
    ".obj": "model/obj",
    ".ply": "model/x-ply",
    ".drc": "model/x-draco",
    ".json": "application/json",
    ".csv": "text/csv",
    ".zip": "application/zip",
    ".pdf": "application/pdf",
    ".png": "image/png",
}
BYTES = "application/octet-stream"


class Status(StrEnum):
    """Per file, in lower case."""

    AVAILABLE = "available"
    MISSING = "missing"
    FAILED = "failed"
    SUCCESS = "success"
    """One sentence of the documents says so where all others say Available."""


PRESENCES = {
    Status.AVAILABLE: Presence.HERE,
    Status.SUCCESS: Presence.HERE,
    Status.MISSING: Presence.MISSING,
    Status.FAILED: Presence.FAILED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Came:
    """One wanted file and the platform's answer to it; None where it says nothing of it."""

    number: int
    """Of the file among those wanted of its family, from 0."""
    wanted: Wanted
    file: OutputFile | None

    @property
    def presence(self) -> Presence:
        """A word that nobody knows is no file."""
        word = self.file.status.strip().casefold() if self.file else ""
        return PRESENCES.get(Status(word), Presence.FAILED) if word in set(Status) else Presence.FAILED

    @property
    def ref(self) -> str:
        return f"{self.wanted.family}/{self.number}"

    def output(self, frame: MeshFrame | None = None) -> Output:
        """`frame`: of its numbers, where it is a mesh."""
        wanted = self.wanted
        presence, is_mesh = self.presence, wanted.family == MESHES
        return Output(
            name=wanted.name,
            kind=OutputKind.MESH if is_mesh else OutputKind.FILE,
            media_type=MEDIA_TYPES.get(wanted.extension.lower(), BYTES),
            ref=self.ref,
            size_bytes=self.file.size if self.file and presence is Presence.HERE else None,
            presence=presence,
            reason=self._why(presence),
            word=scrub(self.file.status) if self.file else "",
            title=" + ".join(wanted.structures),
            frame=frame if is_mesh else None,
        )

    def _why(self, presence: Presence) -> str:
        if presence is Presence.HERE:
            return ""
        if presence is Presence.MISSING:
            return "the platform looked for it and there is none"
        said = scrub(self.file.status) if self.file else ""
        if not said:
            return "the platform's answer does not speak of it"
        return "the platform could not make it" + ("" if said.casefold() == Status.FAILED else f" ({said})")


def came(polled: Polled, wanted: Sequence[Wanted]) -> tuple[Came, ...]:
    """Each file that was asked for, in the order of asking.

    Raises Damaged: VPE-140, the answer's files cannot be told apart; VPE-141, files of another shape.
    """
    result: list[Came] = []
    for family in dict.fromkeys(one.family for one in wanted):
        asked = [one for one in wanted if one.family == family]
        files = _files(family, polled.outputFiles.get(family))
        matched = _matched(family, asked, files) if family == MESHES else _in_order(asked, files)
        result += [
            Came(number=number, wanted=one, file=file)
            for number, (one, file) in enumerate(zip(asked, matched, strict=True))
        ]
    return tuple(result)


def verdict_of(files: Sequence[Came]) -> Verdict:
    """What is missing in the patient is found out, not failed."""
    failed = [one for one in files if one.presence is Presence.FAILED]
    if not failed:
        return Verdict.DONE
    return Verdict.FAILED if len(failed) == len(files) else Verdict.PARTLY


def _files(family: str, told: Any) -> list[OutputFile]:
    entries = told if isinstance(told, list) else [] if told is None else [told]
    try:
        return [OutputFile.model_validate(entry) for entry in entries]
    except ValidationError:
        raise Damaged(
            "VPE-141", f"the platform's files of {family} have another shape than known", "a list of files"
        ) from None


def _matched(family: str, asked: Sequence[Wanted], files: Sequence[OutputFile]) -> list[OutputFile | None]:
    """By extension and structures, then by position; never by position alone when there are more or fewer."""
    left = list(files)
    found: list[OutputFile | None] = []
    for one in asked:
        file = next(
            (file for file in left if _key(file) == (one.extension.lower(), sorted(one.structures))), None
        )
        if file is not None:
            left.remove(file)
        found.append(file)
    without = [number for number, file in enumerate(found) if file is None]
    if len(without) != len(left):
        raise Damaged(
            "VPE-140",
            f"of {len(asked)} files of {family} that were asked for, {len(without)} are not in the answer, and "
            f"{len(left)} in the answer were not asked for",
            "an answer for each",
            "Ask for structures by name, not by a shorthand such as all_teeth",
            {"asked": len(asked), "without": len(without), "left": len(left)},
        )
    for number, file in zip(without, left, strict=True):
        found[number] = file
    return found


def _in_order(asked: Sequence[Wanted], files: Sequence[OutputFile]) -> list[OutputFile | None]:
    return [files[number] if number < len(files) else None for number in range(len(asked))]


def _key(file: OutputFile) -> tuple[str, list[str]]:
    return file.extension.lower(), sorted(file.structures)
