"""Multi-frame objects, twins and series of several volumes: the job keeps to the volume that its rule chose."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bridge.errors import Damaged
from prepared import Prepared, frames_of

pytestmark = pytest.mark.filterwarnings("ignore")

FIELD = "multiframe/enhanced-mr-philips-b0map-64.dcm"
SERIES, TWIN = "ct-head-phantom-philips/S2010", "multiframe/ct-legacy-converted-enhanced"
INPUT = """
[rules.mask.inputs.image]
volume = {{ {volume} }}
prefer = [{prefer}]
"""


def bench(folder: Path, volume: str, prefer: str = "") -> Prepared:
    return Prepared(folder, INPUT.format(volume=volume, prefer=prefer))


MAGNITUDE, MAP = '{ not = { contains = "FIELD_MAP" } }', '{ contains = "FIELD_MAP" }'


@pytest.mark.parametrize(("kind", "slope"), [(MAGNITUDE, 1.27985), (MAP, 0.2442)])
def test_one_of_two_volumes_of_an_object_is_converted_and_answered(
    tmp_path: Path, shared_data: Path, kind: str, slope: float
) -> None:
    work = bench(tmp_path, f'Modality = "MR", ImageType = {kind}')
    work.decide(work.send(shared_data / FIELD))
    image = work.convert()
    volume = work.volumes()["image"]
    assert volume.planes[0].slope == pytest.approx(slope, abs=1e-4)
    assert json.loads(work.job().inputs) == {"image": [volume.instances[0].number]}
    assert image.array.shape == (32, 64, 64)
    mask = np.zeros(image.array.shape, np.uint8)
    mask[4, 3:9, 5:20] = 1
    work.answer(mask)
    seg, _ = work.encode()
    ((_, position),) = frames_of(seg)
    assert position == pytest.approx(volume.planes[4].position_lps, abs=1e-6)
    (groups,) = seg.PerFrameFunctionalGroupsSequence
    source = groups.DerivationImageSequence[0].SourceImageSequence[0]
    assert source.ReferencedFrameNumber == volume.planes[4].frame


def test_a_job_of_before_contents_were_kept_is_not_guessed(tmp_path: Path, shared_data: Path) -> None:
    work = bench(tmp_path, f'Modality = "MR", ImageType = {MAGNITUDE}')
    work.decide(work.send(shared_data / FIELD))
    work.jobs.change(work.job().id, contents="{}")
    with pytest.raises(Damaged) as damage:
        work.convert()
    assert damage.value.code == "PRE-001"


def test_a_series_and_its_twin_are_one_job_by_preference_and_a_question_without(
    tmp_path: Path, shared_data: Path
) -> None:
    jobs = {}
    for prefer, folders in (
        ('"most-instances"', (SERIES, TWIN)),
        ("", (SERIES,)),
        ("", (TWIN,)),
        ("", (SERIES, TWIN)),
    ):
        folder = tmp_path / str(len(jobs))
        folder.mkdir()
        work = bench(folder, 'Modality = "CT"', prefer)
        work.decide(work.send(*(shared_data / one for one in folders)))
        jobs[prefer, folders] = (work.outcome(work.sent), [one.id for one in work.jobs.all()])
    (preferred, [one]), (_, [series]), (_, [twin]), (asked, none) = jobs.values()
    assert one == series == twin
    assert preferred[0] == "match"
    assert (asked[0], none) == ("held", [])
    assert "does not say which to prefer" in asked[1]
