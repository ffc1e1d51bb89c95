"""De-identified objects beside their sources: validators complain of nothing more; ITK, dcmqi and Orthanc open them."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from pydicom import dcmread
from pydicom.dataset import Dataset
from tests.conftest import peer_tool
from tests.peers.namespace import run_in_namespace
from tests.peers.validators import errors, segmentation_images

from bridge.errors import Refused
from bridge.export.deidentified import deidentify
from bridge.export.profile import Option, Profile
from bridge.export.pseudonyms import Pseudonyms, Scope

pytestmark = pytest.mark.peer

NAMES = Pseudonyms(b"k" * 32, Scope.of_job("job-1"))
PROFILES = {
    "basic": Profile(),
    "modified dates": Profile(options=frozenset({Option.RETAIN_MODIFIED_DATES, Option.CLEAN_DESCRIPTORS})),
}
EACH = 3
"""Files of each folder: those of one series have the same errors."""

NOT_OURS = {
    # What it was converted from is still told (Conversion Source Attributes), which dciodvfy takes for no reference.
    ("ct-legacy-converted-enhanced.dcm", "ReferencedSeriesSequence"),
    # Absent from the source as well, whose deflated bytes dciodvfy does not read so far.
    ("1.2.1.99_deflated_image_dfl.dcm", "Laterality"),
}


KINDS = {
    "CT": ("ct-chest-philips",),
    "MR": ("mr-brain-t1",),
    "Enhanced MR": (
        "multiframe/enhanced-mr-philips-fmri-32.dcm",
        "multiframe/enhanced-mr-philips-b0map-64.dcm",
        "multiframe/enhanced-mr-emri_small.dcm",
    ),
    "SEG": (
        "multiframe/seg-liver.dcm",
        "multiframe/seg-ct-binary-overlap.dcm",
        "multiframe/seg-ct-fractional.dcm",
    ),
    "legacy-converted CT": ("multiframe/ct-legacy-converted-enhanced",),
}


def of_kind(shared_data: Path, kind: str) -> list[Path]:
    """Files of a kind; of a series the first, in the order of its names."""
    found = []
    for name in KINDS[kind]:
        place = shared_data / name
        found += sorted(one for one in place.iterdir() if one.is_file())[:EACH] if place.is_dir() else [place]
    return found


def cleaned(file: Path, profile: Profile = PROFILES["basic"]) -> bytes:
    return deidentify(file.read_bytes(), profile, NAMES).encoded


def sample(folder: Path) -> list[Path]:
    found: list[Path] = []
    taken: Counter[Path] = Counter()
    for file in sorted(folder.rglob("*")):
        if file.is_file() and not {"LICENSES", "odd-files"} & set(file.parts):
            taken[file.parent] += 1
            if taken[file.parent] <= EACH or file.parent.name in ("multiframe", "compressed", "non-image"):
                found.append(file)
    return found


def places(lines: list[str]) -> Counter[str]:
    """How many errors there are of each attribute, whatever its value and the number of its item."""
    keywords = (re.search(r"(\w+)\([0-9a-f]{4},[0-9a-f]{4}\)(\[\d+\])?>", line) for line in lines)
    return Counter(match[1] if match else "" for match in keywords)


def worse(made: Path, source: Path) -> list[str]:
    """Attributes with more errors than in the source, but for those that are not ours."""
    found = places(errors("dciodvfy", "-new", made)) - places(errors("dciodvfy", "-new", source))
    return [one for one in found if (source.name, one) not in NOT_OURS]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", PROFILES)
def test_dciodvfy_finds_no_error_that_the_source_did_not_have(
    shared_data: Path, tmp_path: Path, name: str, kind: str
) -> None:
    made = tmp_path / "made.dcm"
    for file in of_kind(shared_data, kind):
        made.write_bytes(cleaned(file, PROFILES[name]))
        assert worse(made, file) == [], file.name


@pytest.mark.long
@pytest.mark.parametrize("name", PROFILES)
def test_dciodvfy_finds_no_more_in_them_than_in_their_sources(
    shared_data: Path, tmp_path: Path, name: str
) -> None:
    made = tmp_path / "made.dcm"
    compared = 0
    for file in sample(shared_data):
        try:
            made.write_bytes(deidentify(file.read_bytes(), PROFILES[name], NAMES).encoded)
        except Refused:
            continue
        compared += 1
        assert worse(made, file) == [], file.name
    print(f"{compared} objects under {name!r}: no error of dciodvfy that their sources did not have")
    assert compared > 100


def test_a_series_opens_in_itk_with_the_same_voxels_and_geometry(shared_data: Path, tmp_path: Path) -> None:
    for series in ("ct-chest-philips", "mr-brain-t1"):
        source, made = shared_data / series, tmp_path / series
        made.mkdir()
        for file in source.iterdir():
            if file.is_file():
                made.joinpath(file.name).write_bytes(cleaned(file))
        before, after = _volume(source), _volume(made)
        assert after.GetSpacing() == before.GetSpacing()
        assert after.GetOrigin() == before.GetOrigin()
        assert after.GetDirection() == before.GetDirection()
        np.testing.assert_array_equal(sitk.GetArrayFromImage(after), sitk.GetArrayFromImage(before))


def _volume(folder: Path) -> sitk.Image:
    reader = sitk.ImageSeriesReader()
    (series,) = reader.GetGDCMSeriesIDs(str(folder))
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder), series))
    return reader.Execute()


@pytest.mark.parametrize("kind", ["Enhanced MR", "legacy-converted CT"])
def test_a_multi_frame_object_opens_in_itk_as_its_source_does(
    shared_data: Path, tmp_path: Path, kind: str
) -> None:
    made = tmp_path / "made.dcm"
    for file in of_kind(shared_data, kind):
        made.write_bytes(cleaned(file))
        before, after = sitk.ReadImage(str(file)), sitk.ReadImage(str(made))
        assert after.GetSpacing() == before.GetSpacing()
        assert after.GetOrigin() == before.GetOrigin()
        assert after.GetDirection() == before.GetDirection()
        np.testing.assert_array_equal(sitk.GetArrayFromImage(after), sitk.GetArrayFromImage(before))


def test_a_segmentation_opens_in_dcmqi_with_the_same_masks(shared_data: Path, tmp_path: Path) -> None:
    for file in (one for one in of_kind(shared_data, "SEG") if "fractional" not in one.name):
        made = tmp_path / file.name
        made.write_bytes(cleaned(file))
        before = segmentation_images(file, tmp_path / f"{file.stem}-before")
        after = segmentation_images(made, tmp_path / f"{file.stem}-after")
        assert [one.name for one in after] == [one.name for one in before]
        assert before, file.name
        for one, other in zip(before, after, strict=True):
            expected, found = sitk.ReadImage(str(one)), sitk.ReadImage(str(other))
            assert (found.GetSpacing(), found.GetOrigin()) == (expected.GetSpacing(), expected.GetOrigin())
            assert sitk.GetArrayFromImage(expected).any()
            np.testing.assert_array_equal(sitk.GetArrayFromImage(found), sitk.GetArrayFromImage(expected))


@pytest.mark.slow
def test_orthanc_stores_and_reads_every_kind(shared_data: Path, tmp_path: Path) -> None:
    sources: dict[str, Dataset] = {}
    (tmp_path / "made").mkdir()
    for kind in KINDS:
        for file in of_kind(shared_data, kind):
            source = dcmread(file, stop_before_pixels=True)
            done = deidentify(file.read_bytes(), Profile(), NAMES)
            sources[done.sop_instance_uid] = source
            (tmp_path / "made" / f"{done.sop_instance_uid}.dcm").write_bytes(done.encoded)
    run_in_namespace("deidentified_in_namespace", tmp_path, peer_tool("Orthanc"), within_s=120)
    facts = json.loads((tmp_path / "facts.json").read_text())
    assert facts["statuses"] == [0] * len(sources)
    filed = facts["filed"]
    assert filed.keys() == sources.keys()
    for uid, source in sources.items():
        assert filed[uid] == {
            "SOPClassUID": source.SOPClassUID,
            "StudyInstanceUID": NAMES.uid(source.StudyInstanceUID),
            "SeriesInstanceUID": NAMES.uid(source.SeriesInstanceUID),
            "PatientID": NAMES.patient(),
            "PatientIdentityRemoved": "YES",
            "frames": int(source.get("NumberOfFrames") or 1),
        }
