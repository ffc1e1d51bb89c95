"""What a volume shows, as a job's identity wants it: digests of frames are computed once and kept for ever."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from bridge.config.masks import STUDY
from bridge.errors import Damaged, Refused
from bridge.flow.parts import Parts
from bridge.flow.stages import heavy
from bridge.flow.stages.inputs import tolerance_of
from bridge.rules import Rule
from bridge.store.instances import Instances
from bridge.store.jobs import Jobs
from bridge.volumes import Candidate, Stack, Tolerance, Volume, asks_for_pixels, content_of, mended


def content(parts: Parts, volume: Volume) -> str:
    """Identity of a volume by what it shows; what is not known yet is decoded in a child process."""
    digests = _digests(parts, volume)
    return content_of(volume, [digests[frame] for frame in _frames(volume)])


def known_content(parts: Parts, volume: Volume) -> str | None:
    """The same, where every frame was decoded before; it needs no pixels."""
    known = _known(parts, volume)
    if known.keys() >= set(_frames(volume)):
        return content_of(volume, [known[frame] for frame in _frames(volume)])
    return None


def mend(parts: Parts, candidate: Candidate, repairs: tuple[str, ...]) -> Candidate:
    """The candidate with what declared repairs make of it; pixels are looked at where headers do not tell."""
    digests: dict[tuple[int, int], str] = {}
    if candidate.stack is not None and asks_for_pixels(candidate, repairs):
        # What cannot be read repeats nothing: the images stay refused for sharing positions.
        with suppress(Refused, Damaged):
            digests = _digests(parts, candidate.stack)
    return mended(candidate, repairs, digests, tolerance_of(parts.site))


def made_by(jobs: Jobs, study_instance_uid: str, rules: Iterable[Rule]) -> dict[str, str]:
    """The rule of each result that was issued for a study, by SOP Instance UID; of rules whose masks others take."""
    wanted = {one.mask for rule in rules for one in rule.inputs} - {"", STUDY}
    makers = jobs.of_study(study_instance_uid) if wanted else []
    return {
        result.sop_instance_uid: job.rule
        for job in makers
        if job.rule in wanted
        for result in jobs.results(job.id)
    }


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
