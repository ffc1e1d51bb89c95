from __future__ import annotations

import pytest
from tests.unit.results.build import (
    answer,
    document_part,
    made_source,
    read_back,
    value_part,
    wrapping,
)

from bridge.results import use
from bridge.results.encoders import encode
from bridge.results.use import Use

pytestmark = pytest.mark.filterwarnings("ignore")

PDF = b"%PDF-1.4\n1 0 obj\n<< >>\nendobj\n%%EOF\n"


@pytest.mark.parametrize("data", [PDF, PDF + b"\n", b"\r\n" + PDF])
def test_the_file_comes_back_byte_for_byte(data: bytes) -> None:
    (result,) = encode(answer(document_part(data, title="Bericht: Lungen №3")), made_source(), wrapping())
    made = read_back(result.data)
    assert made.EncapsulatedDocument[: made.EncapsulatedDocumentLength] == data
    assert len(made.EncapsulatedDocument) % 2 == 0
    assert (result.kind, result.output_name) == ("DOC", "report")
    assert made.SOPClassUID == "1.2.840.10008.5.1.4.1.1.104.1"
    assert made.MIMETypeOfEncapsulatedDocument == "application/pdf"
    assert made.DocumentTitle == "Bericht: Lungen No3"
    assert (made.Modality, made.ConversionType, made.BurnedInAnnotation) == ("DOC", "WSD", "NO")
    assert made.VerificationFlag == "UNVERIFIED"
    assert made.SeriesDescription == "Lobe Finder 2.1 not verified"
    assert (made.PatientName, made.PatientID, made.AccessionNumber) == ("Muster^Anna", "P-1", "A-1")
    assert [one.ReferencedSOPInstanceUID for one in made.SourceInstanceSequence] == [
        f"1.2.3.{number}" for number in (1, 2, 3, 4)
    ]
    purposes = [i.PurposeOfReferenceCodeSequence[0].CodeValue for i in made.ContributingEquipmentSequence]
    assert purposes == ["109101", "109102"]


def test_a_document_without_a_title_is_named_as_its_output() -> None:
    (result,) = encode(answer(document_part(PDF)), made_source(), wrapping())
    assert read_back(result.data).DocumentTitle == "report"


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b" " * 2000 + PDF])
def test_what_is_no_pdf_stays_with_the_job(data: bytes) -> None:
    (result,) = encode(answer(document_part(data), value_part("score", 1)), made_source(), wrapping())
    assert result.kind == "SR"
    assert f"report: {len(data)} bytes that are no PDF: it stays with the job" in result.notes


def test_a_document_that_is_too_large_stays_with_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(use.MOST_BYTES, Use.DOCUMENT, len(PDF) - 1)
    (result,) = encode(answer(document_part(PDF), value_part("score", 1)), made_source(), wrapping())
    assert result.kind == "SR"
    assert any(note.startswith("report: a document of more than") for note in result.notes)


def test_documents_can_be_switched_off() -> None:
    (result,) = encode(
        answer(document_part(PDF), value_part("score", 1)), made_source(), wrapping(documents=False)
    )
    assert "report: documents are off in the rule" in result.notes
