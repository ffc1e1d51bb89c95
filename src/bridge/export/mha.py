"""MetaImage in one file (`.mha`): a text header, then the voxels, x fastest.

https://itk.org/Wiki/ITK/MetaIO/Documentation. The header has the keys that a reader needs and no other: whatever
else stood there would travel with the voxels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bridge.errors import Refused
from bridge.export.written import Sink, Tally, Written
from bridge.volumes.volume import Geometry

ELEMENT_TYPES = {
    "int8": "MET_CHAR",
    "uint8": "MET_UCHAR",
    "int16": "MET_SHORT",
    "uint16": "MET_USHORT",
    "int32": "MET_INT",
    "uint32": "MET_UINT",
    "float32": "MET_FLOAT",
    "float64": "MET_DOUBLE",
}


def write_mha(geometry: Geometry, values: NDArray[Any], sink: Sink) -> Written:
    """Write voxels and their place, uncompressed, little-endian, slice by slice.

    Args:
        values: (slices, rows, columns), of a type of the table above.
        sink: written from where it stands; not closed and not flushed.
    Returns:
        Size and SHA-256 of what was written.
    Raises:
        Refused: EXP-002, a type MetaImage has no word for; EXP-003, another shape than the geometry's.
    """
    element = ELEMENT_TYPES.get(values.dtype.name)
    if element is None:
        raise Refused("EXP-002", f"voxels of type {values.dtype.name}", "one of " + ", ".join(ELEMENT_TYPES))
    if values.shape != geometry.shape:
        raise Refused(
            "EXP-003", f"voxels of shape {values.shape}", f"{geometry.shape} (slices, rows, columns)"
        )
    out = Tally(sink)
    out.write(_header(geometry, element))
    little = values.dtype.newbyteorder("<")
    for one in values:
        out.write(np.ascontiguousarray(one, dtype=little).data)
    return out.written()


def _header(geometry: Geometry, element: str) -> bytes:
    """World space is LPS, mm, as in DICOM and ITK; axes in the order x (columns), y (rows), z (slices).

    TransformMatrix holds the direction of one axis after the other (MetaIO `metaImage`, as ITK reads it: the columns
    of its direction matrix). AnatomicalOrientation is left out: no reader needs it, and it names nearest axes only.
    """
    axes = (geometry.column_step_lps, geometry.row_step_lps, geometry.slice_step_lps)
    lines = (
        ("ObjectType", "Image"),
        ("NDims", "3"),
        ("BinaryData", "True"),
        ("BinaryDataByteOrderMSB", "False"),
        ("CompressedData", "False"),
        ("TransformMatrix", _numbers(*(value for axis in axes for value in axis))),
        ("Offset", _numbers(*geometry.origin_lps)),
        ("CenterOfRotation", "0 0 0"),
        ("ElementSpacing", _numbers(*reversed(geometry.spacing_mm))),
        ("DimSize", " ".join(str(length) for length in reversed(geometry.shape))),
        ("ElementType", element),
        ("ElementDataFile", "LOCAL"),
    )
    return "".join(f"{key} = {value}\n" for key, value in lines).encode("ascii")


def _numbers(*values: float) -> str:
    # repr is the shortest text that reads back as the same double; + 0.0 leaves no "-0.0".
    return " ".join(repr(float(value) + 0.0) for value in values)
