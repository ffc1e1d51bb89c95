"""Whether a socket takes what a rule gives it. The platform would say so after the job is paid."""

from __future__ import annotations

import json

from bridge.errors import ConfigError, Refused
from bridge.export.parcel import Json
from bridge.platforms.grand_challenge.sockets import DICOM_SET
from bridge.platforms.protocol import InputSpec, RequestedFile, RequestedVolume
from bridge.results.output import OutputKind

IMAGES = (OutputKind.IMAGE, OutputKind.MASK)
JSON_FILE = "application/json"
VALUE_FILES = (JSON_FILE, "text/csv", "text/plain")
"""Files that a value of a rule can be: JSON of any kind, or a text as it stands."""
TEXT_FILES = ("text/csv", "text/plain", "model/obj")
"""Texts that nothing in them tells apart."""
TOLD_BY_CONTENT = (
    "application/pdf",
    "application/zip",
    "image/png",
    "image/jpeg",
    "video/mp4",
    JSON_FILE,
    *TEXT_FILES,
)
"""Files of which it can be seen whether they are what a socket takes: the platform sees it after the job is paid."""
VALUE_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "choice": (str,),
    "integer": (int,),
    "float": (int, float),
    "bool": (bool,),
}
"""Kinds whose values have one type; the schema of any other is not told by the API."""


def check_volume(socket: InputSpec, volume: RequestedVolume) -> None:
    """Raises Refused: GC-212, the socket takes something else; GC-215, labels that it does not take."""
    if socket.word.casefold() == DICOM_SET:
        raise Refused(
            "GC-212",
            f"the socket {socket.name} takes a DICOM image set",
            "a socket that takes one image file",
            "Choose another algorithm, or name a set that is at the platform: DICOM files do not leave this house",
        )
    if socket.kind not in IMAGES:
        raise other_kind(
            socket, "a volume", 'Give it a file of the site: [rules.NAME.values] has { file = "path" }'
        )
    if socket.kind is OutputKind.MASK and not volume.is_labels:
        raise Refused("GC-212", f"the socket {socket.name} takes labels and the rule gives a picture")
    taken = {label.value for label in socket.labels}
    strange = sorted(set(volume.labels) - taken - {0}) if taken else [n for n in volume.labels if n > 255]
    if len(taken) == 1:
        strange = []  # whatever is marked becomes the one label there is
    if volume.is_labels and strange:
        raise Refused(
            "GC-215",
            f"the socket {socket.name} does not take the labels {', '.join(map(str, strange[:10]))}",
            f"some of {', '.join(map(str, sorted(taken))) or '0 to 255'}, and 0",
            numbers={"strange": len(strange)},
        )


def check_value(socket: InputSpec, value: Json) -> None:
    """Raises Refused: GC-212, the socket takes something else; ConfigError: GC-211, a value of another type."""
    is_file = socket.kind is not OutputKind.VALUE
    if is_file and (
        socket.media_type not in VALUE_FILES
        or (socket.media_type != JSON_FILE and not isinstance(value, str))
    ):
        raise other_kind(socket, "a value")
    if value is None:
        raise ConfigError(
            "GC-211", f"the value for {socket.name} is empty", "a value: null is always refused"
        )
    types = None if is_file and socket.media_type != JSON_FILE else VALUE_TYPES.get(socket.word.casefold())
    # bool is an int in Python and not at the platform.
    if types is not None and (
        not isinstance(value, types) or (isinstance(value, bool) and bool not in types)
    ):
        raise ConfigError(
            "GC-211", f"the value for {socket.name} is a {type(value).__name__}", f"a {socket.word}"
        )
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        raise ConfigError(
            "GC-211", f"the value for {socket.name} is not a finite number", "a value that JSON can hold"
        ) from None


def check_file(socket: InputSpec, file: RequestedFile) -> None:
    """Raises Refused: GC-212, the socket takes no file; GC-216, a file of another kind."""
    if takes_image(socket) or socket.kind is OutputKind.VALUE:
        raise other_kind(socket, "a file")
    wanted, found = socket.media_type, file.media_type
    is_text = wanted in TEXT_FILES and found in (*TEXT_FILES, JSON_FILE)
    if wanted in TOLD_BY_CONTENT and found != wanted and not is_text:
        raise Refused(
            "GC-216",
            f"the file for {socket.name} is {found or 'of a kind that cannot be told'}",
            f"{wanted} ({socket.word}), as the socket takes",
            "Name another file in the rule: the platform would refuse this one after the job is paid",
            numbers={"bytes": file.size_bytes},
        )


def takes_image(socket: InputSpec) -> bool:
    """Also a DICOM image set, which is an image where it is at the platform already."""
    return socket.kind in IMAGES or socket.word.casefold() == DICOM_SET


def other_kind(socket: InputSpec, gives: str, remedy: str = "") -> Refused:
    """GC-212. `gives`: what the rule has for the socket, with its article."""
    takes = {OutputKind.IMAGE: "a volume", OutputKind.MASK: "labels", OutputKind.VALUE: "a value"}.get(
        socket.kind, f"a file ({socket.word or socket.media_type or socket.kind})"
    )
    return Refused("GC-212", f"the socket {socket.name} takes {takes} and the rule gives {gives}", "", remedy)
