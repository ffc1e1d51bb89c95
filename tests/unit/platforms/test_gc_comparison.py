"""The platform's own copy of an input against our file, by headers alone."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.platforms.gc_kit import Files, Script, run, scripted

from bridge.errors import Damaged, Held, TryLater
from bridge.export.mha import write_mha
from bridge.export.parcel import Order, Parcel, ParcelFile
from bridge.itk import ItkImage, write_image
from bridge.platforms import RemoteJob
from bridge.platforms.grand_challenge.comparison import Grid, grid_of
from bridge.platforms.grand_challenge.header import parse_header
from bridge.volumes.volume import Geometry

JOB = RemoteJob(key="k", remote_id="j1")
MEDIA = "https://api.example/media/images/i1/i1.mha"
SIGNED = "https://store.example/i1.mha?X-Amz-Signature=5ecre7"
OBLIQUE = (0.8, -0.6, 0.0, 0.6, 0.8, 0.0, 0.0, 0.0, 1.0)


def written(tmp_path: Path, *, compress: bool = False, **changes: Any) -> bytes:
    """A file as ITK writes it, which is how the platform does."""
    settings: dict[str, Any] = {
        "array": np.arange(24, dtype=np.int16).reshape(2, 3, 4),
        "spacing_mm": (0.7, 0.8, 2.5),
        "origin_lps": (-12.5, 3.25, 100.0),
        "direction": OBLIQUE,
    }
    file = tmp_path / "image.mha"
    write_image(file, ItkImage(**{**settings, **changes}), compress=compress)
    return file.read_bytes()


def compare(ours: bytes, theirs: bytes | httpx.Response, **options: Any) -> tuple[str, ...]:
    order = Order(files=(), steps=(), details={})
    file = ParcelFile(input="ct", ref="ct", file_name="ct.mha", size_bytes=len(ours), sha256="0")
    answer = httpx.Response(206, content=theirs[:16384]) if isinstance(theirs, bytes) else theirs
    socket = {"slug": "ct", "super_kind": "Image"}
    script = Script(
        {
            "GET algorithms/jobs/j1/": {
                "pk": "j1",
                "inputs": [
                    {"pk": 1, "socket": socket, "image": "https://api.example/api/v1/cases/images/i1/"}
                ],
            },
            "GET cases/images/i1/": {"pk": "i1", "files": [{"image_type": "MHD", "file": MEDIA}]},
            f"GET {MEDIA}": httpx.Response(302, headers={"Location": SIGNED}),
            f"GET {SIGNED}": answer,
        }
    )
    platform = scripted(script, options=options)
    return run(platform.compare(JOB, Parcel(order=order, files=(file,)), Files(ct=ours)))


def test_copy_that_was_encoded_again_has_the_same_grid(tmp_path: Path) -> None:
    ours = written(tmp_path)
    theirs = written(tmp_path, compress=True)
    assert ours != theirs
    assert compare(ours, theirs) == ("ct",)


def test_our_own_writer_and_the_platform_s_say_the_same_of_an_oblique_volume(tmp_path: Path) -> None:
    """The order of the direction's numbers: one axis after the other in both."""
    geometry = Geometry(
        shape=(2, 3, 4),
        origin_lps=(-12.5, 3.25, 100.0),
        slice_step_lps=(0.0, 0.0, 1.0),
        row_step_lps=(-0.6, 0.8, 0.0),
        column_step_lps=(0.8, 0.6, 0.0),
        spacing_mm=(2.5, 0.8, 0.7),
    )
    sink = BytesIO()
    write_mha(geometry, np.zeros((2, 3, 4), dtype=np.int16), sink)
    theirs = written(tmp_path)
    assert compare(sink.getvalue(), theirs) == ("ct",)


@pytest.mark.parametrize(
    ("changes", "numbers"),
    [
        ({"origin_lps": (-12.5, 3.25, 100.01)}, {"origin_distance_mm": 0.01, "largest_distance_mm": 0.01}),
        (
            {"spacing_mm": (0.8, 0.7, 2.5)},
            {"our_spacing_mm": "0.7x0.8x2.5", "their_spacing_mm": "0.8x0.7x2.5"},
        ),
        ({"direction": (1, 0, 0, 0, 1, 0, 0, 0, -1)}, {"direction_difference": 2.0}),
        ({"array": np.zeros((2, 4, 3), dtype=np.int16)}, {"our_size": "4x3x2", "their_size": "3x4x2"}),
        ({"array": np.zeros((1, 3, 4), dtype=np.int16)}, {"their_size": "4x3x1"}),
    ],
    ids=["origin", "spacing-swapped", "direction", "axes-swapped", "slice-lost"],
)
def test_copy_on_another_grid_is_held_with_numbers(
    tmp_path: Path, changes: dict[str, Any], numbers: dict[str, Any]
) -> None:
    with pytest.raises(Held) as caught:
        compare(written(tmp_path), written(tmp_path, **changes))
    assert caught.value.code == "GC-250"
    assert numbers.items() <= caught.value.numbers.items()


def test_rounding_of_a_header_is_not_another_grid(tmp_path: Path) -> None:
    assert compare(written(tmp_path), written(tmp_path, spacing_mm=(0.69999999, 0.8, 2.5))) == ("ct",)


@pytest.mark.parametrize(
    "answer",
    [httpx.Response(404, content=b"<Error/>"), httpx.Response(403, html="<html>")],
    ids=["deleted", "expired"],
)
def test_copy_that_is_not_to_be_had_says_nothing_or_is_tried_later(
    tmp_path: Path, answer: httpx.Response
) -> None:
    if answer.status_code == 403:
        with pytest.raises(TryLater):
            compare(written(tmp_path), answer)
        return
    assert compare(written(tmp_path), answer) == ()


def test_no_more_than_the_head_of_a_file_is_read(tmp_path: Path) -> None:
    """A server that ignores the range sends the whole file; it is left in the middle."""

    class Endless(httpx.AsyncByteStream):
        sent = 0

        async def __aiter__(self) -> Any:
            yield head
            while True:
                Endless.sent += 1
                assert Endless.sent < 100
                yield bytes(4096)

    head = written(tmp_path)
    assert compare(head, httpx.Response(200, stream=Endless())) == ("ct",)


def test_comparison_can_be_switched_off(tmp_path: Path) -> None:
    assert compare(written(tmp_path), b"nonsense", compare_inputs=False) == ()


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"nonsense",
        b"NDims = 3\n",
        b"ElementDataFile = LOCAL\n",
        b"DimSize = 1 2\nElementDataFile = LOCAL\n",
    ],
)
def test_header_without_a_grid_is_damaged(tmp_path: Path, head: bytes) -> None:
    with pytest.raises(Damaged):
        compare(written(tmp_path), head)


numbers = st.floats(-500, 500).map(lambda number: round(number, 3))


@given(
    size=st.tuples(*[st.integers(1, 600)] * 3),
    spacing=st.tuples(*[st.floats(0.1, 8)] * 3),
    origin=st.tuples(numbers, numbers, numbers),
    moved=st.tuples(numbers, numbers, numbers),
)
def test_distance_of_shifted_grids_is_the_shift(
    size: tuple[int, ...],
    spacing: tuple[float, ...],
    origin: tuple[float, ...],
    moved: tuple[float, ...],
) -> None:
    one = Grid(size=size, spacing_mm=spacing, origin_lps=origin, direction=OBLIQUE)
    other = Grid(
        size=size,
        spacing_mm=spacing,
        origin_lps=tuple(a + b for a, b in zip(origin, moved, strict=True)),
        direction=OBLIQUE,
    )
    assert one.distance_mm(other) == pytest.approx(sum(n * n for n in moved) ** 0.5, abs=1e-6)
    assert one.distance_mm(one) == 0.0


def test_old_keys_of_the_format_are_read() -> None:
    text = b"DimSize = 1 1 1\nElementSpacing = 1 1 1\nPosition = 1 2 3\nOrientation = 1 0 0 0 1 0 0 0 1\n"
    grid = grid_of(parse_header(text + b"ElementDataFile = LOCAL\n"))
    assert grid.origin_lps == (1.0, 2.0, 3.0)
