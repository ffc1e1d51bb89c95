"""What a volume contains, as a digest: the same for the same voxels in the same place, however they were sent.

No UID goes in. Another transfer syntax, another order of arrival, a copy under new UIDs give the same content.
Two numbers that differ by less than the rounding can still fall on two sides of a border: then the content differs,
which costs a second job and never a wrong result.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bridge.dicom.headers import number
from bridge.errors import Refused
from bridge.volumes.pixels import INT16, Reader
from bridge.volumes.slices import slice_of
from bridge.volumes.stack import Stack
from bridge.volumes.volume import Plane, Volume

LENGTH_STEP_MM = 1e-3
"""To what positions and pixel spacings are rounded."""

COSINE_STEP = 1e-5
"""To what direction cosines are rounded: five thousandths of a millimetre over 500 mm."""

FRAME_DOMAIN = b"bridge frame 1\0"
VOLUME_DOMAIN = b"bridge volume 1\0"
"""Change the number with anything below: every content changes with it, and with it every job id."""


def frame_digest(plane: Plane, stored: NDArray[Any]) -> str:
    """SHA-256, in hex, over place, size, rescale and stored values of one plane.

    Depends on this one frame only, not on the volume it is part of: computed once per instance, it outlives the file.

    Args:
        stored: (rows, columns) integers as a `Reader` gives them; their dtype does not matter, only the numbers.
    Raises:
        Refused: GEO-..., the header describes no plane; PIX-010, padding that reads as the brightest tissue.
    """
    _no_bright_padding(plane, stored)
    one = slice_of(plane.instance, plane.frame)
    # Rounded to integers: those have no negative zero.
    lengths = [round(value / LENGTH_STEP_MM) for value in (*plane.position_lps, *one.pixel_spacing_mm)]
    cosines = [round(value / COSINE_STEP) for value in one.orientation]
    digest = hashlib.sha256(FRAME_DOMAIN)
    digest.update(struct.pack("<5q6q2I", *lengths, *cosines, *stored.shape))
    digest.update(struct.pack("<2d", plane.slope + 0.0, plane.intercept + 0.0))
    values = _canonical(stored)
    digest.update(values.dtype.str.encode("ascii"))
    digest.update(values.data)
    return digest.hexdigest()


def frame_digests(volume: Volume | Stack, reader: Reader) -> dict[tuple[int, int], str]:
    """The digest of every plane by (number of the instance, frame), to be kept for as long as the header is."""
    return {
        (plane.instance.number, plane.frame): frame_digest(plane, reader(plane.instance, plane.frame))
        for plane in volume.planes
    }


def content_of(volume: Volume, digests: Sequence[str]) -> str:
    """SHA-256, in hex, over the frames in the order of position.

    Args:
        digests: the `frame_digest` of each plane, in the order of `volume.planes`.
    Raises:
        ValueError: there are more or fewer digests than planes.
    """
    digest = hashlib.sha256(VOLUME_DOMAIN)
    for _, one in zip(volume.planes, digests, strict=True):
        digest.update(bytes.fromhex(one))
    return digest.hexdigest()


def _no_bright_padding(plane: Plane, stored: NDArray[Any]) -> None:
    """Padding in the upper half of unsigned 16 bits was meant to be negative: it would read as the brightest tissue.

    Asked here, where every input's pixels and headers pass together. Other padding stays: it lies below all tissue,
    where a reader expects what is no image (PS3.3 C.7.5.1.1.2).
    """
    padding = number(plane.instance.header, "PixelPaddingValue")
    if padding is None or padding <= INT16[1] or int(stored.max()) < padding:
        return
    padded = int(np.count_nonzero(stored == int(padding)))
    if padded:
        reads = padding * plane.slope + plane.intercept
        raise Refused(
            "PIX-010",
            f"padding of {padding:g} in {padded} voxels of a slice, which reads as {reads:g}",
            "padding below the numbers of the image",
            "Ask the source for signed pixels, or for a padding value that they can hold",
            numbers={"padding": padding, "voxels": padded, "reads": reads},
        )


def _canonical(stored: NDArray[Any]) -> NDArray[Any]:
    """The values in the smallest signed little-endian integers that hold them all.

    Which one follows from the numbers alone: a codec that decodes into another dtype changes nothing.
    """
    lowest, highest = int(stored.min()), int(stored.max())
    for kind in ("<i2", "<i4", "<i8"):
        limits = np.iinfo(kind)
        if limits.min <= lowest and highest <= limits.max:
            break
    return np.ascontiguousarray(stored, dtype=kind)
