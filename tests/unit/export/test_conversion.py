"""A volume becomes a file in one pass over its pixels, and in a second where int16 was not enough."""

from __future__ import annotations

import hashlib
import io
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pytest
from tests.unit.export.test_formats import OPEN, written
from tests.unit.export.test_mha import volume_of
from tests.unit.export.test_slices import Logged
from tests.unit.volumes.test_values import made

from bridge.dicom.instance import Instance
from bridge.dicom.pixels import FileReader
from bridge.errors import Damaged
from bridge.export import format_named
from bridge.export.conversion import convert
from bridge.export.written import Sink
from bridge.flow.stages import heavy
from bridge.volumes import read_values
from bridge.volumes.pixels import TooNarrow


class Stored(FileReader):
    """A reader of slices that are in memory, whose headers know no more than their type."""

    def __init__(self, stored: Any, *, plain: bool = True) -> None:
        super().__init__()
        self.stored, self.plain, self.numbers = stored, plain, list[int]()

    def into(self, instance: Instance, frame: int, room: Any) -> Any:
        self.numbers.append(instance.number)
        return self.stored[instance.number - 1]

    def stored_range(self, instance: Instance) -> tuple[int, int]:
        ends = np.iinfo(self.stored.dtype)
        return int(ends.min), int(ends.max)

    def is_plain(self, instance: Instance) -> bool:
        return self.plain


class Sinks:
    """Opens sinks and remembers what went into them and how they were left."""

    def __init__(self) -> None:
        self.opened: list[io.BytesIO] = []
        self.left_by: list[type[BaseException] | None] = []

    def __call__(self) -> AbstractContextManager[Sink]:
        sinks = self

        class One(AbstractContextManager[Sink]):
            def __enter__(self) -> Sink:
                sinks.opened.append(io.BytesIO())
                return sinks.opened[-1]

            def __exit__(
                self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
            ) -> None:
                sinks.left_by.append(kind)

        return One()


CASES = {
    # stored type, its ends, slope, intercept, the type that comes out, the slices that are read
    "proven": ("uint8", (0, 255), "3", "-700", "int16", [1, 2]),
    "fits": ("int16", (-31744, 32767), "1", "-1024", "int16", [1, 2]),
    "one-too-low": ("int16", (-31745, 32767), "1", "-1024", "float32", [1, 1, 2, 1, 2]),
    "one-too-high": ("uint16", (9, 33792), "1", "-1024", "float32", [1, 2, 1, 2, 1, 2]),
    "unsigned": ("uint16", (1, 65535), "1", "0", "uint16", [1, 2, 1, 2, 1, 2]),
    "turned-over": ("uint16", (0, 32767), "-1", "-1", "int16", [1, 2]),
    "turned-too-low": ("uint16", (0, 32768), "-1", "-1", "float32", [1, 2, 1, 2, 1, 2]),
    "fraction": ("int16", (0, 10), "0.5", "0", "float32", [1, 2]),
}


@pytest.mark.parametrize("name", OPEN)
@pytest.mark.parametrize("case", CASES)
def test_file_is_that_of_the_values_whatever_was_hoped(name: str, case: str) -> None:
    dtype, ends, slope, intercept, expected, numbers = CASES[case]
    stored = np.full((2, 3, 4), 5, dtype)
    stored[0, 0, 0], stored[1, 2, 3] = ends
    volume, _ = made(stored, slope, intercept)
    values = read_values(volume, lambda instance, frame: stored[instance.number - 1])
    assert values.dtype == expected
    reader, sinks = Stored(stored), Sinks()
    told = convert(volume, reader, format_named(name), sinks)
    content = sinks.opened[-1].getvalue()
    assert content == written(name, volume.geometry, values)
    assert told.size_bytes == len(content)
    assert len(sinks.opened) == (1 if len(numbers) == 2 else 2)
    assert sinks.left_by[-1] is None and all(sinks.left_by[:-1])
    assert reader.numbers == numbers


@pytest.mark.parametrize(("highest", "times"), [(32767, 1), (65535, 2)])
def test_what_must_be_decoded_is_decoded_once_where_it_fits(highest: int, times: int) -> None:
    stored = np.full((2, 3, 4), highest, "uint16")
    volume, _ = made(stored, "1", "0")
    reader = Stored(stored, plain=False)
    convert(volume, reader, format_named("mha"), Sinks())
    assert reader.numbers == ([1, 2] if times == 1 else [1, 1, 2])


@pytest.mark.parametrize(("intercept", "times"), [(0.0, 1), (-1024.0, 1), (32600.0, 3)])
def test_real_slices_are_read_once_where_they_fit(
    shared_data: Path, tmp_path: Path, intercept: float, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume, reader = volume_of(shared_data / "mr-brain-t1"), Logged()
    assert volume.instances[0].header.BitsStored == 16
    volume = replace(volume, planes=tuple(replace(one, intercept=intercept) for one in volume.planes))
    monkeypatch.setattr(heavy, "FileReader", lambda: reader)
    size, sha256 = heavy.convert(volume, "mha", tmp_path / "a.mha")
    content = written("mha", volume.geometry, read_values(volume, FileReader()))
    assert (tmp_path / "a.mha").read_bytes() == content
    assert (size, sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert [one.name for one in tmp_path.iterdir()] == ["a.mha"]
    assert (times - 1) * len(volume.planes) < reader.frames <= times * len(volume.planes)


@pytest.mark.parametrize("highest", [5, 65535], ids=["fits", "wide"])
def test_damage_is_told_and_not_taken_for_a_value_that_does_not_fit(highest: int) -> None:
    stored = np.full((2, 3, 4), highest, "uint16")
    volume, _ = made(stored, "1", "0")

    class Broken(Stored):
        def into(self, instance: Instance, frame: int, room: Any) -> Any:
            if instance.number == 2:
                raise Damaged("PIX-001", "half a frame")
            return super().into(instance, frame, room)

    sinks = Sinks()
    with pytest.raises(Damaged, match="half a frame"):
        convert(volume, Broken(stored), format_named("mha"), sinks)
    assert sinks.left_by[-1:] in ([Damaged], [TooNarrow])
    assert len(sinks.opened) == 1
