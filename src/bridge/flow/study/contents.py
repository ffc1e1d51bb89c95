"""What a volume shows, as a job's identity wants it: digests of frames are computed once and kept for ever."""

from __future__ import annotations

from bridge.flow.parts import Parts
from bridge.flow.stages import heavy
from bridge.volumes import Volume, content_of


def content(parts: Parts, volume: Volume) -> str:
    """Identity of a volume by what it shows; what is not known yet is decoded in a child process."""
    wanted = [(plane.instance.number, plane.frame) for plane in volume.planes]
    known = parts.instances.frame_digests([number for number, _ in wanted])
    if any(frame not in known for frame in wanted):
        fresh = parts.children.run(heavy.frame_digests, volume)
        parts.instances.keep_frame_digests(fresh)
        known |= fresh
    return content_of(volume, [known[frame] for frame in wanted])
