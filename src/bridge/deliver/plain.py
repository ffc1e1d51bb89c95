"""What a result is without DICOM around it: the mesh, the document, the picture."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

ENDINGS = {
    "1.2.840.10008.5.1.4.1.1.104.3": ".stl",
    "1.2.840.10008.5.1.4.1.1.104.4": ".obj",
    "1.2.840.10008.5.1.4.1.1.104.1": ".pdf",
    "1.2.840.10008.5.1.4.1.1.7": ".png",
}
"""By SOP Class: Encapsulated STL, OBJ and PDF, Secondary Capture. Nothing else has a plain form."""
DICOM = ".dcm"


def plain_bytes(sop_class_uid: str, file: Path) -> bytes:
    """The content of the plain file of a result that has one (`ENDINGS`).

    What was encapsulated comes out byte for byte: Encapsulated Document Length says where the padding begins (PS3.3
    C.24.2).
    """
    from pydicom import dcmread

    data_set = dcmread(file)
    if ENDINGS[sop_class_uid] == ".png":
        return _png(data_set)
    document = bytes(data_set.EncapsulatedDocument)
    return document[: int(data_set.get("EncapsulatedDocumentLength", len(document)))]


def _png(data_set: Dataset) -> bytes:
    """Our own pictures: 8-bit RGB by pixel (`bridge.results.picture`)."""
    from PIL import Image

    size = (int(data_set.Columns), int(data_set.Rows))
    wanted = size[0] * size[1] * 3
    out = BytesIO()
    Image.frombytes("RGB", size, bytes(data_set.PixelData)[:wanted]).save(out, "PNG")
    return out.getvalue()
