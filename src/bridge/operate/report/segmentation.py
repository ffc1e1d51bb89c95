"""What the SEG files of a job say, laid over the planes of its volume: read from the files that PACS got.

PS3.3 A.51, C.8.20. Segments are painted in the order of files and numbers; where two overlap, the later one is seen.
A label map is read as the binary frames that it stands for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from bridge.errors import Damaged, Refused
from bridge.volumes.volume import Geometry, Volume

Rgb = tuple[int, int, int]

SAME_PLACE_MM = 0.01
"""A frame repeats the position of its source plane, written with at most 16 characters."""
SAME_DIRECTION = 1e-3

_BITS = {"BINARY": (1,), "LABELMAP": (8, 16)}
"""Bits Allocated of the types that are drawn."""

COLOURS: tuple[Rgb, ...] = ((86, 180, 233), (230, 159, 0), (0, 158, 115), (204, 121, 167), (240, 228, 66))
"""For segments without a recommended colour; from Okabe and Ito, told apart with colour vision deficiency too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One segment of one file."""

    sop_instance_uid: str
    number: int
    """Segment Number in its file."""
    label: str
    rgb: Rgb


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One frame of a file: which segment on which plane."""

    segment: int
    """Index into the segments of the `Overlay`."""
    bits: NDArray[np.uint8]
    """Packed, lowest bit first; the frame begins at bit `first`."""
    first: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Overlay:
    """All segments of a job on the planes of its volume."""

    segments: tuple[Segment, ...]
    frames: dict[int, tuple[Frame, ...]]
    """By plane of the volume, only frames that are not empty."""
    shape: tuple[int, int]
    """(rows, columns)"""

    def labels(self, plane: int) -> NDArray[np.uint16]:
        """(rows, columns): 0, or the index of a segment counted from 1."""
        painted = np.zeros(self.shape[0] * self.shape[1], np.uint16)
        for frame in self.frames.get(plane, ()):
            bits = np.unpackbits(frame.bits, bitorder="little")[frame.first : frame.first + painted.size]
            painted[bits.astype(bool)] = frame.segment + 1
        return painted.reshape(self.shape)


def read_overlay(files: Sequence[Path], volume: Volume) -> Overlay:
    """Read SEG files whose frames lie on planes of the volume.

    Raises:
        Damaged: REP-001, a file that cannot be read as SEG.
        Refused: REP-002, a kind of SEG that is not drawn; REP-003, frames that lie elsewhere.
    """
    segments: list[Segment] = []
    frames: dict[int, list[Frame]] = defaultdict(list)
    for file in files:
        seg = _read(file)
        _same_grid(seg, volume.geometry)
        try:
            mine = _segments(seg, len(segments))
            for plane, frame in _frames(seg, volume, mine, len(segments)):
                frames[plane].append(frame)
        except (AttributeError, LookupError, TypeError, ValueError):
            raise _unreadable() from None
        segments.extend(mine)
    return Overlay(
        segments=tuple(segments),
        frames={plane: tuple(found) for plane, found in frames.items()},
        shape=volume.geometry.shape[1:],
    )


def _read(file: Path) -> Dataset:
    try:
        seg = dcmread(file)
        kind, bits = str(seg.SegmentationType), int(seg.BitsAllocated)
    except Exception:  # noqa: BLE001 - pydicom raises many kinds, and their texts quote values
        raise _unreadable() from None
    plain = seg.file_meta.TransferSyntaxUID in (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
    if bits not in _BITS.get(kind, ()) or not plain:
        raise Refused(
            "REP-002", f"a segmentation of type {kind[:16]}, or compressed", " or ".join(_BITS).lower()
        )
    return seg


def _unreadable() -> Damaged:
    return Damaged("REP-001", "a result that cannot be read as a segmentation", "a SEG file of this job")


def _same_grid(seg: Dataset, geometry: Geometry) -> None:
    try:
        shared = seg.SharedFunctionalGroupsSequence[0]
        found = [float(one) for one in shared.PlaneOrientationSequence[0].ImageOrientationPatient]
        spacing = [float(one) for one in shared.PixelMeasuresSequence[0].PixelSpacing]
        size = (int(seg.Rows), int(seg.Columns))
    except Exception:  # noqa: BLE001 - as above
        raise _unreadable() from None
    wanted = (*geometry.column_step_lps, *geometry.row_step_lps)
    if (
        size != geometry.shape[1:]
        or not np.allclose(found, wanted, rtol=0, atol=SAME_DIRECTION)
        or not np.allclose(spacing, geometry.spacing_mm[1:], rtol=SAME_DIRECTION)
    ):
        raise _elsewhere()


def _elsewhere() -> Refused:
    return Refused("REP-003", "a segmentation on another grid than the images", "frames on their planes")


def _segments(seg: Dataset, before: int) -> list[Segment]:
    return [
        Segment(
            sop_instance_uid=str(seg.SOPInstanceUID),
            number=int(item.SegmentNumber),
            label=str(item.get("SegmentLabel") or f"segment {item.SegmentNumber}"),
            rgb=_colour(item, before + index),
        )
        # A label map describes its background as segment 0.
        for index, item in enumerate(item for item in seg.SegmentSequence if item.SegmentNumber)
    ]


def _frames(
    seg: Dataset, volume: Volume, segments: Sequence[Segment], before: int
) -> list[tuple[int, Frame]]:
    index = {segment.number: before + place for place, segment in enumerate(segments)}
    stored = np.frombuffer(seg.PixelData, np.uint8)
    size = volume.geometry.shape[1] * volume.geometry.shape[2]
    if seg.SegmentationType == "LABELMAP":
        return _frames_of_labels(seg, volume, index, size)
    found = []
    for number, groups in enumerate(seg.PerFrameFunctionalGroupsSequence):
        plane = _plane(groups.PlanePositionSequence[0].ImagePositionPatient, volume)
        start, end = number * size, (number + 1) * size
        if end > stored.size * 8:
            raise _unreadable()
        bits = stored[start // 8 : -(-end // 8)]
        if bits.any():
            segment = index[int(groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber)]
            found.append((plane, Frame(segment=segment, bits=bits, first=start % 8)))
    return found


def _frames_of_labels(
    seg: Dataset, volume: Volume, index: dict[int, int], size: int
) -> list[tuple[int, Frame]]:
    stored = np.frombuffer(seg.PixelData, "<u2" if seg.BitsAllocated == 16 else np.uint8)
    found = []
    for number, groups in enumerate(seg.PerFrameFunctionalGroupsSequence):
        plane = _plane(groups.PlanePositionSequence[0].ImagePositionPatient, volume)
        labels = stored[number * size : (number + 1) * size]
        if labels.size != size:
            raise _unreadable()
        for value in (int(one) for one in np.unique(labels) if one):
            bits = np.packbits(labels == value, bitorder="little")
            found.append((plane, Frame(segment=index[value], bits=bits, first=0)))
    return found


def _plane(position: Any, volume: Volume) -> int:
    at = np.array([float(one) for one in position])
    # By positions alone: the images of a mended volume need not lie in equal steps.
    distances = np.linalg.norm(np.array([plane.position_lps for plane in volume.planes]) - at, axis=1)
    plane = int(np.argmin(distances))
    if not distances[plane] <= SAME_PLACE_MM:
        raise _elsewhere()
    return plane


def _colour(item: Dataset, place: int) -> Rgb:
    stored = item.get("RecommendedDisplayCIELabValue")
    if stored is None or len(stored) != 3:
        return COLOURS[place % len(COLOURS)]
    return srgb_of(int(stored[0]), int(stored[1]), int(stored[2]))


def srgb_of(lightness: int, a: int, b: int) -> Rgb:
    """The sRGB colour of a Recommended Display CIELab Value (PS3.3 C.10.7.1.1), clipped to what a screen can show.

    The standard means the white D50 of ICC profiles. highdicom, and PixelMed which it follows, reckon with the D65 of
    sRGB when they write; read the same way, a colour comes back as it was chosen.

    Args:
        lightness, a, b: stored values, 0 to 65535: L* from 0 to 100, a* and b* from -128 to 127.
    """
    y = (lightness / 65535 * 100 + 16) / 116
    x, z = y + (a / 65535 * 255 - 128) / 500, y - (b / 65535 * 255 - 128) / 200
    xyz = np.array([_cube(x) * 0.9505, _cube(y), _cube(z) * 1.0889])
    linear = np.clip(_XYZ_TO_SRGB @ xyz, 0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    red, green, blue = (int(one) for one in np.rint(encoded * 255))
    return red, green, blue


def _cube(value: float) -> float:
    return value**3 if value > 6 / 29 else 3 * (6 / 29) ** 2 * (value - 4 / 29)


_XYZ_TO_SRGB = np.array([[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]])
"""IEC 61966-2-1."""
