"""What the platform says of its files: which is which, what is missing in the patient, and what failed."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.errors import Damaged
from bridge.platforms import Verdict
from bridge.platforms.virtual_patient_engine.results import came, verdict_of
from bridge.platforms.virtual_patient_engine.shapes import MadeJob, Polled
from bridge.platforms.virtual_patient_engine.wishes import Wanted
from bridge.results.output import OutputKind, Presence

JAW = Wanted(family="meshes", name="mandible", extension=".stl", structures=("mandible",))
TOOTH = Wanted(family="meshes", name="tooth18", extension=".stl", structures=("tooth18",))
PAIR = Wanted(family="meshes", name="pair", extension=".ply", structures=("tooth11", "tooth21"))
LABELS = Wanted(family="labels", name="labels", extension=".nrrd")


def file(*structures: str, status: str = "Available", extension: str = ".stl", **more: Any) -> dict[str, Any]:
    return {
        "status": status,
        "extension": extension,
        "structures": list(structures),
        "url": f"u-{'-'.join(structures)}",
        **more,
    }


def polled(*files: Any, **families: Any) -> Polled:
    return Polled.model_validate({"success": True, "outputFiles": {"meshes": list(files), **families}})


def test_files_are_matched_by_extension_and_structures_in_any_order() -> None:
    answer = polled(file("tooth21", "tooth11", extension=".PLY"), file("tooth18"), file("mandible"))
    files = came(answer, (JAW, TOOTH, PAIR))
    assert [one.file.link() for one in files if one.file] == ["u-mandible", "u-tooth18", "u-tooth21-tooth11"]
    assert [one.ref for one in files] == ["meshes/0", "meshes/1", "meshes/2"]


def test_files_that_are_told_without_their_structures_are_matched_by_position() -> None:
    first, second = file(url="first"), file(url="second")
    del first["structures"], second["structures"]
    files = came(polled(first, file("tooth18"), second), (JAW, TOOTH, PAIR))
    assert [one.file.link() for one in files if one.file] == ["first", "u-tooth18", "second"]


@pytest.mark.parametrize(
    "files",
    [
        (file("mandible"),),
        (file("mandible"), file("tooth18"), file("tooth17")),
        (),
    ],
)
def test_more_or_fewer_files_than_were_asked_for_are_never_matched_by_position(files: Any) -> None:
    with pytest.raises(Damaged) as caught:
        came(polled(*files), (JAW, TOOTH))
    assert caught.value.code == "VPE-140"


@pytest.mark.parametrize(
    ("status", "presence", "verdict", "reason"),
    [
        ("Available", Presence.HERE, Verdict.DONE, ""),
        ("AVAILABLE", Presence.HERE, Verdict.DONE, ""),
        ("Success", Presence.HERE, Verdict.DONE, ""),
        ("Missing", Presence.MISSING, Verdict.DONE, "the platform looked for it and there is none"),
        ("missing", Presence.MISSING, Verdict.DONE, "the platform looked for it and there is none"),
        ("Failed", Presence.FAILED, Verdict.PARTLY, "the platform could not make it"),
        ("Dreaming", Presence.FAILED, Verdict.PARTLY, "the platform could not make it (Dreaming)"),
        ("", Presence.FAILED, Verdict.PARTLY, "the platform's answer does not speak of it"),
        (None, Presence.FAILED, Verdict.PARTLY, "the platform's answer does not speak of it"),
    ],
)
def test_words_of_a_file(status: Any, presence: Presence, verdict: Verdict, reason: str) -> None:
    files = came(polled(file("mandible"), file("tooth18", status=status, size=5)), (JAW, TOOTH))
    output = files[1].output()
    assert (output.presence, output.reason) == (presence, reason)
    assert output.size_bytes == (5 if presence is Presence.HERE else None)
    assert verdict_of(files) is verdict


def test_job_of_which_every_file_failed_has_failed_and_one_without_any_tooth_is_done() -> None:
    def verdict(status: str) -> Verdict:
        answer = polled(file("mandible", status=status), file("tooth18", status=status))
        return verdict_of(came(answer, (JAW, TOOTH)))

    assert verdict("Failed") is Verdict.FAILED
    assert verdict("Missing") is Verdict.DONE


@pytest.mark.parametrize(
    "told", [{"status": "Available", "url": "u"}, [{"status": "Available", "downloadUrl": "u"}]]
)
def test_other_families_are_files_that_nobody_interprets(told: Any) -> None:
    (one,) = came(Polled.model_validate({"success": True, "outputFiles": {"labels": told}}), (LABELS,))
    output = one.output()
    assert (output.kind, output.name, output.media_type) == (
        OutputKind.FILE,
        "labels",
        "application/octet-stream",
    )
    assert one.file is not None
    assert one.file.link() == "u"


def test_family_that_the_answer_leaves_out_has_failed_and_one_of_another_shape_is_damaged() -> None:
    (one,) = came(polled(), (LABELS,))
    assert one.presence is Presence.FAILED
    with pytest.raises(Damaged) as caught:
        came(polled(labels=["text"]), (LABELS,))
    assert caught.value.code == "VPE-141"


NESTED = {"presignedUploadUrl": "up", "notifyFinishUploadUrl": "tell"}


@pytest.mark.parametrize(
    ("told", "addresses"),
    [
        ({"presignedUploadUrl": {"cbct": NESTED}}, {"cbct": ("up", "tell")}),
        (
            {"presignedUploadUrl": {"cbct": {"uploadUrl": "up", "notifyUrl": "tell"}}},
            {"cbct": ("up", "tell")},
        ),
        ({"uploadUrl": {"cbct": {"presignedUrl": "up", "notifyUrl": "tell"}}}, {"cbct": ("up", "tell")}),
        ({"presignedUploadUrl": "up", "notifyFinishUploadUrl": "tell"}, {"cbct": ("up", "tell")}),
        ({"uploadUrl": "up", "notifyUrl": "tell"}, {"cbct": ("up", "tell")}),
        (
            {"presignedUploadUrl": {"cbct": "up"}, "notifyFinishUploadUrl": {"cbct": "tell"}},
            {"cbct": ("up", "tell")},
        ),
        ({"presignedUploadUrl": {"facial": NESTED}}, {}),
        ({"presignedUploadUrl": {"cbct": {"presignedUploadUrl": "up"}}}, {}),
        ({"presignedUploadUrl": {"cbct": {"presignedUploadUrl": 5, "notifyUrl": "tell"}}}, {}),
        ({"presignedUploadUrl": None}, {}),
        ({}, {}),
    ],
)
def test_addresses_in_each_spelling(told: Any, addresses: Any) -> None:
    assert MadeJob.model_validate({"jobId": "1", **told}).addresses(("cbct",)) == addresses


def test_one_text_for_two_inputs_is_no_address() -> None:
    told = MadeJob.model_validate({"jobId": "1", "presignedUploadUrl": "up", "notifyUrl": "tell"})
    assert told.addresses(("cbct", "facial")) == {}
