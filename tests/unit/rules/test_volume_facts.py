"""The facts of a volume on real series, whose truths come from the positions in their README."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from tests.unit.volumes.real import instances_of

from bridge.rules import Outcome, Study, choose
from bridge.rules.attributes import of_keyword
from bridge.rules.exclusions import exclusion
from bridge.rules.facts import VOLUME_FACTS, candidate_values
from bridge.volumes import Candidate, candidates_of
from made_studies import TODAY, rule

ODD = "ct-small-irregular"


def first(folder: Path) -> Candidate:
    return candidates_of(instances_of(folder))[0]


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (
            "ct-head-phantom-philips/S2020",
            {
                "is_volume": "yes",
                "is_isotropic": "no",
                "orientation": "axial",
                "oblique_deg": "0.0",
                "tilt_deg": "0",
                "has_gap": "no",
                "units": "HU",
                "told_apart_by": None,
                "slices": "6",
            },
        ),
        (
            "mr-brain-t1",
            {"orientation": "axial", "is_isotropic": "yes", "units": None, "is_volume": "yes"},
        ),
        (
            "mr-dual-echo-philips",
            {"is_volume": "yes", "told_apart_by": "ImageType EchoTime", "units": "normalized"},
        ),
        (
            "ct-head-tilt-philips",
            {"is_volume": "no", "tilt_deg": "18.5", "has_gap": "no", "spacing_mm": None},
        ),
        (
            f"{ODD}/uneven-5-10",
            {"is_volume": "no", "tilt_deg": "0", "has_gap": "yes", "orientation": "axial"},
        ),
        (f"{ODD}/tilt-untagged", {"tilt_deg": "14.0", "has_gap": "no"}),
        (f"{ODD}/tilt-untagged-gap", {"tilt_deg": "15.5", "has_gap": "yes"}),
        (f"{ODD}/same-position-4-acquisitions", {"is_volume": "no", "tilt_deg": None, "has_gap": None}),
        ("non-image/rtplan.dcm", {"is_volume": "no", "orientation": None, "tilt_deg": None}),
    ],
)
def test_facts_of_a_real_series(shared_data: Path, where: str, expected: dict[str, str | None]) -> None:
    candidate = first(shared_data / where)
    found = {name: " ".join(VOLUME_FACTS[name](candidate)) or None for name in expected}
    assert found == expected


def test_how_oblique_slices_lie_is_the_angle_of_their_normal(shared_data: Path) -> None:
    # Cosines of the README; the angle by arc cosine.
    row = (0.999032176441525, -0.0217883751691557, 0.0382096472372976)
    column = (0.026519476938784, 0.991413870277297, -0.128043957939)
    normal = (
        row[1] * column[2] - row[2] * column[1],
        row[2] * column[0] - row[0] * column[2],
        row[0] * column[1] - row[1] * column[0],
    )
    largest = max(map(abs, normal))
    (found,) = VOLUME_FACTS["oblique_deg"](first(shared_data / "mr-brain-t1"))
    assert float(found) == pytest.approx(math.degrees(math.acos(largest)), abs=1e-3)


def test_only_the_frames_of_a_volume_answer_for_it(shared_data: Path) -> None:
    candidates = candidates_of(instances_of(shared_data / "multiframe/enhanced-mr-philips-b0map-64.dcm"))
    kinds = [candidate_values(one, of_keyword("ImageType")) for one in candidates]
    assert kinds == [(("ORIGINAL", "PRIMARY", "T1", "FIELD_MAP"),), (("ORIGINAL", "PRIMARY", "T1", "M"),)]
    assert [candidate_values(one, of_keyword("EchoTime")) for one in candidates] == [
        (("0.0",),),
        (("1.52",),),
    ]
    slopes = [candidate_values(one, of_keyword("RescaleSlope")) for one in candidates]
    assert [len(one) for one in slopes] == [1, 1]
    assert slopes[0] != slopes[1]


@pytest.mark.parametrize(
    ("where", "reason"),
    [
        ("ct-head-phantom-philips/S1000", "a localizer"),
        ("ct-head-phantom-philips/S4010", "secondary capture, not a volume"),
        ("non-image/sr-tid1500-highdicom.dcm", "Comprehensive 3D SR, not an image"),
        ("non-image/encapsulated-pdf.dcm", "Encapsulated PDF, not an image"),
        ("non-image/ecg-waveform.dcm", "12-lead ECG Waveform, not an image"),
        ("multiframe/seg-liver.dcm", "a segmentation, not an image"),
        ("ct-chest-philips", ""),
        ("multiframe/ct-legacy-converted-enhanced", ""),
    ],
)
def test_what_is_no_volume_is_named_as_what_it_is(shared_data: Path, where: str, reason: str) -> None:
    assert exclusion(first(shared_data / where)) == reason


@pytest.mark.parametrize(
    ("condition", "outcome", "key"),
    [
        (
            '{ Modality = "MR", EchoTime = { max = 8 }, ImageType = { contains = "M_FFE" } }',
            Outcome.MATCH,
            ("ORIGINAL\\PRIMARY\\M_FFE\\M\\FFE", "7.001"),
        ),
        ('{ Modality = "MR", EchoTime = { max = 8 } }', Outcome.HELD, None),
        ('{ Modality = "MR", units = "mrad", EchoTime = 10 }', Outcome.MATCH, ("PHASE MAP", "10")),
        ('{ Modality = "MR", told_apart_by = { present = false } }', Outcome.NO_MATCH, None),
    ],
)
def test_a_rule_chooses_one_of_the_volumes_of_a_series(
    shared_data: Path, tmp_path: Path, condition: str, outcome: Outcome, key: tuple[str, str] | None
) -> None:
    instances = instances_of(shared_data / "mr-dual-echo-philips")
    study = Study(study_instance_uid=instances[0].study_instance_uid, instances=instances, today=TODAY)
    choice = choose(rule(tmp_path, condition), study, candidates_of(instances))
    assert choice.explanation.outcome is outcome
    if key is None:
        assert choice.volumes is None
        return
    assert choice.volumes is not None
    (kind, echo) = (value for _, value in choice.volumes["ct"].key)
    assert key[0] in kind
    assert key[1] == echo
