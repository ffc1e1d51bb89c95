"""Meshes of an answer: objects of their own, segmentations of their voxels, and numbers in reports."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.unit.results.build import (
    answer,
    frames_in_space,
    made_geometry,
    made_source,
    mask_part,
    read_back,
    value_part,
    wrapping,
)
from tests.unit.results.shapes import ascii_stl, ball, box, joined, mesh, mesh_part, obj, ply, stl
from tests.unit.results.test_reports import children, groups, numbers

from bridge.dicom.codes import Anatomy, sct
from bridge.errors import BridgeError
from bridge.results.encoders import encode, encode_for_study
from bridge.results.mesh import Mesh
from bridge.results.mesh_files import read_mesh
from bridge.results.output import MeshFrame, Output, OutputKind, Presence
from bridge.results.result import Answer, Form, LabelMeaning, Part, Result, Variant

pytestmark = pytest.mark.filterwarnings("ignore")

GEOMETRY = made_geometry((8, 9, 10), origin_lps=(-2.0, 30.0, 7.0), spacing_mm=(1.5, 1.0, 0.5))
"""x from -2 to 2.5, y from 30 to 38, z from 7 to 17.5; a voxel is 0.75 mm3."""
JAW = box((-1.75, 31.5, 7.75), (3, 4, 6))
"""6 columns, 4 rows, 4 slices: 96 voxels of 72 mm3."""
CANAL = box((-1.25, 32.5, 8.75), (1, 2, 3))
"""2 columns, 2 rows, 2 slices, all of them in the jaw."""
TOOTH = box((-1.75, 36.5, 7.75), (1, 1, 3))
"""2 columns, 1 row, 2 slices, beside the jaw."""
STL, OBJ = "1.2.840.10008.5.1.4.1.1.104.3", "1.2.840.10008.5.1.4.1.1.104.4"


def encoded(*parts: Part, absent: tuple[Output, ...] = (), **other: Any) -> tuple[Result, ...]:
    given = Answer(parts=parts, absent=absent)
    return encode(given, made_source(GEOMETRY), wrapping(**other))


def of_kind(kind: str, results: tuple[Result, ...]) -> list[Any]:
    return [read_back(one.data) for one in results if one.kind == kind]


def notes(results: tuple[Result, ...]) -> list[str]:
    return [note for one in results for note in one.notes]


def missing(name: str, presence: Presence = Presence.MISSING, **other: Any) -> Output:
    return Output(
        name=name,
        kind=OutputKind.MESH,
        media_type="model/stl",
        ref="",
        presence=presence,
        frame=MeshFrame.LPS_MM,
        **other,
    )


@pytest.mark.parametrize(
    ("data", "sop_class", "mime"),
    [
        (stl(JAW, b"solid, of a program"), STL, "model/stl"),
        (obj(JAW), OBJ, "model/obj"),
        (obj(JAW) + b"\n", OBJ, "model/obj"),
    ],
)
def test_the_file_comes_back_byte_for_byte(data: bytes, sop_class: str, mime: str) -> None:
    (made,) = of_kind("M3D", encoded(mesh_part(data)))
    assert made.EncapsulatedDocument[: made.EncapsulatedDocumentLength] == data
    assert len(made.EncapsulatedDocument) % 2 == 0
    assert (made.SOPClassUID, made.MIMETypeOfEncapsulatedDocument) == (sop_class, mime)
    assert (made.Modality, made.BurnedInAnnotation, made.DocumentTitle) == ("M3D", "NO", "Mandible")
    assert made.FrameOfReferenceUID == "1.2.5"
    assert (made.PatientName, made.PatientID, made.AccessionNumber) == ("Muster^Anna", "P-1", "A-1")
    assert made.SeriesDescription == "Lobe Finder 2.1 not verified"
    (unit,) = made.MeasurementUnitsCodeSequence
    assert (unit.CodeValue, unit.CodingSchemeDesignator) == ("mm", "UCUM")
    (title,) = made.ConceptNameCodeSequence
    assert (title.CodeValue, title.CodeMeaning) == ("91609006", "Mandible")
    (algorithm,) = made.DerivationAlgorithmSequence
    assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == ("Lobe Finder", "2.1")
    uids = [f"1.2.3.{number}" for number in range(1, 9)]
    assert [one.ReferencedSOPInstanceUID for one in made.SourceInstanceSequence] == uids
    (series,) = made.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == "1.2.4"
    assert [one.ReferencedSOPInstanceUID for one in series.ReferencedInstanceSequence] == uids


@pytest.mark.parametrize(
    ("data", "frame", "said"),
    [
        (ascii_stl(JAW), MeshFrame.LPS_MM, "ASCII STL"),
        (ply(JAW), MeshFrame.LPS_MM, "PLY"),
        (stl(mesh(JAW.vertices * [-1, -1, 1], JAW.faces)), MeshFrame.RAS_MM, "binary STL in ras-mm"),
        (obj(mesh(JAW.vertices / 1000, JAW.faces)), MeshFrame.LPS_M, "OBJ in lps-m"),
    ],
)
def test_other_files_and_frames_become_a_binary_stl_in_place(
    data: bytes, frame: MeshFrame, said: str
) -> None:
    results = encoded(mesh_part(data, frame=frame))
    (made,) = of_kind("M3D", results)
    assert made.SOPClassUID == STL
    found, _ = read_mesh(made.EncapsulatedDocument[: made.EncapsulatedDocumentLength], "it")
    assert np.allclose(found.vertices.min(axis=0), JAW.vertices.min(axis=0), atol=1e-5)
    assert np.allclose(found.vertices.max(axis=0), JAW.vertices.max(axis=0), atol=1e-5)
    assert f"mandible: {said} became binary STL; the original stays with the job" in notes(results)


def test_meshes_become_segments_on_the_grid_with_codes_and_the_same_colour() -> None:
    results = encoded(mesh_part(stl(JAW)), mesh_part(stl(TOOTH), "tooth36"))
    assert [one.kind for one in results] == ["M3D", "M3D", "SEG", "SR"]
    (made,) = of_kind("SEG", results)
    jaw, tooth = made.SegmentSequence
    assert (jaw.SegmentLabel, tooth.SegmentLabel) == ("Mandible", "Tooth 36")
    (code,) = tooth.SegmentedPropertyTypeCodeSequence
    assert (code.CodeValue, code.CodingSchemeDesignator) == ("866006002", "SCT")
    colours = [one.RecommendedDisplayCIELabValue for one in (*of_kind("M3D", results), jaw, tooth)]
    assert colours[0] == colours[2] != colours[1] == colours[3]
    frames = frames_in_space(made)
    assert {number: sum(int(one.sum()) for one in some.values()) for number, some in frames.items()} == {
        1: 96,
        2: 4,
    }
    # Slices at 8.5 and 10; columns at -1.5 and -1, row at 37.
    assert sorted(position[2] for position in frames[2]) == [8.5, 10]
    assert np.argwhere(frames[2][-2, 30, 8.5]).tolist() == [[7, 1], [7, 2]]


def test_what_shares_voxels_goes_into_segmentations_of_its_own() -> None:
    parts = (mesh_part(stl(CANAL), "left_nerve"), mesh_part(stl(JAW)), mesh_part(stl(TOOTH), "tooth36"))
    for form in (Form.BINARY, Form.LABELMAP):
        results = encoded(*parts, variant=Variant(form=form))
        first, second = of_kind("SEG", results)
        labels = [
            [one.SegmentLabel for one in made.SegmentSequence if one.SegmentNumber]
            for made in (first, second)
        ]
        assert labels == [["Left mandibular canal", "Tooth 36"], ["Mandible"]]
        assert first.SOPInstanceUID != second.SOPInstanceUID
        jaw = next(one for one in of_kind("M3D", results) if one.DocumentTitle == "Mandible")
        assert second.SegmentSequence[-1].RecommendedDisplayCIELabValue == jaw.RecommendedDisplayCIELabValue
        assert first.InstanceNumber != second.InstanceNumber
        assert {first.SeriesInstanceUID} == {second.SeriesInstanceUID}
        one, other = of_kind("SR", results)
        assert (len(groups(one)), len(groups(other))) == (2, 1)
        referenced = [
            {
                item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID
                for group in groups(report)
                for item in children(group, "121191")
            }
            for report in (one, other)
        ]
        assert referenced == [{first.SOPInstanceUID}, {second.SOPInstanceUID}]


def test_the_canal_has_a_private_code_that_is_explained_and_a_side() -> None:
    (made,) = of_kind("SEG", encoded(mesh_part(stl(CANAL), "left_nerve")))
    (code,) = made.SegmentSequence[0].SegmentedPropertyTypeCodeSequence
    assert (code.CodingSchemeDesignator, code.CodeMeaning) == ("99BRIDGE", "Mandibular canal")
    assert code.SegmentedPropertyTypeModifierCodeSequence[0].CodeMeaning == "Left"
    assert [one.CodingSchemeDesignator for one in made.CodingSchemeIdentificationSequence] == ["99BRIDGE"]


def test_the_report_has_the_numbers_of_voxels_and_of_the_mesh() -> None:
    results = encoded(mesh_part(stl(JAW)))
    (group,) = groups(of_kind("SR", results)[0])
    found = {(quantity, derivation): (value, unit) for quantity, derivation, value, unit in numbers(group)}
    assert found["118565006", ""] == ("0.072", "ml")
    assert found["RNU0", ""] == ("0.072", "ml")
    assert found["C0JK", ""] == (str(2 * (3 * 4 + 4 * 6 + 3 * 6)), "mm2")
    extents = [
        (item.ConceptNameCodeSequence[0].CodeMeaning, float(item.MeasuredValueSequence[0].NumericValue))
        for item in group.ContentSequence
        if item.ValueType == "NUM" and item.ConceptNameCodeSequence[0].CodingSchemeDesignator == "99BRIDGE"
    ]
    assert extents == [
        ("Extent, right to left", 3),
        ("Extent, front to back", 4),
        ("Extent, foot to head", 6),
    ]


OPEN = mesh(JAW.vertices, JAW.faces[1:])


@pytest.mark.parametrize(
    ("shape", "said", "volume"),
    [
        (OPEN, "mandible: the mesh is open, 3 edges bound no second face", False),
        (
            mesh(JAW.vertices, np.concatenate([JAW.faces[:1, ::-1], JAW.faces[1:]])),
            "3 edges have faces that",
            False,
        ),
        (mesh(JAW.vertices, JAW.faces[:, ::-1]), "mandible: all faces of the mesh look inwards", True),
        (joined(JAW, CANAL), "mandible: the mesh crosses or overlaps itself at 8 voxels", True),
        (box((-1.9, 31.6, 7.2), (0.3, 0.3, 1.8)), "mandible: no centre of a voxel lies in the mesh", True),
    ],
)
def test_what_is_wrong_with_a_mesh_is_said(shape: Mesh, said: str, volume: bool) -> None:
    results = encoded(mesh_part(stl(shape)))
    assert [note for note in notes(results) if said in note]
    (report,) = of_kind("SR", results)
    (group,) = groups(report)
    quantities = [quantity for quantity, *_ in numbers(group)]
    assert ("RNU0" in quantities) == volume
    assert "C0JK" in quantities


def test_an_open_mesh_is_in_no_segmentation_but_in_the_report() -> None:
    results = encoded(mesh_part(stl(OPEN)), mesh_part(stl(TOOTH), "tooth36"))
    assert [one.kind for one in results] == ["M3D", "M3D", "SEG", "SR", "SR"]
    (made,) = of_kind("SEG", results)
    assert [one.SegmentLabel for one in made.SegmentSequence] == ["Tooth 36"]
    _, rest = of_kind("SR", results)
    (group,) = groups(rest)
    assert children(group, "121071")[0].ConceptCodeSequence[0].CodeMeaning == "Mandible"
    assert not children(group, "121191")


@pytest.mark.parametrize(
    ("wanted", "kinds"),
    [
        ({}, ["M3D", "SEG", "SR", "SR"]),
        ({"segmentation": False}, ["M3D", "SR", "SR"]),
        ({"measurement_report": False}, ["M3D", "SEG"]),
        ({"segmentation": False, "measurement_report": False}, ["M3D"]),
        ({"meshes": False}, ["SR"]),
    ],
)
def test_the_rule_says_what_is_made(wanted: dict[str, Any], kinds: list[str]) -> None:
    results = encoded(mesh_part(stl(JAW)), value_part("score", 1), **wanted)
    assert sorted(one.kind for one in results) == kinds


def test_what_is_not_there_is_a_finding_and_what_failed_is_not() -> None:
    results = encoded(
        mesh_part(stl(JAW)),
        absent=(missing("tooth18"), missing("tooth28", Presence.FAILED, reason="no memory")),
    )
    assert "tooth18: not there (a finding of the platform)" in notes(results)
    assert "tooth28: the platform could not make it: no memory" in notes(results)
    _, report = of_kind("SR", results)
    (group,) = groups(report)
    assert children(group, "121071")[0].ConceptCodeSequence[0].CodeValue == "68085002"
    (verdict,) = [
        item for item in group.ContentSequence if item.ConceptNameCodeSequence[0].CodeValue == "121052"
    ]
    assert verdict.ConceptCodeSequence[0].CodeMeaning == "Absent"


def test_a_platform_that_found_nothing_gives_a_report_of_that() -> None:
    results = encoded(absent=(missing("tooth18"), missing("tooth38")))
    (report,) = of_kind("SR", results)
    assert len(groups(report)) == 2
    assert "tooth38: not there (a finding of the platform)" in notes(results)


def test_a_mesh_of_which_nobody_knows_the_frame_stays_with_the_job() -> None:
    results = encoded(mesh_part(None, frame=None), value_part("score", 1))
    assert [one.kind for one in results] == ["SR"]
    assert "mandible: nobody says in which frame and unit the mesh is: it stays with the job" in notes(
        results
    )


def test_of_a_job_without_images_meshes_stay_with_the_job() -> None:
    header = made_source(GEOMETRY).volume.instances[0].header
    results = encode_for_study(answer(mesh_part(stl(JAW)), value_part("score", 1)), header, wrapping())
    assert [one.kind for one in results] == ["SR"]
    assert any(note.startswith("mandible: no image of the study was sent") for note in notes(results))


def test_the_rule_knows_better_what_a_mesh_is() -> None:
    known = LabelMeaning(
        name="Canine",
        anatomy=Anatomy(category=sct("91723000", "Anatomical Structure"), type=sct("1", "Canine of a rule")),
        rgb=(1, 200, 3),
    )
    results = encoded(mesh_part(stl(JAW)), labels={"mandible": {1: known}})
    (surface,), (made,) = of_kind("M3D", results), of_kind("SEG", results)
    assert surface.DocumentTitle == made.SegmentSequence[0].SegmentLabel == "Canine"
    assert made.SegmentSequence[0].SegmentedPropertyTypeCodeSequence[0].CodeMeaning == "Canine of a rule"


@pytest.mark.parametrize(
    ("part", "code"),
    [
        (mesh_part(b"no mesh"), "RES-091"),
        (mesh_part(b"DRACO\x02\x02"), "RES-09"),
        (mesh_part(stl(mesh(JAW.vertices + 900, JAW.faces))), "RES-093"),
        (mesh_part(stl(JAW), frame=MeshFrame.RAS_MM), "RES-093"),
    ],
)
def test_a_broken_or_misplaced_mesh_ends_the_job(part: Part, code: str) -> None:
    mask = mask_part(np.ones(GEOMETRY.shape, np.uint8), GEOMETRY.affine_lps)
    with pytest.raises(BridgeError) as caught:
        encoded(mask, part)
    assert caught.value.code.startswith(code)


def test_the_same_answer_gives_the_same_bytes_in_any_order() -> None:
    parts = (mesh_part(stl(JAW)), mesh_part(obj(TOOTH), "tooth36"), mesh_part(ply(CANAL), "left_nerve"))
    one, other = encoded(*parts), encoded(*parts[::-1])
    assert [result.data for result in one] == [result.data for result in other]
    uids = [result.sop_instance_uid for result in one]
    assert len(set(uids)) == len(uids)


def test_segmentations_of_masks_and_of_meshes_are_told_apart() -> None:
    mask = mask_part(np.ones(GEOMETRY.shape, np.uint8), GEOMETRY.affine_lps, name="meshes")
    made = of_kind("SEG", encoded(mask, mesh_part(stl(ball_here()), "meshes")))
    assert len({one.SOPInstanceUID for one in made}) == len({one.InstanceNumber for one in made}) == 2


def ball_here() -> Mesh:
    shape = ball(2, 2.0)
    return mesh(shape.vertices + np.array([0, 34, 12]), shape.faces)
