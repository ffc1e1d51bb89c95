"""A PDF becomes an Encapsulated PDF (PS3.3 A.45.1): the file itself, with patient and study around it."""

from __future__ import annotations

from bridge.dicom.charsets import plain
from bridge.results import envelope
from bridge.results.output import Output
from bridge.results.result import Document, Result, Wrapping
from bridge.results.subject import About
from bridge.results.use import MOST_BYTES, Use

SOP_CLASS_UID = "1.2.840.10008.5.1.4.1.1.104.1"
KIND = "DOC"

_HEADER_WITHIN = 1024
"""Readers look for the header of a PDF in so many bytes (ISO 32000-1, annex H, note 13)."""


def why_not(document: Document) -> str:
    """Why a document is not encoded; "" when it can be."""
    size, most = len(document.data), MOST_BYTES[Use.DOCUMENT]
    if size > most:
        return f"a document of more than {most} bytes"
    if b"%PDF-" not in document.data[:_HEADER_WITHIN]:
        return f"{size} bytes that are no PDF"
    return ""


def encode_document(
    document: Document, output: Output, subject: About, wrapping: Wrapping, *, instance_number: int
) -> Result:
    """The document of one output, unverified. Document Title is the output's title in ASCII, else its name.

    Raises:
        Refused: RES-040 an illegal value.
    """
    from pydicom.dataset import Dataset

    data_set = envelope.object_of(wrapping, KIND, SOP_CLASS_UID, output.name, instance_number)
    data_set.Modality = "DOC"
    data_set.ConversionType = "WSD"
    data_set.AcquisitionDateTime = ""
    # Nothing that leaves the house names a patient, so nothing that comes back can.
    data_set.BurnedInAnnotation = "NO"
    data_set.VerificationFlag = "UNVERIFIED"
    data_set.DocumentTitle = plain(output.title or output.name, 1024)
    data_set.ConceptNameCodeSequence = []
    sources = []
    for image in subject.sources():
        item = Dataset()
        item.ReferencedSOPClassUID = image.SOPClassUID
        item.ReferencedSOPInstanceUID = image.SOPInstanceUID
        sources.append(item)
    if sources:
        data_set.SourceInstanceSequence = sources
    data_set.MIMETypeOfEncapsulatedDocument = "application/pdf"
    data_set.EncapsulatedDocument = document.data + bytes(len(document.data) % 2)
    data_set.EncapsulatedDocumentLength = len(document.data)
    return envelope.sealed(data_set, KIND, output.name, subject.context, wrapping)
