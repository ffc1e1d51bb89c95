"""What was sent, read the way its extension says."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

from bridge.errors import BridgeError
from bridge.itk import ItkImage, read_image

from .frames import Frame, Unreadable, frames_of, stacked

VOLUMES = (".dcm", ".zip", ".nii", ".nii.gz", ".nrrd")
MESHES = (".stl", ".ply", ".obj", ".zip")
INPUTS = {"cbct": VOLUMES, "ios_upper": MESHES, "ios_lower": MESHES, "facial": MESHES}
STL_HEAD, STL_RECORD = 84, 50


def read_volume(file: Path, extension: str) -> ItkImage:
    """Raises Unreadable."""
    named = file.with_name(f"{file.name}{extension}")
    named.write_bytes(file.read_bytes())
    try:
        match extension:
            case ".zip":
                return stacked(_slices(named))
            case ".dcm":
                return stacked(list(frames_of(named)))
            case _:
                return read_image(named)
    except BridgeError:
        raise Unreadable("cbct") from None
    finally:
        named.unlink()


def check_mesh(name: str, file: Path, extension: str) -> None:
    """Raises Unreadable: a binary STL has another length than its count says; any other kind is empty."""
    data = file.read_bytes()
    if extension == ".stl" and not data.startswith(b"solid"):
        if (
            len(data) >= STL_HEAD
            and len(data) == STL_HEAD + STL_RECORD * struct.unpack_from("<I", data, 80)[0]
        ):
            return
        raise Unreadable(name)
    if not data:
        raise Unreadable(name)


def _slices(archive: Path) -> list[Frame]:
    """Of objects with one frame each: of another kind the vendor's pages say nothing."""
    try:
        with zipfile.ZipFile(archive) as bundle:
            found = [list(frames_of(io.BytesIO(bundle.read(name)))) for name in bundle.namelist()]
    except zipfile.BadZipFile:
        raise Unreadable("cbct") from None
    if any(len(one) != 1 for one in found):
        raise Unreadable("cbct")
    return [frame for one in found for frame in one]
