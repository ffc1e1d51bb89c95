from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.tag import Tag
from tests.conftest import data_folder
from tests.unit.results.build import encoded, made_header, put

from bridge.dicom.context import context_of, equipment_of, left_out, stamp
from bridge.dicom.headers import read_file, read_header
from bridge.errors import Damaged

EXPLICIT = "1.2.840.10008.1.2.1"


def raw(data_set: Dataset, keyword: str) -> bytes | None:
    """The encoded value without padding, seen without decoding anything."""
    element = data_set.get_item(Tag(keyword))
    if element is None:
        return None
    if not isinstance(element, RawDataElement):
        # pydicom reads the character set at once; its terms are ASCII.
        assert keyword == "SpecificCharacterSet"
        values = [element.value] if isinstance(element.value, str) else element.value
        return "\\".join(values).encode()
    return (element.value or b"").rstrip(b"\0 ")


def result_of(header: Dataset) -> Dataset:
    """What stands in a file whose data set was stamped with the context of `header`."""
    made = Dataset()
    made.SegmentLabel = "ours"
    made.PatientName = "Left^Over"
    made.PatientWeight = "1"
    stamp(made, context_of(header))
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = False, True
    write_dataset(buffer, made)
    return read_header(buffer.getvalue(), EXPLICIT).data_set


def item(**attributes: Any) -> Dataset:
    data_set = Dataset()
    for keyword, value in attributes.items():
        setattr(data_set, keyword, value)
    return data_set


def code(**other: Any) -> Dataset:
    return item(**({"CodeValue": "1", "CodingSchemeDesignator": "99X", "CodeMeaning": "one"} | other))


def long_code() -> Dataset:
    """An item whose designator has 17 characters where 16 are legal."""
    return put(code(), "CodingSchemeDesignator", b"S" * 17 + b" ", "SH")


TYPE_2 = [
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "StudyID",
    "ReferringPhysicianName",
]


@pytest.mark.parametrize("keyword", TYPE_2)
def test_an_absent_type_2_attribute_is_empty(keyword: str) -> None:
    assert raw(result_of(made_header(**{keyword: None})), keyword) == b""


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("keyword", "given", "expected"),
    [
        ("PatientSex", "f", b"F"),
        ("PatientSex", "W", b""),
        ("PatientSex", "O", b"O"),
        ("PatientBirthDate", "1960.01.02", b"19600102"),
        ("PatientBirthDate", "1960-01-02", b"19600102"),
        ("PatientBirthDate", "00000000", b""),
        ("PatientBirthDate", "19600231", b""),
        ("PatientBirthDate", "60", b""),
        ("StudyDate", "2026.02.01", b"20260201"),
        ("StudyTime", "10:11:12", b"101112"),
        ("StudyTime", "10:11:12.5", b"101112.5"),
        ("StudyTime", "996161", b""),
        ("StudyTime", "1011", b"1011"),
        # Identifiers stay whatever they are: archives match by them.
        ("PatientID", "P" * 70, b"P" * 70),
        ("PatientID", "P\\1", b"P\\1"),
        ("AccessionNumber", "A" * 20, b"A" * 20),
        ("StudyID", "S" * 17, b"S" * 17),
        ("PatientName", "A^B^C^D^E^F", b"A^B^C^D^E^F"),
        ("PatientName", "NoCaret", b"NoCaret"),
        # Type 3 that is not legal goes.
        ("PatientAge", "060Y", b"060Y"),
        ("PatientAge", "60", None),
        ("PatientAge", "", b""),
        ("PatientWeight", "70.5", b"70.5"),
        ("PatientWeight", "70kg", None),
        ("PatientWeight", "70.1234567890123456", None),
        ("StudyDescription", "Thorax", b"Thorax"),
        ("StudyDescription", "T" * 65, None),
        ("AdmittingDiagnosesDescription", "a\\b", b"a\\b"),
        ("IssuerOfPatientID", "a\\b", None),
        ("SmokingStatus", "SOMETIMES", None),
        ("PatientComments", "a\\b\r\nc", b"a\\b\r\nc"),
    ],
)
def test_each_value_is_copied_mended_or_left_out(keyword: str, given: str, expected: bytes | None) -> None:
    header = put(made_header(**{keyword: None}), keyword, given.encode())
    assert raw(result_of(header), keyword) == expected


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("given", "kept"), [(1, True), (4, True), (0, False), (9, False), (None, True)])
def test_a_binary_number_is_copied_when_the_standard_lists_it(given: int | None, kept: bool) -> None:
    made = result_of(made_header(PregnancyStatus=given if given is not None else ""))
    assert ("PregnancyStatus" in made) is kept
    if kept:
        assert made.PregnancyStatus == given


def test_private_series_and_image_attributes_are_not_stamped() -> None:
    header = made_header(SeriesDescription="theirs", InstitutionName="House", PatientPosition="HFS")
    header.add_new(0x00111010, "LO", "private")
    made = result_of(encoded(header))
    assert not {"SeriesDescription", "InstitutionName", "PatientPosition", "Modality", "SOPInstanceUID"} & {
        element.keyword for element in made
    }
    assert not any(element.tag.is_private for element in made)


def test_nothing_of_the_patient_before_survives_a_stamp() -> None:
    made = result_of(made_header(PatientWeight=None))
    assert made.PatientName == "Muster^Anna"
    assert "PatientWeight" not in made
    assert made.SegmentLabel == "ours"


@pytest.mark.filterwarnings("ignore")
def test_the_header_is_not_changed() -> None:
    header = made_header(PatientSex="f", PatientAge="60", OtherPatientIDsSequence=[item(PatientID="x")])
    before = encoded(header)
    context_of(header)
    assert encoded(header) == before
    assert isinstance(header.get_item(Tag("PatientName")), RawDataElement)


@pytest.mark.parametrize(
    ("keyword", "items", "kept"),
    [
        ("ReferencedStudySequence", [item(ReferencedSOPInstanceUID="1.2")], 0),
        ("ReferencedStudySequence", [item(ReferencedSOPClassUID="1.2", ReferencedSOPInstanceUID="1.3")], 1),
        ("ReferencedPatientSequence", [item(ReferencedSOPClassUID="1.2")], 0),
        ("OtherPatientIDsSequence", [item(PatientID="x", TypeOfPatientID="TEXT"), item(PatientID="y")], 1),
        ("ProcedureCodeSequence", [code(), code(CodeMeaning=""), Dataset()], 1),
        ("ProcedureCodeSequence", [long_code()], 0),
        ("ReferringPhysicianIdentificationSequence", [item(InstitutionName="House")], 0),
        (
            "ReferringPhysicianIdentificationSequence",
            [item(InstitutionName="House", PersonIdentificationCodeSequence=[code()])],
            1,
        ),
        ("IssuerOfAccessionNumberSequence", [item(UniversalEntityID="1.2")], 0),
        ("IssuerOfAccessionNumberSequence", [item(UniversalEntityID="1.2", UniversalEntityIDType="ISO")], 1),
        ("IssuerOfAccessionNumberSequence", [], 0),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_items_that_are_not_complete_are_left_out(keyword: str, items: list[Dataset], kept: int) -> None:
    made = result_of(made_header(**{keyword: items}))
    assert len(made[keyword].value if keyword in made else []) == kept


ANIMAL: dict[str, Any] = {
    "PatientSpeciesDescription": "Canis familiaris",
    "PatientSexNeutered": "ALTERED",
    "PatientBreedDescription": "Beagle",
    "PatientBreedCodeSequence": [],
    "BreedRegistrationSequence": [],
    "ResponsiblePerson": "Owner^O",
    "ResponsibleOrganization": "",
}
TRIAL: dict[str, Any] = {
    "ClinicalTrialSponsorName": "Sponsor",
    "ClinicalTrialProtocolID": "T-1",
    "ClinicalTrialSubjectID": "S-7",
}


@pytest.mark.parametrize(
    ("given", "missing", "kept"),
    [
        (ANIMAL, None, True),
        (ANIMAL, "PatientBreedDescription", False),
        (ANIMAL, "BreedRegistrationSequence", False),
        (ANIMAL, "PatientSpeciesDescription", False),
        (TRIAL, None, True),
        (TRIAL, "ClinicalTrialSponsorName", False),
        (TRIAL, "ClinicalTrialSubjectID", False),
        ({"PatientIdentityRemoved": "YES", "DeidentificationMethod": "by hand"}, None, True),
        (
            {"PatientIdentityRemoved": "YES", "DeidentificationMethod": "by hand"},
            "DeidentificationMethod",
            False,
        ),
    ],
)
def test_attributes_that_need_each_other_come_together_or_not_at_all(
    given: dict[str, Any], missing: str | None, kept: bool
) -> None:
    made = result_of(
        made_header(**{keyword: value for keyword, value in given.items() if keyword != missing})
    )
    first = next(keyword for keyword in given if keyword != missing)
    assert (first in made) is kept


def test_identity_not_removed_needs_no_method() -> None:
    assert result_of(made_header(PatientIdentityRemoved="NO")).PatientIdentityRemoved == "NO"


def test_a_module_that_is_there_has_its_type_2_attributes() -> None:
    made = result_of(made_header(**TRIAL, ClinicalTrialTimePointDescription="baseline"))
    for keyword in ("ClinicalTrialProtocolName", "ClinicalTrialSiteID", "ClinicalTrialSiteName"):
        assert raw(made, keyword) == b""
    assert raw(made, "ClinicalTrialTimePointID") == b""


@pytest.mark.filterwarnings("ignore")
def test_what_was_changed_is_named_by_keyword() -> None:
    header = made_header(PatientAge="60", PatientSex="f", PatientWeight="70", PregnancyStatus=9)
    broken = encoded(header)
    assert left_out(broken, context_of(broken)) == ("PatientSex", "PatientAge", "PregnancyStatus")


CHARSETS = ["PatientName", "SpecificCharacterSet"]


def charset_files() -> list[Path]:
    return sorted(data_folder("charsets").glob("*.dcm"))


def test_names_of_every_character_set_pass_byte_for_byte() -> None:
    seen = 0
    for file in charset_files():
        header = read_file(file)[0].data_set
        made = result_of(header)
        for keyword in CHARSETS:
            if keyword in header:
                assert raw(made, keyword) == raw(header, keyword), f"{file.name} {keyword}"
                seen += keyword == "PatientName"
    assert seen == 36


@pytest.mark.parametrize(
    ("declared", "name"),
    [
        (b"ISO_IR 192", b"M\xfcller^J\xf6rg"),
        (None, b"M\xfcller^J\xf6rg"),
        (b"ISO_IR 203", b"\xbcuvre^\xb4i\xb8ka"),
        (b"\\ISO 2022 IR 87", b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B"),
        (b"ISO-IR 192", "Müller^Jörg".encode()),
        (b"NONSENSE", b"M\xfcller"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_bytes_pass_even_under_a_wrong_declaration(declared: bytes | None, name: bytes) -> None:
    header = put(made_header(SpecificCharacterSet=None), "PatientName", name, "PN")
    if declared:
        put(header, "SpecificCharacterSet", declared, "CS")
    made = result_of(header)
    assert raw(made, "PatientName") == name
    assert raw(made, "SpecificCharacterSet") == declared


@pytest.mark.filterwarnings("ignore")
def test_bytes_in_an_item_pass_too() -> None:
    other = put(item(TypeOfPatientID="TEXT"), "PatientID", b"J\xfcrgen1 ", "LO")
    header = put(made_header(), "SpecificCharacterSet", b"ISO_IR 100", "CS")
    header.OtherPatientIDsSequence = [other]
    made = result_of(header)
    assert raw(made.OtherPatientIDsSequence[0], "PatientID") == b"J\xfcrgen1"


@pytest.mark.filterwarnings("ignore")
def test_an_identifier_whose_bytes_are_lost_is_not_guessed() -> None:
    header = put(made_header(), "PatientID", b"M\xfcller1 ", "LO")
    put(header, "SpecificCharacterSet", b"ISO_IR 192", "CS").set_original_encoding(False, True, ["utf-8"])
    assert "\ufffd" in str(header.PatientID)
    with pytest.raises(Damaged, match="PatientID") as caught:
        context_of(header)
    assert caught.value.code == "CTX-001"
    assert "ller" not in str(caught.value)


def test_a_name_that_was_read_before_keeps_its_bytes() -> None:
    header = put(made_header(), "PatientName", "Müller^Jörg".encode("latin-1") + b" ", "PN")
    assert str(header.PatientName) == "Müller^Jörg"
    assert raw(result_of(header), "PatientName") == "Müller^Jörg".encode("latin-1")


def test_equipment_is_named_without_house_or_station() -> None:
    header = made_header(
        ManufacturerModelName="Model", DeviceSerialNumber="7", InstitutionName="House", StationName="Room"
    )
    found = equipment_of(context_of(header))
    assert found is not None
    assert {element.keyword: str(element.value) for element in found} == {
        "Manufacturer": "Maker",
        "ManufacturerModelName": "Model",
        "DeviceSerialNumber": "7",
    }
    assert equipment_of(context_of(made_header(Manufacturer=None))) is None
    assert equipment_of(context_of(made_header(Manufacturer=""))) is None
