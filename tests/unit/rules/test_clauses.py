"""Conditions that are put together: what they decide, what they say, and what they keep to themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from bridge.rules import Explanation, Outcome, choose
from bridge.rules.explanation import HIDDEN, Check
from bridge.volumes.volume import Candidate
from made_studies import header, refused, rule, study, volume


def codes(*pairs: tuple[str, str]) -> Sequence:
    return Sequence([header(CodeValue=value, CodingSchemeDesignator=scheme) for value, scheme in pairs])


def mixed(keyword: str, *values: Any, **attributes: Any) -> Candidate:
    """A volume with one image for each value; None leaves the attribute out."""
    made = volume(1, slices=len(values), **attributes)
    for instance, value in zip(made.instances, values, strict=True):
        if value is not None:
            setattr(instance.header, keyword, value)
    return made


def why(folder: Path, conditions: str, candidate: Candidate) -> str:
    choice = choose(rule(folder, conditions), study(candidate), [candidate])
    return choice.explanation.inputs[0].candidates[0].reason


FITS = "every condition holds"
L, B = {"ConvolutionKernel": "L"}, {"ConvolutionKernel": "B"}

OF_A_VOLUME: list[tuple[str, Candidate, str]] = [
    # any: one table as a whole
    ('{ any = [{ Modality = "CT", ConvolutionKernel = "L" }, { Modality = "PT" }] }', volume(1, **L), FITS),
    (
        '{ any = [{ Modality = "CT", ConvolutionKernel = "L" }, { Modality = "PT" }] }',
        volume(1, **B),
        'any: ConvolutionKernel is B where the rule wants "L"; Modality is CT where the rule wants "PT"',
    ),
    (
        '{ any = [{ ConvolutionKernel = "L" }, { Modality = "PT" }] }',
        volume(1),
        'any: ConvolutionKernel is absent; Modality is CT where the rule wants "PT"',
    ),
    ('{ any = [{ ConvolutionKernel = "L" }, { Modality = "CT" }] }', volume(1), FITS),
    # all: two any side by side
    ("{ all = [{ any = [{ Rows = 1 }, { Rows = 512 }] }, { any = [{ Columns = 512 }] }] }", volume(1), FITS),
    (
        "{ all = [{ any = [{ Rows = 1 }, { Rows = 512 }] }, { any = [{ Columns = 1 }] }] }",
        volume(1),
        "all: Columns is 512 where the rule wants 1",
    ),
    # not: the table as a whole, and only where that is known
    ('{ not = { Modality = "CT", ConvolutionKernel = "L" } }', volume(1, **B), FITS),
    (
        '{ not = { Modality = "CT", ConvolutionKernel = "L" } }',
        volume(1, **L),
        "not: Modality is CT; ConvolutionKernel is L",
    ),
    (
        '{ not = { Modality = "CT", ConvolutionKernel = "L" } }',
        volume(1),
        "not: ConvolutionKernel is absent",
    ),
    ('{ not = { Modality = "PT", ConvolutionKernel = "L" } }', volume(1), FITS),
    ('{ not = { not = { ConvolutionKernel = "L" } } }', volume(1), "not: ConvolutionKernel is absent"),
    ("{ not = { ConvolutionKernel = { present = true } } }", volume(1), FITS),
    # every image of a volume is asked the whole: `not` and `any` as if they were written behind one keyword
    (
        '{ not = { ConvolutionKernel = "L" } }',
        mixed("ConvolutionKernel", "B", "L"),
        "not: ConvolutionKernel is L",
    ),
    ('{ not = { ConvolutionKernel = "L" } }', mixed("ConvolutionKernel", "B", "C"), FITS),
    (
        '{ any = [{ ConvolutionKernel = "L" }, { ConvolutionKernel = "B" }] }',
        mixed("ConvolutionKernel", "B", "L"),
        FITS,
    ),
    (
        '{ any = [{ ConvolutionKernel = "L" }, { ConvolutionKernel = "B" }] }',
        mixed("ConvolutionKernel", "B", "L", None),
        "any: ConvolutionKernel is absent; ConvolutionKernel is absent",
    ),
    # one image, or all of them
    ("{ any_instance = { InstanceNumber = 2 } }", mixed("InstanceNumber", 1, 2), FITS),
    (
        '{ any_instance = { InstanceNumber = 2, ConvolutionKernel = "L" } }',
        mixed("InstanceNumber", 1, 2, **B),
        'any_instance: no object fits, the nearest: ConvolutionKernel is B where the rule wants "L"',
    ),
    (
        "{ any_instance = { InstanceNumber = 3 } }",
        mixed("InstanceNumber", None, None),
        "any_instance: no object fits, the nearest: InstanceNumber is absent",
    ),
    (
        "{ not = { any_instance = { InstanceNumber = 1 } } }",
        mixed("InstanceNumber", 1, 2),
        "not: InstanceNumber is 1",
    ),
    ("{ not = { any_instance = { InstanceNumber = 3 } } }", mixed("InstanceNumber", 1, 2), FITS),
    (
        "{ not = { any_instance = { InstanceNumber = 3 } } }",
        mixed("InstanceNumber", 1, None),
        "not: no object fits, the nearest: InstanceNumber is absent",
    ),
    ("{ not = { every_instance = { InstanceNumber = 1 } } }", mixed("InstanceNumber", 1, 2), FITS),
    (
        "{ every_instance = { InstanceNumber = 1 } }",
        mixed("InstanceNumber", 1, 2),
        "every_instance: InstanceNumber is 2 where the rule wants 1",
    ),
    # code and scheme: of one item, or of any items
    (
        '{ ProcedureCodeSequence = { any_item = { CodeValue = "1", CodingSchemeDesignator = "LN" } } }',
        volume(1, ProcedureCodeSequence=codes(("1", "99X"), ("2", "LN"))),
        (
            "ProcedureCodeSequence: no item fits, the nearest: CodingSchemeDesignator is 99X "
            'where the rule wants "LN"'
        ),
    ),
    (
        '{ ProcedureCodeSequence = { any_item = { CodeValue = "2", CodingSchemeDesignator = "LN" } } }',
        volume(1, ProcedureCodeSequence=codes(("1", "99X"), ("2", "LN"))),
        FITS,
    ),
    (
        '{ "ProcedureCodeSequence.CodeValue" = "1", "ProcedureCodeSequence.CodingSchemeDesignator" = "LN" }',
        volume(1, ProcedureCodeSequence=codes(("1", "99X"), ("2", "LN"))),
        FITS,
    ),
    (
        '{ ProcedureCodeSequence = { not = { any_item = { CodeValue = "1" } } } }',
        volume(1),
        "not: ProcedureCodeSequence is absent",
    ),
    (
        '{ ProcedureCodeSequence = { any_item = { CodeValue = "1" }, present = true } }',
        volume(1),
        "all: ProcedureCodeSequence is absent",
    ),
    ("{ ProcedureCodeSequence = { present = false } }", volume(1), FITS),
    ("{ ProcedureCodeSequence = { present = false } }", volume(1, ProcedureCodeSequence=codes()), FITS),
]


@pytest.mark.parametrize(("conditions", "candidate", "reason"), OF_A_VOLUME)
def test_a_volume(tmp_path: Path, conditions: str, candidate: Candidate, reason: str) -> None:
    assert why(tmp_path, conditions, candidate) == reason


A, P = volume(1, **L), volume(2, Modality="PT")

OF_A_STUDY: list[tuple[str, Outcome]] = [
    # any object of the study answers each condition
    ('{ Modality = "PT", ConvolutionKernel = "L" }', Outcome.MATCH),
    ('{ any_instance = { Modality = "PT", ConvolutionKernel = "L" } }', Outcome.NO_MATCH),
    ('{ any_instance = { Modality = "CT", ConvolutionKernel = "L" } }', Outcome.MATCH),
    ('{ every_instance = { Modality = "CT" } }', Outcome.NO_MATCH),
    ('{ every_instance = { Modality = ["CT", "PT"] } }', Outcome.MATCH),
    ('{ every_instance = { ConvolutionKernel = "L" } }', Outcome.NO_MATCH),
    ('{ not = { Modality = "PT" } }', Outcome.NO_MATCH),
    ('{ not = { Modality = "SR" } }', Outcome.MATCH),
    ('{ not = { any_instance = { Modality = "PT", Rows = 1 } } }', Outcome.MATCH),
    # facts stand beside attributes
    ('{ any = [{ series = 9 }, { calling_ae_title = "CT1", source = "ct" }] }', Outcome.MATCH),
    ('{ source = "pacs" }', Outcome.NO_MATCH),
]


@pytest.mark.parametrize(("conditions", "outcome"), OF_A_STUDY)
def test_a_study(tmp_path: Path, conditions: str, outcome: Outcome) -> None:
    seen = study(A, P, source="ct")
    choice = choose(rule(tmp_path, '{ Modality = "CT" }', study=conditions), seen, [A, P])
    assert choice.explanation.outcome is outcome


def test_results_of_our_own_answer_nothing(tmp_path: Path) -> None:
    ours = volume(9, own=True, Modality="SEG")
    only = rule(tmp_path, '{ Modality = "CT" }', study='{ every_instance = { Modality = "CT" } }')
    assert choose(only, study(A, ours), [A, ours]).explanation.outcome is Outcome.MATCH


def test_a_question_about_the_grid_is_not_held_against_what_has_none(tmp_path: Path) -> None:
    thin = '{ any = [{ Modality = "CT", spacing_mm = { max = 2 } }, { Modality = "PT" }] }'
    assert why(tmp_path, thin, refused(1)).startswith("not a volume, GEO-022")
    assert why(tmp_path, thin, refused(1, Modality="MR")) == (
        'any: Modality is MR where the rule wants "CT"; Modality is MR where the rule wants "PT"'
    )


def told(folder: Path, conditions: str, *candidates: Candidate) -> Check:
    choice = choose(rule(folder, '{ Modality = "CT" }', study=conditions), study(*candidates), candidates)
    assert TypeAdapter(Explanation).validate_json(TypeAdapter(Explanation).dump_json(choice.explanation))
    return choice.explanation.study[0]


def test_a_compound_check_names_its_parts_and_says_which_decided(tmp_path: Path) -> None:
    check = told(tmp_path, "{ any = [{ Rows = 1, Columns = 512 }, { Rows = { min = 512 } }] }", A)
    assert (check.keyword, check.ok, check.found) == ("any", True, "Rows is 512")
    assert check.wanted == "(Rows 1 and Columns 512) or Rows at least 512"
    assert [(part.keyword, part.ok) for part in check.parts] == [("all", False), ("Rows", True)]
    assert [(part.keyword, part.ok) for part in check.parts[0].parts] == [("Rows", False), ("Columns", True)]


def test_no_private_value_leaves_a_masked_check_or_a_reason(tmp_path: Path) -> None:
    named = volume(1, PatientName="Quimby^Ann", StudyDescription="Quimby again")
    conditions = (
        '{ any = [{ "PatientName.FamilyName" = "Nobodyson", Modality = "CT" }, '
        '{ not = { StudyDescription = { contains = "Quimby" } } }] }'
    )
    choice = choose(rule(tmp_path, '{ Modality = "CT" }', study=conditions), study(named), [named])
    shown = choice.explanation.masked()
    assert "Quimby" in repr(choice.explanation)
    assert "Nobodyson" not in repr(shown)
    assert "Quimby" not in repr(shown)
    assert "Quimby" not in choice.explanation.reason
    assert choice.explanation.reason == (
        "the study does not fit: any: PatientName.FamilyName does not fit; StudyDescription fits"
    )
    assert shown.study[0].parts[0].parts[0].found == HIDDEN
    assert shown.study[0].parts[0].parts[1].found == "CT"


def test_four_alternatives_are_not_all_told_in_one_sentence(tmp_path: Path) -> None:
    check = told(tmp_path, "{ any = [{ Rows = 1 }, { Rows = 2 }, { Rows = 3 }, { Rows = 4 }] }", A)
    assert check.found is not None
    assert check.found.endswith("where the rule wants 3; and 1 more")


def test_what_one_image_says_does_not_depend_on_the_order_of_images(tmp_path: Path) -> None:
    forward, backward = mixed("InstanceNumber", 1, 2, 3), mixed("InstanceNumber", 3, 2, 1)
    for conditions in (
        "{ any_instance = { InstanceNumber = 9 } }",
        "{ every_instance = { InstanceNumber = 9 } }",
        "{ not = { InstanceNumber = { min = 2 } } }",
    ):
        assert why(tmp_path, conditions, forward) == why(tmp_path, conditions, backward)


def test_a_volume_of_many_images_is_asked_once_for_all_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bridge.rules import asked

    read = 0
    genuine = asked.attribute_of_frame

    def counted(view: Any, subject: Any) -> Any:
        nonlocal read
        read += 1
        return genuine(view, subject)

    monkeypatch.setattr(asked, "attribute_of_frame", counted)
    big = volume(1, slices=200)
    why(tmp_path, "{ any = [{ any_instance = { InstanceNumber = 9 } }, { Rows = 512 }] }", big)
    assert read <= 2 * 200


def test_frames_are_asked_one_by_one_and_their_items_too(tmp_path: Path) -> None:
    """Of an object in the form of PS3.3 C.7.6.16: shared groups, and one for each frame."""
    from bridge.rules.attributes import Subject, attribute_of_frame, items_of_frame
    from bridge.rules.words import Kind
    from bridge.volumes.frames import View

    spacing = header(PixelSpacing=[0.5, 0.5])
    frame = header(FrameAcquisitionNumber=3, FrameContentSequence=Sequence())
    view = View(
        header=header(
            Modality="CT", RequestAttributesSequence=Sequence([header(ScheduledProcedureStepID="s")])
        ),
        groups=(("FrameContentSequence", frame), ("PixelMeasuresSequence", spacing)),
        multi_frame=True,
    )

    def values(word: str, kind: Kind = Kind.TEXT) -> tuple[str, ...]:
        return attribute_of_frame(view, Subject(text=word, path=tuple(word.split(".")), kind=kind))

    assert values("PixelMeasuresSequence.PixelSpacing") == ("0.5",)
    assert values("PixelSpacing") == ("0.5", "0.5")
    assert values("FrameContentSequence.FrameAcquisitionNumber") == ("3",)
    assert values("RequestAttributesSequence.ScheduledProcedureStepID") == ("s",)
    assert values("PixelMeasuresSequence", Kind.SEQUENCE) == ("1 item",)
    assert values("DerivationCodeSequence", Kind.SEQUENCE) == ()
    macro = Subject(text="x", path=("PixelMeasuresSequence",), kind=Kind.SEQUENCE)
    assert items_of_frame(view, macro) == (spacing,)
    assert "PixelMeasuresSequence" not in view.header


def test_an_object_whose_frames_cannot_be_told_fits_nothing(tmp_path: Path) -> None:
    enhanced = "1.2.840.10008.5.1.4.1.1.2.1"
    broken = refused(1, slices=1, sop_class=enhanced, SharedFunctionalGroupsSequence=Sequence([Dataset()]))
    assert why(tmp_path, '{ not = { Modality = "MR" } }', broken) == "not: Modality is absent"
