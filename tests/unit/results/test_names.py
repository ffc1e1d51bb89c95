"""The patient's name in every kind of result: the bytes and the character set of the source, whatever they are."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom.dataset import Dataset
from tests.unit.dicom.test_context import charset_files, raw
from tests.unit.results.build import (
    answer,
    document_part,
    heat_part,
    made_source,
    mask_part,
    put,
    read_back,
    value_part,
    wrapping,
)
from tests.unit.results.test_documents import PDF

from bridge.dicom.headers import read_file
from bridge.results.encoders import encode
from bridge.results.result import HeatMaps, Source

pytestmark = pytest.mark.filterwarnings("ignore")


def named(header: Dataset) -> Source:
    """A CT whose slices have the name and the character set of another header."""
    source = made_source()
    for plane in source.volume.planes:
        target = plane.instance.header
        for keyword, vr in (("SpecificCharacterSet", "CS"), ("PatientName", "PN")):
            target.pop(keyword, None)
            if (value := raw(header, keyword)) is not None:
                put(target, keyword, value, vr)
    return source


@pytest.mark.slow
def test_each_name_comes_back_in_every_kind_of_result() -> None:
    seen = 0
    for file in charset_files():
        header = read_file(file)[0].data_set
        if "PatientName" not in header:
            continue
        source = named(header)
        affine = source.volume.geometry.affine_lps
        mask = np.zeros(source.values.shape, np.uint8)
        mask[1, 1, 1] = 1
        parts = answer(
            mask_part(mask, affine),
            heat_part(mask.astype(np.float32), affine),
            document_part(PDF),
            value_part("score", 1),
        )
        results = encode(parts, source, wrapping(picture=True, heat_maps=HeatMaps.PARAMETRIC_MAP))
        assert [one.kind for one in results] == ["SEG", "SR", "SC", "SR", "PM", "DOC"]
        for result in results:
            made = read_back(result.data)
            for keyword in ("SpecificCharacterSet", "PatientName"):
                assert raw(made, keyword) == raw(header, keyword), f"{file.name} {result.kind} {keyword}"
            assert str(made.PatientName) == str(read_file(file)[0].data_set.PatientName), file.name
        seen += 1
    assert seen == 36
