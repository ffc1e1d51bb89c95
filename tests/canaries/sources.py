"""Studies full of marks: made ones with the whole dictionary, real ones with marks in the place of what they tell."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydicom import dcmread
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from tests.canaries import planting
from tests.canaries.marks import Marks
from tests.made_objects import ct_slice, mesh_object
from tests.unit.export.test_meshes import OBJ, TEXT, binary

SLICES = 6
SERIES_KEEPS = """SOPClassUID Modality ImageType Rows Columns SamplesPerPixel PhotometricInterpretation BitsAllocated
BitsStored HighBit PixelRepresentation PlanarConfiguration PixelData ImagePositionPatient ImageOrientationPatient
PixelSpacing RescaleSlope RescaleIntercept InstanceNumber NumberOfFrames SharedFunctionalGroupsSequence
PerFrameFunctionalGroupsSequence DimensionIndexSequence DimensionOrganizationSequence SegmentSequence SegmentationType
DimensionOrganizationType TotalPixelMatrixColumns TotalPixelMatrixRows PixelPaddingValue PixelPaddingRangeLimit
FloatPixelData DoubleFloatPixelData ModalityLUTSequence BurnedInAnnotation
SOPInstanceUID SeriesInstanceUID PixelPresentation ConcatenationUID InConcatenationNumber InConcatenationTotalNumber
ConcatenationFrameOffsetNumber EncapsulatedDocumentLength SOPInstanceUIDOfConcatenationSource
RedPaletteColorLookupTableDescriptor RedPaletteColorLookupTableData SegmentedRedPaletteColorLookupTableData
PaletteColorLookupTableSequence"""
"""What a made object needs to be read as the volume that it is."""
KEEP = frozenset(int(Tag(word)) for word in SERIES_KEEPS.split())

CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
ENHANCED_MR, SEG = "1.2.840.10008.5.1.4.1.1.4.1", "1.2.840.10008.5.1.4.1.1.66.4"
WSI, US = "1.2.840.10008.5.1.4.1.1.77.1.6", "1.2.840.10008.5.1.4.1.1.6.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """A study as files, and the marks in it. `raw`: bytes to look for beside the marks' own, by what they are."""

    name: str
    files: tuple[bytes, ...]
    marks: Marks
    raw: dict[str, tuple[bytes, ...]]
    modality: str = "CT"
    is_text: bool = False
    """It is about texts around the pixels, whatever those show."""

    @property
    def wanted(self) -> dict[str, tuple[bytes, ...]]:
        return {**{mark: (mark.encode(), mark.lower().encode()) for mark in self.marks.planted}, **self.raw}

    def write(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for number, one in enumerate(self.files):
            (folder / f"{number:04}.dcm").write_bytes(one)
        return folder


def made(
    name: str,
    objects: Iterable[Dataset],
    *,
    modality: str = "CT",
    numbers: bool = True,
    raw: Mapping[str, tuple[bytes, ...]] = MappingProxyType({}),
    marks: Marks | None = None,
) -> Planted:
    """Objects of one study with a mark in every attribute; the same in all, but for their own UIDs and names.

    raw: what is to be looked for in documents that objects hold. marks: those that stand in the objects already.
    """
    marks = marks or Marks()
    own = KEEP | {int(Tag("EncapsulatedDocument"))}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        common = Dataset()
        planting.everywhere(common, marks, KEEP, numbers=numbers)
        files: list[bytes] = []
        series, last = "", None
        for one in objects:
            whole = Dataset()
            whole._dict.update(common._dict)
            whole._dict.update({Tag(tag): one._dict[Tag(tag)] for tag in own if tag in one})
            whole.file_meta = deepcopy(one.file_meta)
            whole.SOPInstanceUID = marks.uid("SOPInstanceUID")
            number = one.get("InstanceNumber")
            if last is None or one.Modality != last[0] or number <= last[1]:
                series = marks.uid("SeriesInstanceUID")
            whole.SeriesInstanceUID, last = series, (one.Modality, number)
            whole.file_meta.MediaStorageSOPInstanceUID = whole.SOPInstanceUID
            planting.around(whole, marks)
            files.append(planting.written(whole))
    return Planted(name=name, files=tuple(files), marks=marks, raw=dict(raw), modality=modality)


SHORTEST_NAME = 6
"""Bytes of a name that is worth a search."""


def slices(sop_class: str = CT, modality: str = "CT", count: int = SLICES) -> list[Dataset]:
    out = []
    for number in range(count):
        one = ct_slice(number=number)
        one.SOPClassUID = one.file_meta.MediaStorageSOPClassUID = sop_class
        one.Modality, one.ImageType = modality, ["ORIGINAL", "PRIMARY", "AXIAL"]
        one.PixelData = bytes([number + 1, 0]) * 64
        out.append(one)
    return out


def enhanced_mr(count: int = SLICES) -> Dataset:
    one = slices(ENHANCED_MR, "MR", 1)[0]
    place = {tag: one.pop(Tag(tag)).value for tag in ("ImageOrientationPatient", "PixelSpacing")}
    del one.ImagePositionPatient, one.RescaleSlope, one.RescaleIntercept
    one.NumberOfFrames = count
    one.PixelData = b"".join(bytes([number + 1, 0]) * 64 for number in range(count))
    one.SharedFunctionalGroupsSequence = [
        _groups(
            PlaneOrientationSequence={"ImageOrientationPatient": place["ImageOrientationPatient"]},
            PixelMeasuresSequence={"PixelSpacing": place["PixelSpacing"], "SliceThickness": 1.0},
            PixelValueTransformationSequence={
                "RescaleIntercept": 0,
                "RescaleSlope": 1,
                "RescaleType": "US",
            },
        )
    ]
    one.PerFrameFunctionalGroupsSequence = [
        _groups(PlanePositionSequence={"ImagePositionPatient": [0.0, 0.0, float(number)]})
        for number in range(count)
    ]
    return one


def segmentation(count: int = SLICES) -> Dataset:
    one = enhanced_mr(count)
    one.SOPClassUID = one.file_meta.MediaStorageSOPClassUID = SEG
    one.Modality, one.SegmentationType, one.ImageType = "SEG", "BINARY", ["DERIVED", "PRIMARY"]
    one.BitsAllocated = one.BitsStored = 1
    one.HighBit = 0
    one.PixelData = bytes([0xFF, 0, 0xF0, 0, 0, 0, 1, 0]) * count
    one["PixelData"].VR = "OB"
    kind = _groups(
        AnatomicRegionSequence={
            "CodeValue": "39607008",
            "CodingSchemeDesignator": "SCT",
            "CodeMeaning": "Lung",
        }
    )
    segment = Dataset()
    segment.SegmentNumber, segment.SegmentLabel, segment.SegmentAlgorithmType = 1, "Lung", "MANUAL"
    segment.SegmentedPropertyCategoryCodeSequence = kind.AnatomicRegionSequence
    segment.SegmentedPropertyTypeCodeSequence = kind.AnatomicRegionSequence
    one.SegmentSequence = [segment]
    for groups in one.PerFrameFunctionalGroupsSequence:
        groups.SegmentIdentificationSequence = _groups(
            SegmentIdentificationSequence={"ReferencedSegmentNumber": 1}
        ).SegmentIdentificationSequence
    return one


def tiles() -> Dataset:
    """Two tiles of a slide in colour."""
    one = slices(WSI, "SM", 1)[0]
    for word in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "RescaleSlope"):
        delattr(one, word)
    del one.RescaleIntercept
    one.NumberOfFrames, one.SamplesPerPixel, one.PhotometricInterpretation = 2, 3, "RGB"
    one.BitsAllocated = one.BitsStored = 8
    one.HighBit, one.PlanarConfiguration = 7, 0
    one.TotalPixelMatrixColumns, one.TotalPixelMatrixRows = 16, 8
    one.DimensionOrganizationType, one.BurnedInAnnotation = "TILED_FULL", "NO"
    one.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    one.PixelData = bytes(range(192)) * 2
    one["PixelData"].VR = "OB"
    one.SharedFunctionalGroupsSequence = [_groups(PixelMeasuresSequence={"PixelSpacing": [0.001, 0.001]})]
    return one


def ultrasound() -> Dataset:
    one = slices(US, "US", 1)[0]
    for word in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "RescaleSlope"):
        delattr(one, word)
    del one.RescaleIntercept
    return one


def _groups(**sequences: dict[str, Any]) -> Dataset:
    groups = Dataset()
    for keyword, values in sequences.items():
        item = Dataset()
        for inner, value in values.items():
            setattr(item, inner, value)
        setattr(groups, keyword, Sequence([item]))
    return groups


def plain_ct() -> Planted:
    """A CT without marks in attributes of numbers, at which other programs stop."""
    return made("CT, plain", slices(count=1), numbers=False)


MADE: dict[str, Callable[[], Planted]] = {
    "CT": lambda: made("CT", slices()),
    "MR": lambda: made("MR", slices(MR, "MR"), modality="MR"),
    "Enhanced MR": lambda: made("Enhanced MR", [enhanced_mr()], modality="MR"),
    "SEG": lambda: made("SEG", [segmentation()], modality="SEG"),
    "WSI": lambda: made("WSI", [tiles()], modality="SM"),
    "US": lambda: made("US", [ultrasound()], modality="US"),
}


def burned_in(name: str, objects: list[Dataset], modality: str) -> Planted:
    """Objects that say so of themselves, with a mark of their own in the first row of their pixels."""
    marks = Marks()
    for number, one in enumerate(objects):
        row = marks.text(f"row 0 of the pixels of {number}").encode().ljust(2 * one.Columns)
        one.PixelData = row + one.PixelData[len(row) :]
        one.BurnedInAnnotation = "YES"
    return made(name, objects, modality=modality, marks=marks)


def ct_burned_in() -> Planted:
    return burned_in("CT, burned in", slices(), "CT")


def us_burned_in() -> Planted:
    return burned_in("US, burned in", [ultrasound()], "US")


def with_masks() -> Planted:
    """Two series of CT, one of them shorter, with a segmentation of each, in one study."""
    return made("CT and SEG", [*slices(), *slices(count=5), segmentation(), segmentation(5)])


def with_meshes() -> Planted:
    """A series of CT and two scans, with words in every place of a mesh file that has room for some."""
    of = slices(count=1)[0]
    scans = [
        mesh_object(binary(head=b"solid ANNE-STL-7271", spare=0x4E41), of, number=1),
        mesh_object(OBJ.replace(b"Canary^Yellow", b"ANNE-OBJ-7271"), of, number=2, kind="obj"),
        mesh_object(TEXT.replace(b"Canary^Yellow", b"ANNE-TXT-7271"), of, number=3),
    ]
    for one, number in zip(scans, (1, 1, 0), strict=True):
        one.InstanceNumber = number
        one.file_meta.MediaStorageSOPClassUID = one.SOPClassUID
    words = {f"words of {kind}": (f"ANNE-{kind}-7271".encode(),) for kind in ("STL", "OBJ", "TXT")}
    return made("CT and meshes", [*slices(), *scans], raw=words)


REAL_KEEPS = """SOPClassUID Modality ImageType PhotometricInterpretation PatientPosition BurnedInAnnotation
SegmentationType RescaleType CodingSchemeDesignator CodeValue CodeMeaning DimensionOrganizationType
LossyImageCompression FunctionalGroupPointer"""
KEEP_OF_REAL = frozenset(int(Tag(word)) for word in REAL_KEEPS.split())
REAL = {
    "CT, Philips": "ct-chest-philips",
    "MR, GE": "mr-feet-first-ge",
    "MR, two echoes": "mr-dual-echo-philips",
    "CT, head": "ct-head-tilt-philips",
}
JPEGS = (
    "4.50_jpeg_baseline_SC_rgb.dcm",
    "4.51_jpeg_extended_12bit_NM1.dcm",
    "4.57_jpeg_lossless_enhanced_ct_fragmented_no_bot.dcm",
    "4.70_jpeg_lossless_sv1_NM1.dcm",
    "4.80_jpegls_lossless_MR_small.dcm",
)


def real(name: str, files: Iterable[Path]) -> Planted:
    """Real files with a mark in the place of every text of theirs."""
    return overwritten(name, map(dcmread, files), Marks())


def overwritten(name: str, objects: Iterable[Dataset], marks: Marks) -> Planted:
    """Objects with a mark in the place of every text of theirs; what was equal stays equal."""
    told: dict[tuple[str, str], DataElement | RawDataElement] = {}
    written = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for one in objects:
            planting.overwrite(one, marks, KEEP_OF_REAL, told)
            planting.around(one, marks)
            one.file_meta.MediaStorageSOPInstanceUID = one.SOPInstanceUID
            written.append(planting.written(one))
    return Planted(name=name, files=tuple(written), marks=marks, raw={}, modality=str(one.Modality))


def commented(file: Path) -> Planted:
    """A compressed object with marks in comments and application segments of its frames."""
    marks = Marks()
    one = dcmread(file)
    frames = generate_frames(one.PixelData, number_of_frames=int(one.get("NumberOfFrames") or 1))
    one.PixelData = encapsulate(planting.in_comments(frames, marks))
    return Planted(
        name=f"comments in {file.name[:4]}", files=(planting.written(one),), marks=marks, raw={}, is_text=True
    )


def named(file: Path) -> Planted:
    """A file of `charsets`, as it is: what is looked for are the names and texts in it, as their bytes stand there."""
    one = dcmread(file)
    raw: dict[str, tuple[bytes, ...]] = {}
    for tag in (Tag("PatientName"), Tag("PatientID"), Tag("ReferringPhysicianName"), Tag("PatientComments")):
        if tag not in one:
            continue
        stored = one.get_item(tag).value
        stored = stored if isinstance(stored, bytes) else str(stored or "").encode()
        plain = str(one[tag].value)
        for part in {*stored.split(b"="), *plain.replace("\ufffd", "").encode().split(b"=")}:
            if len(part.strip()) >= SHORTEST_NAME:
                raw[f"{file.name} {tag} {len(raw)}"] = (part.strip(),)
    return Planted(name=file.name, files=(file.read_bytes(),), marks=Marks(), raw=raw, is_text=True)
