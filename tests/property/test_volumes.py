from __future__ import annotations

import random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.property import strategies

from bridge.volumes import Volume, candidates_of, content_of, frame_digests, read_values

EXAMPLES = 40
usual = settings(deadline=None, max_examples=EXAMPLES)


def only_volume(series: strategies.Series) -> Volume:
    (candidate,) = candidates_of(series.instances)
    assert candidate.volume is not None, candidate.refusal
    return candidate.volume


def content(series: strategies.Series) -> str:
    volume = only_volume(series)
    digests = frame_digests(volume, series.read)
    return content_of(volume, [digests[plane.instance.number, plane.frame] for plane in volume.planes])


@usual
@given(series=strategies.regular_series())
def test_a_regular_series_is_a_volume_in_its_place(series: strategies.Series) -> None:
    volume = only_volume(series)
    index = np.array([[k, j, i, 1] for k in (0, 3) for j in (0, 9) for i in (0, 14)], float)
    by_hand = series.origin + (index[:, :3] * series.spacing) @ series.directions
    assert [plane.instance.number for plane in volume.planes] == [i.number for i in series.instances]
    assert volume.geometry.shape == (len(series.instances), *series.stored[1].shape)
    np.testing.assert_allclose((volume.geometry.affine_lps @ index.T)[:3].T, by_hand, atol=1e-4)
    steps = np.array(
        [volume.geometry.slice_step_lps, volume.geometry.row_step_lps, volume.geometry.column_step_lps]
    )
    np.testing.assert_allclose(steps @ steps.T, np.eye(3), atol=1e-14)
    assert np.linalg.det(steps[::-1]) > 0.999999


@usual
@given(series=strategies.regular_series(), order=st.randoms(use_true_random=False))
def test_order_of_arrival_changes_nothing(series: strategies.Series, order: random.Random) -> None:
    shuffled = series.with_instances(order.sample(series.instances, len(series.instances)))
    assert only_volume(shuffled) == only_volume(series)
    assert content(shuffled) == content(series)


@usual
@given(series=strategies.regular_series())
def test_values_are_the_rescaled_stored_ones(series: strategies.Series) -> None:
    values = read_values(only_volume(series), series.read)
    stored = np.stack([series.stored[i.number] for i in series.instances]).astype(np.int64)
    assert values.dtype == np.int16
    np.testing.assert_array_equal(values, stored * int(series.slope) + int(series.intercept))


@settings(deadline=None, max_examples=4 * EXAMPLES)
@given(broken=strategies.broken_series(), order=st.randoms(use_true_random=False))
def test_a_broken_series_is_refused_by_its_fault(broken: strategies.Broken, order: random.Random) -> None:
    instances = order.sample(broken.series.instances, len(broken.series.instances))
    candidates = candidates_of(instances)
    assert {c.refusal.code if c.refusal else "a volume" for c in candidates} == broken.codes, broken.how
    assert sorted(i.number for c in candidates for i in c.instances) == sorted(i.number for i in instances)
    assert [(c.instances, str(c.refusal)) for c in candidates] == [
        (c.instances, str(c.refusal)) for c in candidates_of(broken.series.instances)
    ]


@usual
@given(kept=st.sets(st.integers(0, 12), min_size=2), series=strategies.regular_series(min_slices=2))
def test_no_accepted_volume_has_a_gap(kept: set[int], series: strategies.Series) -> None:
    step, *pixels = series.spacing
    instances = [
        strategies.instance(
            slot + 1,
            series.origin + slot * step * series.directions[0],
            series.directions,
            tuple(pixels),
            series.stored[1],
        )
        for slot in sorted(kept)
    ]
    (candidate,) = candidates_of(instances)
    assert (candidate.volume is not None) == (len(set(np.diff(sorted(kept)))) == 1)


@usual
@given(series=strategies.regular_series(), data=st.data())
def test_content_follows_every_voxel_and_no_uid(series: strategies.Series, data: st.DataObject) -> None:
    before = content(series)
    one = data.draw(st.sampled_from(series.instances))
    renamed = [
        strategies.instance(
            i.number,
            np.array([float(v) for v in i.header.ImagePositionPatient]),
            series.directions,
            series.spacing[1:],
            series.stored[i.number],
            RescaleSlope=i.header.RescaleSlope,
            RescaleIntercept=i.header.RescaleIntercept,
            SOPInstanceUID=f"2.25.77{90 - i.number}",
            SeriesInstanceUID="2.25.5",
            FrameOfReferenceUID="2.25.6",
        )
        for i in series.instances
    ]
    assert content(series.with_instances(renamed)) == before
    series.stored[one.number][-1, -1] += 1
    assert content(series) != before
