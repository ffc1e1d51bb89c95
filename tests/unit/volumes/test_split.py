from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import MRImageStorage, PositronEmissionTomographyImageStorage
from tests.property import strategies
from tests.unit.volumes.real import instances_of

from bridge.dicom.instance import Instance
from bridge.volumes import Candidate, candidates_of

HEAD = "ct-head-phantom-philips"
ODD = "ct-small-irregular"

# Truths from the README of the data, which took them from the positions.
SERIES: list[tuple[str, int, str, dict[str, float]]] = [
    # folder or file, instances, code of the refusal or "", numbers: of the refusal, or of the volume
    ("ct-chest-philips", 64, "", {"slices": 64, "step_mm": 5, "first_z": -439, "pixel_mm": 0.841797}),
    (f"{HEAD}/S1000", 1, "GEO-005", {}),
    (f"{HEAD}/S2010", 28, "", {"slices": 28, "step_mm": 5, "first_z": 696.21, "pixel_mm": 0.451172}),
    (f"{HEAD}/S2020", 6, "", {"slices": 6, "step_mm": 1, "first_z": 761.21, "pixel_mm": 0.451172}),
    (f"{HEAD}/S2030", 6, "", {"slices": 6, "step_mm": 1, "first_z": 761.21, "pixel_mm": 0.451172}),
    (f"{HEAD}/S4010", 3, "GEO-003", {}),
    ("ct-head-tilt-philips", 10, "GEO-023", {"lean_degrees": 18.50}),
    (f"{ODD}/uneven-5-10", 4, "GEO-024", {"step": 3, "step_mm": 10, "median_mm": 5, "steps": 3}),
    (f"{ODD}/tilt-untagged", 4, "GEO-023", {"lean_degrees": 14.0}),
    (f"{ODD}/tilt-untagged-gap", 4, "GEO-023", {"lean_degrees": 15.5, "step_mm": 1.5, "median_mm": 0.75}),
    (f"{ODD}/same-position-4-acquisitions", 4, "GEO-021", {"images": 4, "positions": 1}),
    (f"{ODD}/made-duplicate-equal-pixels", 4, "GEO-021", {"images": 4, "positions": 3}),
    (f"{ODD}/made-duplicate-other-pixels", 4, "GEO-021", {"images": 4, "positions": 3}),
    (
        "mr-brain-t1",
        20,
        "",
        {"slices": 20, "step_mm": 0.6666667, "first_z": -22.26025, "pixel_mm": 0.6666667},
    ),
    ("mr-small-irregular/non-square-per-slice-rescale", 4, "GEO-027", {}),
    ("pet-single-slices/tcia-acrin-flt-breast-1.dcm", 1, "GEO-020", {"slices": 1}),
    ("compressed/4.51_jpeg_extended_12bit_NM1.dcm", 1, "GEO-003", {}),
    (
        "multiframe/ct-legacy-converted-enhanced",
        1,
        "",
        {"slices": 28, "step_mm": 5, "first_z": 696.21, "pixel_mm": 0.451172},
    ),
    ("multiframe/ct-legacy-pair-24x38x3/multiframe", 1, "", {"slices": 3, "step_mm": 2.5, "pixel_mm": 0.7}),
    ("multiframe/enhanced-ct-supplemental.dcm", 1, "GEO-006", {}),
    ("multiframe/enhanced-mr-hyperfine-nonsquare.dcm", 1, "GEO-027", {}),
    ("multiframe/enhanced-mr-emri_small.dcm", 1, "GEO-010", {"frames": 10, "groups": 0}),
    ("odd-files/2026-05-26-oob-monochrome-46341.dcm", 1, "GEO-003", {}),
    ("multiframe/nm-multiframe-13.dcm", 1, "GEO-003", {}),
    ("multiframe/parametric-map-float.dcm", 1, "GEO-003", {}),
    ("multiframe/rtdose-15-frames.dcm", 1, "GEO-003", {}),
    ("multiframe/seg-liver.dcm", 1, "GEO-003", {}),
    ("multiframe/us-multiframe-jpeg.dcm", 1, "GEO-003", {}),
    ("multiframe/wsi-tiny-sm_image.dcm", 1, "GEO-003", {}),
    ("multiframe/ct-legacy-pair-23x38x3/image", 3, "", {"slices": 3, "step_mm": 2.5, "pixel_mm": 0.7}),
    ("non-image/ecg-waveform.dcm", 1, "GEO-002", {}),
    ("non-image/encapsulated-pdf.dcm", 1, "GEO-002", {}),
    ("non-image/rtplan.dcm", 1, "GEO-002", {}),
    ("non-image/sr-tid1500-highdicom.dcm", 1, "GEO-002", {}),
    ("odd-files/badVR.dcm", 1, "GEO-003", {}),
    ("odd-files/MR_small_padded.dcm", 1, "GEO-020", {"slices": 1}),
]


@pytest.mark.parametrize(("where", "count", "code", "numbers"), SERIES, ids=[row[0] for row in SERIES])
def test_real_series_is_a_volume_or_refused_with_its_numbers(
    shared_data: Path, where: str, count: int, code: str, numbers: dict[str, float]
) -> None:
    (candidate,) = candidates_of(instances_of(shared_data / where))
    assert len(candidate.instances) == count
    if code:
        assert candidate.volume is None
        assert candidate.refusal is not None
        assert candidate.refusal.code == code
        found: dict[str, Any] = candidate.refusal.numbers
    else:
        assert candidate.refusal is None
        assert candidate.volume is not None
        geometry = candidate.volume.geometry
        found = {
            "slices": geometry.shape[0],
            "step_mm": geometry.spacing_mm[0],
            "first_z": geometry.origin_lps[2],
            "pixel_mm": geometry.spacing_mm[1],
        }
    for name, expected in numbers.items():
        assert found[name] == pytest.approx(expected, rel=1e-3, abs=1e-3 if expected == 0 else 0), name


def test_two_orientations_of_one_series_become_two_candidates(shared_data: Path) -> None:
    instances = instances_of(shared_data / "mr-small-irregular/two-orientations")
    for instance in instances:
        instance.header.FrameOfReferenceUID = "2.25.4"
    candidates = candidates_of(instances)
    volumes = [c.volume for c in candidates if c.volume]
    assert sorted(v.geometry.shape[0] for v in volumes) == [2, 2]
    assert sorted(round(v.geometry.spacing_mm[0], 1) for v in volumes) == [3.3, 4.4]


def test_a_study_is_sorted_by_series_number_whatever_arrives_first(shared_data: Path) -> None:
    instances = [*instances_of(shared_data / HEAD)]
    expected = [
        (100, "GEO-005", 1),
        (201, "volume", 28),
        (202, "volume", 6),
        (203, "volume", 6),
        (401, "GEO-003", 3),
    ]
    for seed in range(3):
        random.Random(seed).shuffle(instances)
        candidates = candidates_of(instances)
        assert [
            (
                c.instances[0].header.SeriesNumber,
                c.refusal.code if c.refusal else "volume",
                len(c.instances),
            )
            for c in candidates
        ] == expected


def test_reverse_numbered_series_is_ordered_by_position(shared_data: Path) -> None:
    (candidate,) = candidates_of(instances_of(shared_data / "ct-chest-philips"))
    assert candidate.volume is not None
    numbers = [int(plane.instance.header.InstanceNumber) for plane in candidate.volume.planes]
    assert numbers == list(range(64, 0, -1))
    assert candidate.volume.planes[0].position_lps == (-228.036842, -93.0631599, -439.0)


def test_refusal_names_no_value_of_the_patient(shared_data: Path) -> None:
    header_values = set()
    candidates: list[Candidate] = []
    for where, *_ in SERIES:
        instances = instances_of(shared_data / where)
        for keyword in (
            "PatientName",
            "PatientID",
            "StudyInstanceUID",
            "SeriesInstanceUID",
            "SOPInstanceUID",
        ):
            header_values |= {str(i.header.get(keyword, "")) for i in instances}
        candidates += candidates_of(instances)
    texts = [str(c.refusal.as_json()) for c in candidates if c.refusal]
    assert len(texts) > 20
    assert not [v for v in header_values if len(v) > 3 and any(v in text for text in texts)]


DIRECTIONS = np.array([[0.0, 0, 1], [0, 1, 0], [1, 0, 0]])


def series(count: int = 4, each: Callable[[int], dict[str, Any]] = lambda k: {}) -> list[Instance]:
    """Axial slices 2.5 mm apart; `each` gives attributes of slice k that differ."""
    stored = np.zeros((3, 5), np.int16)
    return [
        strategies.instance(k + 1, np.array([-7.0, 11, 2.5 * k]), DIRECTIONS, (0.9, 0.8), stored, **each(k))
        for k in range(count)
    ]


@pytest.mark.parametrize(
    ("attributes", "code"),
    [
        ({}, ""),
        ({"PhotometricInterpretation": "MONOCHROME1"}, ""),
        ({"PatientPosition": "FFDL"}, ""),
        ({"GantryDetectorTilt": "20"}, ""),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "GEO-005"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "M", "MOSAIC"]}, "GEO-005"),
        ({"ImageType": ["DERIVED", "SECONDARY", "AXIAL"]}, ""),
        ({"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}, "GEO-006"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "GEO-006"),
        ({"PhotometricInterpretation": None}, "GEO-006"),
        ({"ModalityLUTSequence": [Dataset()]}, "GEO-007"),
        ({"RescaleSlope": "0"}, "GEO-007"),
        ({"RescaleSlope": "nan"}, "GEO-007"),
        ({"ImagePositionPatient": None}, "GEO-008"),
        ({"ImagePositionPatient": ["1", "2"]}, "GEO-008"),
        ({"ImagePositionPatient": ["1", "2", "inf"]}, "GEO-008"),
        ({"ImageOrientationPatient": None}, "GEO-008"),
        ({"PixelSpacing": None, "ImagerPixelSpacing": ["0.9", "0.8"]}, "GEO-008"),
        ({"PixelSpacing": ["0.9", "0"]}, "GEO-008"),
        ({"ImageOrientationPatient": ["1", "0", "0", "0", "0.99", "0"]}, "GEO-009"),
        ({"ImageOrientationPatient": ["1", "0", "0", "0.01", "1", "0"]}, "GEO-009"),
        ({"ImageOrientationPatient": ["1", "0", "0", "0.0005", "1", "0"]}, ""),
        ({"FrameOfReferenceUID": None}, "GEO-027"),
        ({"NumberOfFrames": "1"}, ""),
        ({"NumberOfFrames": "2"}, "GEO-004"),
        ({"Rows": None}, "GEO-002"),
        ({"PixelPresentation": "COLOR"}, "GEO-006"),
        ({"RedPaletteColorLookupTableDescriptor": [256, 0, 16]}, "GEO-006"),
        ({"SOPClassUID": MRImageStorage, "ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "GEO-005"),
        ({"SOPClassUID": PositronEmissionTomographyImageStorage, "RescaleSlope": "2"}, ""),
        ({"SOPClassUID": PositronEmissionTomographyImageStorage}, "GEO-007"),
    ],
)
def test_what_one_header_says_decides(attributes: dict[str, Any], code: str) -> None:
    (candidate,) = candidates_of(series(each=lambda k: attributes))
    assert (candidate.refusal.code if candidate.refusal else "") == code
    assert len(candidate.instances) == 4


@pytest.mark.parametrize(
    ("differ", "expected"),
    [
        ({"FrameOfReferenceUID": "2.25.8"}, [4, 4]),
        ({"SOPClassUID": MRImageStorage, "Modality": "MR"}, [4, 4]),
        ({"PixelSpacing": ["0.9", "0.801"]}, [4, 4]),
        ({"PixelSpacing": ["0.9", "0.80001"]}, [8]),
        ({"ImageOrientationPatient": ["1", "0", "0", "0", "0.9999989", "0.0015"]}, [4, 4]),
        ({"ImageOrientationPatient": ["1", "-0", "1e-08", "0", "1", "0.0000001"]}, [8]),
        ({"StudyInstanceUID": "2.25.9"}, [4, 4]),
        ({"AcquisitionNumber": "2", "EchoTime": "5"}, [8]),
    ],
)
def test_what_splits_a_series_and_what_does_not(differ: dict[str, Any], expected: list[int]) -> None:
    # The upper half of one stack differs from the lower.
    candidates = candidates_of(series(8, lambda k: differ if k >= 4 else {}))
    assert [len(c.instances) for c in candidates if c.volume] == expected


@pytest.mark.parametrize(
    ("sop_class", "attributes", "units"),
    [
        ("1.2.840.10008.5.1.4.1.1.2", {}, "HU"),
        ("1.2.840.10008.5.1.4.1.1.2", {"RescaleType": "HU"}, "HU"),
        ("1.2.840.10008.5.1.4.1.1.2", {"RescaleType": "US"}, ""),
        ("1.2.840.10008.5.1.4.1.1.2", {"ImageType": ["DERIVED", "PRIMARY", "AXIAL", "VMI"]}, "HU"),
        ("1.2.840.10008.5.1.4.1.1.2", {"ImageType": ["DERIVED", "PRIMARY", "AXIAL", "EFF_ATOMIC_NUM"]}, ""),
        (
            "1.2.840.10008.5.1.4.1.1.2",
            {"ImageType": ["DERIVED", "PRIMARY", "AXIAL", "MAT_SPECIFIC"], "RescaleType": "MGML"},
            "MGML",
        ),
        (MRImageStorage, {}, ""),
        (MRImageStorage, {"RescaleType": "normalized"}, "normalized"),
        (
            PositronEmissionTomographyImageStorage,
            {"Units": "BQML", "RescaleType": "US", "RescaleSlope": "3"},
            "BQML",
        ),
    ],
)
def test_units_are_those_the_header_says(sop_class: str, attributes: dict[str, Any], units: str) -> None:
    (candidate,) = candidates_of(series(each=lambda k: {"SOPClassUID": sop_class, **attributes}))
    assert candidate.volume is not None
    assert candidate.volume.units == units


def test_units_that_change_within_a_stack_are_refused() -> None:
    pet = {"SOPClassUID": PositronEmissionTomographyImageStorage, "RescaleSlope": "3"}
    (candidate,) = candidates_of(series(each=lambda k: {**pet, "Units": "BQML" if k < 2 else "CNTS"}))
    assert candidate.refusal is not None
    assert candidate.refusal.code == "GEO-026"


def test_slope_that_changes_from_slice_to_slice_is_fine() -> None:
    (candidate,) = candidates_of(series(each=lambda k: {"RescaleSlope": str(1.5 + k)}))
    assert candidate.volume is not None
    assert [plane.slope for plane in candidate.volume.planes] == [1.5, 2.5, 3.5, 4.5]


def test_objects_of_this_bridge_are_no_input() -> None:
    from dataclasses import replace

    (candidate,) = candidates_of([replace(instance, own=True) for instance in series()])
    assert candidate.refusal is not None
    assert candidate.refusal.code == "GEO-001"
