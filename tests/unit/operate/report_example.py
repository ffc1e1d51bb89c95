"""A small job with real files: a CT of unequal pixel sizes, a SEG and an SR by highdicom, and canaries in them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
from highdicom.sr import (
    CodedConcept,
    Comprehensive3DSR,
    DeviceObserverIdentifyingAttributes,
    Measurement,
    MeasurementReport,
    ObservationContext,
    ObserverContext,
    ReferencedSegment,
    SourceSeriesForSegmentation,
    TrackingIdentifier,
    VolumetricROIMeasurementsAndQualitativeEvaluations,
)
from pydantic import TypeAdapter
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from bridge.dicom.headers import read_file, text
from bridge.dicom.instance import Instance
from bridge.export.parcel import Order, OrderedFile, OrderedValue, Parcel, ParcelFile
from bridge.operate.report import Facts, ResultFile, Version
from bridge.platforms.protocol import RemoteJob
from bridge.rules.explanation import CandidateVerdict, Check, Explanation, InputExplanation, Outcome
from bridge.store.jobs import Delivery, Job, JobEvent, JobState, Stage, StoredResult
from bridge.volumes import Volume, candidates_of

SLICES, ROWS, COLUMNS = 12, 37, 45
"""37 x 45 bits are no whole bytes: frames of the SEG begin within one."""
ROW_MM, COLUMN_MM, SLICE_MM = 1.1, 0.7, 2.5
CANARIES = {
    "PatientName": "Canaria^Serinus",
    "PatientID": "CNR-4711-X",
    "PatientBirthDate": "19370521",
    "AccessionNumber": "ACC9988776",
    "ReferringPhysicianName": "Grünfink^Carduelis",
    "StudyDescription": "Voliere gross",
    "SeriesDescription": "Gesang duenn",
    "InstitutionName": "Vogelwarte",
    "StudyID": "NEST55",
}
JOB = "3f9c1e7a2b8d4460915ea0c7d2f18b36"
REMOTE = RemoteJob(key=JOB, remote_id="remote-17", pin="image-23", begun=("create",))
ZERO = datetime(2026, 3, 4, 9, 12, 7, tzinfo=timezone(timedelta(hours=1)))
NAMES = ("left lung", "airways")
COLOURS = ((86, 180, 233), (244, 196, 108))
NUMBERS = {"left lung": (1710.25, -816.5, 97.25), "airways": (37.5, -989.5, 23.75)}
"""Volume in ml, mean and standard deviation in HU, of each segment of the SR."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    volume: Volume
    mask: np.ndarray[Any, Any]
    """(slices, rows, columns) in the order of the volume: 0, 1, 2."""
    seg: ResultFile
    sr: ResultFile

    def facts(self, **changes: Any) -> Facts:
        return replace(_facts(self), **changes)


def make_example(folder: Path) -> Example:
    paths = []
    for number in range(SLICES):
        path = folder / f"{number:03d}.dcm"
        _image(number).save_as(path, enforce_file_format=True)
        paths.append(path)
    (candidate,) = candidates_of([_instance(path, number) for number, path in enumerate(paths, start=1)])
    assert candidate.volume is not None
    mask = _mask()
    seg, sr = _results(folder, candidate.volume, mask)
    return Example(volume=candidate.volume, mask=mask, seg=_stored("SEG", seg), sr=_stored("SR", sr))


def _instance(path: Path, number: int) -> Instance:
    header, syntax = read_file(path)
    return Instance(
        number=number,
        sop_class_uid=text(header.data_set, "SOPClassUID") or "",
        sop_instance_uid=text(header.data_set, "SOPInstanceUID") or "",
        series_instance_uid=text(header.data_set, "SeriesInstanceUID") or "",
        study_instance_uid=text(header.data_set, "StudyInstanceUID") or "",
        transfer_syntax_uid=syntax,
        file=path,
        header=header.data_set,
    )


def _image(number: int) -> Dataset:
    ds = Dataset()
    for keyword, value in CANARIES.items():
        setattr(ds, keyword, value)
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.PatientSex, ds.StudyDate, ds.StudyTime = "O", "19880617", "030405"
    ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, f"1.2.826.0.1.3680043.10.777.1.{number + 1}"
    ds.StudyInstanceUID = "1.2.826.0.1.3680043.10.777.2"
    ds.SeriesInstanceUID, ds.FrameOfReferenceUID = (
        "1.2.826.0.1.3680043.10.777.3",
        "1.2.826.0.1.3680043.10.777.4",
    )
    ds.Modality, ds.BodyPartExamined, ds.SeriesNumber, ds.InstanceNumber = "CT", "CHEST", 3, SLICES - number
    ds.ImageType, ds.RescaleType, ds.PositionReferenceIndicator = ["ORIGINAL", "PRIMARY", "AXIAL"], "HU", ""
    ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    ds.ImagePositionPatient = [-15.75, -20.35, -100 + SLICE_MM * number]
    ds.PixelSpacing, ds.SliceThickness = [ROW_MM, COLUMN_MM], SLICE_MM
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns = ROWS, COLUMNS
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.RescaleIntercept, ds.RescaleSlope = -1024, 1
    ds.PixelData = (np.arange(ROWS * COLUMNS, dtype="<u2").reshape(ROWS, COLUMNS) + 10 * number).tobytes()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return ds


def _mask() -> np.ndarray[Any, Any]:
    """Scattered, so that a frame that is read one bit off is noticed; nothing in the first three slices."""
    mask = np.random.default_rng(7).integers(0, 3, (SLICES, ROWS, COLUMNS)).astype(np.uint8)
    mask[:, 5:20, 5:30] = 1
    mask[:3] = 0
    mask[6][mask[6] == 2] = 0
    return mask


def _results(folder: Path, volume: Volume, mask: np.ndarray[Any, Any]) -> tuple[Path, Path]:
    sources = [dcmread(plane.instance.file) for plane in volume.planes]
    algorithm = hd.AlgorithmIdentificationSequence("lungs", codes.DCM.ArtificialIntelligence, "1")
    seg = hd.seg.Segmentation(
        sources,
        mask,
        "BINARY",
        [
            hd.seg.SegmentDescription(
                number,
                name,
                codes.SCT.AnatomicalStructure,
                codes.SCT.Lung,
                hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
                algorithm_identification=algorithm,
                tracking_uid=hd.UID(),
                tracking_id=name,
                display_color=hd.color.CIELabColor.from_rgb(*colour),
            )
            for number, (name, colour) in enumerate(zip(NAMES, COLOURS, strict=True), start=1)
        ],
        hd.UID(),
        9001,
        hd.UID(),
        1,
        "maker",
        "model",
        "1",
        "1",
    )
    groups = [
        VolumetricROIMeasurementsAndQualitativeEvaluations(
            tracking_identifier=TrackingIdentifier(hd.UID(), name),
            referenced_segment=ReferencedSegment(
                seg.SOPClassUID,
                seg.SOPInstanceUID,
                number,
                source_series=SourceSeriesForSegmentation(volume.series_instance_uid),
            ),
            finding_type=codes.SCT.Organ,
            measurements=_measurements(*NUMBERS[name]),
        )
        for number, name in enumerate(NAMES, start=1)
    ]
    device = ObserverContext(codes.DCM.Device, DeviceObserverIdentifyingAttributes(hd.UID()))
    report = MeasurementReport(
        ObservationContext(observer_device_context=device),
        CodedConcept("25045-6", "LN", "CT unspecified body region"),
        imaging_measurements=groups,
        title=codes.DCM.ImagingMeasurementReport,
    )
    sr = Comprehensive3DSR(
        evidence=[*sources, seg],
        content=report,
        series_instance_uid=hd.UID(),
        series_number=9002,
        sop_instance_uid=hd.UID(),
        instance_number=1,
        manufacturer="maker",
        is_complete=True,
        is_final=False,
        is_verified=False,
    )
    seg.save_as(folder / "seg")
    sr.save_as(folder / "sr")
    return folder / "seg", folder / "sr"


def _measurements(volume_ml: float, mean: float, deviation: float) -> list[Measurement]:
    hu = CodedConcept("[hnsf'U]", "UCUM", "Hounsfield unit")
    quantity = codes.DCM.AttenuationCoefficient
    # In another unit than that of the page, which shows millilitres.
    volume = Measurement(codes.SCT.Volume, volume_ml * 1000, CodedConcept("mm3", "UCUM", "cubic millimeter"))
    return [
        volume,
        Measurement(quantity, mean, hu, derivation=codes.SCT.Mean),
        Measurement(quantity, deviation, hu, derivation=codes.SCT.StandardDeviation),
    ]


def _stored(kind: str, path: Path) -> ResultFile:
    data, bytes_ = dcmread(path, stop_before_pixels=True), path.read_bytes()
    return ResultFile(
        stored=StoredResult(
            sop_instance_uid=data.SOPInstanceUID,
            job_id=JOB,
            kind=kind,
            output_name="lungs",
            sop_class_uid=data.SOPClassUID,
            series_instance_uid=data.SeriesInstanceUID,
            file=path.name,
            sha256=hashlib.sha256(bytes_).hexdigest(),
            size_bytes=len(bytes_),
        ),
        path=path,
    )


def happened(seconds: float, event: str, **keys: Any) -> JobEvent:
    return JobEvent(at=ZERO.timestamp() + seconds, event=event, keys=keys)


def job(state: JobState = JobState.DONE, **changes: Any) -> Job:
    made = Job(
        id=JOB,
        rule="lungs",
        study_instance_uid="1.2.826.0.1.3680043.10.777.2",
        account="gc",
        algorithm="lungs-and-airways",
        declared_version="",
        state=state,
        stage=Stage.DELIVER,
        code="",
        reason="",
        frozen='{"study": {"PatientID": "CNR-4711-X"}}',
        inputs="{}",
        explanation="",
        remote=TypeAdapter(RemoteJob).dump_json(REMOTE).decode(),
        outputs="[]",
        created_at=ZERO.timestamp(),
        changed_at=ZERO.timestamp(),
        deadline_at=None,
        run=0,
        rerun=0,
        contents="{}",
    )
    return replace(made, **changes)


def check(keyword: str, wanted: str, found: str | None, *, ok: bool = True, private: bool = False) -> Check:
    return Check(keyword=keyword, wanted=wanted, found=found, ok=ok, private=private)


def _facts(example: Example) -> Facts:
    series = example.volume.series_instance_uid
    return Facts(
        job=job(),
        explanation=Explanation(
            rule="lungs",
            outcome=Outcome.MATCH,
            reason="ct-image is series 3, CT, 12 images, 2.5 mm",
            study=(check("PatientID", '"CNR-4711-X"', "CNR-4711-X", private=True),),
            inputs=(
                InputExplanation(
                    input="ct-image",
                    chosen=1,
                    reason="series 3, CT, 12 images, 2.5 mm: the only one that fits",
                    candidates=(
                        CandidateVerdict(
                            series_instance_uid=series,
                            label="series 2, CT, 4 images, 7.5 mm",
                            chosen=False,
                            reason="spacing_mm 7.5 is above 3.0",
                            checks=(check("spacing_mm", "at most 3.0", "7.5", ok=False),),
                        ),
                        CandidateVerdict(
                            series_instance_uid=series,
                            label="series 3, CT, 12 images, 2.5 mm",
                            chosen=True,
                            reason="every condition holds",
                            checks=(check("spacing_mm", "at most 3.0", "2.5"),),
                        ),
                    ),
                ),
            ),
        ),
        timeline=(
            happened(0, "study.first-instance"),
            happened(9, "study.last-instance"),
            happened(39, "rule.matched", rule="lungs"),
            happened(59, "job.done", results=2),
        ),
        deliveries=tuple(
            Delivery(
                job_id=JOB,
                destination="pacs",
                sop_instance_uid=one.stored.sop_instance_uid,
                outcome="delivered",
                status=0,
                reason="",
                attempts=1,
                first_at=ZERO.timestamp(),
                last_at=ZERO.timestamp(),
            )
            for one in (example.seg, example.sr)
        ),
        volume=example.volume,
        results=(example.seg, example.sr),
        parcel=Parcel(
            order=Order(
                files=(OrderedFile(input="ct-image", format="mha", file_name="ct-image.mha"),),
                steps=(),
                details={},
            ),
            files=(
                ParcelFile(
                    input="ct-image",
                    ref="parcel/ct-image.mha",
                    file_name="ct-image.mha",
                    size_bytes=40123,
                    sha256="ab12cd34" * 8,
                ),
            ),
            values=(OrderedValue(input="threshold", value=0.25),),
        ),
        versions=(Version(name="bridge", version="0.1.0"),),
        written_at=ZERO,
    )
