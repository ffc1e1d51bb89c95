"""Headers that break the standard, on the whole way from file to result: a valid object, or a refusal with its reason.

Each row is one that a library of results stumbles over. What validators say of the objects: `tests/peers`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from tests.conftest import data_folder
from tests.unit.dicom.test_context import raw
from tests.unit.results.build import answer, mask_part, put, read_back, wrapping
from tests.unit.volumes.real import instances_of

from bridge.dicom.pixels import FileReader
from bridge.errors import Refused
from bridge.results.encoders import encode
from bridge.results.result import Result, Source
from bridge.volumes import Candidate, candidates_of, read_values
from made_objects import ct_slice

pytestmark = pytest.mark.filterwarnings("ignore")

Slices = list[Dataset]
Change = Callable[[Slices], None]


def whole_series() -> Slices:
    """Four slices of a CT whose headers break no rule."""
    slices = [ct_slice(number=number, study="2.25.2", series="2.25.3") for number in (1, 2, 3, 4)]
    for one in slices:
        one.SpecificCharacterSet = "ISO_IR 100"
        one.PatientBirthDate, one.PatientSex = "19600102", "F"
        one.StudyDate, one.StudyTime = "20260201", "101112"
        one.StudyID, one.AccessionNumber = "S-1", "A-1"
        one.ReferringPhysicianName, one.Manufacturer = "Referrer^R", "Maker"
        one.PositionReferenceIndicator, one.SliceThickness = "", "1"
        one.RescaleType = "HU"
        one.PixelData = np.arange(64, dtype="<u2").tobytes()
    return slices


def absent(*keywords: str) -> Change:
    def change(slices: Slices) -> None:
        for one in slices:
            for keyword in keywords:
                delattr(one, keyword)

    return change


def given(vr: str = "LO", **values: str) -> Change:
    """These texts as bytes, whatever they are."""

    def change(slices: Slices) -> None:
        for one in slices:
            for keyword, value in values.items():
                put(one, keyword, value.encode() + b" " * (len(value) % 2), vr)

    return change


def reference_without_class(slices: Slices) -> None:
    whole, broken = Dataset(), Dataset()
    whole.ReferencedSOPClassUID, whole.ReferencedSOPInstanceUID = "1.2.840.10008.3.1.2.3.1", "2.25.8"
    broken.ReferencedSOPInstanceUID = "2.25.9"
    for one in slices:
        one.ReferencedStudySequence = Sequence([whole, broken])


def private_and_of_the_image(slices: Slices) -> None:
    for one in slices:
        one.add_new(0x00091001, "LO", "private")
        one.ImageComments, one.AcquisitionTime, one.InstitutionName = "seen by", "101010", "House"


def two_frames_of_reference(slices: Slices) -> None:
    for one in slices[2:]:
        one.FrameOfReferenceUID = "2.25.77"


def last_digit_of_orientation(slices: Slices) -> None:
    slices[2].ImageOrientationPatient = ["1", "-1e-8", "0", "1e-8", "1", "0"]


def two_at_one_place(slices: Slices) -> None:
    other = deepcopy(slices[1])
    other.SOPInstanceUID = other.file_meta.MediaStorageSOPInstanceUID = "2.25.99"
    other.PixelData = bytes([1, 0]) * 64
    slices.append(other)


def names_as_unknown(slices: Slices) -> None:
    given("UN", PatientName="Canary^Yellow ", PatientID="C-1 ", StudyDescription="Chest ")(slices)


@dataclass(frozen=True, kw_only=True)
class Row:
    name: str
    change: Change
    stands: dict[str, str | None] = field(default_factory=dict)
    """What results say then; None: nothing at all."""
    refused: str = ""
    """Code of the reason, where no result is possible."""
    volumes: int = 1


IDENTITY = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID")
ROWS = [
    Row(name="as it should be", change=lambda slices: None, stands={"PatientName": "Canary^Yellow"}),
    *(Row(name=f"no {one}", change=absent(one), stands={one: ""}) for one in IDENTITY),
    Row(
        name="no study date and time",
        change=absent("StudyDate", "StudyTime"),
        stands={"StudyDate": "", "StudyTime": ""},
    ),
    Row(name="no thickness", change=absent("SliceThickness")),
    Row(
        name="no referrer",
        change=absent("ReferringPhysicianName"),
        stands={"ReferringPhysicianName": ""},
    ),
    Row(name="no manufacturer", change=absent("Manufacturer"), stands={"Manufacturer": "bridge"}),
    Row(name="no reference indicator", change=absent("PositionReferenceIndicator")),
    Row(
        name="no character set",
        change=absent("SpecificCharacterSet"),
        stands={"SpecificCharacterSet": None},
    ),
    Row(name="sex W", change=given("CS", PatientSex="W"), stands={"PatientSex": ""}),
    Row(name="sex m", change=given("CS", PatientSex="m"), stands={"PatientSex": "M"}),
    Row(
        name="birth with dashes",
        change=given("DA", PatientBirthDate="1960-01-02"),
        stands={"PatientBirthDate": "19600102"},
    ),
    Row(
        name="birth of zeros",
        change=given("DA", PatientBirthDate="00000000"),
        stands={"PatientBirthDate": ""},
    ),
    Row(
        name="birth with dots",
        change=given("DA", PatientBirthDate="1960.01.02"),
        stands={"PatientBirthDate": "19600102"},
    ),
    Row(name="time with colons", change=given("TM", StudyTime="10:11:12"), stands={"StudyTime": "101112"}),
    Row(name="time impossible", change=given("TM", StudyTime="996161"), stands={"StudyTime": ""}),
    Row(name="age without unit", change=given("AS", PatientAge="42"), stands={"PatientAge": None}),
    Row(name="weight with unit", change=given("DS", PatientWeight="70kg"), stands={"PatientWeight": None}),
    Row(
        name="weight too long",
        change=given("DS", PatientWeight="70.12345678901234567"),
        stands={"PatientWeight": None},
    ),
    Row(name="backslash in an identifier", change=given(PatientID="C\\1"), stands={"PatientID": "C\\1"}),
    Row(
        name="six components",
        change=given("PN", PatientName="A^B^C^D^E^F"),
        stands={"PatientName": "A^B^C^D^E^F"},
    ),
    Row(
        name="long identifiers",
        change=given("SH", AccessionNumber="A" * 20, StudyID="S" * 20),
        stands={"AccessionNumber": "A" * 20, "StudyID": "S" * 20},
    ),
    Row(name="incomplete reference", change=reference_without_class),
    Row(
        name="species alone",
        change=given(PatientSpeciesDescription="Homo sapiens"),
        stands={"PatientSpeciesDescription": None},
    ),
    Row(name="no caret", change=given("PN", PatientName="Canary"), stands={"PatientName": "Canary"}),
    Row(
        name="private, and of the image",
        change=private_and_of_the_image,
        stands={"ImageComments": None, "AcquisitionTime": None, "InstitutionName": None},
    ),
    Row(name="no frame of reference", change=absent("FrameOfReferenceUID"), refused="GEO-027"),
    Row(name="two frames of reference", change=two_frames_of_reference, volumes=2),
    Row(name="last digit of the orientation", change=last_digit_of_orientation),
    Row(name="two slices at one place", change=two_at_one_place, refused="GEO-021"),
    Row(name="names as unknown", change=names_as_unknown, stands={"PatientName": "Canary^Yellow"}),
]
"""One for each known way; those of whole files of others are in `FILES`."""
FILES = [
    ("multiframe/enhanced-mr-philips-b0map-64.dcm", 2, ""),
    ("mr-feet-first-ge", 5, ""),
    ("multiframe/rtdose-15-frames.dcm", 0, "GEO-003"),
    ("multiframe/nm-multiframe-13.dcm", 0, "GEO-003"),
    ("multiframe/enhanced-mr-hyperfine-nonsquare.dcm", 0, "GEO-027"),
    ("multiframe/us-multiframe-jpeg.dcm", 0, "GEO-003"),
    ("multiframe/wsi-tiny-sm_image.dcm", 0, "GEO-003"),
]
"""A file or folder, the volumes in it, and why the rest is none."""


def candidates(row: Row, folder: Path) -> tuple[Candidate, ...]:
    slices = whole_series()
    row.change(slices)
    for number, one in enumerate(slices):
        one.save_as(folder / f"{number}.dcm", enforce_file_format=True)
    return tuple(candidates_of(instances_of(folder)))


def results_of(found: tuple[Candidate, ...]) -> Iterator[tuple[Source, tuple[Result, ...]]]:
    """What becomes of a mask on each volume: one voxel of the first slice, and a block."""
    for one in found:
        if one.volume is None:
            continue
        source = Source(volume=one.volume, values=read_values(one.volume, FileReader()))
        mask = np.zeros(source.values.shape, np.uint8)
        mask[0, 0, 0], mask[-1, 1:4, 2:7] = 2, 1
        part = mask_part(mask, one.volume.geometry.affine_lps)
        yield source, encode(answer(part), source, wrapping(picture=True))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_header_that_breaks_the_standard_gives_results_or_a_reason(row: Row, tmp_path: Path) -> None:
    found = candidates(row, tmp_path)
    refusals = [one.refusal for one in found if one.refusal]
    if row.refused:
        assert {one.code for one in refusals} == {row.refused}
        assert all(one.found and one.expected for one in refusals)
        assert list(results_of(found)) == []
        return
    assert refusals == []
    made = list(results_of(found))
    assert len(made) == row.volumes
    for source, results in made:
        assert [one.kind for one in results] == ["SEG", "SR", "SC"]
        for result in results:
            check(result, source, row)


def check(result: Result, source: Source, row: Row) -> None:
    data_set = read_back(result.data)
    for keyword, value in row.stands.items():
        expected = None if value is None else value.encode()
        assert raw(data_set, keyword) == expected, f"{result.kind} {keyword}"
    assert not any(element.tag.is_private for element in data_set.iterall())
    if result.kind == "SEG":
        assert data_set.FrameOfReferenceUID == source.volume.frame_of_reference_uid
    for item in data_set.get("ReferencedStudySequence", ()):
        assert {"ReferencedSOPClassUID", "ReferencedSOPInstanceUID"} <= {one.keyword for one in item}


@pytest.mark.parametrize(("name", "volumes", "code"), FILES, ids=[row[0] for row in FILES])
def test_objects_of_others_give_results_or_a_reason(name: str, volumes: int, code: str) -> None:
    found = tuple(candidates_of(instances_of(data_folder(name))))
    assert sum(one.volume is not None for one in found) == volumes
    assert {one.refusal.code for one in found if one.refusal} == ({code} if code else set())
    for _, results in results_of(found):
        assert [one.kind for one in results] == ["SEG", "SR", "SC"]


def test_reasons_name_nobody(tmp_path: Path) -> None:
    for row in ROWS:
        if row.refused:
            folder = tmp_path / row.refused
            folder.mkdir()
            said = " ".join(str(one.refusal) for one in candidates(row, folder))
            assert not re.search("Canary|C-1|A-1|2\\.25", said)


def test_a_volume_without_frame_of_reference_is_refused_by_the_encoder_too(tmp_path: Path) -> None:
    ((source, _),) = results_of(candidates(ROWS[0], tmp_path))
    nowhere = replace(source, volume=replace(source.volume, frame_of_reference_uid=""))
    mask = np.ones(source.values.shape, np.uint8)
    with pytest.raises(Refused) as caught:
        encode(answer(mask_part(mask, source.volume.geometry.affine_lps)), nowhere, wrapping())
    assert caught.value.code == "RES-032"
