"""Strategies for whole series: regular ones, and ones broken in one known way. No files: a series is its own reader."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from bridge.dicom.instance import Instance

Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Series:
    """Single-frame CT slices, in the order of their position, and their stored values by instance number."""

    instances: tuple[Instance, ...]
    stored: dict[int, Array]
    origin: Array
    directions: Array
    """(3, 3): rows are the directions of growing slice, row and column index"""
    spacing: tuple[float, float, float]
    """(slices, rows, columns), mm"""
    slope: float
    intercept: float

    def read(self, instance: Instance, frame: int) -> Array:
        assert frame == 1
        return self.stored[instance.number]

    def with_instances(self, instances: Sequence[Instance]) -> Series:
        return replace(self, instances=tuple(instances))


@dataclass(frozen=True, kw_only=True)
class Broken:
    """A series that must not become a volume, and the codes of the refusals that say so."""

    how: str
    series: Series
    codes: frozenset[str]


def decimal(value: float) -> str:
    """As a decimal string: 16 characters at most (PS3.5 6.2)."""
    text = f"{round(float(value), 9) + 0.0:.10g}"
    assert len(text) <= 16
    return text


def instance(
    number: int,
    position: Array,
    directions: Array,
    pixel_spacing: tuple[float, float],
    stored: Array,
    **other: Any,
) -> Instance:
    """One CT slice; `other` sets or replaces attributes by keyword."""
    header = Dataset()
    header.SOPClassUID = CTImageStorage
    header.SOPInstanceUID = f"2.25.1{number:03d}"
    header.StudyInstanceUID = "2.25.2"
    header.SeriesInstanceUID = "2.25.3"
    header.SeriesNumber = 7
    header.Modality = "CT"
    header.FrameOfReferenceUID = "2.25.4"
    header.ImagePositionPatient = [decimal(value) for value in position]
    header.ImageOrientationPatient = [decimal(value) for value in (*directions[2], *directions[1])]
    header.PixelSpacing = [decimal(value) for value in pixel_spacing]
    header.Rows, header.Columns = stored.shape
    header.SamplesPerPixel = 1
    header.PhotometricInterpretation = "MONOCHROME2"
    header.BitsAllocated = header.BitsStored = 16
    header.HighBit = 15
    header.PixelRepresentation = int(stored.dtype == np.int16)
    for keyword, value in other.items():
        setattr(header, keyword, value)
    return Instance(
        number=number,
        sop_class_uid=header.SOPClassUID,
        sop_instance_uid=header.SOPInstanceUID,
        series_instance_uid=header.SeriesInstanceUID,
        study_instance_uid=header.StudyInstanceUID,
        transfer_syntax_uid=ExplicitVRLittleEndian,
        file=Path("not-read.dcm"),
        header=header,
    )


@st.composite
def rotations(draw: st.DrawFn) -> Array:
    """(3, 3) right-handed; rows are slice, row and column direction. Axial ones come first when shrinking."""
    angles = draw(st.tuples(*[st.sampled_from((0.0, 90.0, 180.0)) | st.floats(-180, 180)] * 3))
    (ca, sa), (cb, sb), (cc, sc) = ((np.cos(a), np.sin(a)) for a in np.radians(angles))
    turn = (
        np.array([[ca, -sa, 0], [sa, ca, 0], [0, 0, 1]])
        @ np.array([[cb, 0, sb], [0, 1, 0], [-sb, 0, cb]])
        @ np.array([[1, 0, 0], [0, cc, -sc], [0, sc, cc]])
    )
    return np.round(turn.T[::-1], 15) + 0.0


@st.composite
def regular_series(draw: st.DrawFn, *, min_slices: int = 2, max_slices: int = 7) -> Series:
    """Two or more slices in even steps along their normal, with any orientation and whole-number rescale."""
    count = draw(st.integers(min_slices, max_slices))
    rows, columns = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    directions = draw(rotations())
    origin = np.array(draw(st.tuples(*[st.floats(-900, 900)] * 3)))
    spacing = draw(st.tuples(st.floats(0.5, 10), st.floats(0.2, 4), st.floats(0.2, 4)))
    slope, intercept = draw(st.sampled_from((1, 2, -1))), draw(st.sampled_from((0, -1024, 7)))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    stored = random.integers(-2000, 4000, (count, rows, columns)).astype(np.int16)
    return Series(
        instances=tuple(
            instance(
                k + 1,
                origin + k * spacing[0] * directions[0],
                directions,
                spacing[1:],
                stored[k],
                RescaleSlope=str(slope),
                RescaleIntercept=str(intercept),
            )
            for k in range(count)
        ),
        stored={k + 1: stored[k] for k in range(count)},
        origin=origin,
        directions=directions,
        spacing=spacing,
        slope=slope,
        intercept=intercept,
    )


def moved(series: Series, shift: Callable[[int], Array]) -> Series:
    """Each slice k (from 0) shifted by so many mm."""
    return series.with_instances(
        [
            instance(
                one.number,
                series.origin + k * series.spacing[0] * series.directions[0] + shift(k),
                series.directions,
                series.spacing[1:],
                series.stored[one.number],
            )
            for k, one in enumerate(series.instances)
        ]
    )


@st.composite
def broken_series(draw: st.DrawFn) -> Broken:
    """A regular series with one fault that must be found."""
    series = draw(regular_series(min_slices=4))
    count, (step, *pixels) = len(series.instances), series.spacing
    normal, down, right = series.directions
    inner, any_one = draw(st.integers(1, count - 2)), draw(st.integers(0, count - 1))
    how = draw(
        st.sampled_from(("dropped", "duplicated", "depth", "sideways", "tilted", "uneven", "other spacing"))
    )
    codes = {"GEO-024"}
    if how == "dropped":
        series = series.with_instances([*series.instances[:inner], *series.instances[inner + 1 :]])
    elif how == "duplicated":
        position = series.origin + any_one * step * normal
        twin = instance(99, position, series.directions, tuple(pixels), series.stored[any_one + 1])
        series, codes = series.with_instances([*series.instances, twin]), {"GEO-021"}
    elif how == "depth":
        along = draw(st.floats(0.15, 0.4)) * step * normal
        series, codes = moved(series, lambda k: along * (k == any_one)), {"GEO-025"}
    elif how == "sideways":
        beside = draw(st.floats(0.5, 5)) * right
        series, codes = moved(series, lambda k: beside * (k == any_one)), {"GEO-022"}
    elif how == "tilted":
        slant = np.tan(np.radians(draw(st.floats(1, 25)))) * step * down
        series, codes = moved(series, lambda k: k * slant), {"GEO-023"}
    elif how == "uneven":
        wider = draw(st.floats(0.05, 0.4)) * step * normal
        series, codes = moved(series, lambda k: max(0, k - inner) * wider), {"GEO-025"}
    else:
        odd = instance(
            inner + 1,
            series.origin + inner * step * normal,
            series.directions,
            (pixels[0] * 1.01, pixels[1]),
            series.stored[inner + 1],
        )
        series = series.with_instances([*series.instances[:inner], odd, *series.instances[inner + 1 :]])
        codes = {"GEO-024", "GEO-020"}
    return Broken(how=how, series=series, codes=frozenset(codes))
