"""NIfTI-1 in one file (`.nii`, `.nii.gz`): a header of 348 bytes, no extensions, the voxels, x fastest.

https://nifti.nimh.nih.gov/pub/dist/src/niftilib/nifti1.h. The fields for texts (`descrip`, `aux_file`, `intent_name`,
`db_name`) stay empty. The header holds single precision only: a voxel lies within 1e-4 mm of where `.mha` puts it,
1 m from the origin.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

import numpy as np

from bridge.errors import Refused
from bridge.export.written import GZIP, Sink, Tally, Voxels, Written, deflated, plain_bytes, word_for
from bridge.volumes.volume import FloatArray, Geometry

DATA_TYPES = {
    "int8": 256,
    "uint8": 2,
    "int16": 4,
    "uint16": 512,
    "int32": 8,
    "uint32": 768,
    "float32": 16,
    "float64": 64,
}

LONGEST = 2**15 - 1
"""Voxels along an axis: `dim` is of 16 bits."""

HEADER_BYTES = 348
SCANNER, MILLIMETRES = 1, 2
"""NIFTI_XFORM_SCANNER_ANAT and NIFTI_UNITS_MM."""

HEADER = struct.Struct("<i10s18sihcB8h3f4h8ff2fhbB4f2i80s24s2h6f12f16s4s4s")
"""`nifti_1_header` and the four bytes behind it that say that no extension follows."""

RAS_OF_LPS = np.array([-1.0, -1.0, 1.0])


def write_nifti(geometry: Geometry, voxels: Voxels, sink: Sink) -> Written:
    """Write voxels and their place, uncompressed, little-endian, slice by slice.

    Args:
        voxels: (slices, rows, columns), of a type of the table above.
        sink: written from where it stands; not closed and not flushed.
    Returns:
        Size and SHA-256 of what was written.
    Raises:
        Refused: EXP-002, a type NIfTI-1 has no code for; EXP-003, another shape than the geometry's; EXP-004, an axis
            that is too long.
    """
    return _write(_pieces(geometry, voxels), sink)


def write_nifti_gz(geometry: Geometry, voxels: Voxels, sink: Sink) -> Written:
    """As `write_nifti`, all of it in a gzip stream without name and time."""
    return _write(deflated(_pieces(geometry, voxels), GZIP), sink)


def _write(pieces: Iterable[bytes | memoryview], sink: Sink) -> Written:
    out = Tally(sink)
    for piece in pieces:
        out.write(piece)
    return out.written()


def _pieces(geometry: Geometry, voxels: Voxels) -> Iterator[bytes | memoryview]:
    code = word_for(geometry, voxels, DATA_TYPES, "NIfTI-1")
    if max(geometry.shape) > LONGEST:
        raise Refused(
            "EXP-004",
            f"{' x '.join(str(length) for length in geometry.shape)} voxels",
            f"at most {LONGEST} along each axis of NIfTI-1",
            "Send it as mha or nrrd",
        )
    yield _header(geometry, code, voxels.dtype.itemsize)
    yield from plain_bytes(voxels)


def _header(geometry: Geometry, code: int, itemsize: int) -> bytes:
    """World space is RAS, mm: x and y run against those of DICOM; axes in the order x (columns), y (rows), z (slices).

    The same place twice: as quaternion, for readers that want right angles, and as matrix.
    """
    affine = geometry.affine_lps[:3, [2, 1, 0, 3]] * RAS_OF_LPS[:, None]
    spacing = geometry.spacing_mm[::-1]
    directions = affine[:, :3] / spacing
    handed = -1.0 if np.linalg.det(directions) < 0 else 1.0
    quaternion = _quaternion(directions * [1.0, 1.0, handed])
    nothing = (b"", b"", 0, 0, b"r", 0)
    return HEADER.pack(
        HEADER_BYTES,
        *nothing,
        *(3, *reversed(geometry.shape), 1, 1, 1, 1),
        *(0.0, 0.0, 0.0),
        *(0, code, itemsize * 8, 0),
        *(handed, *spacing, 0.0, 0.0, 0.0, 0.0),
        float(HEADER.size),
        *(1.0, 0.0),
        *(0, 0, MILLIMETRES),
        *(0.0, 0.0, 0.0, 0.0),
        *(0, 0),
        *(b"", b""),
        *(SCANNER, SCANNER),
        *quaternion,
        *(affine[:, 3] + 0.0),
        *(affine + 0.0).ravel(),
        b"",
        b"n+1",
        bytes(4),
    )


def _quaternion(rotation: FloatArray) -> tuple[float, float, float]:
    """(b, c, d) of the rotation with a >= 0, from its largest component so that no digits are lost.

    nifti1.h, method 2; the matrix has its axes as columns and determinant 1.
    """
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = rotation.tolist()
    symmetric = np.array(
        [
            [xx + yy + zz, zy - yz, xz - zx, yx - xy],
            [zy - yz, xx - yy - zz, yx + xy, xz + zx],
            [xz - zx, yx + xy, yy - xx - zz, zy + yz],
            [yx - xy, xz + zx, zy + yz, zz - xx - yy],
        ]
    )
    # The quaternion is the eigenvector of the largest eigenvalue, whatever the rotation (Bar-Itzhack, 2000).
    _, vectors = np.linalg.eigh(symmetric)
    a, b, c, d = (float(one) for one in vectors[:, -1])
    sign = -1.0 if a < 0 else 1.0
    return sign * b + 0.0, sign * c + 0.0, sign * d + 0.0
