"""Small valid objects made in memory, for tests that need an instance and no particular one."""

from __future__ import annotations

from typing import Any

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"


def ct_slice(*, number: int = 1, study: str = "", series: str = "", name: str = "Canary^Yellow") -> Dataset:
    """One 8 x 8 CT slice at z = `number` mm, Explicit VR Little Endian, new SOP Instance UID."""
    data_set = Dataset()
    data_set.SOPClassUID = CT_IMAGE_STORAGE
    data_set.SOPInstanceUID = generate_uid(prefix="2.25.")
    data_set.StudyInstanceUID = study or generate_uid(prefix="2.25.")
    data_set.SeriesInstanceUID = series or generate_uid(prefix="2.25.")
    data_set.FrameOfReferenceUID = data_set.StudyInstanceUID
    data_set.PatientName = name
    data_set.PatientID = "C-1"
    data_set.Modality = "CT"
    data_set.InstanceNumber = number
    data_set.ImagePositionPatient = [0.0, 0.0, float(number)]
    data_set.ImageOrientationPatient = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    data_set.PixelSpacing = [1.0, 1.0]
    data_set.Rows = data_set.Columns = 8
    data_set.SamplesPerPixel = 1
    data_set.PhotometricInterpretation = "MONOCHROME2"
    data_set.BitsAllocated = data_set.BitsStored = 16
    data_set.HighBit = 15
    data_set.PixelRepresentation = 0
    data_set.RescaleSlope, data_set.RescaleIntercept = 1, -1024
    data_set.PixelData = bytes(8 * 8 * 2)
    data_set["PixelData"].VR = "OW"
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = data_set.SOPClassUID
    meta.MediaStorageSOPInstanceUID = data_set.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data_set.file_meta = meta
    return data_set


def mesh_object(
    document: bytes, of: Dataset, *, number: int = 1, kind: str = "stl", **attributes: Any
) -> Dataset:
    """An Encapsulated STL or OBJ object (PS3.3 A.85) in the study of another object; its title names the patient."""
    made = Dataset()
    made.SOPClassUID = f"1.2.840.10008.5.1.4.1.1.104.{3 if kind == 'stl' else 4}"
    made.SOPInstanceUID, made.SeriesInstanceUID = (
        generate_uid(prefix="2.25.", entropy_srcs=[str(of.StudyInstanceUID), what, str(number)])
        for what in ("mesh", "its series")
    )
    for keyword in (
        "StudyInstanceUID",
        "PatientID",
        "PatientName",
        "StudyDate",
        "StudyTime",
        "FrameOfReferenceUID",
    ):
        if keyword in of:
            setattr(made, keyword, of[keyword].value)
    made.Modality, made.SeriesNumber, made.InstanceNumber = "M3D", 100 + number, 1
    made.Manufacturer, made.BurnedInAnnotation = "ACME", "NO"
    made.DocumentTitle = f"scan of {of.PatientName}"
    made.MIMETypeOfEncapsulatedDocument = f"model/{kind}"
    made.EncapsulatedDocument = document + bytes(len(document) % 2)
    made.EncapsulatedDocumentLength = len(document)
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return made
