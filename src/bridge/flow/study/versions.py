"""The same SOP Instance UID with other bytes: what has changed is found out once, and stands beside the version."""

from __future__ import annotations

from bridge.dicom.compare import Change, change_of_header, change_of_pixels
from bridge.errors import TryLater
from bridge.flow.parts import Parts

OTHER_IDENTITY = Change.OTHER_IDENTITY
KILLED = frozenset({"CHI-001", "CHI-002"})
"""Codes of a child that died or ran out of time."""


def classify(parts: Parts, study_instance_uid: str) -> list[tuple[int, str]]:
    """Compare each version of a study that has not been compared yet with the one it replaced.

    Returns:
        (instance number, change) of those only; a second call returns nothing.
    Raises:
        TryLater: this machine is in trouble; what was compared before is kept.
    """
    found = []
    for one in parts.instances.replacements(study_instance_uid):
        change = change_of_header(one.older.header, one.newer.header)
        if change is None:
            try:
                change = parts.children.run(change_of_pixels, one.older, one.newer)
            except TryLater as trouble:
                if trouble.code not in KILLED:
                    raise
                # What kills its child does so every time: it must not keep the study from being decided.
                change = Change.NOT_COMPARABLE
        if parts.instances.classified(one, change):
            found.append((one.newer.number, str(change)))
    return found
