from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydicom import uid
from pydicom.dataset import Dataset
from tests.unit.volumes.real import instance_of

from bridge.dicom.instance import Instance
from bridge.dicom.lossy import is_lossy, lossy_note


def image(syntax: str = uid.ExplicitVRLittleEndian, **attributes: Any) -> Instance:
    header = Dataset()
    for keyword, value in attributes.items():
        setattr(header, keyword, value)
    return Instance(
        number=1,
        sop_class_uid="1.2",
        sop_instance_uid="1.3",
        series_instance_uid="1.4",
        study_instance_uid="1.5",
        transfer_syntax_uid=syntax,
        file=Path("unread"),
        header=header,
    )


@pytest.mark.parametrize(
    ("syntax", "said", "lossy"),
    [
        (uid.ExplicitVRLittleEndian, None, False),
        (uid.ExplicitVRLittleEndian, "00", False),
        (uid.ExplicitVRLittleEndian, "01", True),  # once lost, always lost
        (uid.JPEG2000Lossless, "01", True),
        (uid.JPEG2000Lossless, None, False),
        (uid.JPEG2000, "00", False),
        (uid.JPEG2000, "01", True),
        (uid.JPEG2000, None, True),
        (uid.JPEGLSNearLossless, "00", True),
        (uid.JPEGBaseline8Bit, None, True),
        (uid.RLELossless, None, False),
    ],
)
def test_loss_is_known_from_header_and_syntax(syntax: str, said: str | None, lossy: bool) -> None:
    assert is_lossy(image(syntax, **({"LossyImageCompression": said} if said else {}))) is lossy


@pytest.mark.parametrize(
    ("name", "lossy"),
    [
        ("4.91_jpeg2000_lossy_CT1_J2KI", True),
        ("4.81_jpegls_near_lossless_16bit", True),
        ("4.90_jpeg2000_lossless_MR_small", False),
        ("4.80_jpegls_lossless_MR_small", False),
    ],
)
def test_real_files(shared_data: Path, name: str, lossy: bool) -> None:
    assert is_lossy(instance_of(shared_data / "compressed" / f"{name}.dcm")) is lossy


def test_note_counts_and_quotes_only_defined_terms_and_plausible_ratios() -> None:
    some = [
        image(),
        image(
            LossyImageCompression="01",
            LossyImageCompressionMethod=["ISO_10918_1", "Canary^Yellow"],
            LossyImageCompressionRatio=["4.5", "9.876"],
        ),
        image(LossyImageCompression="01", LossyImageCompressionRatio="-3"),
    ]
    assert lossy_note(some) == "2 of 3 source images were compressed with loss (ISO_10918_1, up to 9.88:1)"
    assert lossy_note(some[2:]) == "1 of 1 source images were compressed with loss"
    assert lossy_note(some[:1]) == ""
