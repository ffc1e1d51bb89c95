"""The rules against a real study of five series: a scout, thick, thin soft, thin bone, and screen captures."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.dicom.headers import read_file
from bridge.dicom.instance import Instance
from bridge.rules import Outcome, Study, choose
from bridge.volumes import candidates_of
from conftest import data_folder
from made_studies import TODAY, rule


@pytest.fixture(scope="module")
def head() -> Study:
    instances = []
    for number, file in enumerate(sorted(data_folder("ct-head-phantom-philips").glob("S*/*"))):
        header, syntax = read_file(file)
        instances.append(
            Instance(
                number=number,
                sop_class_uid=header.uid("SOPClassUID"),
                sop_instance_uid=header.uid("SOPInstanceUID"),
                series_instance_uid=header.uid("SeriesInstanceUID"),
                study_instance_uid=header.uid("StudyInstanceUID"),
                transfer_syntax_uid=syntax,
                file=file,
                header=header.data_set,
            )
        )
    return Study(study_instance_uid=instances[0].study_instance_uid, instances=tuple(instances), today=TODAY)


# (conditions, preference, outcome, series number of the input)
CASES = [
    ('{ Modality = "CT", spacing_mm = { min = 4 } }', "[]", Outcome.MATCH, "201"),
    ('{ Modality = "CT" }', '["thickest"]', Outcome.MATCH, "201"),
    ('{ Modality = "CT" }', '["most-instances"]', Outcome.MATCH, "201"),
    ('{ Modality = "CT" }', '["thinnest", "most-instances"]', Outcome.HELD, None),
    ('{ ConvolutionKernel = "YA" }', '["thinnest"]', Outcome.MATCH, "203"),
    ('{ Modality = "CT", length_mm = { min = 100 } }', '["thinnest"]', Outcome.MATCH, "201"),
    ('{ Modality = "CT", instances = 140 }', "[]", Outcome.NO_MATCH, None),
    ('{ Modality = "CT", not = { ConvolutionKernel = "YA" } }', '["thinnest"]', Outcome.MATCH, "202"),
    (
        '{ any = [{ ConvolutionKernel = "YA" }, { spacing_mm = { min = 4 } }] }',
        '["thinnest"]',
        Outcome.MATCH,
        "203",
    ),
    ("{ any_instance = { ImageType = 'LOCALIZER' } }", "[]", Outcome.NO_MATCH, None),
]


@pytest.mark.parametrize(("conditions", "prefer", "outcome", "number"), CASES)
def test_the_right_series_of_five(
    tmp_path: Path, head: Study, conditions: str, prefer: str, outcome: Outcome, number: str | None
) -> None:
    choice = choose(rule(tmp_path, conditions, prefer), head, candidates_of(head.instances))
    assert choice.explanation.outcome is outcome
    found = choice.volumes and choice.volumes["ct"].instances[0].header.SeriesNumber
    assert (str(found) if found else None) == number
    told = {verdict.label.split(",")[0]: verdict for verdict in choice.explanation.inputs[0].candidates}
    assert told["series 100"].reason == "a localizer"
    assert told["series 401"].reason == "secondary capture, not a volume"
