"""NRRD with its data attached (`.nrrd`): a text header, an empty line, the voxels, x fastest.

https://teem.sourceforge.net/nrrd/format.html. Only fields are written: no comment, and no key/value pair, which is
where other writers leave what they know of the patient.
"""

from __future__ import annotations

from collections.abc import Iterable

from bridge.export.written import (
    GZIP,
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

TYPES = {
    "int8": "int8",
    "uint8": "uint8",
    "int16": "int16",
    "uint16": "uint16",
    "int32": "int32",
    "uint32": "uint32",
    "float32": "float",
    "float64": "double",
}


def write_nrrd(geometry: Geometry, voxels: Voxels, sink: Sink) -> Written:
    """Write voxels and their place, uncompressed, little-endian, slice by slice.

    Args:
        voxels: (slices, rows, columns), of a type of the table above.
        sink: written from where it stands; not closed and not flushed.
    Returns:
        Size and SHA-256 of what was written.
    Raises:
        Refused: EXP-002, a type NRRD has no word for; EXP-003, another shape than the geometry's.
    """
    return _write(geometry, voxels, sink, "raw", plain_bytes(voxels))


def write_nrrd_compressed(geometry: Geometry, voxels: Voxels, sink: Sink) -> Written:
    """As `write_nrrd`, the voxels as a gzip stream."""
    return _write(geometry, voxels, sink, "gzip", deflated(plain_bytes(voxels), GZIP))


def _write(
    geometry: Geometry, voxels: Voxels, sink: Sink, encoding: str, data: Iterable[bytes | memoryview]
) -> Written:
    kind = word_for(geometry, voxels, TYPES, "NRRD")
    out = Tally(sink)
    out.write(_header(geometry, kind, encoding))
    for piece in data:
        out.write(piece)
    return out.written()


def _header(geometry: Geometry, kind: str, encoding: str) -> bytes:
    """The axes in the order x (columns), y (rows), z (slices), each a step from voxel to voxel in LPS, mm."""
    steps = geometry.affine_lps[:3, :3].T[::-1]
    lines = (
        ("type", kind),
        ("dimension", "3"),
        ("space", "left-posterior-superior"),
        ("sizes", " ".join(str(length) for length in reversed(geometry.shape))),
        ("space directions", " ".join(_vector(step) for step in steps)),
        ("kinds", "domain domain domain"),
        ("endian", "little"),
        ("encoding", encoding),
        ("space units", '"mm" "mm" "mm"'),
        ("space origin", _vector(geometry.origin_lps)),
    )
    text = "".join(f"{field}: {value}\n" for field, value in lines)
    return f"NRRD0004\n{text}\n".encode("ascii")


def _vector(values: Iterable[float]) -> str:
    return f"({numbers(*values).replace(' ', ',')})"
