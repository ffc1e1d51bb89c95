"""Images that share positions: one volume per time, echo and kind, or none."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from tests.property import strategies
from tests.unit.volumes.real import instances_of

from bridge.dicom.instance import Instance
from bridge.dicom.pixels import FileReader
from bridge.volumes import Candidate, Tolerance, candidates_of, content_of, frame_digests, read_values

DIRECTIONS = np.array([[0.0, 0, 1], [0, 1, 0], [1, 0, 0]])
STORED = np.zeros((3, 5), np.int16)
ORIGINAL = ["ORIGINAL", "PRIMARY"]


def series(images: Sequence[tuple[float, dict[str, Any]]]) -> list[Instance]:
    """Axial slices at these heights, in mm, with these attributes."""
    return [
        strategies.instance(n + 1, np.array([-7.0, 11, z]), DIRECTIONS, (0.9, 0.8), STORED, **attributes)
        for n, (z, attributes) in enumerate(images)
    ]


def grid(count: int, *kinds: dict[str, Any]) -> list[tuple[float, dict[str, Any]]]:
    return [(2.5 * k, kind) for k in range(count) for kind in kinds]


def told(candidates: Sequence[Candidate]) -> list[Any]:
    return [
        one.refusal.code if one.refusal else (len(one.instances), *(value for _, value in one.volume.key))
        for one in candidates
        if one.refusal or one.volume
    ]


# name, images, and of each candidate: the code, or images and the values that tell it apart
CASES: list[tuple[str, list[tuple[float, dict[str, Any]]], list[Any]]] = [
    ("echo", grid(4, {"EchoTime": "10"}, {"EchoTime": "7.0010"}), [(4, "7.001"), (4, "10")]),
    (
        "kind",
        grid(3, {"ImageType": [*ORIGINAL, "WATER"]}, {"ImageType": [*ORIGINAL, "FAT"]}),
        [(3, "ORIGINAL\\PRIMARY\\FAT"), (3, "ORIGINAL\\PRIMARY\\WATER")],
    ),
    (
        "phase",
        grid(3, {"ComplexImageComponent": "MAGNITUDE"}, {"ComplexImageComponent": "PHASE"}),
        [(3, "MAGNITUDE"), (3, "PHASE")],
    ),
    ("b-value", grid(4, {"DiffusionBValue": 0.0}, {"DiffusionBValue": 800.0}), [(4, "0"), (4, "800")]),
    (
        "b-value and direction",
        grid(
            4,
            {"DiffusionBValue": 0.0},
            {"DiffusionBValue": 800.0, "DiffusionGradientOrientation": [1.0, 0.0, 0.0]},
            {"DiffusionBValue": 800.0, "DiffusionGradientOrientation": [0.0, 1.0, 0.0]},
        ),
        [(4, ""), (4, "0\\1\\0"), (4, "1\\0\\0")],
    ),
    (
        "stack",
        grid(3, {"StackID": "1"}, {"StackID": "2"}),
        [(3, "1"), (3, "2")],
    ),
    (
        "time, with a trigger that differs everywhere",
        [
            (2.5 * k, {"TemporalPositionIdentifier": t, "TriggerTime": f"{100 * t + k}"})
            for k in range(5)
            for t in (1, 2, 10)
        ],
        [(5, "1"), (5, "2"), (5, "10")],
    ),
    ("acquisition", grid(4, {"AcquisitionNumber": "2"}, {"AcquisitionNumber": "1"}), [(4, "1"), (4, "2")]),
    ("tube voltage", grid(4, {"KVP": "140"}, {"KVP": "80"}), [(4, "80"), (4, "140")]),
    (
        "two keys",
        grid(3, *({"EchoTime": e, "FlipAngle": f} for e in ("5", "9") for f in ("3", "20"))),
        [(3, "5", "3"), (3, "5", "20"), (3, "9", "3"), (3, "9", "20")],
    ),
    ("nothing tells them apart", grid(4, {}, {}), ["GEO-021"]),
    ("one position", grid(1, {"AcquisitionNumber": "1"}, {"AcquisitionNumber": "2"}), ["GEO-021"]),
    # A hole never becomes two volumes: no position is shared, so nothing splits.
    (
        "a hole and two acquisitions",
        [(z, {"AcquisitionNumber": "4" if z < 12 else "5"}) for z in (0.0, 5.0, 10.0, 20.0, 25.0)],
        ["GEO-024"],
    ),
    # One shared position must not let it happen either.
    (
        "a hole, two acquisitions, one position shared",
        [
            *((z, {"AcquisitionNumber": "4"}) for z in (0.0, 5.0, 10.0)),
            *((z, {"AcquisitionNumber": "5"}) for z in (10.0, 20.0, 25.0)),
        ],
        ["GEO-021"],
    ),
    ("a hole in both echoes", grid(7, {"EchoTime": "5"}, {"EchoTime": "9"}), [(7, "5"), (7, "9")]),
    (
        "an echo lacks a slice",
        grid(4, {"EchoTime": "5"}, {"EchoTime": "9"})[:-1],
        [(4, "5"), "GEO-028"],
    ),
    # Acquisitions alternate between the echoes: each alone would mix them.
    (
        "a time that mixes echoes",
        [
            (2.5 * k, {"AcquisitionNumber": str(a), "EchoTime": str(5 + 4 * ((a + k) % 2))})
            for k in range(4)
            for a in (1, 2)
        ],
        [(4, "5"), (4, "9")],
    ),
    (
        "contrast that no set of attributes keeps together",
        [
            (
                2.5 * k,
                {
                    "AcquisitionNumber": str(a),
                    "EchoTime": str(5 + 4 * ((a + k) % 2)),
                    "FlipAngle": str(a // 2),
                },
            )
            for k in range(4)
            for a in (1, 2)
        ],
        ["GEO-021"],
    ),
]


@pytest.mark.parametrize(("name", "images", "expected"), CASES, ids=[case[0] for case in CASES])
def test_what_shares_positions_is_told_apart_by_the_fewest_attributes(
    name: str, images: list[tuple[float, dict[str, Any]]], expected: list[Any]
) -> None:
    if name == "a hole in both echoes":
        images = [(z, attributes) for z, attributes in images if z != 7.5]
        expected = ["GEO-024", "GEO-024"]
    instances = series(images)
    candidates = candidates_of(instances)
    assert told(candidates) == expected
    random.Random(5).shuffle(instances)
    assert told(candidates_of(instances)) == expected
    assert sum(len(one.instances) for one in candidates) == len(images)


@pytest.mark.parametrize(
    ("creator", "tag", "vr", "raw"),
    [
        ("SIEMENS MR HEADER", 0x0019100C, "IS", ("0", "1000")),
        ("GEMS_PARM_01", 0x00431039, "IS", (["1000000000", "8"], ["1000001000", "8"])),
        ("Philips Imaging DD 001", 0x20011003, "FL", (0.0, 1000.0)),
    ],
)
def test_b_values_of_older_makers_count(creator: str, tag: int, vr: str, raw: tuple[Any, Any]) -> None:
    instances = series(grid(3, {}, {}))
    for n, instance in enumerate(instances):
        instance.header.private_block(tag >> 16, creator, create=True).add_new(tag & 0xFF, vr, raw[n % 2])
    assert told(candidates_of(instances)) == [(3, "0"), (3, "1000")]


def test_refusal_names_the_attributes_that_differ() -> None:
    (candidate,) = candidates_of(
        series(grid(1, {"AcquisitionNumber": "1"}, {"AcquisitionNumber": "2", "KVP": "80"}))
    )
    assert candidate.refusal is not None
    # Those that divide the images alike stand for each other, the first in the table before the rest.
    assert candidate.refusal.found == "2 images at 1 position, which differ in KVP"


@pytest.mark.parametrize(
    ("where", "count", "slices", "key", "ends"),
    [
        ("mr-dual-echo-philips", 4, 30, ["ImageType", "EchoTime"], ("7.001", "10", "7.001", "10")),
        ("mr-feet-first-ge", 5, 10, ["TemporalPositionIdentifier"], ("1", "2", "3", "4", "5")),
        (
            "multiframe/enhanced-mr-philips-b0map-64.dcm",
            2,
            32,
            ["ImageType"],
            ("ORIGINAL\\PRIMARY\\T1\\FIELD_MAP", "ORIGINAL\\PRIMARY\\T1\\M"),
        ),
    ],
)
def test_real_series_of_several_volumes(
    shared_data: Path, where: str, count: int, slices: int, key: list[str], ends: tuple[str, ...]
) -> None:
    volumes = [one.volume for one in candidates_of(instances_of(shared_data / where))]
    assert len(volumes) == count
    assert [one.key[-1][1] for one in volumes if one] == list(ends)
    for one in volumes:
        assert one is not None
        assert [name for name, _ in one.key] == key
        assert one.geometry.shape[0] == slices
        assert len({plane.slope for plane in one.planes}) == 1
    places = {tuple(plane.position_lps for plane in one.planes) for one in volumes if one}
    assert len(places) == 1 or where.endswith("ge")


def test_a_volume_of_several_stays_itself_when_its_images_come_alone(shared_data: Path) -> None:
    for one in candidates_of(instances_of(shared_data / "mr-dual-echo-philips")):
        (alone,) = candidates_of(one.instances)
        assert alone.volume is not None and one.volume is not None
        assert alone.volume.planes == one.volume.planes
        assert alone.volume.geometry == one.volume.geometry


# Computed with the version that first made jobs: another value is another identity for every job there is.
CONTENTS = {
    "ct-chest-philips": "e3869670beae98c5d4ff358b7664fb588fd41c291a7251b4a265ecd106f25d6e",
    "ct-head-phantom-philips/S2010": "f31feb09e0a0dff442ee35032097c55ef2012c7b5106e2ae8e5933880e6f00bd",
    "ct-head-phantom-philips/S2020": "40cdfbeaca851fc659408c1abf3791a61dee086bc0a1da067a14c3a4e617326a",
    "ct-head-phantom-philips/S2030": "7a6312e5f58be433a03b1bbe0544edc4d549c269a88dcd0c292b77ffd86bc90f",
    "mr-brain-t1": "8c70332a1b7942e335fb3091e08f25c2d2b443ff36d2d8cd858689dac70cd78d",
    "multiframe/ct-legacy-pair-23x38x3/image": "64ec0de480d528a765c901d673ff853bc16fb6a35c9c27e1d924f6ed99fc9052",
    "multiframe/ct-legacy-pair-24x38x3/image": "b3536218a6715bdca7e97477a3aa8ad130b2198429bc7c77cad91bd9f4e8bfe8",
}
TWINS = {
    "multiframe/ct-legacy-converted-enhanced": "ct-head-phantom-philips/S2010",
    "multiframe/ct-legacy-pair-23x38x3/multiframe": "multiframe/ct-legacy-pair-23x38x3/image",
    "multiframe/ct-legacy-pair-24x38x3/multiframe": "multiframe/ct-legacy-pair-24x38x3/image",
}


@pytest.mark.parametrize("where", [*CONTENTS, *TWINS])
def test_content_of_a_real_series_never_changes_and_is_that_of_its_multi_frame_twin(
    shared_data: Path, where: str
) -> None:
    (candidate,) = candidates_of(instances_of(shared_data / where))
    assert candidate.volume is not None
    digests = frame_digests(candidate.volume, FileReader())
    frames = [(plane.instance.number, plane.frame) for plane in candidate.volume.planes]
    assert content_of(candidate.volume, [digests[one] for one in frames]) == CONTENTS[TWINS.get(where, where)]


def test_a_multi_frame_object_is_read_frame_by_frame_in_order_of_position(shared_data: Path) -> None:
    (one,) = candidates_of(instances_of(shared_data / "multiframe/ct-legacy-converted-enhanced"))
    (other,) = candidates_of(instances_of(shared_data / "ct-head-phantom-philips/S2010"))
    assert one.volume is not None and other.volume is not None
    assert [plane.frame for plane in one.volume.planes] == list(range(28, 0, -1))
    assert one.volume.geometry == other.volume.geometry
    np.testing.assert_array_equal(
        read_values(one.volume, FileReader()), read_values(other.volume, FileReader())
    )


def spoil(change: Callable[[Dataset], None], folder: Path) -> Candidate:
    (instance,) = instances_of(folder)
    change(instance.header)
    (candidate,) = candidates_of([instance])
    return candidate


def _no_position(header: Dataset) -> None:
    del header.PerFrameFunctionalGroupsSequence[1].PlanePositionSequence


def _hole(header: Dataset) -> None:
    header.PerFrameFunctionalGroupsSequence.pop(1)
    header.NumberOfFrames = 2


def _one_frame(header: Dataset) -> None:
    del header.PerFrameFunctionalGroupsSequence[1:]
    header.NumberOfFrames = 1


def _localizer(header: Dataset) -> None:
    header.SharedFunctionalGroupsSequence[0].CTImageFrameTypeSequence[0].FrameType = [
        "ORIGINAL",
        "PRIMARY",
        "LOCALIZER",
        "NONE",
    ]


def _curved(header: Dataset) -> None:
    header.SharedFunctionalGroupsSequence[0].CTImageFrameTypeSequence[0].VolumetricProperties = "DISTORTED"


def _per_frame_first(header: Dataset) -> None:
    # Of shared and own, the frame's own counts: the middle one is turned out of the stack.
    own = Dataset()
    own.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
    header.PerFrameFunctionalGroupsSequence[1].PlaneOrientationSequence = [own]


def _part(header: Dataset) -> None:
    header.ConcatenationUID, header.InConcatenationTotalNumber = "2.25.5", 3


def _claims(header: Dataset) -> None:
    header.NumberOfFrames = 2_000_000_000


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (_no_position, "GEO-008"),
        (_one_frame, "GEO-020"),
        (_localizer, "GEO-005"),
        (_curved, "GEO-005"),
        (_part, "GEO-004"),
        (_claims, "GEO-010"),
    ],
)
def test_a_multi_frame_object_with_a_fault_is_refused(
    shared_data: Path, change: Callable[[Dataset], None], code: str
) -> None:
    candidate = spoil(change, shared_data / "multiframe/ct-legacy-pair-23x38x3/multiframe")
    assert candidate.refusal is not None
    assert candidate.refusal.code == code


def test_a_frame_with_an_orientation_of_its_own_leaves_the_stack(shared_data: Path) -> None:
    (instance,) = instances_of(shared_data / "multiframe/ct-legacy-pair-23x38x3/multiframe")
    _per_frame_first(instance.header)
    candidates = candidates_of([instance])
    assert [
        len(one.volume.planes) if one.volume else one.refusal and one.refusal.code for one in candidates
    ] in (
        [2, "GEO-020"],
        ["GEO-020", 2],
    )


def test_frames_of_two_objects_never_make_one_volume(shared_data: Path) -> None:
    from dataclasses import replace

    (one,) = instances_of(shared_data / "multiframe/ct-legacy-pair-23x38x3/multiframe")
    (two,) = instances_of(shared_data / "multiframe/ct-legacy-pair-23x38x3/multiframe")
    candidates = candidates_of([one, replace(two, number=2, sop_instance_uid="2.25.8")])
    assert [one.volume is not None and len(one.instances) for one in candidates] == [1, 1]


def test_tolerance_is_a_setting() -> None:
    wobbling = series([(2.5 * k + 0.06 * (k % 2), {}) for k in range(6)])
    assert told(candidates_of(wobbling)) == ["GEO-025"]
    assert told(candidates_of(wobbling, Tolerance(step=0.05))) == [(6,)]
    shared = series([(2.5 * k + 0.03 * e, {"EchoTime": str(5 + e)}) for k in range(4) for e in (0, 1)])
    assert told(candidates_of(shared)) == ["GEO-024"]
    assert told(candidates_of(shared, Tolerance(step_mm=0.05))) == [(4, "5"), (4, "6")]
