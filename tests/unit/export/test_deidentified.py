"""De-identification of whole objects: nothing planted is left, and what is left still is the object."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from datetime import date
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRBigEndian
from tests.canaries.marked import DATE, FRACTION, MARKS, TEXT, UID, element, found, marked_ct, written
from tests.made_objects import ct_slice

from bridge.errors import Refused
from bridge.export.deidentified import Deidentified, deidentify, deidentify_data_set
from bridge.export.profile import Option, Profile
from bridge.export.pseudonyms import Pseudonyms, Scope
from bridge.export.verdicts import Deed

NAMES = Pseudonyms(b"k" * 32, Scope.of_job("job-1"))
BASIC = Profile()


def profile(*options: Option) -> Profile:
    return Profile(options=frozenset(options))


def read(done: Deidentified) -> Dataset:
    return dcmread(BytesIO(done.encoded))


def ct(**values: Any) -> Dataset:
    data_set = ct_slice()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for keyword, value in values.items():
            setattr(data_set, keyword, value)
    return data_set


def out_of(data_set: Dataset, chosen: Profile = BASIC, names: Pseudonyms = NAMES) -> Dataset:
    return read(deidentify(written(data_set), chosen, names))


def item(**values: Any) -> Dataset:
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


@pytest.fixture(scope="module")
def canaries() -> Iterator[tuple[bytes, int]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield marked_ct()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("options", "searched"),
    [
        pytest.param((), MARKS, id="basic"),
        pytest.param((Option.CLEAN_DESCRIPTORS, Option.CLEAN_STRUCTURED_CONTENT), MARKS, id="cleaned"),
        # The time of day stays under this option; the day must not.
        pytest.param((Option.RETAIN_MODIFIED_DATES,), (TEXT, UID, DATE), id="modified dates"),
        pytest.param((Option.RETAIN_FULL_DATES,), (TEXT, UID), id="full dates"),
        pytest.param((Option.RETAIN_UIDS,), (TEXT, DATE, FRACTION), id="uids"),
    ],
)
def test_of_a_mark_in_every_attribute_of_the_dictionary_none_leaves(
    canaries: tuple[bytes, int], options: tuple[Option, ...], searched: tuple[str, ...]
) -> None:
    source, planted = canaries
    assert planted > 10_000
    assert sum(found(source).values()) > 10_000
    assert found(deidentify(source, profile(*options), NAMES).encoded, searched) == {}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_audit_tells_paths_and_deeds_and_no_value(canaries: tuple[bytes, int]) -> None:
    done = deidentify(canaries[0], BASIC, NAMES).done
    told = {(one.path, one.deed) for one in done}
    assert ("AccessionNumber", Deed.EMPTIED) in told
    assert ("StudyDescription", Deed.REMOVED) in told
    assert (
        "SharedFunctionalGroupsSequence.PixelMeasuresSequence.PlanePositionSequence.(0009,1001)",
        Deed.REMOVED,
    ) in told
    assert not any(mark in one.path for one in done for mark in (TEXT, UID))


PRIOR = item(StudyInstanceUID=f"{UID}.5", StudyDescription="x")
ACTIONS = [
    # keyword, value in, options, value out (None: absent)
    pytest.param("AccessionNumber", "A1", (), "", id="Z, Type 2: empty"),
    pytest.param("StudyDescription", "CHEST", (), None, id="X, Type 3: absent"),
    pytest.param("InstitutionName", "St. Nowhere", (), None, id="X/Z/D, Type 3: absent"),
    pytest.param(
        "InstitutionName", "St. Nowhere", (Option.RETAIN_INSTITUTION_IDENTITY,), "St. Nowhere", id="K"
    ),
    pytest.param(
        "InstitutionName", "Ä. Klinik", (Option.RETAIN_INSTITUTION_IDENTITY,), "Ä. Klinik", id="K, not ASCII"
    ),
    pytest.param("StudyDate", "20240301", (), "", id="date, Type 2"),
    pytest.param("StudyDate", "20240301", (Option.RETAIN_FULL_DATES,), "20240301", id="date in full"),
    pytest.param("StudyDate", "2024.03.01", (Option.RETAIN_FULL_DATES,), "20240301", id="ACR-NEMA date"),
    pytest.param("StudyDate", "JONES", (Option.RETAIN_FULL_DATES,), "", id="a name as date"),
    pytest.param("StudyDate", "JONES", (Option.RETAIN_MODIFIED_DATES,), "", id="a name as date, modified"),
    pytest.param(
        "StudyTime", "101500", (Option.RETAIN_MODIFIED_DATES,), "101500", id="time of day, modified"
    ),
    pytest.param(
        "PatientBirthDate", "19500505", (Option.RETAIN_FULL_DATES,), "", id="birth date is no option's"
    ),
    pytest.param("PatientAge", "043Y", (), None, id="age"),
    pytest.param("PatientAge", "043Y", (Option.RETAIN_PATIENT_CHARACTERISTICS,), "043Y", id="age kept"),
    pytest.param(
        "PatientAge", "093Y", (Option.RETAIN_PATIENT_CHARACTERISTICS,), "090Y", id="great age grouped"
    ),
    pytest.param("PatientSex", "F", (Option.RETAIN_PATIENT_CHARACTERISTICS,), "F", id="sex kept"),
    pytest.param("PatientSex", "JONES", (Option.RETAIN_PATIENT_CHARACTERISTICS,), "", id="a name as sex"),
    pytest.param(
        "SeriesDescription", "t2_tse_sag", (Option.CLEAN_DESCRIPTORS,), "t2_tse_sag", id="C, words known"
    ),
    pytest.param(
        "SeriesDescription", "t2 tse Jones", (Option.CLEAN_DESCRIPTORS,), None, id="C, a word unknown"
    ),
    pytest.param("StationName", "CT1", (Option.RETAIN_DEVICE_IDENTITY,), "CT1", id="device"),
    pytest.param("ManufacturerModelName", "Scanner 1", (), None, id="text outside the table"),
    pytest.param(
        "ManufacturerModelName", "Scanner 1", (Option.RETAIN_DEVICE_IDENTITY,), "Scanner 1", id="model"
    ),
    pytest.param("Manufacturer", "SIEMENS", (), "SIEMENS", id="a maker that everyone has"),
    pytest.param("Manufacturer", "Jones & Son", (), "", id="another maker, Type 2"),
    pytest.param("ConvolutionKernel", "B31f", (), "B31f", id="kernel"),
    pytest.param("ConvolutionKernel", "JONES", (), None, id="a name as kernel"),
    pytest.param("BodyPartExamined", "CHEST", (), "CHEST", id="code string, known"),
    pytest.param("BodyPartExamined", "JONES", (), None, id="code string, unknown"),
    pytest.param(
        "ImageType", ["ORIGINAL", "PRIMARY", "JONES", "M"], (), ["ORIGINAL", "PRIMARY"], id="image type"
    ),
    pytest.param("ScanOptions", ["FS", "JONES", "HELIX"], (), ["FS", "HELIX"], id="a set of code strings"),
    pytest.param("KVP", "120", (), 120, id="a number"),
    pytest.param("ReferencedStudySequence", [PRIOR], (), None, id="X/Z sequence"),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("keyword", "value", "options", "expected"), ACTIONS)
def test_action(keyword: str, value: Any, options: tuple[Option, ...], expected: Any) -> None:
    source = ct(**{keyword: value}, SpecificCharacterSet="ISO_IR 100")
    made = out_of(source, profile(*options))
    assert (keyword in made) == (expected is not None)
    if expected is not None:
        value = made[keyword].value
        assert (list(value) if isinstance(expected, list) else value or "") == expected


def test_a_mandatory_value_that_may_not_be_told_is_a_legal_dummy() -> None:
    source = ct(
        SOPClassUID="1.2.840.10008.5.1.4.1.1.2.1", ManufacturerModelName="Scanner", DeviceSerialNumber="77"
    )
    found = out_of(source)  # Enhanced CT: both Type 1 (PS3.3 C.7.5.2)
    assert (found.ManufacturerModelName, found.DeviceSerialNumber) == ("ANONYMIZED", "ANONYMIZED")


def test_methods_are_written_as_the_profile_demands() -> None:
    found = out_of(ct(BurnedInAnnotation="NO"), profile(Option.RETAIN_MODIFIED_DATES, Option.RETAIN_UIDS))
    assert found.PatientIdentityRemoved == "YES"
    assert found.LongitudinalTemporalInformationModified == "MODIFIED"
    assert [one.CodeValue for one in found.DeidentificationMethodCodeSequence] == [
        "113100",
        "113107",
        "113110",
    ]
    assert found.BurnedInAnnotation == "NO"
    assert found.PatientID == str(found.PatientName) == NAMES.patient()
    every = frozenset(Option) - {Option.RETAIN_FULL_DATES}
    assert len(out_of(ct(), Profile(options=every)).DeidentificationMethod) <= 64


def test_text_kept_by_an_option_is_unicode_and_nothing_else_names_a_character_set() -> None:
    keeps = profile(Option.RETAIN_INSTITUTION_IDENTITY)
    found = out_of(ct(SpecificCharacterSet="ISO_IR 100", InstitutionName="Ä. Klinik"), keeps)
    assert found.SpecificCharacterSet == "ISO_IR 192"
    assert "SpecificCharacterSet" not in out_of(
        ct(SpecificCharacterSet="ISO_IR 100", InstitutionName="A"), keeps
    )


def test_well_known_uids_stay_and_others_are_mapped_alike_everywhere() -> None:
    instance = f"{UID}.8"
    reference = item(ReferencedSOPClassUID="1.2.840.10008.5.1.4.1.1.2", ReferencedSOPInstanceUID=instance)
    source = ct(
        SOPInstanceUID=instance,
        FrameOfReferenceUID="1.2.840.10008.1.4.1.1",
        ReferencedInstanceSequence=[reference],
    )
    source.file_meta.MediaStorageSOPInstanceUID = instance
    found = out_of(source)
    inner = found.ReferencedInstanceSequence[0]
    assert found.SOPClassUID == inner.ReferencedSOPClassUID == "1.2.840.10008.5.1.4.1.1.2"
    assert found.FrameOfReferenceUID == "1.2.840.10008.1.4.1.1"  # Talairach Brain Atlas, PS3.6 A
    assert (
        found.SOPInstanceUID == inner.ReferencedSOPInstanceUID == found.file_meta.MediaStorageSOPInstanceUID
    )
    assert found.SOPInstanceUID != instance


def test_a_class_newer_than_the_dictionary_of_uids_stays_what_it_is() -> None:
    label_map = "1.2.840.10008.5.1.4.1.1.66.7"
    found = out_of(ct(SOPClassUID=label_map))
    assert found.SOPClassUID == found.file_meta.MediaStorageSOPClassUID == label_map


def test_a_known_code_keeps_its_meaning_by_the_standard_and_a_local_one_goes() -> None:
    def code(value: str, scheme: str, meaning: str) -> Dataset:
        return item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)

    source = ct(
        AnatomicRegionSequence=[code("T-D1100", "SRT", "Head of Jones"), code("J1", "99HOUSE", "Jones")],
    )
    (region,) = out_of(source).AnatomicRegionSequence
    assert (region.CodeValue, region.CodingSchemeDesignator, region.CodeMeaning) == ("T-D1100", "SRT", "Head")


def test_an_orphaned_list_of_references_goes_with_what_it_lists() -> None:
    instance = item(ReferencedSOPClassUID="1.2.840.10008.5.1.4.1.1.2", ReferencedSOPInstanceUID=f"{UID}.3")
    series = item(SeriesInstanceUID=f"{UID}.4", ReferencedInstanceSequence=[instance])
    source = ct(ReferencedSeriesSequence=[series], SourceImageSequence=[instance])
    found = out_of(source)
    assert "SourceImageSequence" not in found
    assert "ReferencedSeriesSequence" not in found


def test_a_wrong_vr_takes_no_name_along() -> None:
    source = ct()
    source.add(element(0x00180060, "US", [0x4F4A, 0x454E]))
    source.add(element(0x00189073, "LO", "JONES"))
    made = deidentify(written(source), BASIC, NAMES)
    assert found(made.encoded, ("JONES", "JONE")) == {}
    assert "KVP" not in read(made)


@pytest.mark.parametrize(
    ("sop_class", "code"),
    [
        pytest.param("1.2.840.113619.4.26", "DEI-003", id="private class"),
        pytest.param("", "DEI-003", id="no class"),
        pytest.param("1.2.840.10008.1.3.10", "DEI-003", id="directory"),
        pytest.param("1.2.840.10008.5.1.4.1.1.9.4.1", "DEI-010", id="a voice"),
        pytest.param("1.2.840.10008.5.1.4.1.1.9.4.2", "DEI-010", id="sound"),
    ],
)
def test_a_class_that_nobody_can_clean_is_refused(sop_class: str, code: str) -> None:
    with pytest.raises(Refused) as refused:
        deidentify_data_set(ct(SOPClassUID=sop_class), "1.2.840.10008.1.2.1", BASIC, NAMES)
    assert refused.value.code == code


@pytest.mark.parametrize(
    "file", [b"", b"\0" * 128 + b"DICM", b"JONES" * 100], ids=["empty", "prefix", "text"]
)
def test_what_is_no_object_is_refused_without_a_word_of_it(file: bytes) -> None:
    with pytest.raises(Refused) as refused:
        deidentify(file, BASIC, NAMES)
    assert refused.value.code in ("DEI-003", "DEI-004")
    assert "JONES" not in str(refused.value)
    assert refused.value.__suppress_context__ or refused.value.__cause__ is None


def test_big_endian_comes_out_little_with_the_same_numbers() -> None:
    source = ct(PixelData=bytes(range(128)), PixelPaddingValue=-2000, PixelRepresentation=1)
    source["PixelPaddingValue"].VR = "SS"
    source.RedPaletteColorLookupTableData = b"\1\2\3\4"
    little = out_of(source)
    buffer = BytesIO()
    source.PixelData = b"".join(source.PixelData[at : at + 2][::-1] for at in range(0, 128, 2))
    source.RedPaletteColorLookupTableData = b"\2\1\4\3"
    source.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    source.save_as(buffer, little_endian=False, implicit_vr=False)
    big = read(deidentify(buffer.getvalue(), BASIC, NAMES))
    assert big == little


dates = st.dates(min_value=date(1920, 1, 1))
options = st.sets(st.sampled_from(sorted(set(Option) - {Option.RETAIN_FULL_DATES})))


@settings(max_examples=40, deadline=None)
@given(
    day=dates,
    other=dates,
    chosen=options,
    description=st.text(max_size=20),
    uid=st.from_regex(r"\A1(\.[1-9][0-9]{0,8}){1,5}\Z"),
)
def test_twice_is_once_and_days_keep_their_distance(
    day: Any, other: Any, chosen: set[Option], description: str, uid: str
) -> None:
    source = ct(
        SpecificCharacterSet="ISO_IR 192",
        StudyDate=f"{day:%Y%m%d}",
        SeriesDate=f"{other:%Y%m%d}",
        AcquisitionDateTime=f"{day:%Y%m%d}101112.5+0100",
        SeriesDescription=description.replace("\\", ""),
        StudyInstanceUID=uid,
    )
    wanted = profile(*chosen)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        first = deidentify(written(source), wanted, NAMES)
        assert deidentify(first.encoded, wanted, NAMES).encoded == first.encoded
        if Option.RETAIN_MODIFIED_DATES in chosen:
            moved = read(first)
            assert _days(moved.SeriesDate) - _days(moved.StudyDate) == (other - day).days
            assert moved.AcquisitionDateTime == f"{moved.StudyDate}101112.5+0100"
            assert moved.StudyDate != source.StudyDate


@settings(max_examples=25, deadline=None)
@given(
    series=st.lists(st.integers(0, 2), min_size=2, max_size=4),
    links=st.sets(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=6),
    chosen=options,
)
def test_a_study_stays_one_and_every_reference_leads_where_it_led(
    series: list[int], links: set[tuple[int, int]], chosen: set[Option]
) -> None:
    count = len(series)
    sources = [
        ct(SOPInstanceUID=f"{UID}.1.{n}", SeriesInstanceUID=f"{UID}.2.{series[n]}") for n in range(count)
    ]
    for one in sources:
        one.StudyInstanceUID = one.FrameOfReferenceUID = f"{UID}.3"
    led = {n: sorted(to for by, to in links if by == n and to < count) for n in range(count)}
    for n, targets in led.items():
        if targets:
            sources[n].ReferencedInstanceSequence = [
                item(ReferencedSOPClassUID=sources[to].SOPClassUID, ReferencedSOPInstanceUID=f"{UID}.1.{to}")
                for to in targets
            ]
    made = [out_of(one, profile(*chosen)) for one in sources]
    places = {str(one.SOPInstanceUID): n for n, one in enumerate(made)}
    assert len(places) == count
    assert len({(one.StudyInstanceUID, one.FrameOfReferenceUID) for one in made}) == 1
    told = [str(one.SeriesInstanceUID) for one in made]
    assert [told.index(one) for one in told] == [series.index(one) for one in series]
    for n, targets in led.items():
        found = made[n].get("ReferencedInstanceSequence") or []
        assert [places[str(one.ReferencedSOPInstanceUID)] for one in found] == targets


def _days(text: str) -> int:
    return date(int(text[:4]), int(text[4:6]), int(text[6:])).toordinal()


@pytest.mark.filterwarnings("ignore")
def test_a_sequence_of_many_items_keeps_them_in_order() -> None:
    frames = [item(FrameContentSequence=Sequence([item(FrameAcquisitionNumber=n)])) for n in range(5)]
    source = ct(SOPClassUID="1.2.840.10008.5.1.4.1.1.2.1", PerFrameFunctionalGroupsSequence=frames)
    kept = out_of(source).PerFrameFunctionalGroupsSequence
    assert [one.FrameContentSequence[0].FrameAcquisitionNumber for one in kept] == list(range(5))
