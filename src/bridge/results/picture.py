"""The overlay of a mask as a picture, for viewers that show no segmentations: a Secondary Capture (PS3.3 A.8.1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bridge.dicom.charsets import plain
from bridge.results import envelope
from bridge.results.montage import evenly, turn_of, window_of
from bridge.results.planes import body_part_of, loss_of
from bridge.results.result import Result, Source, Wrapping
from bridge.results.segments import Segment, Segmented
from bridge.results.subject import Subject
from bridge.volumes.volume import Plane

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from bridge.results.sheet import Sheet

SOP_CLASS_UID = "1.2.840.10008.5.1.4.1.1.7"
KIND = "SC"
MOST_SLICES = 20


def encode_picture(
    found: Segmented,
    output_name: str,
    source: Source,
    subject: Subject,
    wrapping: Wrapping,
    *,
    instance_number: int,
) -> Result:
    """The picture of one mask: at most 20 slices, evenly over the extent of its segments.

    Args:
        found: a mask with at least one voxel.
    Raises:
        Refused: RES-040 an illegal value.
    """
    from bridge.results.sheet import draw

    marked = np.flatnonzero(found.numbers.any(axis=(1, 2)))
    slices = evenly(int(marked[0]), int(marked[-1]), MOST_SLICES)
    pixels = draw(_sheet(found, slices, source, subject, wrapping))
    data_set = envelope.object_of(wrapping, KIND, SOP_CLASS_UID, output_name, instance_number)
    # Not that of the scanner (PS3.3 C.8.6.1 allows either): whoever looks for the images of a study must not find this.
    data_set.Modality = "OT"
    data_set.ConversionType = "WSD"
    data_set.DateOfSecondaryCapture = data_set.ContentDate
    data_set.TimeOfSecondaryCapture = data_set.ContentTime
    data_set.ImageType = ["DERIVED", "SECONDARY"]
    data_set.DerivationDescription = plain(
        f"{len(slices)} slices with the segments of {output_name}, {envelope.NOT_VERIFIED}"
        + (f"; images {wrapping.repaired}" if wrapping.repaired else ""),
        1024,
    )
    # Several tiles, so no single direction (PS3.3 C.7.6.1.1.1).
    data_set.PatientOrientation = ""
    data_set.BurnedInAnnotation = "NO"
    data_set.update(body_part_of(subject.planes))
    data_set.update(loss_of(subject.planes))
    planes = dict(zip(_places(subject), subject.planes, strict=True))
    data_set.SourceImageSequence = [_reference(planes[k], subject) for k in slices if k in planes]
    data_set.SamplesPerPixel = 3
    data_set.PhotometricInterpretation = "RGB"
    data_set.PlanarConfiguration = 0
    data_set.Rows, data_set.Columns, _ = pixels.shape
    data_set.BitsAllocated = data_set.BitsStored = 8
    data_set.HighBit = 7
    data_set.PixelRepresentation = 0
    data = pixels.tobytes()
    data_set.PixelData = data + bytes(len(data) % 2)
    return envelope.sealed(data_set, KIND, output_name, subject.context, wrapping)


def _sheet(
    found: Segmented, slices: Sequence[int], source: Source, subject: Subject, wrapping: Wrapping
) -> Sheet:
    from bridge.results.sheet import Entry, Sheet, Tile

    volume = subject.volume
    turn, sides = turn_of(volume.geometry)
    window = window_of(
        volume, [segment.label for segment in found.segments], [source.values[k] for k in slices]
    )
    count, rows, columns = volume.geometry.shape
    _, row_mm, column_mm = volume.geometry.spacing_mm
    shown = set(np.unique(found.numbers[slices]).tolist())
    some = f"{len(slices)} of {count} slice{'s' if count > 1 else ''}"
    way = f" from {sides.first} to {sides.last}" if len(slices) > 1 else ""
    return Sheet(
        title=plain(f"{wrapping.algorithm} {wrapping.algorithm_version}", 160),
        warning=envelope.NOT_VERIFIED,
        about=plain(
            f"{some}{way}, {window.name.replace('−', '-')}"
            + (f", {wrapping.repaired}" if wrapping.repaired else ""),
            160,
        ),
        tiles=tuple(
            Tile(
                name=f"{k + 1}/{count}",
                grey=window.grey(source.values[k])[turn],
                labels=found.numbers[k][turn],
            )
            for k in slices
        ),
        size_mm=(columns * column_mm, rows * row_mm),
        sides=sides,
        legend=tuple(
            Entry(
                rgb=segment.rgb,
                text=_said(segment, volume.geometry.voxel_ml, is_shown=segment.number in shown),
            )
            for segment in found.segments
        ),
    )


def _said(segment: Segment, voxel_ml: float, *, is_shown: bool) -> str:
    if not segment.voxels:
        return f"{segment.label}: none"
    volume = f"{segment.label}: {_millilitres(segment.voxels * voxel_ml)} ml"
    return volume if is_shown else f"{volume}, not on these slices"


def _millilitres(volume: float) -> str:
    """Three digits, as far as they tell something."""
    return f"{volume:.0f}" if volume >= 100 else f"{volume:.3g}" if volume >= 0.001 else "below 0.001"


def _places(subject: Subject) -> Sequence[int]:
    """The number of each image in the grid."""
    mending, count = subject.volume.mending, len(subject.planes)
    return mending.places(count) if mending else range(count)


def _reference(plane: Plane, subject: Subject) -> Dataset:
    from pydicom.dataset import Dataset

    item = Dataset()
    item.ReferencedSOPClassUID = plane.instance.sop_class_uid
    item.ReferencedSOPInstanceUID = plane.instance.sop_instance_uid
    if len({one.instance for one in subject.planes}) < len(subject.planes):
        item.ReferencedFrameNumber = plane.frame
    return item
