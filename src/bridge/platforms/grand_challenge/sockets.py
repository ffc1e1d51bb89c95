"""What an algorithm takes and gives: sockets of Grand Challenge as a `Spec`.

`super_kind` decides (Image, Value, File): a JSON kind may be kept as a file, which `kind` does not say.
"""

from __future__ import annotations

from pathlib import PurePath

from bridge.platforms.grand_challenge.shapes import Algorithm, Socket, SocketSet
from bridge.platforms.protocol import InputSpec, Interface, OutputSpec, Spec
from bridge.results.output import Label, OutputKind

FILE_KINDS = {"csv file": OutputKind.TABLE, "obj file": OutputKind.MESH}

MEDIA_TYPES = {
    "mha": "image/x-metaimage",
    "mhd": "image/x-metaimage",
    "tif": "image/tiff",
    "tiff": "image/tiff",
    "json": "application/json",
    "csv": "text/csv",
    "pdf": "application/pdf",
    "zip": "application/zip",
    "obj": "model/obj",
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "mp4": "video/mp4",
}

MEDIA_TYPES_OF_KINDS = {
    "csv file": "text/csv",
    "zip file": "application/zip",
    "pdf file": "application/pdf",
    "sqreg file": "application/vnd.sqlite3",
    "thumbnail jpg": "image/jpeg",
    "thumbnail png": "image/png",
    "obj file": "model/obj",
    "mp4 file": "video/mp4",
    "newick tree-format file": "text/plain",
    "biom format": "application/octet-stream",
}
"""Of the kinds that are files by their nature; every other kind of a File socket is JSON kept as a file."""

DICOM_SET = "dicom image set"
UNKNOWN = "application/octet-stream"


def media_type(file_name: str) -> str:
    return MEDIA_TYPES.get(file_name.rpartition(".")[2].lower(), UNKNOWN)


def kind_of(socket: Socket) -> OutputKind:
    """An unknown `super_kind` is a file: bytes that nothing is read into."""
    kind = socket.kind.casefold()
    match socket.super_kind.casefold():
        case "value":
            return OutputKind.VALUE
        case "image" if kind == "segmentation":
            return OutputKind.MASK
        case "image" if kind == DICOM_SET:
            # Many files of one series, not the one file of a volume.
            return OutputKind.FILE
        case "image":
            return OutputKind.IMAGE
        case _:
            return FILE_KINDS.get(kind, OutputKind.FILE)


def labels_of(socket: Socket) -> tuple[Label, ...]:
    """Declared values of a segmentation. 0 is always allowed and never a label."""
    return tuple(
        Label(value=segment.voxel_value, name=segment.name)
        for segment in socket.overlay_segments
        if segment.voxel_value != 0
    )


def spec_of(algorithm: Algorithm) -> Spec:
    """Both shapes of an algorithm.

    Since 2025-03-04 there are alternatives in `interfaces`, each to be matched exactly. Before, one set stood at the
    top, of which inputs with a default could be left out.
    """
    is_old = not algorithm.interfaces
    sets = algorithm.interfaces or (SocketSet(inputs=algorithm.inputs, outputs=algorithm.outputs),)
    return Spec(
        algorithm=algorithm.slug,
        title=algorithm.title,
        interfaces=tuple(_interface(sockets, may_omit=is_old) for sockets in sets),
        details={"pk": algorithm.pk, "api_url": algorithm.api_url},
        typical_seconds=algorithm.average_duration,
    )


def _interface(sockets: SocketSet, *, may_omit: bool) -> Interface:
    return Interface(
        inputs=tuple(
            InputSpec(
                name=socket.slug,
                kind=kind_of(socket),
                optional=may_omit and socket.default_value is not None,
                word=socket.kind,
                media_type=_input_media_type(socket),
                suffix=PurePath(socket.relative_path).suffix if _is_file(socket) else "",
                labels=labels_of(socket) if kind_of(socket) is OutputKind.MASK else (),
            )
            for socket in sockets.inputs
        ),
        outputs=tuple(
            OutputSpec(name=socket.slug, kind=kind_of(socket), labels=labels_of(socket))
            for socket in sockets.outputs
        ),
    )


def _input_media_type(socket: Socket) -> str:
    """Of the file that a File socket wants; a known ending of its path goes before its kind."""
    if not _is_file(socket):
        return ""
    by_path = media_type(socket.relative_path)
    return (
        by_path
        if by_path != UNKNOWN
        else MEDIA_TYPES_OF_KINDS.get(socket.kind.casefold(), "application/json")
    )


def _is_file(socket: Socket) -> bool:
    return socket.super_kind.casefold() == "file"
