"""An ordered volume becomes the file, or the files, that leave; in a child process."""

from __future__ import annotations

from pathlib import PurePath

from bridge.dicom.instance import Instance
from bridge.export import ObjectFormat, Terms, check_whole, format_named
from bridge.export.parcel import OrderedFile, ParcelFile
from bridge.flow.stages import heavy
from bridge.flow.stages.children import Children
from bridge.flow.stages.shelf import PARCEL, JobShelf
from bridge.volumes import Volume
from bridge.volumes.pixels import for_reading


def write(
    children: Children, shelf: JobShelf, wanted: OrderedFile, volume: Volume, terms: Terms
) -> tuple[ParcelFile, ...]:
    """Several where the format makes a file for each object: they are numbered behind the name that was ordered.

    Raises:
        ConfigError: EXP-001, an unknown format.
        Refused: EXP-006 to EXP-009, a volume that this format does not hold; DEI-003 to DEI-008, an object that
            cannot be de-identified, or a region beyond the image; what the conversion raises.
    """
    format = format_named(wanted.format)
    if isinstance(format, ObjectFormat):
        check_whole(volume, multi_frame=format.multi_frame)
        lean = for_reading(volume)
        names = _numbered(wanted.file_name, len(lean.instances)) if format.many else (wanted.file_name,)
        paths = tuple(shelf.path(f"{PARCEL}/{name}") for name in names)
        made = children.run(
            heavy.write_objects, lean.instances, wanted.format, paths, terms, wanted.uncompressed
        )
    else:
        names = (wanted.file_name,)
        labels = wanted.labels if wanted.as_labels else None
        path = shelf.path(f"{PARCEL}/{wanted.file_name}")
        made = (children.run(heavy.convert, for_reading(volume), wanted.format, path, labels, terms.regions),)
    return tuple(
        ParcelFile(
            input=wanted.input,
            ref=f"{PARCEL}/{name}",
            file_name=name,
            size_bytes=size_bytes,
            sha256=sha256,
            format=wanted.format,
        )
        for name, (size_bytes, sha256) in zip(names, made, strict=True)
    )


def write_mesh(
    children: Children, shelf: JobShelf, wanted: OrderedFile, document: Instance
) -> tuple[ParcelFile, ...]:
    """The mesh of an object, without its texts. Raises Refused: EXP-011, EXP-012."""
    ref = f"{PARCEL}/{wanted.file_name}"
    size_bytes, sha256 = children.run(heavy.write_mesh, document, shelf.path(ref))
    return (
        ParcelFile(
            input=wanted.input,
            ref=ref,
            file_name=wanted.file_name,
            size_bytes=size_bytes,
            sha256=sha256,
            format=wanted.format,
        ),
    )


def _numbered(file_name: str, count: int) -> tuple[str, ...]:
    name = PurePath(file_name)
    return tuple(f"{name.stem}-{number:05d}{name.suffix}" for number in range(1, count + 1))
