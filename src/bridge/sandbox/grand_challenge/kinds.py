"""What a value or a file must be to fit its socket's kind."""

from __future__ import annotations

import json
import math
from typing import Any

from .sockets import Socket

STARTS = {
    "PDF": (b"%PDF-",),
    "PNG": (b"\x89PNG\r\n\x1a\n",),
    "JPEG": (b"\xff\xd8\xff",),
    "ZIP": (b"PK\x03\x04", b"PK\x05\x06"),
}
TEXTS = ("CSV", "OBJ", "NEWCK")
TYPES: dict[str, tuple[str, tuple[type, ...]]] = {
    "Float": ("number", (int, float)),
    "Integer": ("integer", (int,)),
    "String": ("string", (str,)),
    "Bool": ("boolean", (bool,)),
    "2D bounding box": ("object", (dict,)),
}


def value_error(kind: str, value: Any) -> str | None:
    """Why a JSON value does not fit its kind, in the platform's words; None when it does."""
    if kind not in TYPES:
        return None
    name, types = TYPES[kind]
    # To Python a bool is an int; to JSON it is not.
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        return f"JSON does not fulfill schema: instance {value!r} is not of type {name!r}"
    return None


def fits(socket: Socket, content: bytes) -> bool:
    """Whether a file may be bound to a File socket: JSON is parsed, the others are known by how they begin."""
    if is_json(socket):
        try:
            value = json.loads(content)
        except ValueError:
            return False
        return value_error(socket.kind, value) is None
    if socket.kind_code in TEXTS:
        try:
            return "\0" not in content.decode()
        except UnicodeDecodeError:
            return False
    return content.startswith(STARTS.get(socket.kind_code, (b"",)))


def is_json(socket: Socket) -> bool:
    """JSON kept in the database or, for File sockets, as a file."""
    return socket.relative_path.endswith(".json")


def without_nan(value: Any) -> Any:
    """The value with null in place of NaN and infinities, as the platform stores what an algorithm wrote."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: without_nan(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(inner) for inner in value]
    return value
