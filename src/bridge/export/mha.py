"""MetaImage in one file (`.mha`): a text header, then the voxels, x fastest.

https://itk.org/Wiki/ITK/MetaIO/Documentation. The header has the keys that a reader needs and no other: whatever
else stood there would travel with the voxels.
"""

from __future__ import annotations

from bridge.export.written import (
    ZLIB,
    Sink,
    Tally,
    Voxels,
    Written,
    deflated,
    numbers,
    plain_bytes,
    word_for,
)
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


def write_mha(geometry: Geometry, voxels: Voxels, sink: Sink) -> Written:
    """Write voxels and their place, uncompressed, little-endian, slice by slice.

    Args:
        voxels: (slices, rows, columns), of a type of the table above.
        sink: written from where it stands; not closed and not flushed.
    Returns:
        Size and SHA-256 of what was written.
    Raises:
        Refused: EXP-002, a type MetaImage has no word for; EXP-003, another shape than the geometry's.
    """
    element = word_for(geometry, voxels, ELEMENT_TYPES, "MetaImage")
    out = Tally(sink)
    out.write(_header(geometry, element))
    for view in plain_bytes(voxels):
        out.write(view)
    return out.written()


def write_mha_compressed(geometry: Geometry, voxels: Voxels, sink: Sink) -> Written:
    """As `write_mha`, the voxels as a zlib stream.

    Holds that stream in memory: the header in front of it tells its length, and ITK reads no file without.
    """
    element = word_for(geometry, voxels, ELEMENT_TYPES, "MetaImage")
    pieces = list(deflated(plain_bytes(voxels), ZLIB))
    out = Tally(sink)
    out.write(_header(geometry, element, compressed_bytes=sum(len(piece) for piece in pieces)))
    for piece in pieces:
        out.write(piece)
    return out.written()


def _header(geometry: Geometry, element: str, compressed_bytes: int | None = None) -> bytes:
    """World space is LPS, mm, as in DICOM and ITK; axes in the order x (columns), y (rows), z (slices).

    TransformMatrix holds the direction of one axis after the other (MetaIO `metaImage`, as ITK reads it: the columns
    of its direction matrix). AnatomicalOrientation is left out: no reader needs it, and it names nearest axes only.
    """
    axes = (geometry.column_step_lps, geometry.row_step_lps, geometry.slice_step_lps)
    size = () if compressed_bytes is None else (("CompressedDataSize", str(compressed_bytes)),)
    lines = (
        ("ObjectType", "Image"),
        ("NDims", "3"),
        ("BinaryData", "True"),
        ("BinaryDataByteOrderMSB", "False"),
        ("CompressedData", str(compressed_bytes is not None)),
        *size,
        ("TransformMatrix", numbers(*(value for axis in axes for value in axis))),
        ("Offset", numbers(*geometry.origin_lps)),
        ("CenterOfRotation", "0 0 0"),
        ("ElementSpacing", numbers(*reversed(geometry.spacing_mm))),
        ("DimSize", " ".join(str(length) for length in reversed(geometry.shape))),
        ("ElementType", element),
        ("ElementDataFile", "LOCAL"),
    )
    return "".join(f"{key} = {value}\n" for key, value in lines).encode("ascii")
