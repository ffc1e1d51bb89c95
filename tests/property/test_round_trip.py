"""A series leaves as a file, an algorithm answers on the grid that it got, the mask comes back: no voxel has moved."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import uid
from tests.property import strategies
from tests.property.test_results import voxels_in_space
from tests.property.test_volumes_forms import data_sets, only_volume, write
from tests.unit.results.build import answer, mask_part, read_back, wrapping
from tests.unit.volumes.real import instances_of

from bridge import itk
from bridge.dicom.pixels import FileReader
from bridge.export import format_named
from bridge.flow.stages import heavy
from bridge.flow.stages.outputs import affine_lps
from bridge.results.encoders import encode
from bridge.results.result import Source
from bridge.volumes import read_values

pytestmark = pytest.mark.filterwarnings("ignore")


@settings(deadline=None, max_examples=25)
@given(
    series=strategies.regular_series(),
    name=st.sampled_from(("mha", "mha-compressed", "nrrd", "nrrd-compressed")),
    above=st.integers(-2500, 4000),
)
def test_what_an_algorithm_marks_is_marked_where_the_headers_say(
    series: strategies.Series, name: str, above: int
) -> None:
    # A frame of a segmentation has at least 8 pixels.
    stored = {number: np.tile(one, (4, 4)) for number, one in series.stored.items()}
    for one in series.instances:
        one.header.Rows, one.header.Columns = stored[one.number].shape
    series = replace(series, stored=stored)
    with TemporaryDirectory() as folder:
        for whole in data_sets(series):
            # By no order of names or numbers.
            write(
                whole,
                uid.ExplicitVRLittleEndian,
                Path(folder, f"{-whole.InstanceNumber % 5}{whole.InstanceNumber}"),
            )
        volume = only_volume(instances_of(Path(folder)))
        sent = Path(folder, f"sent{format_named(name).extension}")
        heavy.convert(volume, name, sent)
        got = itk.read_image(sent)
        mask = replace(got, array=(got.array > above).astype(np.uint8))
        itk.write_image(Path(folder, "mask.mha"), mask)
        given_back = itk.read_image(Path(folder, "mask.mha"))
        source = Source(volume=volume, values=read_values(volume, FileReader()))
    part = mask_part(given_back.array, affine_lps(given_back))
    (result,) = encode(answer(part), source, wrapping(measurement_report=False))
    marked = np.stack([stored[k + 1] * series.slope + series.intercept > above for k in range(len(stored))])
    found = voxels_in_space(read_back(result.data))
    assert set(found) == ({1} if marked.any() else set())
    steps = np.array(series.directions).T * series.spacing
    at = np.linalg.solve(steps, (found.get(1, np.empty((0, 3))) - series.origin).T).T
    np.testing.assert_allclose(at, np.round(at), atol=1e-3)
    assert sorted(map(tuple, np.round(at).astype(int))) == sorted(map(tuple, np.argwhere(marked)))
