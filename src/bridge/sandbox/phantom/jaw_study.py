"""The jaws as a dental CBCT study: a stack of axial slices, and a view from the front.

Grey values are no Hounsfield units, as those of cone beams are none: Rescale Type is US (PS3.3 C.11.1.1.2). Slices
follow PS3.3 A.3 (CT Image IOD), the view A.8.1 (Secondary Capture Image IOD). Same arguments, same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, SecondaryCaptureImageStorage

from .jaw import Tissue, draw, volumes_mm3
from .objects import Names, date_of, time_of, with_head

VOXEL_MM = 0.4
FIELD_MM = ((-42.0, 42.0), (-40.0, 84.0), (-42.0, 34.0))
"""Of x, y and z: faces of the first and the last voxel."""
GREY = MappingProxyType(
    {
        Tissue.AIR: -900.0,
        Tissue.SOFT: 100.0,
        Tissue.CANAL: 500.0,
        Tissue.MANDIBLE: 1100.0,
        Tissue.MAXILLA: 1100.0,
        Tissue.TOOTH: 1900.0,
    }
)
NOISE = 25.0
_INTERCEPT, _STORED_MAX = -1000, 4095


@dataclass(frozen=True, slots=True, kw_only=True)
class JawStudy:
    """All instances, series by series in the order of their Instance Number, and the truth about them."""

    datasets: tuple[Dataset, ...] = field(repr=False)
    volumes_ml: Mapping[str, float]
    """By structure, from formulas: `mandible`, `maxillary`, `right_nerve`, `left_nerve`, `tooth11` and on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Series:
    name: str
    number: int
    description: str
    start: datetime


def make_jaw_study(*, seed: int = 0, when: datetime, voxel_mm: float = VOXEL_MM) -> JawStudy:
    """A CBCT of nobody's jaws. All arguments enter the UIDs.

    Args:
        seed: of the noise.
        when: date and time of the study, as the clock on the wall shows it.
        voxel_mm: 0.4 makes 190 slices of 310 x 210; up to 0.5 each structure is met within 1 %.
    """
    rng = np.random.default_rng(seed)
    x, y, z = (np.arange(low + voxel_mm / 2, high, voxel_mm) for low, high in FIELD_MM)
    tissues = draw(x, y, z)
    grey = np.asarray([GREY[tissue] for tissue in Tissue], np.float32)[tissues]
    stored = _stored(grey + rng.normal(0.0, NOISE, grey.shape).astype(np.float32))
    names = Names(root=f"jaw/{seed}/{when.isoformat()}/{voxel_mm!r}")
    shared = _study_attributes(names, when)
    start = when + timedelta(minutes=1)
    volume = _Series(name="cbct", number=1, description=f"CBCT {voxel_mm:.2f}", start=start)
    view = _Series(name="view", number=2, description="Front view", start=when + timedelta(minutes=2))
    first = tuple(round(float(axis[0]), 3) for axis in (x, y, z))
    return JawStudy(
        datasets=(*_slices(shared, names, volume, stored, first, voxel_mm), _view(shared, names, view, grey)),
        volumes_ml=MappingProxyType({name: mm3 / 1000.0 for name, mm3 in volumes_mm3().items()}),
    )


def _stored(grey: npt.NDArray[np.float32]) -> npt.NDArray[np.uint16]:
    return np.clip(np.rint(grey - _INTERCEPT), 0, _STORED_MAX).astype("<u2")


def _study_attributes(names: Names, when: datetime) -> Dataset:
    """Patient, General Study and General Equipment: what all instances share."""
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.PatientName, ds.PatientID = "Phantom^Jaw", "PHANTOM-2"
    ds.PatientBirthDate, ds.PatientSex = "", "O"
    ds.StudyInstanceUID, ds.StudyID = names.uid("study"), "1"
    ds.StudyDate, ds.StudyTime = date_of(when), time_of(when)
    ds.AccessionNumber, ds.ReferringPhysicianName = "PHANTOM-2-CBCT", ""
    ds.StudyDescription = "Synthetic jaws"
    ds.Manufacturer, ds.ManufacturerModelName = "bridge", "Jaw phantom"
    ds.SoftwareVersions = "1"
    return ds


def _instance(shared: Dataset, names: Names, series: _Series, number: int, sop_class: str) -> Dataset:
    ds = Dataset()
    ds.update(shared)
    ds.Modality, ds.BodyPartExamined = "CT", "JAW"
    ds.SeriesInstanceUID, ds.SeriesNumber = names.uid("series", series.name), series.number
    ds.SeriesDescription = series.description
    ds.SeriesDate, ds.SeriesTime = date_of(series.start), time_of(series.start)
    ds.ContentDate, ds.ContentTime = ds.SeriesDate, ds.SeriesTime
    ds.InstanceNumber = number
    ds.SOPClassUID, ds.SOPInstanceUID = sop_class, names.uid("instance", series.name, number)
    return with_head(ds)


def _slices(
    shared: Dataset,
    names: Names,
    series: _Series,
    stored: npt.NDArray[np.uint16],
    first: tuple[float, ...],
    voxel_mm: float,
) -> Iterator[Dataset]:
    """Numbered from head to feet."""
    for number, k in enumerate(reversed(range(len(stored))), start=1):
        ds = _instance(shared, names, series, number, CTImageStorage)
        # ORIGINAL would have to be in Hounsfield units (PS3.3 C.8.2.1).
        ds.ImageType = ["DERIVED", "PRIMARY", "AXIAL"]
        ds.AcquisitionDate, ds.AcquisitionTime = ds.SeriesDate, ds.SeriesTime
        ds.AcquisitionNumber = 1
        ds.FrameOfReferenceUID, ds.PositionReferenceIndicator = names.uid("frame"), ""
        ds.PatientPosition, ds.ProtocolName = "HFS", "Synthetic jaws"
        ds.KVP, ds.XRayTubeCurrent, ds.ExposureTime = 90, 5, 9000
        ds.BurnedInAnnotation = "NO"
        ds.ImagePositionPatient = [first[0], first[1], round(first[2] + k * voxel_mm, 3)]
        ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        ds.PixelSpacing, ds.SliceThickness = [voxel_mm, voxel_mm], voxel_mm
        ds.RescaleType = "US"
        ds.WindowCenter, ds.WindowWidth = 900, 2600
        ds.RescaleIntercept, ds.RescaleSlope = _INTERCEPT, 1
        _pixels(ds, stored[k])
        yield ds


def _view(shared: Dataset, names: Names, series: _Series, grey: npt.NDArray[np.float32]) -> Dataset:
    """The brightest value behind each point, seen from the front: what a rule must not take for a volume."""
    ds = _instance(shared, names, series, 1, SecondaryCaptureImageStorage)
    ds.ImageType = ["DERIVED", "SECONDARY"]
    ds.ConversionType, ds.BurnedInAnnotation, ds.PatientOrientation = "WSD", "NO", ["L", "F"]
    _pixels(ds, _stored(grey[::-1].max(axis=1)))
    return ds


def _pixels(ds: Dataset, stored: npt.NDArray[np.uint16]) -> None:
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns = stored.shape
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.PixelData = np.ascontiguousarray(stored).tobytes()
