"""What pixels may show, told from the header: who is refused, by what, and which words let it through."""

from __future__ import annotations

from typing import Any

import pytest
from pydicom.dataset import Dataset
from tests.made_objects import CT_IMAGE_STORAGE

from bridge.errors import Refused
from bridge.export.risks import (
    Defacing,
    Device,
    PixelPolicy,
    Risk,
    pixel_risk,
    refuse_risky,
)

CLASS = "1.2.840.10008.5.1.4.1.1."


def header(**values: Any) -> Dataset:
    made = Dataset()
    for keyword, value in {"SOPClassUID": CT_IMAGE_STORAGE, "Modality": "CT", **values}.items():
        setattr(made, keyword, value)
    return made


RISKS = [
    pytest.param(header(), (), id="plain CT"),
    pytest.param(header(BurnedInAnnotation="NO"), (), id="nothing burned in"),
    pytest.param(header(BurnedInAnnotation="YES"), (Risk.BURNED_IN,), id="burned in"),
    pytest.param(header(BurnedInAnnotation="yes "), (Risk.BURNED_IN,), id="burned in, badly written"),
    pytest.param(header(SOPClassUID=CLASS + "7"), (Risk.SECONDARY_CAPTURE,), id="secondary capture"),
    pytest.param(header(SOPClassUID=CLASS + "7.4"), (Risk.SECONDARY_CAPTURE,), id="multi-frame capture"),
    pytest.param(header(SOPClassUID=CLASS + "77.1.6", Modality="SM"), (), id="microscopy is no capture"),
    pytest.param(header(SOPClassUID=CLASS + "6.1", Modality="US"), (Risk.ULTRASOUND,), id="ultrasound"),
    pytest.param(
        header(SOPClassUID=CLASS + "3.1", Modality="CT"), (Risk.ULTRASOUND,), id="ultrasound by class"
    ),
    pytest.param(header(Modality="XA"), (Risk.MODALITY,), id="angiography"),
    pytest.param(
        header(SOPClassUID=CLASS + "104.1", Modality="DOC"), (Risk.MODALITY, Risk.DOCUMENT), id="PDF"
    ),
    pytest.param(header(RecognizableVisualFeatures="YES"), (Risk.VISUAL_FEATURES,), id="features"),
    pytest.param(header(Manufacturer="ACME", ManufacturerModelName="Printer 2"), (Risk.DEVICE,), id="device"),
    pytest.param(header(Manufacturer="ACME", ManufacturerModelName="Other"), (), id="another model"),
]
DEVICES = (Device(manufacturer="acme", model="printer 2"),)


@pytest.mark.parametrize(("source", "risks"), RISKS)
def test_risk_refuses_unless_allowed_by_its_word(source: Dataset, risks: tuple[Risk, ...]) -> None:
    found = pixel_risk(source, PixelPolicy(devices=DEVICES))
    assert tuple(one.risk for one in found) == risks
    assert all(one.refuses for one in found)
    allowed = pixel_risk(source, PixelPolicy(devices=DEVICES, allowed=frozenset(risks)))
    assert [one.risk for one in allowed] == list(risks)
    assert not any(one.refuses for one in allowed)


@pytest.mark.parametrize(
    ("part", "is_head"),
    [("HEAD", True), ("Brain", True), ("C SPINE", False), ("", False), ("HEADNECK", True)],
)
def test_a_head_is_told_and_refused_where_the_rule_says_so(part: str, is_head: bool) -> None:
    source = header(BodyPartExamined=part)
    told = pixel_risk(source, PixelPolicy())
    assert [one.risk for one in told] == ([Risk.FACE] if is_head else [])
    assert not any(one.refuses for one in told)
    if is_head:
        with pytest.raises(Refused, match=r'the rule has to allow "face"'):
            refuse_risky(source, PixelPolicy(defacing=Defacing.REFUSE))


def test_masks_answer_for_text_and_for_no_face_and_no_document() -> None:
    masked = PixelPolicy(has_masks=True, defacing=Defacing.REFUSE)
    assert refuse_risky(header(BurnedInAnnotation="YES"), masked)[0].risk is Risk.BURNED_IN
    for source in (header(BodyPartExamined="HEAD"), header(SOPClassUID=CLASS + "104.1")):
        with pytest.raises(Refused) as refused:
            refuse_risky(source, masked)
        assert refused.value.code == "DEI-009"


def test_all_reasons_are_named_at_once() -> None:
    with pytest.raises(Refused, match='"burned-in", "ultrasound"'):
        refuse_risky(header(BurnedInAnnotation="YES", Modality="US"), PixelPolicy())
