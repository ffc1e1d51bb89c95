"""What may leave the house? Formats to send, de-identified objects, and the parcel that holds them.

The face imports nothing until a name is used: `platforms` needs `export.parcel` and no array library.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bridge.export.deidentified import Deidentified, Done, deidentify
    from bridge.export.formats import FORMATS, Format, ObjectFormat, Voxels, Written, format_named
    from bridge.export.objects import Objects, Terms, check_whole
    from bridge.export.parcel import Order, OrderedFile, OrderedValue, Parcel, ParcelFile, Repeat, Step
    from bridge.export.profile import Option, Profile
    from bridge.export.pseudonyms import Pseudonyms, Scope
    from bridge.export.risks import PixelPolicy, PixelReason, pixel_risk, refuse_risky

__all__ = [
    "FORMATS",
    "Deidentified",
    "Done",
    "Format",
    "ObjectFormat",
    "Objects",
    "Option",
    "Order",
    "OrderedFile",
    "OrderedValue",
    "Parcel",
    "ParcelFile",
    "PixelPolicy",
    "PixelReason",
    "Profile",
    "Pseudonyms",
    "Repeat",
    "Scope",
    "Step",
    "Terms",
    "Voxels",
    "Written",
    "check_whole",
    "deidentify",
    "format_named",
    "pixel_risk",
    "refuse_risky",
]

_HOMES = {
    "deidentified": ("Deidentified", "Done", "deidentify"),
    "formats": ("FORMATS", "Format", "ObjectFormat", "Voxels", "Written", "format_named"),
    "objects": ("Objects", "Terms", "check_whole"),
    "parcel": ("Order", "OrderedFile", "OrderedValue", "Parcel", "ParcelFile", "Repeat", "Step"),
    "risks": ("PixelPolicy", "PixelReason", "pixel_risk", "refuse_risky"),
    "profile": ("Option", "Profile"),
    "pseudonyms": ("Pseudonyms", "Scope"),
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = next(home for home, names in _HOMES.items() if name in names)
    return getattr(import_module(f"{__name__}.{home}"), name)
