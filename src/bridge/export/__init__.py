"""What may leave the house? Formats to send, and the parcel that holds them.

The face imports nothing until a name is used: `platforms` needs `export.parcel` and no array library.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bridge.export.formats import FORMATS, Format, Voxels, Written, format_named
    from bridge.export.parcel import Order, OrderedFile, OrderedValue, Parcel, ParcelFile, Repeat, Step

__all__ = [
    "FORMATS",
    "Format",
    "Order",
    "OrderedFile",
    "OrderedValue",
    "Parcel",
    "ParcelFile",
    "Repeat",
    "Step",
    "Voxels",
    "Written",
    "format_named",
]

_FORMATS = {"FORMATS", "Format", "Voxels", "Written", "format_named"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = "formats" if name in _FORMATS else "parcel"
    return getattr(import_module(f"{__name__}.{home}"), name)
