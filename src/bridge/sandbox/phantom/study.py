"""The phantom as a DICOM study: thin and thick axial CT, a scout, and a secondary capture page.

CT images follow PS3.3 A.3 (CT Image IOD), the page A.8.1 (Secondary Capture Image IOD). Everything is derived
from the arguments, so the same arguments give the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, SecondaryCaptureImageStorage

from .objects import Names, date_of, time_of, with_head
from .page import dose_page
from .render import Grid, Thorax, scanned, thorax
from .shapes import FloatArray, Point
from .tissues import Label

NOISE_HU = 22.0
THICKER = 2.5
"""A thick slice is this many thin ones."""
_INTERCEPT, _STORED_MAX = -1024, 4095


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What is in the picture, counted on the noiseless masks of the thin series.

    Lung is what breathes: without the vessels and the bronchi inside it. Airway is the air in trachea and bronchi.
    """

    right_lung_voxels: int
    left_lung_voxels: int
    airway_voxels: int
    voxel_ml: float
    study_instance_uid: str
    series: Mapping[str, str]
    """Series Instance UID by name: thin, thick, scout, page."""

    @property
    def lung_voxels(self) -> int:
        return self.right_lung_voxels + self.left_lung_voxels

    @property
    def lung_ml(self) -> float:
        return self.lung_voxels * self.voxel_ml

    @property
    def airway_ml(self) -> float:
        return self.airway_voxels * self.voxel_ml


@dataclass(frozen=True, slots=True, kw_only=True)
class PhantomStudy:
    """All instances, series by series in the order of their Instance Number, and the truth about them."""

    datasets: tuple[Dataset, ...] = field(repr=False)
    truth: Truth


@dataclass(frozen=True, slots=True, kw_only=True)
class _Series:
    name: str
    number: int
    description: str
    kernel: str
    start: datetime


def make_study(*, seed: int = 0, when: datetime, variant: str = "", scale: float = 1.0) -> PhantomStudy:
    """A thorax CT study of nobody: scout, thin and thick axial series, a page of text.

    All four arguments enter the UIDs: where the bytes differ, so do the names.

    Args:
        seed: noise and the course of the fine vessels; same seed, same pixels.
        when: date and time of the study, as the clock on the wall shows it.
        variant: changes all UIDs and nothing else.
        scale: 1 is 140 slices of 256 x 256; less keeps the extent (358 x 358 x 280 mm) with fewer and larger
            voxels, so 0.35 is 49 slices of 90 x 90. Below 0.2 the bronchi are too fine to stay open.
    """
    rng = np.random.default_rng(seed)
    grid = Grid.scaled(scale)
    body = thorax(grid, rng)
    thin = scanned(body.hu, rng, NOISE_HU)
    names = Names(root=f"{seed}/{when.isoformat()}/{variant}/{scale!r}")
    thick_mm = round(THICKER * grid.slice_mm, 3)
    plan = (
        _Series(name="scout", number=1, description="Thorax scout", kernel="", start=when),
        _axial("thin", 2, grid.slice_mm, "lung", when + timedelta(minutes=2)),
        _axial("thick", 3, thick_mm, "soft", when + timedelta(minutes=3)),
        _Series(
            name="page", number=99, description="Dose page", kernel="", start=when + timedelta(minutes=5)
        ),
    )
    scout, thin_plan, thick_plan, page = plan
    shared = _study_attributes(names, when)
    datasets = (
        _scout(shared, names, scout, body, grid),
        *_axial_images(shared, names, thin_plan, thin, grid, grid.slice_mm),
        *_axial_images(shared, names, thick_plan, _thick(thin), grid, thick_mm),
        _page(shared, names, page, grid),
    )
    counts = np.bincount(body.labels.ravel(), minlength=len(Label))
    truth = Truth(
        right_lung_voxels=int(counts[Label.RIGHT_LUNG]),
        left_lung_voxels=int(counts[Label.LEFT_LUNG]),
        airway_voxels=int(counts[Label.AIRWAY]),
        voxel_ml=grid.pixel_mm**2 * grid.slice_mm / 1000.0,
        study_instance_uid=names.uid("study"),
        series={series.name: names.uid("series", series.name) for series in plan},
    )
    return PhantomStudy(datasets=datasets, truth=truth)


def _axial(name: str, number: int, slice_mm: float, kernel: str, start: datetime) -> _Series:
    description = f"Thorax {slice_mm:.1f} {kernel}"
    return _Series(name=name, number=number, description=description, kernel=kernel, start=start)


def _thick(thin: FloatArray) -> FloatArray:
    """Average thin slices into thick ones, a slice that two share by its parts."""
    count = int(len(thin) / THICKER)
    edges = np.arange(count + 1) * THICKER
    index = np.arange(len(thin))
    low = np.maximum(index[np.newaxis, :], edges[:-1, np.newaxis])
    high = np.minimum(index[np.newaxis, :] + 1, edges[1:, np.newaxis])
    weights = (np.maximum(high - low, 0.0) / THICKER).astype(np.float32)
    return np.asarray(np.tensordot(weights, thin, axes=1), dtype=np.float32)


def _stored(hu: FloatArray) -> npt.NDArray[np.uint16]:
    return np.clip(np.rint(hu - _INTERCEPT), 0, _STORED_MAX).astype("<u2")


def _study_attributes(names: Names, when: datetime) -> Dataset:
    """Patient, General Study and General Equipment: what all instances share."""
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.PatientName, ds.PatientID = "Phantom^Thorax", "PHANTOM-1"
    ds.PatientBirthDate, ds.PatientSex = "", "O"
    ds.StudyInstanceUID, ds.StudyID = names.uid("study"), "1"
    ds.StudyDate, ds.StudyTime = date_of(when), time_of(when)
    ds.AccessionNumber, ds.ReferringPhysicianName = "PHANTOM-1-CT", ""
    ds.StudyDescription = "Synthetic thorax"
    ds.Manufacturer, ds.ManufacturerModelName = "bridge", "Thorax phantom"
    ds.SoftwareVersions = "1"
    return ds


def _instance(
    shared: Dataset, names: Names, series: _Series, number: int, at: datetime, sop_class: str
) -> Dataset:
    ds = Dataset()
    ds.update(shared)
    ds.Modality, ds.BodyPartExamined = "CT", "CHEST"
    ds.SeriesInstanceUID, ds.SeriesNumber = names.uid("series", series.name), series.number
    ds.SeriesDescription = series.description
    ds.SeriesDate, ds.SeriesTime = date_of(series.start), time_of(series.start)
    ds.InstanceNumber = number
    ds.ContentDate, ds.ContentTime = date_of(at), time_of(at)
    ds.SOPClassUID, ds.SOPInstanceUID = sop_class, names.uid("instance", series.name, number)
    return with_head(ds)


def _ct(shared: Dataset, names: Names, series: _Series, number: int, at: datetime) -> Dataset:
    """A CT image but for its plane and pixels."""
    ds = _instance(shared, names, series, number, at, CTImageStorage)
    ds.AcquisitionDate, ds.AcquisitionTime, ds.AcquisitionNumber = date_of(at), time_of(at), series.number
    ds.FrameOfReferenceUID, ds.PositionReferenceIndicator = names.uid("frame"), ""
    ds.PatientPosition, ds.ProtocolName = "HFS", "Synthetic thorax"
    ds.KVP, ds.XRayTubeCurrent, ds.ExposureTime = 120, 150, 500
    ds.GantryDetectorTilt = 0
    ds.BurnedInAnnotation = "NO"
    return ds


def _axial_images(
    shared: Dataset, names: Names, series: _Series, hu: FloatArray, grid: Grid, slice_mm: float
) -> Iterator[Dataset]:
    x, y, z = grid.first_mm
    lowest = z - grid.slice_mm / 2 + slice_mm / 2
    stored = _stored(hu)
    # Numbered from head to feet, as most thorax protocols are: against the direction of the normal.
    for number, k in enumerate(reversed(range(len(stored))), start=1):
        ds = _ct(shared, names, series, number, series.start + timedelta(milliseconds=50 * number))
        ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        ds.ConvolutionKernel = series.kernel
        ds.ReconstructionDiameter = round(grid.pixels * grid.pixel_mm, 3)
        position = (round(x, 3), round(y, 3), round(lowest + k * slice_mm, 3))
        _plane(ds, position, [1, 0, 0, 0, 1, 0], [grid.pixel_mm, grid.pixel_mm])
        ds.SliceThickness, ds.SliceLocation = slice_mm, position[2]
        ds.RescaleType = "HU"
        ds.WindowCenter, ds.WindowWidth = (-600, 1500) if series.kernel == "lung" else (40, 400)
        _pixels(ds, stored[k])
        yield ds


def _scout(shared: Dataset, names: Names, series: _Series, body: Thorax, grid: Grid) -> Dataset:
    """A coronal localizer: how much water the beam meets from front to back, as a scanner's topogram."""
    ds = _ct(shared, names, series, 1, series.start)
    ds.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    x, y, z = grid.first_mm
    top, middle = z + (grid.slices - 1) * grid.slice_mm, y + (grid.pixels - 1) / 2 * grid.pixel_mm
    _plane(
        ds,
        (round(x, 3), round(middle, 3), round(top, 3)),
        [1, 0, 0, 0, 0, -1],
        [grid.slice_mm, grid.pixel_mm],
    )
    ds.SliceThickness = None
    # Grey values of a projection are no Hounsfield units (PS3.3 C.11.1.1.2: US, unspecified).
    ds.RescaleType = "US"
    ds.WindowCenter, ds.WindowWidth = 200, 1000
    density = np.maximum(body.hu[::-1] + 1000.0, 0.0)
    water_mm = density.sum(axis=1, dtype=np.float32) * np.float32(grid.pixel_mm / 1000.0)
    _pixels(ds, _stored(water_mm * 4.0 - 500.0))
    return ds


def _plane(ds: Dataset, position: Point, orientation: list[int], spacing: list[float]) -> None:
    ds.ImagePositionPatient, ds.ImageOrientationPatient = list(position), orientation
    ds.PixelSpacing = spacing


def _pixels(ds: Dataset, stored: npt.NDArray[np.uint16]) -> None:
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns = stored.shape
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.RescaleIntercept, ds.RescaleSlope = _INTERCEPT, 1
    ds.PixelData = stored.tobytes()


def _page(shared: Dataset, names: Names, series: _Series, grid: Grid) -> Dataset:
    """A page of text among the images. Modality is CT as on many scanners: only the SOP class tells."""
    ds = _instance(shared, names, series, 1, series.start, SecondaryCaptureImageStorage)
    ds.ImageType = ["DERIVED", "SECONDARY"]
    ds.ConversionType, ds.BurnedInAnnotation, ds.PatientOrientation = "WSD", "NO", ""
    picture = dose_page(slices=grid.slices, slice_mm=grid.slice_mm)
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns = picture.shape
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
    ds.PixelData = picture.tobytes()
    return ds
