"""The sockets of the sandbox: name and kind of everything that goes into an algorithm or comes out of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    name: str
    voxel_value: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Socket:
    """`kind` is the label on the wire, `kind_code` the short form in the platform's error sentences."""

    pk: int
    slug: str
    title: str
    kind: str
    kind_code: str
    super_kind: str
    relative_path: str
    segments: tuple[Segment, ...] = ()
    default_value: Any = None

    @property
    def allowed_values(self) -> frozenset[int]:
        """The voxel values that a segmentation here may hold; 0 needs no declaration."""
        return frozenset({0, *(segment.voxel_value for segment in self.segments)})


def _image(pk: int, slug: str, title: str, kind: str = "Image", code: str = "IMG", *names: str) -> Socket:
    return Socket(
        pk=pk,
        slug=slug,
        title=title,
        kind=kind,
        kind_code=code,
        super_kind="Image",
        relative_path=f"images/{slug}",
        segments=tuple(Segment(name=name, voxel_value=n) for n, name in enumerate(names, start=1)),
    )


def _mask(pk: int, slug: str, title: str, *names: str) -> Socket:
    return _image(pk, slug, title, "Segmentation", "SEG", *names)


def _value(pk: int, slug: str, title: str, kind: str, code: str, default: Any = None) -> Socket:
    return Socket(
        pk=pk,
        slug=slug,
        title=title,
        kind=kind,
        kind_code=code,
        super_kind="Value",
        relative_path=f"{slug}.json",
        default_value=default,
    )


def _file(pk: int, slug: str, title: str, kind: str, code: str, suffix: str) -> Socket:
    return Socket(
        pk=pk,
        slug=slug,
        title=title,
        kind=kind,
        kind_code=code,
        super_kind="File",
        relative_path=f"{slug}.{suffix}",
    )


CT_IMAGE = _image(1, "ct-image", "CT image")
LUNG_SEGMENTATION = _mask(2, "lung-segmentation", "Lung segmentation", "Right lung", "Left lung", "Airways")
LOW_ATTENUATION_PERCENT = _value(3, "low-attenuation-percent", "Low attenuation percent", "Float", "FLT")

GENERIC_IMAGE = _image(4, "generic-medical-image", "Generic Medical Image")
LOBES = _mask(
    5,
    "pulmonary-lobes",
    "Pulmonary lobes",
    "Left upper lobe",
    "Left lower lobe",
    "Right upper lobe",
    "Right lower lobe",
    "Right middle lobe",
)
LOBES_PICTURE = _image(6, "pulmonary-lobes-picture", "Pulmonary lobes picture")

FIXED_IMAGE = _image(7, "fixed-image", "Fixed image")
MOVING_IMAGE = _image(8, "moving-image", "Moving image")
FIXED_MASK = _mask(9, "fixed-mask", "Fixed mask", "Lung")
MOVING_MASK = _mask(10, "moving-mask", "Moving mask", "Lung")
MOVED_IMAGE = _image(11, "moved-image", "Moved image")
DIFFERENCE = _image(12, "registration-difference", "Registration difference")

THRESHOLD = _value(13, "threshold", "Threshold", "Integer", "INT", default=-400)
OPTIONS = _file(14, "options-file", "Options file", "Anything", "JSON", "json")
AIR_MASK = _mask(15, "air-mask", "Air mask", "Air")
AIR_VOLUME = _value(16, "air-volume-ml", "Air volume", "Float", "FLT")
FINDINGS = _file(17, "findings", "Findings", "Anything", "JSON", "json")
REPORT_TABLE = _file(18, "report-table", "Report table", "CSV file", "CSV", "csv")
HEAT_MAP = _image(19, "air-likelihood", "Air likelihood", "Heat Map", "HMAP")
SMOOTHED = _image(20, "smoothed-ct", "Smoothed CT")
SUMMARY = _value(21, "summary", "Summary", "Anything", "JSON")
IS_EMPTY = _value(22, "is-empty", "Is empty", "Bool", "BOOL")
SENTENCE = _value(23, "sentence", "Sentence", "String", "STR")
SLICES = _value(24, "slice-count", "Slice count", "Integer", "INT")
BOX = _value(25, "air-box", "Air box", "2D bounding box", "2DBB")
REPORT_PDF = _file(26, "report", "Report", "PDF file", "PDF", "pdf")
SURFACE = _file(27, "air-surface", "Air surface", "OBJ file", "OBJ", "obj")
THUMBNAIL = _file(28, "thumbnail", "Thumbnail", "Thumbnail png", "PNG", "png")
ARCHIVE_FILE = _file(29, "bundle", "Bundle", "ZIP file", "ZIP", "zip")
DICOM_CT = _image(30, "dicom-ct", "DICOM CT", "DICOM Image Set", "DCMIS")
ATLAS = _file(31, "atlas", "Atlas", "ZIP file", "ZIP", "zip")
PROTOCOL = _file(32, "protocol", "Protocol", "PDF file", "PDF", "pdf")
REFERENCES = _file(33, "references", "References", "CSV file", "CSV", "csv")

SOCKETS = tuple(value for value in list(globals().values()) if isinstance(value, Socket))
