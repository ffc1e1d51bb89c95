"""A volume as the DICOM objects it was made of, de-identified one by one: files, an archive, one multi-frame object.

What leaves is what was chosen: an object that holds more than the volume is refused, and so is a volume that is not its
objects as they came. Names are numbers in the order of the planes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from bridge.dicom.headers import number
from bridge.dicom.instance import Instance
from bridge.errors import Refused
from bridge.export.archive import write_zip
from bridge.export.deidentified import deidentify, deidentify_data_set
from bridge.export.pixel_bytes import Region
from bridge.export.profile import Profile
from bridge.export.pseudonyms import Pseudonyms
from bridge.export.written import Sink, Tally, Written
from bridge.volumes.kinds import MULTI_FRAME_CLASSES
from bridge.volumes.volume import Volume

Sinks = Callable[[int], AbstractContextManager[Sink]]
"""Opens the file of that number, from 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Under which profile and which names objects leave, and what of their pixels is blackened."""

    profile: Profile = field(default_factory=Profile)
    names: Pseudonyms
    regions: tuple[Region, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Objects:
    """The objects of a volume in the order of its planes; each is read when it is its turn."""

    instances: tuple[Instance, ...]
    read: Callable[[Instance], bytes]
    """A Part 10 file (PS3.10 7)."""
    terms: Terms
    decoded: Callable[[Instance], Dataset | None] = lambda instance: None
    """The data set for Explicit VR Little Endian of a compressed object; None for one that leaves in its syntax."""

    def encoded(self) -> Iterator[bytes]:
        """Raises Refused: DEI-003 to DEI-008, an object that cannot be de-identified."""
        terms = self.terms
        for one in self.instances:
            under = terms.profile, terms.names, terms.regions
            plain = self.decoded(one)
            if plain is None:
                yield deidentify(self.read(one), *under).encoded
            else:
                yield deidentify_data_set(plain, ExplicitVRLittleEndian, *under).encoded


def write_files(objects: Objects, sinks: Sinks) -> tuple[Written, ...]:
    """A Part 10 file for each object."""
    written = []
    for place, encoded in enumerate(objects.encoded()):
        with sinks(place) as sink:
            out = Tally(sink)
            out.write(encoded)
            written.append(out.written())
    return tuple(written)


def write_archive(objects: Objects, sinks: Sinks) -> tuple[Written, ...]:
    """One zip with a numbered entry for each object."""
    named = ((f"{place:05d}.dcm", encoded) for place, encoded in enumerate(objects.encoded(), start=1))
    with sinks(0) as sink:
        return (write_zip(named, sink),)


def write_multi_frame(objects: Objects, sinks: Sinks) -> tuple[Written, ...]:
    """The one multi-frame object, which `check_whole` has found."""
    return write_files(objects, sinks)


def check_whole(volume: Volume, *, multi_frame: bool = False) -> None:
    """Whether the objects of a volume are the volume, by its headers; before anything is written.

    multi_frame: they have to be one multi-frame object.

    Raises:
        Refused: EXP-006, a mended volume; EXP-007, labels; EXP-008, an object with frames that were not chosen;
            EXP-009, slices where a multi-frame object is wanted.
    """
    if volume.mending is not None and volume.mending.ways:
        raise Refused(
            "EXP-006",
            "a volume whose slices were mended, and a DICOM format, in which they would leave as they came",
            "a volume that needs no repair, or a format of voxels",
            "Take the repair out of the rule, or choose mha, nii or nrrd where the platform takes it",
        )
    if volume.slots:
        raise Refused(
            "EXP-007",
            "a mask in a DICOM format",
            "a format of voxels: mha, nii or nrrd",
            "Choose an input of the algorithm that takes one of them",
        )
    for instance, frames in Counter(plane.instance for plane in volume.planes).items():
        held = int(number(instance.header, "NumberOfFrames") or 1)
        if held != frames:
            raise Refused(
                "EXP-008",
                f"an object with {held} frames, of which the volume has {frames}",
                "objects that hold nothing else",
                "A format of voxels sends what was chosen alone: mha, nii or nrrd",
                {"frames": held, "chosen": frames},
            )
    if multi_frame and (
        len(volume.instances) != 1 or volume.instances[0].sop_class_uid not in MULTI_FRAME_CLASSES
    ):
        raise Refused(
            "EXP-009",
            f"{len(volume.instances)} single slices, and a format of one multi-frame object",
            "a multi-frame object from the device: none is made of slices here",
            "Let the rule choose one, or ask for dicom-zip where the platform takes it",
            {"objects": len(volume.instances)},
        )
