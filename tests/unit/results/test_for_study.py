"""Answers to fixed inputs alone: filed in a study of which no image was sent."""

from __future__ import annotations

import pytest
from tests.unit.results.build import (
    answer,
    document_part,
    heat_part,
    made_header,
    made_source,
    mask_part,
    read_back,
    table_part,
    value_part,
    wrapping,
)
from tests.unit.results.test_documents import PDF
from tests.unit.results.test_reports import lungs_mask
from tests.unit.results.test_values import ML, number

from bridge.errors import Refused
from bridge.results.encoders import encode_for_study
from bridge.results.meaning import TableMeaning, ValueMeaning
from bridge.results.result import HeatMaps

pytestmark = pytest.mark.filterwarnings("ignore")

AFFINE = made_source().volume.geometry.affine_lps
LOW = ValueMeaning(name="low", output="low", path=(), meaning=number("low", ML))
ORGANS = TableMeaning(row="organ", columns={"ml": number("ml", ML)})


def test_values_tables_and_documents_name_the_patient_and_no_image() -> None:
    parts = answer(
        value_part("low", 7.25),
        table_part("organs", ("organ", "ml"), ("Spleen", "150")),
        document_part(PDF),
    )
    wanted = wrapping(private_codes=False, values=(LOW,), tables={"organs": ORGANS})
    header = made_header(Manufacturer="Scanner", ManufacturerModelName="CT 9")
    results = encode_for_study(parts, header, wanted)
    assert [one.kind for one in results] == ["SR", "SR", "DOC"]
    for one in results:
        made = read_back(one.data)
        assert (made.PatientID, made.StudyInstanceUID) == (header.PatientID, header.StudyInstanceUID)
        for keyword in ("CurrentRequestedProcedureEvidenceSequence", "SourceInstanceSequence"):
            assert keyword not in made
        assert "CT 9" not in [item.ManufacturerModelName for item in made.ContributingEquipmentSequence]
    assert results == encode_for_study(parts, made_header(Manufacturer="Scanner"), wanted), "pure"


def test_what_lies_on_images_stays_with_the_job_and_is_said() -> None:
    parts = answer(
        mask_part(lungs_mask(), AFFINE),
        heat_part(lungs_mask().astype("float32"), AFFINE),
        value_part("low", 1.0),
    )
    wanted = wrapping(private_codes=False, values=(LOW,), heat_maps=HeatMaps.PARAMETRIC_MAP)
    (report,) = encode_for_study(parts, made_header(), wanted)
    said = [note for note in report.notes if "no image of the study was sent" in note]
    assert len(said) == 2


def test_answer_of_masks_alone_is_refused_with_the_reason() -> None:
    with pytest.raises(Refused) as refused:
        encode_for_study(answer(mask_part(lungs_mask(), AFFINE)), made_header(), wrapping())
    assert refused.value.code == "RES-060"
    assert "no image of the study was sent" in refused.value.found
