"""A head as slices and as one compressed multi-frame object: whatever form leaves, the same voxels come back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian
from tests.conftest import data_folder
from tests.unit.cli.test_run_meshes import SITE
from typer.testing import CliRunner

from bridge.cli.app import app
from bridge.sandbox.virtual_patient_engine import Sandbox

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

SLICES, MULTI_FRAME = "ct-head-phantom-philips/S2010", "multiframe/ct-legacy-converted-enhanced"
SENT = [(SLICES, ".zip"), (MULTI_FRAME, ".dcm"), (SLICES, ".nii.gz"), (MULTI_FRAME, ".nrrd")]
RULE = """\
[rules.head]
mode = "hold"
platform = "vpe"
algorithm = "virtual-patient"
version = "24.06"
destinations = ["pacs"]

[rules.head.inputs.cbct]
volume = {{ Modality = "CT" }}

[rules.head.values]
inputs = {{ cbct = {{ extension = "{extension}" }} }}
outputs = {{ meshes = [{{ structures = ["mandible", "tooth11"] }}] }}
options = {{ mandible = {{ makeManifold = true, smoothingIterations = 0 }} }}
"""
WORD_CAPTURE = "1.2.840.10008.5.1.4.1.1.7.3"
Place = tuple[float, ...]
Decoded = Mapping[tuple[str, Place], NDArray[np.bool_]]


def sent_as(study: Path, extension: str, folder: Path, rule: str = RULE) -> list[Path]:
    """The results of `bridge run` with the volume in a format."""
    with Sandbox(folder / "cloud") as sandbox:
        (folder / "site.toml").write_text(
            SITE.format(
                base_url=sandbox.base_url,
                token_url=sandbox.token_url,
                client_id=sandbox.client_id,
                token_file=sandbox.token_file,
                ca=sandbox.ca_file,
            )
        )
        (folder / "rules.toml").write_text(rule.format(extension=extension))
        words = ["run", "head", str(study), "--out", str(folder / "out")]
        told = CliRunner().invoke(app, [*words, "--config", str(folder / "site.toml")])
        assert told.exit_code == 0, f"{told.output}{told.exception}"
    return sorted((folder / "out").glob("*.dcm"))


def decoded(files: list[Path]) -> Decoded:
    """Frames that mark something, by segment and Image Position (Patient): in whichever order they are kept."""
    found = {}
    for seg in map(dcmread, files):
        if seg.Modality != "SEG":
            continue
        labels = {item.SegmentNumber: str(item.SegmentLabel) for item in seg.SegmentSequence}
        bits = np.unpackbits(np.frombuffer(seg.PixelData, np.uint8), bitorder="little")
        size = seg.Rows * seg.Columns
        for number, groups in enumerate(seg.PerFrameFunctionalGroupsSequence):
            frame = bits[number * size : (number + 1) * size].astype(bool).reshape(seg.Rows, seg.Columns)
            if frame.any():
                label = labels[groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber]
                place = groups.PlanePositionSequence[0].ImagePositionPatient
                found[label, tuple(round(float(one), 4) for one in place)] = frame
    return found


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Decoded]:
    return {
        (name, extension): decoded(sent_as(data_folder(name), extension, tmp_path_factory.mktemp("head")))
        for name, extension in SENT
    }


@pytest.mark.parametrize(("name", "extension"), SENT[1:])
def test_decoded_voxels_are_those_of_the_slices_in_an_archive(
    results: dict[tuple[str, str], Decoded], name: str, extension: str
) -> None:
    expected, found = results[SENT[0]], results[name, extension]
    assert set(found) == set(expected)
    assert [key for key, frame in expected.items() if not np.array_equal(found[key], frame)] == []


def test_compressed_object_leaves_decoded(tmp_path: Path) -> None:
    """Which codecs the engine reads is not told: what it gets needs none, and has the numbers of the source."""
    sent_as(data_folder(MULTI_FRAME), ".dcm", tmp_path)
    (sent,) = (tmp_path / "cloud" / "store" / "in").rglob("cbct")
    (source,) = data_folder(MULTI_FRAME).iterdir()
    left, came = dcmread(sent), dcmread(source)
    assert came.file_meta.TransferSyntaxUID.is_compressed
    assert left.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert np.array_equal(left.pixel_array, came.pixel_array)


def captured(folder: Path) -> Path:
    """The multi-frame head as makers of cone beam CT give theirs: a secondary capture, whose numbers are no HU."""
    (source,) = data_folder(MULTI_FRAME).iterdir()
    whole = dcmread(source)
    whole.decompress(generate_instance_uid=False)
    whole.SOPClassUID = whole.file_meta.MediaStorageSOPClassUID = WORD_CAPTURE
    whole.ConversionType, whole.BurnedInAnnotation = "WSD", "NO"
    folder.mkdir()
    whole.save_as(folder / "capture.dcm")
    return folder


@pytest.mark.parametrize("allowed", [True, False])
def test_multi_frame_capture_is_a_volume_where_the_rule_says_so(
    results: dict[tuple[str, str], Decoded], tmp_path: Path, allowed: bool
) -> None:
    study = captured(tmp_path / "study")
    if not allowed:
        with pytest.raises(AssertionError, match="secondary capture, not a volume"):
            sent_as(study, ".dcm", tmp_path)
        return
    words = RULE.replace(
        "[rules.head.inputs", 'privacy = {{ allow = ["secondary-capture"] }}\n\n[rules.head.inputs', 1
    )
    found, expected = decoded(sent_as(study, ".dcm", tmp_path, words)), results[SENT[0]]
    assert set(found) == set(expected)
    assert [key for key, frame in expected.items() if not np.array_equal(found[key], frame)] == []
