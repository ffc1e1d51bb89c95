"""What a volume shows, as a job's identity wants it: digests of frames are computed once and kept for ever."""

from __future__ import annotations

from contextlib import suppress

from bridge.dicom.instance import Instance
from bridge.errors import Damaged, Refused
from bridge.flow.parts import Parts
from bridge.flow.stages import heavy
from bridge.flow.stages.inputs import tolerance_of
from bridge.store.instances import Instances
from bridge.volumes import Candidate, Stack, Tolerance, Volume, asks_for_pixels, content_of, mended


def content(parts: Parts, volume: Volume) -> str:
    """Identity of a volume by what it shows; what is not known yet is decoded in a child process."""
    digests = _digests(parts, volume)
    return content_of(volume, [digests[frame] for frame in _frames(volume)])


def mesh_content(parts: Parts, document: Instance) -> str:
    """Identity of a mesh by its shape. Raises Refused: EXP-011, EXP-012, there is none in the object."""
    known = known_mesh_content(parts, document)
    if known is None:
        known = parts.children.run(heavy.mesh_digest, document)
        parts.instances.keep_frame_digests({(document.number, WHOLE): known})
    return known


def known_mesh_content(parts: Parts, document: Instance) -> str | None:
    return parts.instances.frame_digests([document.number]).get((document.number, WHOLE))


WHOLE = 0
"""Stands for the number of a frame, of which the first is 1, where an object has none."""


def known_content(parts: Parts, volume: Volume) -> str | None:
    """The same, where every frame was decoded before; it needs no pixels."""
    known = _known(parts, volume)
    if known.keys() >= set(_frames(volume)):
        return content_of(volume, [known[frame] for frame in _frames(volume)])
    return None


def shown(parts: Parts, volume: Volume) -> str | None:
    """The same, where its pixels can be read at all."""
    try:
        return content(parts, volume)
    except (Refused, Damaged):
        return None


def shown_here(instances: Instances | None, volume: Volume) -> str | None:
    """The same for a person who asks: what was not decoded before is not kept."""
    digests = instances.frame_digests([one.number for one in volume.instances]) if instances else {}
    with suppress(Refused, Damaged):
        if not digests.keys() >= set(_frames(volume)):
            digests = heavy.frame_digests(volume)
        return content_of(volume, [digests[frame] for frame in _frames(volume)])
    return None


def mend(parts: Parts, candidate: Candidate, repairs: tuple[str, ...]) -> Candidate:
    """The candidate with what declared repairs make of it; pixels are looked at where headers do not tell."""
    digests: dict[tuple[int, int], str] = {}
    if candidate.stack is not None and asks_for_pixels(candidate, repairs):
        # What cannot be read repeats nothing: the images stay refused for sharing positions.
        with suppress(Refused, Damaged):
            digests = _digests(parts, candidate.stack)
    return mended(candidate, repairs, digests, tolerance_of(parts.site))


def mend_here(
    instances: Instances | None, tolerance: Tolerance, candidate: Candidate, repairs: tuple[str, ...]
) -> Candidate:
    """The same for a person who asks: pixels that no job has looked at are decoded in this process, and not kept."""
    digests: dict[tuple[int, int], str] = {}
    if candidate.stack is not None and asks_for_pixels(candidate, repairs):
        if instances is not None:
            digests = instances.frame_digests([one.number for one in candidate.stack.instances])
        if not digests.keys() >= set(_frames(candidate.stack)):
            with suppress(Refused, Damaged):
                digests = heavy.frame_digests(candidate.stack)
    return mended(candidate, repairs, digests, tolerance)


def _digests(parts: Parts, images: Volume | Stack) -> dict[tuple[int, int], str]:
    known = _known(parts, images)
    if not known.keys() >= set(_frames(images)):
        fresh = parts.children.run(heavy.frame_digests, images)
        parts.instances.keep_frame_digests(fresh)
        known |= fresh
    return known


def _known(parts: Parts, images: Volume | Stack) -> dict[tuple[int, int], str]:
    return parts.instances.frame_digests([one.number for one in images.instances])


def _frames(images: Volume | Stack) -> list[tuple[int, int]]:
    return [(plane.instance.number, plane.frame) for plane in images.planes]
