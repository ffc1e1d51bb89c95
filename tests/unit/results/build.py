"""Sources, masks and wrappings for tests of results: from real series, or made in memory."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from tests.unit.volumes.real import instances_of

from bridge.dicom.headers import read_header
from bridge.dicom.instance import Instance
from bridge.dicom.pixels import FileReader
from bridge.results.output import Label, Output, OutputKind
from bridge.results.result import Answer, Document, HeatMap, LabelMap, Part, Source, Table, Wrapping
from bridge.volumes import Volume, candidates_of, read_values
from bridge.volumes.volume import FloatArray, Geometry, Plane

CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
EXPLICIT = "1.2.840.10008.1.2.1"
AT = datetime(2026, 2, 3, 14, 5, 6, 789000, tzinfo=timezone(timedelta(hours=1)))
LUNGS = (Label(value=3, name="Right lung"), Label(value=7, name="left_lung"), Label(value=9, name="Trachea"))


def wrapping(**other: Any) -> Wrapping:
    usual: dict[str, Any] = {
        "job": "job-1",
        "key": b"k" * 32,
        "at": AT,
        "algorithm": "Lobe Finder",
        "algorithm_version": "2.1",
        "rule": "lungs",
        "bridge_version": "0.1.0",
        "device_uid": "2.25.77",
    }
    return Wrapping(**(usual | other))


def real_source(folder: Path) -> Source:
    """The only volume of a folder of files, with its numbers."""
    (candidate,) = (one for one in candidates_of(instances_of(folder)) if one.volume)
    assert candidate.volume is not None
    return Source(volume=candidate.volume, values=read_values(candidate.volume, FileReader()))


def made_header(**attributes: Any) -> Dataset:
    """A header as it is after reception: encoded and read back, nothing decoded. None leaves an attribute out."""
    usual: dict[str, Any] = {
        "SpecificCharacterSet": "ISO_IR 100",
        "SOPClassUID": CT,
        "SOPInstanceUID": "1.2.3.1",
        "StudyDate": "20260201",
        "StudyTime": "101112",
        "AccessionNumber": "A-1",
        "Modality": "CT",
        "Manufacturer": "Maker",
        "ReferringPhysicianName": "Referrer^R",
        "PatientName": "Muster^Anna",
        "PatientID": "P-1",
        "PatientBirthDate": "19600102",
        "PatientSex": "F",
        "StudyInstanceUID": "1.2.3",
        "SeriesInstanceUID": "1.2.4",
        "StudyID": "S-1",
        "FrameOfReferenceUID": "1.2.5",
        "SliceThickness": "2.5",
    }
    data_set = Dataset()
    for keyword, value in (usual | attributes).items():
        if value is not None:
            setattr(data_set, keyword, value)
    return encoded(data_set)


def encoded(data_set: Dataset) -> Dataset:
    """The data set after one way through bytes."""
    from pydicom.filebase import DicomBytesIO
    from pydicom.filewriter import write_dataset

    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = False, True
    write_dataset(buffer, data_set)
    return read_header(buffer.getvalue(), EXPLICIT).data_set


def put(data_set: Dataset, keyword: str, value: bytes, vr: str = "LO") -> Dataset:
    """Put bytes into a data set as a sender would, legal or not."""
    tag = Tag(keyword)
    data_set[tag] = RawDataElement(tag, vr, len(value), value, 0, False, True)
    return data_set


def made_geometry(shape: tuple[int, int, int] = (4, 5, 6), **other: Any) -> Geometry:
    usual: dict[str, Any] = {
        "shape": shape,
        "origin_lps": (-12.5, 30.25, 7.0),
        "slice_step_lps": (0.0, 0.0, 1.0),
        "row_step_lps": (0.0, 1.0, 0.0),
        "column_step_lps": (1.0, 0.0, 0.0),
        "spacing_mm": (3.0, 0.75, 0.5),
    }
    return Geometry(**(usual | other))


def made_source(
    geometry: Geometry | None = None, *, modality: str = "CT", units: str = "HU", **attributes: Any
) -> Source:
    """One single-frame instance for each slice; voxel values count up from -10."""
    geometry = geometry or made_geometry()
    sop_class = MR if modality == "MR" else CT
    planes = []
    for k in range(geometry.shape[0]):
        position = geometry.affine_lps @ (k, 0, 0, 1)
        x, y, z = (float(value) for value in position[:3])
        uid = f"1.2.3.{k + 1}"
        header = made_header(SOPClassUID=sop_class, SOPInstanceUID=uid, Modality=modality, **attributes)
        instance = Instance(
            number=k + 1,
            sop_class_uid=sop_class,
            sop_instance_uid=uid,
            series_instance_uid="1.2.4",
            study_instance_uid="1.2.3",
            transfer_syntax_uid=EXPLICIT,
            file=Path("unread"),
            header=header,
        )
        planes.append(Plane(instance=instance, frame=1, position_lps=(x, y, z), slope=1.0, intercept=0.0))
    volume = Volume(
        study_instance_uid="1.2.3",
        series_instance_uid="1.2.4",
        frame_of_reference_uid="1.2.5",
        sop_class_uid=sop_class,
        modality=modality,
        units=units,
        geometry=geometry,
        planes=tuple(planes),
    )
    count = int(np.prod(geometry.shape))
    return Source(volume=volume, values=np.arange(-10, count - 10, dtype=np.int16).reshape(geometry.shape))


def mask_part(
    array: NDArray[Any], affine_lps: FloatArray, labels: tuple[Label, ...] = (), name: str = "lungs"
) -> Part:
    output = Output(name=name, kind=OutputKind.MASK, media_type="image/x-mha", ref=name, labels=labels)
    return Part(output=output, content=LabelMap(array=array, affine_lps=affine_lps))


def value_part(name: str, value: Any) -> Part:
    output = Output(name=name, kind=OutputKind.VALUE, media_type="application/json", ref=name)
    return Part(output=output, content=value)


def answer(*parts: Part) -> Answer:
    return Answer(parts=parts)


def read_back(data: bytes) -> Dataset:
    return dcmread(BytesIO(data))


def frames_in_space(segmentation: Dataset) -> dict[int, dict[tuple[float, ...], NDArray[np.uint8]]]:
    """Segment Number -> position of the frame's first voxel, mm -> (rows, columns). No use of our own code."""
    shape = (int(segmentation.NumberOfFrames), segmentation.Rows, segmentation.Columns)
    bits = np.unpackbits(np.frombuffer(segmentation.PixelData, np.uint8), bitorder="little")
    pixels = bits[: int(np.prod(shape))].reshape(shape)
    shared = segmentation.SharedFunctionalGroupsSequence[0]
    found: dict[int, dict[tuple[float, ...], NDArray[np.uint8]]] = {}
    for pixel, groups in zip(pixels, segmentation.PerFrameFunctionalGroupsSequence, strict=True):
        which = (
            groups if "SegmentIdentificationSequence" in groups else shared
        ).SegmentIdentificationSequence
        position = groups.PlanePositionSequence[0].ImagePositionPatient
        number = int(which[0].ReferencedSegmentNumber)
        found.setdefault(number, {})[tuple(float(value) for value in position)] = pixel
    return found


def heat_part(
    array: NDArray[Any], affine_lps: FloatArray, name: str = "air-likelihood", title: str = "Air likelihood"
) -> Part:
    output = Output(
        name=name,
        kind=OutputKind.IMAGE,
        media_type="image/x-metaimage",
        ref=name,
        word="Heat Map",
        title=title,
    )
    return Part(output=output, content=HeatMap(array=array, affine_lps=affine_lps))


def table_part(name: str, columns: tuple[str, ...], *rows: tuple[str, ...]) -> Part:
    output = Output(name=name, kind=OutputKind.TABLE, media_type="text/csv", ref=name)
    return Part(output=output, content=Table(columns=columns, rows=rows))


def document_part(data: bytes, name: str = "report", title: str = "") -> Part:
    output = Output(name=name, kind=OutputKind.FILE, media_type="application/pdf", ref=name, title=title)
    return Part(output=output, content=Document(data=data))
