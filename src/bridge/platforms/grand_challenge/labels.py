"""Files for sockets that take labels: the platform takes 8-bit integers only, and says so after the job is paid."""

from __future__ import annotations

from bridge.errors import Refused
from bridge.export.parcel import Order, ParcelFile
from bridge.platforms.grand_challenge.header import read_header
from bridge.platforms.protocol import Shelf

EIGHT_BIT = ("MET_UCHAR", "MET_CHAR")


def check_labels(order: Order, file: ParcelFile, shelf: Shelf) -> None:
    """Raises Refused: GC-228, the file for a socket that takes labels has voxels of another type."""
    if not any(one.input == file.input and one.as_labels for one in order.files):
        return
    with shelf.open(file.ref) as stream:
        header = read_header(stream)
    found = header.get("ElementType", "no type")
    if found not in EIGHT_BIT:
        raise Refused(
            "GC-228",
            f"the file for {file.input} has voxels of type {found}",
            "unsigned 8-bit integers (MET_UCHAR), as the platform demands for labels",
        )
