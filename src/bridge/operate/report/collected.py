"""From facts to what the page shows: read what PACS got, draw it, say what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from bridge.dicom.pixels import FileReader
from bridge.errors import BridgeError
from bridge.operate.report.facts import Facts, ResultFile
from bridge.operate.report.measurements import Group, read_groups
from bridge.operate.report.pictures import Pictures, take_pictures
from bridge.operate.report.segmentation import Overlay, Segment, read_overlay
from bridge.operate.report.solids import Solid, read_solids
from bridge.operate.report.story import Story, tell
from bridge.operate.report.turning import take_turn
from bridge.operate.report.views import View, take_views
from bridge.platforms.protocol import RemoteJob


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything the page shows, read and drawn."""

    facts: Facts
    segments: tuple[Segment, ...]
    groups: tuple[Group, ...]
    pictures: Pictures | None
    solids: tuple[Solid, ...]
    views: tuple[View, ...]
    """Of the solids."""
    turn: str
    """The solids turning, as an address that holds its own data; "" for none."""
    story: Story | None
    remote: RemoteJob | None
    """The job at the platform, as far as it got there."""
    troubles: tuple[str, ...]
    """Why something that belongs here is missing."""


def collect(facts: Facts, *, webp: bool = False) -> Report:
    """Read the results and the slices of a job."""
    troubles: list[str] = []
    overlay = _overlay(facts, troubles)
    solids = _solids(facts, troubles)
    return Report(
        facts=facts,
        segments=overlay.segments if overlay else (),
        groups=_groups(facts, troubles),
        pictures=_pictures(facts, overlay, troubles, webp=webp),
        solids=solids,
        views=take_views(solids, webp=webp),
        turn=take_turn(solids),
        story=tell(facts.timeline),
        remote=TypeAdapter(RemoteJob).validate_json(facts.job.remote) if facts.job.remote else None,
        troubles=tuple(troubles),
    )


def in_one_variant(results: Sequence[ResultFile], kind: str) -> list[Path]:
    """Files of a kind, each output once: destinations may have got the same in several variants.

    The usual variant where there is one, else the one with the first name; reports and the segmentations that they
    refer to are chosen alike.
    """
    chosen: dict[str, str] = {}
    mine = [result for result in results if result.stored.kind == kind]
    for result in sorted(mine, key=lambda result: result.stored.variant):
        chosen.setdefault(result.stored.output_name, result.stored.variant)
    return [one.path for one in mine if one.stored.variant == chosen[one.stored.output_name]]


def _overlay(facts: Facts, troubles: list[str]) -> Overlay | None:
    files = in_one_variant(facts.results, "SEG")
    if not files or facts.volume is None:
        return None
    try:
        return read_overlay(files, facts.volume)
    except BridgeError as error:
        troubles.append(f"No segments are drawn: {error.sentence()} ({error.code}).")
        return None


def _solids(facts: Facts, troubles: list[str]) -> tuple[Solid, ...]:
    try:
        return read_solids(in_one_variant(facts.results, "M3D"))
    except BridgeError as error:
        troubles.append(f"No surfaces are drawn: {error.sentence()} ({error.code}).")
        return ()


def _groups(facts: Facts, troubles: list[str]) -> tuple[Group, ...]:
    try:
        return read_groups(in_one_variant(facts.results, "SR"))
    except BridgeError as error:
        troubles.append(f"No measurements are shown: {error.sentence()} ({error.code}).")
        return ()


def _pictures(facts: Facts, overlay: Overlay | None, troubles: list[str], *, webp: bool) -> Pictures | None:
    if facts.volume is None:
        troubles.append("No pictures: the images of this job are not, or no longer, at hand.")
        return None
    try:
        return take_pictures(facts.volume, overlay, FileReader(), webp=webp)
    except BridgeError as error:
        troubles.append(f"No pictures: {error.sentence()} ({error.code}).")
        return None
