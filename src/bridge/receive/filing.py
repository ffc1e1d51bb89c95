"""What an object must say so that it can be filed, whichever way it comes in."""

from __future__ import annotations

from bridge.dicom.headers import Header
from bridge.errors import Refused

LONGEST_UID = 64
CLASS, INSTANCE = "SOPClassUID", "SOPInstanceUID"
OF_STUDY = ("StudyInstanceUID", "SeriesInstanceUID")


def check_filed(header: Header, needed: tuple[str, ...] = OF_STUDY) -> None:
    """Raises Refused: RCV-004 for UIDs that are missing, RCV-008 for a SOP Instance UID that is too long."""
    missing = [keyword for keyword in needed if not header.uid(keyword)]
    if missing:
        raise Refused(
            "RCV-004",
            f"an object without {' and '.join(missing)}",
            "the UIDs that file an instance (PS3.3 C.7.2, C.7.3)",
            "Mend the object at its source",
        )
    if len(header.uid(INSTANCE)) > LONGEST_UID:
        raise Refused(
            "RCV-008",
            f"a SOP Instance UID of {len(header.uid(INSTANCE))} characters",
            f"at most {LONGEST_UID} (PS3.5 9.1): nothing could refer to the object",
            "Mend the object at its source",
        )
