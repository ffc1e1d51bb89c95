"""What of a person may leave with a job: risks of pixels before it is made, names and profile when it is prepared."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter
from pydicom import dcmread

from bridge.errors import Refused
from bridge.export.parcel import Order, OrderedFile, Parcel
from bridge.flow.stages import prepare
from bridge.flow.stages.privacy import digest_of
from bridge.itk import read_image
from bridge.platforms.protocol import Request, Spec
from prepared import Prepared

INPUT = """
[rules.mask.privacy]
{privacy}
[rules.mask.inputs.ct]
volume = {{ Modality = "{modality}" }}
"""


class Bench(Prepared):
    def __init__(self, folder: Path, privacy: str = "", site: str = "", modality: str = "CT") -> None:
        super().__init__(folder, INPUT.format(privacy=privacy, modality=modality), site=site)
        self.format, self.file_name = "dicom-zip", "ct.zip"

    def _plan(self, spec: Spec, request: Request) -> Order:
        ordered = OrderedFile(input="ct", format=self.format, file_name=self.file_name)
        return Order(files=(ordered,), steps=(), details={})

    def arrive(self, study: str = "1.2", **attributes: Any) -> None:
        self.receive(study, **attributes)
        self.decide(study)

    def parcel_of(self, job: str) -> Parcel:
        content = (self.folder / "jobs" / job / "parcel.json").read_bytes()
        return TypeAdapter(Parcel).validate_json(content)

    def prepared(self) -> list[Parcel]:
        for job in self.jobs.all():
            prepare.convert(self.parts, job)
        return [self.parcel_of(job.id) for job in self.jobs.all()]

    def files(self, job: str) -> list[bytes]:
        folder = self.folder / "jobs" / job / "parcel"
        return [one.read_bytes() for one in sorted(folder.iterdir())]

    def objects(self, job: str) -> list[Any]:
        (content,) = self.files(job)
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return [dcmread(io.BytesIO(archive.read(one))) for one in archive.namelist()]


@pytest.mark.parametrize(
    ("attributes", "privacy", "code"),
    [
        ({"RecognizableVisualFeatures": "YES"}, "", "DEI-009"),
        ({"RecognizableVisualFeatures": "YES"}, 'allow = ["visual-features"]', ""),
        ({"BodyPartExamined": "HEAD"}, 'defacing = "refuse"', "DEI-009"),
        ({"BodyPartExamined": "HEAD"}, "", ""),
        ({"BodyPartExamined": "HEAD"}, 'defacing = "refuse"\nallow = ["face"]', ""),
        ({"BurnedInAnnotation": "YES"}, 'allow = ["burned-in"]', ""),
        ({"BurnedInAnnotation": "YES"}, "mask = [[0, 0, 8, 2]]", ""),
        ({"Manufacturer": "Acme", "ManufacturerModelName": "Screen 5"}, "", "DEI-009"),
        ({"Manufacturer": "Acme", "ManufacturerModelName": "Screen 5"}, 'allow = ["device"]', ""),
        ({"Manufacturer": "Acme", "ManufacturerModelName": "Screen 6"}, "", ""),
    ],
)
def test_pixels_that_may_show_a_person_make_a_job_only_where_the_rule_says_so(
    tmp_path: Path, attributes: dict[str, str], privacy: str, code: str
) -> None:
    site = '[privacy]\ntext_devices = [{ manufacturer = "ACME", model = "Screen 5" }]'
    bench = Bench(tmp_path, privacy, site)
    bench.arrive(**attributes)
    outcome, reason = bench.outcome()
    assert (outcome, len(bench.jobs.all())) == (("refused", 0) if code else ("match", 1))
    assert reason.startswith(f"{code}: ") if code else "DEI" not in reason


def test_a_modality_that_usually_has_text_is_refused_for_bare_volumes_too(tmp_path: Path) -> None:
    bench = Bench(tmp_path, modality="XA")
    bench.arrive(Modality="XA")
    assert bench.outcome()[0] == "refused"
    assert '"modality"' in bench.outcome()[1]


def test_text_burned_in_without_a_word_is_no_input_at_all(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.arrive(BurnedInAnnotation="YES")
    assert bench.outcome() == ("no-match", "ct: series 3, CT, 4 images, 1.0 mm: text burned into the pixels")


def test_a_risk_that_is_taken_is_told(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.arrive(BodyPartExamined="HEAD")
    (decision,) = bench.decisions.of_study("1.2")
    assert json.loads(decision.explanation)["risks"] == ["a volume of a head, from which a face can be drawn"]
    bench.prepared()
    assert bench.line(bench.job().id, "prepare.risks").keys == {"risks": "face"}


def test_prepare_refuses_what_a_decision_of_before_let_pass(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.arrive(BodyPartExamined="HEAD")
    frozen = json.loads(bench.job().frozen)
    frozen["privacy"]["defacing"] = "refuse"
    bench.jobs.change(bench.job().id, frozen=json.dumps(frozen))
    with pytest.raises(Refused) as refusal:
        prepare.convert(bench.parts, bench.job())
    assert refusal.value.code == "DEI-009"
    assert not (tmp_path / "jobs" / bench.job().id / "parcel").exists()


def test_preparing_again_gives_the_same_bytes_whatever_key_was_made_since(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.arrive()
    (before,), sent = bench.prepared(), bench.files(bench.job().id)
    bench.parts.crosswalk.name_anew()
    (after,) = bench.prepared()
    assert (after, bench.files(bench.job().id)) == (before, sent)


def test_files_are_numbered_and_hold_no_name_of_the_house(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.format, bench.file_name = "dicom", "ct.dcm"
    bench.arrive("2.25.4711")
    (parcel,) = bench.prepared()
    assert [one.file_name for one in parcel.files] == [f"ct-{n:05d}.dcm" for n in (1, 2, 3, 4)]
    assert {one.format for one in parcel.files} == {"dicom"}
    assert parcel.files_of("ct") == parcel.files
    outside = b"".join(bench.files(bench.job().id))
    for held in (b"Canary", b"C-1\0", b"2.25.4711"):
        assert held not in outside
    assert parcel.pseudonym.encode() in outside


def test_two_jobs_of_a_patient_have_two_names_unless_the_rule_follows_a_patient(tmp_path: Path) -> None:
    for words, count in (("", 2), ("longitudinal = true", 1)):
        folder = tmp_path / str(count)
        folder.mkdir()
        bench = Bench(folder, words)
        bench.arrive("1.2")
        bench.arrive("1.3")
        parcels = bench.prepared()
        assert len({one.pseudonym for one in parcels}) == count
        ids = {bench.objects(job.id)[0].PatientID for job in bench.jobs.all()}
        assert ids == {one.pseudonym for one in parcels}
        studies = {bench.objects(job.id)[0].StudyInstanceUID for job in bench.jobs.all()}
        assert len(studies) == 2
        for parcel in parcels:
            assert {one.person.patient_id for one in bench.parts.crosswalk.of_name(parcel.pseudonym)} == {
                "C-1"
            }


def test_nobody_is_followed_who_has_no_id(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "longitudinal = true", site="")
    bench.arrive("1.2", PatientID="")
    bench.parts.studies.accept(bench.study("1.2").name)
    bench.decide("1.2")
    bench.arrive("1.3", PatientID="")
    bench.parts.studies.accept(bench.study("1.3").name)
    bench.decide("1.3")
    assert len({one.pseudonym for one in bench.prepared()}) == 2


def test_a_rectangle_is_black_in_voxels_and_in_objects(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "mask = [[1, 2, 5, 3]]")
    for number in range(4):
        (one,) = bench.receive("1.2", slices=1, first=number)
        one.PixelData = np.arange(number, number + 64, dtype="<u2").tobytes()
        bench.keep(one)
    bench.decide("1.2")
    job = bench.job().id
    bench.prepared()
    bench.format, bench.file_name = "mha", "ct.mha"
    black = np.zeros((8, 8), bool)
    black[2:5, 1:6] = True
    whole = np.arange(64).reshape(8, 8)
    for number, one in enumerate(bench.objects(job)):
        np.testing.assert_array_equal(one.pixel_array, np.where(black, number, whole + number))
    bench.prepared()
    voxels = read_image(tmp_path / "jobs" / job / "parcel" / "ct.mha").array
    for number in range(4):
        np.testing.assert_array_equal(voxels[number] + 1024, np.where(black, number, whole + number))


def test_the_digest_of_a_profile_changes_with_every_word_and_not_with_their_order(tmp_path: Path) -> None:
    seen = {}
    for place, words in enumerate(
        (
            "",
            'dates = "shift"',
            'options = ["retain-device", "retain-uids"]',
            'options = ["retain-uids", "retain-device"]',
            "longitudinal = true",
            'allow = ["face"]',
            "mask = [[0, 0, 1, 2]]",
            "mask = [[0, 0, 2, 1]]",
            'defacing = "refuse"',
        )
    ):
        folder = tmp_path / str(place)
        folder.mkdir()
        bench = Bench(folder, words)
        seen[words] = digest_of(bench.intake._models["mask"].privacy, bench.site)
    assert len(set(seen.values())) == len(seen) - 1
