"""What candidates are called in sentences, and their order: never a value that may identify a person."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bridge.rules.attributes import of_keyword
from bridge.rules.facts import candidate_values
from bridge.rules.preference import series_number

if TYPE_CHECKING:
    from bridge.volumes.volume import Candidate


def order(candidate: Candidate) -> tuple[object, ...]:
    """A place among the candidates that does not depend on the order of arrival."""
    number = series_number(candidate)
    planes = candidate.volume.planes if candidate.volume else ()
    return (
        number is None,
        number or 0,
        candidate.series_instance_uid,
        sorted(instance.sop_instance_uid for instance in candidate.instances),
        [(plane.instance.sop_instance_uid, plane.frame) for plane in planes],
        candidate.refusal.sentence() if candidate.refusal else "",
    )


def number_of(candidate: Candidate) -> str:
    number = series_number(candidate)
    return "without number" if number is None else str(number)


def mended_note(candidate: Candidate) -> str:
    mending = candidate.volume.mending if candidate.volume else None
    return f", {', '.join(mending.notes)}" if mending else ""


def label_of(candidate: Candidate) -> str:
    volume = candidate.volume
    modality = "\\".join(candidate_values(candidate, of_keyword("Modality"))[0])
    if not re.fullmatch(r"[A-Z0-9]{1,16}", modality):
        # Any text can stand in a header, a name too; a modality is a short word.
        modality = "no modality"
    count, what = len(volume.planes if volume else candidate.instances), "image"
    if candidate.document:
        what = "mesh"
    parts = [f"series {number_of(candidate)}", modality, f"{count} {what}{'s' if count != 1 else ''}"]
    if volume:
        parts.append(f"{round(float(volume.geometry.spacing_mm[0]), 3)} mm")
    return ", ".join(parts)
