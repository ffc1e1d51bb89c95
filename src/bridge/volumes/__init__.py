"""What is it? Headers become series, series become volumes: geometry, pixels, content.

Pure: files are read by a reader that is handed in (`bridge.dicom.pixels.FileReader`). The face imports nothing
until a name is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bridge.volumes.content import content_of, frame_digest, frame_digests
    from bridge.volumes.geometry import Tolerance
    from bridge.volumes.pixels import Reader, read_values
    from bridge.volumes.repair import Repair, asks_for_pixels, mend, mended
    from bridge.volumes.split import candidates_of
    from bridge.volumes.stack import Stack, volume_of
    from bridge.volumes.volume import Candidate, Geometry, Mending, Plane, Volume

__all__ = [
    "Candidate",
    "Geometry",
    "Mending",
    "Plane",
    "Reader",
    "Repair",
    "Stack",
    "Tolerance",
    "Volume",
    "asks_for_pixels",
    "candidates_of",
    "content_of",
    "frame_digest",
    "frame_digests",
    "mend",
    "mended",
    "read_values",
    "volume_of",
]

_HOME = {
    "Candidate": "volume",
    "Geometry": "volume",
    "Mending": "volume",
    "Plane": "volume",
    "Volume": "volume",
    "Reader": "pixels",
    "Repair": "repair",
    "Stack": "stack",
    "Tolerance": "geometry",
    "candidates_of": "split",
    "content_of": "content",
    "frame_digest": "content",
    "frame_digests": "content",
    "read_values": "pixels",
    "asks_for_pixels": "repair",
    "mend": "repair",
    "mended": "repair",
    "volume_of": "stack",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
