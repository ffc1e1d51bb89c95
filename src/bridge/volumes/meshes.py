"""Objects that hold a mesh instead of slices: Encapsulated STL and OBJ (PS3.3 A.85)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from bridge.dicom.instance import Instance
from bridge.volumes.volume import Candidate

MESH_CLASSES: Mapping[str, str] = MappingProxyType(
    {"1.2.840.10008.5.1.4.1.1.104.3": "stl", "1.2.840.10008.5.1.4.1.1.104.4": "obj"}
)
"""SOP class to format. Encapsulated MTL (104.5) is about the looks of an OBJ, and no mesh."""


def meshes_of(instances: Iterable[Instance]) -> tuple[Candidate, ...]:
    """One candidate for each object; whether there is a mesh in it, nobody has looked yet."""
    return tuple(
        Candidate(series_instance_uid=one.series_instance_uid, instances=(one,), document=one)
        for one in instances
        if one.sop_class_uid in MESH_CLASSES
    )
