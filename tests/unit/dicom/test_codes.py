from __future__ import annotations

import csv
from importlib.resources import files

import pytest
from pydicom.sr.codedict import codes as dictionary

from bridge.dicom import codes
from bridge.dicom.codes import Concept, anatomy_of, private_code, private_schemes


@pytest.mark.parametrize(
    ("name", "type_code", "side"),
    [
        ("Right lung", "39607008", "Right"),
        ("left_lung", "39607008", "Left"),
        ("Lung, left", "39607008", "Left"),
        ("lungs", "39607008", None),
        ("lung_upper_lobe_left", "45653009", "Left"),
        ("Left upper lobe of lung", "45653009", "Left"),
        ("Right Lower Lobe", "90572001", "Right"),
        ("tooth36", "866006002", None),
        ("Tooth 85", "61868007", None),
        ("left_mandibular_canal", private_code("mandibular-canal").code, "Left"),
        ("Mandibular canal", private_code("mandibular-canal").code, None),
        ("right middle lobe", "72481006", None),
        ("Trachea", "44567001", None),
        ("vertebrae_L5", "49668003", None),
        ("tooth_11", "422653006", None),
    ],
)
def test_names_that_algorithms_use_find_their_code(name: str, type_code: str, side: str | None) -> None:
    anatomy = anatomy_of(name)
    assert anatomy is not None
    assert anatomy.type.code == type_code
    assert (anatomy.side.meaning if anatomy.side else None) == side


@pytest.mark.parametrize(
    "name",
    [
        "lung nodule",
        "left",
        "",
        "label 7",
        "11",
        "right left lung",
        "lung_left_7",
        "gall bladder stone",
        "tooth3",
        "tooth363",
    ],
)
def test_a_name_of_which_only_a_part_is_known_is_not_coded(name: str) -> None:
    assert anatomy_of(name) is None


def test_no_two_rows_of_the_table_answer_to_one_name() -> None:
    text = files("bridge.dicom").joinpath("anatomy.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(line for line in text.splitlines() if not line.startswith("#")))
    assert len(rows) == 223
    for row in rows:
        for name in (row["key"], row["label"]):
            found = anatomy_of(name)
            assert found is not None
            side = found.side.code if found.side else ""
            assert (found.type.code, side) == (row["type_code"], row["modifier_code"]), name


def test_origin_and_licence_stand_in_the_data_file() -> None:
    text = files("bridge.dicom").joinpath("anatomy.csv").read_text(encoding="utf-8")
    head = " ".join(line for line in text.splitlines() if line.startswith("#"))
    assert all(word in head for word in ("PS3.16", "pydicom", "MIT"))


@pytest.mark.parametrize(
    ("ours", "standard"),
    [
        (codes.YES, dictionary.SCT.Yes),
        (codes.NO, dictionary.SCT.No),
        (codes.VOLUME.concept, dictionary.SCT.Volume),
        (codes.ATTENUATION.concept, dictionary.DCM.AttenuationCoefficient),
        (codes.ATTENUATION.unit, dictionary.UCUM.HounsfieldUnit),
        (codes.MR_SIGNAL.concept, dictionary.DCM.MRSignalIntensity),
        (codes.NO_UNITS, dictionary.UCUM.NoUnits),
        (codes.MEAN, dictionary.SCT.Mean),
        (codes.STANDARD_DEVIATION, dictionary.SCT.StandardDeviation),
        (codes.MINIMUM, dictionary.SCT.Minimum),
        (codes.MAXIMUM, dictionary.SCT.Maximum),
        (codes.ACQUISITION_EQUIPMENT, dictionary.DCM.AcquisitionEquipment),
        (codes.PROCESSING_EQUIPMENT, dictionary.DCM.ProcessingEquipment),
        (codes.ANATOMICAL_STRUCTURE, dictionary.SCT.AnatomicalStructure),
        (codes.TISSUE, dictionary.SCT.Tissue),
        (codes.ARTIFICIAL_INTELLIGENCE, dictionary.DCM.ArtificialIntelligence),
        (codes.PROCEDURES["CT"], dictionary.cid100.CTUnspecifiedBodyRegion),
        (codes.PROCEDURES["MR"], dictionary.cid100.MRIUnspecifiedBodyRegion),
        (codes.PROCEDURES["PT"], dictionary.cid100.PETUnspecifiedBodyRegion),
        (codes.PROCEDURES["NM"], dictionary.cid100.NMUnspecifiedBodyRegion),
        (codes.IMAGING_PROCEDURE, dictionary.cid100.ImagingProcedure),
    ],
)
def test_our_codes_are_the_standards(ours: Concept, standard: object) -> None:
    assert (ours.code, ours.scheme, ours.meaning.casefold()) == (
        standard.value,  # type: ignore[attr-defined]
        standard.scheme_designator,  # type: ignore[attr-defined]
        standard.meaning.casefold(),  # type: ignore[attr-defined]
    )


def test_private_code_of_a_slug_never_changes() -> None:
    # base32 of the first 10 bytes of `printf lung-volume | sha256sum`
    assert private_code("lung-volume").code == "73SAEVOY4NBHQTTG"
    assert private_code("lung-volume", "lung volume") == Concept(
        scheme="99BRIDGE", code="73SAEVOY4NBHQTTG", meaning="lung volume"
    )


def test_only_private_schemes_need_to_be_declared() -> None:
    other = Concept(scheme="99SITE", code="1", meaning="one")
    assert private_schemes([codes.YES, private_code("b"), other, private_code("a")]) == ("99BRIDGE", "99SITE")
