from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from tests.unit.results.build import (
    LUNGS,
    answer,
    made_source,
    mask_part,
    read_back,
    value_part,
    wrapping,
)

from bridge.dicom.codes import NO_UNITS, Concept, private_code, ucum
from bridge.errors import Refused
from bridge.results.encoders import encode
from bridge.results.meaning import Meaning, ValueMeaning
from bridge.results.output import Label
from bridge.results.result import Part, Result, Source

pytestmark = pytest.mark.filterwarnings("ignore")

SHAPE = (4, 5, 6)
LUNG_VOLUME = ValueMeaning(
    name="lung-volume",
    output="lung-volume",
    meaning=Meaning(
        concept=Concept(scheme="99SITE", code="LV", meaning="Lung volume"), unit=ucum("ml", "milliliter")
    ),
)


def lungs_mask() -> np.ndarray:
    mask = np.zeros(SHAPE, np.int16)
    mask[1, 1:3, 2:4] = 3
    mask[2, 3, 3:5] = 7
    return mask


def encoded(*parts: Part, source: Source | None = None, **other: Any) -> tuple[Result, ...]:
    return encode(answer(*parts), source or made_source(), wrapping(**other))


def lungs_part(source: Source | None = None, labels: tuple[Label, ...] = LUNGS) -> Part:
    return mask_part(lungs_mask(), (source or made_source()).volume.geometry.affine_lps, labels)


def report_of(*results: Result) -> Dataset:
    (report,) = (one for one in results if one.kind == "SR")
    return read_back(report.data)


def children(item: Dataset, code: str) -> list[Dataset]:
    return [
        one for one in item.get("ContentSequence", ()) if one.ConceptNameCodeSequence[0].CodeValue == code
    ]


def groups(report: Dataset) -> list[Dataset]:
    (measurements,) = children(report, "126010")
    return children(measurements, "125007")


def number(item: Dataset) -> tuple[str, str, str, str]:
    """Quantity, derivation, value as text, unit."""
    derivation = children(item, "121401")
    value = item.MeasuredValueSequence[0]
    return (
        item.ConceptNameCodeSequence[0].CodeValue,
        derivation[0].ConceptCodeSequence[0].CodeMeaning if derivation else "",
        str(value.NumericValue),
        value.MeasurementUnitsCodeSequence[0].CodeValue,
    )


def numbers(group: Dataset) -> list[tuple[str, str, str, str]]:
    return [number(item) for item in group.ContentSequence if item.ValueType == "NUM"]


def template(group: Dataset) -> str:
    return str(group.ContentTemplateSequence[0].TemplateIdentifier)


# Voxel (k, j, i) of the made source is 30 k + 6 j + i - 10; one voxel is 3 x 0.75 x 0.5 mm = 0.001125 ml.
RIGHT = np.array([28, 29, 34, 35]) + 0.0
LEFT = np.array([71, 72]) + 0.0


def test_each_segment_that_is_there_has_its_volume_and_attenuation() -> None:
    first, second = groups(report_of(*encoded(lungs_part())))
    assert numbers(first) == [
        ("118565006", "", "0.0045", "ml"),
        ("112031", "Mean", "31.5", "[hnsf'U]"),
        ("112031", "Standard Deviation", f"{RIGHT.std():.6g}", "[hnsf'U]"),
        ("112031", "Minimum", "28", "[hnsf'U]"),
        ("112031", "Maximum", "35", "[hnsf'U]"),
    ]
    assert numbers(second)[:2] == [("118565006", "", "0.00225", "ml"), ("112031", "Mean", "71.5", "[hnsf'U]")]
    assert numbers(second)[2][2] == f"{LEFT.std():.6g}" == "0.5"


def test_groups_are_tied_to_the_segments_of_the_segmentation() -> None:
    results = encoded(lungs_part())
    segmentation = read_back(results[0].data)
    for group, segment, side in zip(
        groups(report_of(*results)), segmentation.SegmentSequence, "RL", strict=False
    ):
        assert template(group) == "1411"
        (uid,), (name,) = children(group, "112040"), children(group, "112039")
        assert (uid.UID, name.TextValue) == (segment.TrackingUID, segment.TrackingID)
        (region,) = children(group, "121191")
        referred = region.ReferencedSOPSequence[0]
        assert referred.ReferencedSOPInstanceUID == results[0].sop_instance_uid
        assert referred.ReferencedSegmentNumber == segment.SegmentNumber
        (series,) = children(group, "121232")
        assert series.UID == "1.2.4"
        (finding,), (site,) = children(group, "121071"), children(group, "363698007")
        assert finding.ConceptCodeSequence[0].CodeValue == "39607008"
        assert children(site, "272741003")[0].ConceptCodeSequence[0].CodeMeaning[0] == side
        assert not children(group, "276214006")
        for item in group.ContentSequence:
            if item.ValueType == "NUM":
                assert [one.TextValue for one in children(item, "111001")] == ["Lobe Finder"]
                assert [one.TextValue for one in children(item, "111003")] == ["2.1"]


def test_document_is_preliminary_unverified_and_names_its_evidence() -> None:
    results = encoded(lungs_part())
    report = report_of(*results)
    assert report.SOPClassUID == "1.2.840.10008.5.1.4.1.1.88.34"
    assert (report.VerificationFlag, report.PreliminaryFlag, report.CompletionFlag) == (
        "UNVERIFIED",
        "PRELIMINARY",
        "COMPLETE",
    )
    assert [one.UID for one in children(report, "121012")] == ["2.25.77"]
    assert children(report, "121058")[0].ConceptCodeSequence[0].CodeValue == "25045-6"
    (study,) = report.CurrentRequestedProcedureEvidenceSequence
    assert study.StudyInstanceUID == "1.2.3"
    named = {
        (series.SeriesInstanceUID, one.ReferencedSOPInstanceUID)
        for series in study.ReferencedSeriesSequence
        for one in series.ReferencedSOPSequence
    }
    assert named == {
        *(("1.2.4", f"1.2.3.{number}") for number in (1, 2, 3, 4)),
        (results[0].series_instance_uid, results[0].sop_instance_uid),
    }
    assert report.PatientName == "Muster^Anna"
    assert report.SeriesDescription == "Lobe Finder 2.1 not verified"


def test_series_of_segmentations_and_reports_differ_in_uid_and_number() -> None:
    segmentation, report = (read_back(one.data) for one in encoded(lungs_part()))
    assert segmentation.SeriesInstanceUID != report.SeriesInstanceUID
    assert report.SeriesNumber == segmentation.SeriesNumber + 1


@pytest.mark.parametrize(
    ("modality", "units", "quantity", "procedure"),
    [
        ("CT", "HU", ("112031", "[hnsf'U]"), "25045-6"),
        ("CT", "", None, "25045-6"),
        ("CT", "MGML", None, "25045-6"),
        ("MR", "", ("110852", "1"), "25056-3"),
        ("PT", "BQML", None, "44136-0"),
        ("XX", "", None, "363679005"),
    ],
)
def test_numbers_of_the_image_are_given_only_where_their_meaning_is_known(
    modality: str, units: str, quantity: tuple[str, str] | None, procedure: str
) -> None:
    source = made_source(modality=modality, units=units)
    results = encoded(lungs_part(source), source=source)
    report = report_of(*results)
    found = {(code, unit) for code, _, _, unit in numbers(groups(report)[0])}
    assert found == {("118565006", "ml"), quantity} - {None}
    assert any("are not measured" in note for note in results[1].notes) is (quantity is None)
    assert children(report, "121058")[0].ConceptCodeSequence[0].CodeValue == procedure


def test_a_lesion_has_no_site_of_its_own() -> None:
    report = report_of(
        *encoded(lungs_part(labels=(Label(value=3, name="lesion"), Label(value=7, name="zzz"))))
    )
    for group in groups(report):
        assert not children(group, "363698007")


def test_values_stand_in_a_report_of_their_own() -> None:
    results = encoded(
        lungs_part(),
        value_part("lung-volume", 5388.8125),
        value_part("nodules", 7),
        value_part("is-normal", False),
        value_part("covid-positive", True),
        values=(LUNG_VOLUME,),
    )
    assert [one.kind for one in results] == ["SEG", "SR", "SR"]
    report = read_back(results[2].data)
    (group,) = groups(report)
    assert template(group) == "1501"
    nodules = private_code("nodules").code
    assert numbers(group) == [("LV", "", "5388.8125", "ml"), (nodules, "", "7", "1")]
    answers = {
        item.ConceptNameCodeSequence[0].CodeMeaning: item.ConceptCodeSequence[0].CodeMeaning
        for item in group.ContentSequence
        if item.ValueType == "CODE"
    }
    assert answers == {"is normal": "No", "covid positive": "Yes"}
    declared = {one.CodingSchemeDesignator for one in report.CodingSchemeIdentificationSequence}
    assert declared == {"99BRIDGE", "99SITE"}
    assert results[2].output_name == "covid-positive, is-normal, lung-volume, nodules"
    assert {note.split()[0] for note in results[2].notes} == {"covid-positive", "is-normal", "nodules"}


def test_values_without_a_mask_are_one_report() -> None:
    (result,) = encoded(value_part("score", 0.1))
    assert [template(group) for group in groups(read_back(result.data))] == ["1501"]


@pytest.mark.parametrize(
    ("value", "numeric", "floating"),
    [
        (0.1, "0.1", 0.1),
        (1 / 3, "0.33333333333333", 1 / 3),
        (-1.2345678901234567e-100, "-1.2345678901e-100", -1.2345678901234567e-100),
        (123456789, "123456789", None),
        (10**17, "1e+17", 1e17),
    ],
)
def test_numbers_keep_their_digits_and_fit_a_decimal_string(
    value: float, numeric: str, floating: float | None
) -> None:
    (result,) = encoded(value_part("score", value))
    (item,) = (one for one in groups(read_back(result.data))[0].ContentSequence if one.ValueType == "NUM")
    measured = item.MeasuredValueSequence[0]
    assert len(str(measured.NumericValue)) <= 16
    assert float(measured.NumericValue) == pytest.approx(value, rel=1e-8)
    assert measured.get("FloatingPointValue") == floating


@pytest.mark.parametrize(
    ("value", "word"),
    [
        ("text", "text"),
        ([1, 2], "list"),
        ({"a": 1}, "structure"),
        (None, "missing value"),
        (float("nan"), "number without a size"),
        (float("inf"), "number without a size"),
    ],
)
def test_what_no_report_can_hold_is_kept_out_and_said(value: Any, word: str) -> None:
    results = encoded(lungs_part(), value_part("other", value))
    assert [one.kind for one in results] == ["SEG", "SR"]
    assert any(note.startswith("other: a ") and word in note for note in results[0].notes)


def test_kept_out_values_are_said_beside_those_that_are_kept() -> None:
    (result,) = encoded(value_part("score", 1.5), value_part("words", "secret finding"))
    assert any(note.startswith("words: ") for note in result.notes)
    assert not any("secret" in note for note in result.notes)


def test_an_empty_mask_has_no_report_and_that_is_said() -> None:
    source = made_source()
    part = mask_part(np.zeros(SHAPE, np.uint8), source.volume.geometry.affine_lps, LUNGS)
    results = encoded(part, source=source)
    assert [one.kind for one in results] == ["SEG"]
    assert any("nothing to measure" in note for note in results[0].notes)


def test_a_report_without_segmentation_names_no_region() -> None:
    (result,) = encoded(lungs_part(), segmentation=False)
    report = read_back(result.data)
    assert {template(group) for group in groups(report)} == {"1501"}
    assert not children(groups(report)[0], "121191")
    assert any("no region" in note for note in result.notes)
    assert any("label value 3" in note for note in result.notes)


def test_each_mask_has_its_own_segmentation_and_report_in_the_same_series() -> None:
    source = made_source()
    other = replace(lungs_part(), output=replace(lungs_part().output, name="again"))
    results = encoded(lungs_part(), other, source=source)
    assert [(one.kind, one.output_name) for one in results] == [
        ("SEG", "again"),
        ("SR", "again"),
        ("SEG", "lungs"),
        ("SR", "lungs"),
    ]
    assert len({one.sop_instance_uid for one in results}) == 4
    assert len({one.series_instance_uid for one in results}) == 2
    assert [read_back(one.data).InstanceNumber for one in results] == [1, 1, 2, 2]


@pytest.mark.parametrize(
    ("code", "meaning"),
    [("1", "größter Wert"), ("1", "m" * 65), ("1" * 17, "meaning"), ("", "meaning"), ("1", "")],
)
def test_a_configured_concept_that_is_not_legal_is_refused(code: str, meaning: str) -> None:
    means = Meaning(concept=Concept(scheme="99SITE", code=code, meaning=meaning), unit=NO_UNITS)
    with pytest.raises(Refused) as caught:
        encoded(value_part("score", 1.0), values=(ValueMeaning(name="score", output="score", meaning=means),))
    assert caught.value.code == "RES-040"


def test_value_without_a_concept_stays_with_the_job_where_private_codes_are_off() -> None:
    results = encoded(
        lungs_part(),
        value_part("lung-volume", 5388.0),
        value_part("nodules", 7),
        values=(LUNG_VOLUME,),
        private_codes=False,
    )
    assert [one.kind for one in results] == ["SEG", "SR", "SR"]
    assert results[2].output_name == "lung-volume"
    assert any(
        note == "nodules has no configured concept: it stays with the job" for note in results[2].notes
    )
    results = encoded(lungs_part(), value_part("nodules", 7), private_codes=False)
    assert [one.kind for one in results] == ["SEG", "SR"]
    assert any(note.startswith("nodules has no") for note in results[0].notes)
