"""Conversion holds one slice at a time, and its child is told nothing but how pixels are stored."""

from __future__ import annotations

import pickle
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.unit.export.test_mha import volume_of

from bridge.dicom.instance import Instance
from bridge.dicom.pixels import FileReader
from bridge.export import format_named
from bridge.volumes import read_values
from bridge.volumes.pixels import Slices, for_reading, slices_of


class Logged(FileReader):
    """Counts what is read."""

    def __init__(self) -> None:
        super().__init__()
        self.frames = 0

    def into(self, instance: Instance, frame: int, room: Any) -> Any:
        self.frames += 1
        return super().into(instance, frame, room)


class Nowhere:
    sha256, size_bytes = "", 0

    def write(self, data: bytes | memoryview, /) -> int:
        return memoryview(data).nbytes


@pytest.mark.parametrize("name", ["mha", "nii", "nii.gz", "nrrd", "nrrd-compressed"])
def test_memory_stays_flat(shared_data: Path, name: str) -> None:
    volume = for_reading(volume_of(shared_data / "ct-head-phantom-philips/S2010"))
    slice_bytes = 512 * 512 * 2
    assert len(volume.planes) == 28
    tracemalloc.start()
    try:
        format_named(name).write(volume.geometry, slices_of(volume, FileReader()), Nowhere())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 6 * slice_bytes


@pytest.mark.parametrize(
    ("where", "bits", "intercept", "times"),
    [
        ("ct-chest-philips", 12, -1024.0, 1),
        ("mr-brain-t1", 16, 0.0, 1),
        ("mr-brain-t1", 16, -1024.0, 2),
        ("mr-brain-t1", 16, 0.5, 1),
    ],
)
def test_what_the_headers_prove_is_read_once_and_else_twice(
    shared_data: Path, where: str, bits: int, intercept: float, times: int
) -> None:
    volume, reader = volume_of(shared_data / where), Logged()
    assert volume.instances[0].header.BitsStored == bits
    planes = tuple(replace(plane, intercept=intercept) for plane in volume.planes)
    slices = slices_of(replace(volume, planes=planes), reader)
    assert isinstance(slices, Slices)
    assert slices.dtype == (np.int16 if intercept.is_integer() else np.float32)
    for _ in slices:
        pass
    assert reader.frames == times * len(planes)


def test_a_reader_that_can_say_nothing_ahead_gives_an_array(shared_data: Path) -> None:
    volume, reader = volume_of(shared_data / "mr-brain-t1"), FileReader()
    values = slices_of(volume, lambda instance, frame: reader(instance, frame))
    assert isinstance(values, np.ndarray)
    np.testing.assert_array_equal(values, read_values(volume, reader))


@pytest.mark.parametrize("where", ["ct-chest-philips", "mr-brain-t1"])
def test_child_is_told_no_word_of_the_header(shared_data: Path, where: str) -> None:
    volume = volume_of(shared_data / where)
    for instance in volume.instances:
        instance.header.PatientName = "Canary^Yellow"
    told = pickle.dumps(for_reading(volume))
    assert b"Canary" in pickle.dumps(volume)
    assert b"Canary" not in told
    assert len(told) < 600 * len(volume.planes)
    np.testing.assert_array_equal(
        read_values(pickle.loads(told), FileReader()), read_values(volume, FileReader())
    )


def test_slices_stored_in_different_ways_keep_their_own_layout(shared_data: Path) -> None:
    volume = volume_of(shared_data / "mr-brain-t1")
    volume.instances[3].header.BitsStored, volume.instances[3].header.HighBit = 12, 11
    bits = [plane.instance.header.BitsStored for plane in for_reading(volume).planes]
    assert sorted(set(bits)) == [12, 16]
    assert bits.index(12) == [plane.instance for plane in volume.planes].index(volume.instances[3])
