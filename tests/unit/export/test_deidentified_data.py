"""Real objects: nothing of their identifying attributes is left, and a study stays one."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom._uid_dict import UID_dictionary
from pydicom.dataset import Dataset

from bridge.dicom.headers import read_file
from bridge.errors import Refused
from bridge.export.deidentified import deidentify
from bridge.export.profile import Profile, table_tags
from bridge.export.pseudonyms import Pseudonyms, Scope

NAMES = Pseudonyms(b"k" * 32, Scope.of_job("job-1"))
IDENTIFYING = frozenset({"AE", "DA", "DT", "LO", "LT", "PN", "SH", "ST", "UC", "UI", "UR", "UT"})
SHORTEST = 6
"""Bytes of a value that is worth a search: shorter ones are found anywhere."""

pytestmark = pytest.mark.filterwarnings("ignore")


def values(data_set: Dataset) -> Iterator[bytes]:
    """Raw bytes of what the table names and of private text, at any depth, as the sender encoded them."""
    for tag in list(data_set.keys()):
        raw = data_set.get_item(tag)
        element = data_set[tag]
        if element.VR == "SQ":
            for item in element.value:
                yield from values(item)
        elif (int(tag) in table_tags() or tag.is_private) and element.VR in IDENTIFYING:
            encoded = raw.value if isinstance(raw.value, bytes) else str(raw.value or "").encode()
            yield from (one.strip(b" \0") for one in encoded.split(b"\\"))


def objects(folder: Path) -> Iterator[Path]:
    for series in (
        "charsets",
        "non-image",
        "multiframe",
        "pet-single-slices",
        "mr-small-irregular",
        "odd-files",
    ):
        yield from (one for one in sorted(folder.joinpath(series).rglob("*")) if one.is_file())
    for series in (
        "ct-chest-philips",
        "mr-brain-t1",
        "mr-dual-echo-philips",
        "mr-feet-first-ge",
        "ct-head-tilt-philips",
    ):
        yield from sorted(one for one in folder.joinpath(series).rglob("*") if one.is_file())[:2]


@pytest.mark.slow
def test_nothing_that_the_table_names_is_left_of_real_objects(shared_data: Path, tmp_path: Path) -> None:
    made = tmp_path / "made.dcm"
    searched = files = 0
    for file in objects(shared_data):
        try:
            cleaned = deidentify(file.read_bytes(), Profile(), NAMES)
        except Refused:
            continue
        files += 1
        made.write_bytes(cleaned.encoded)
        # Pixels can hold any bytes by chance.
        kept_header = read_file(made)[0]
        rest, header = kept_header.encoded, kept_header.data_set
        source = dcmread(file, stop_before_pixels=True)
        kept = {b"ANONYMIZED", NAMES.patient().encode()} | {uid.encode() for uid in UID_dictionary}
        for value in set(values(source)) - kept:
            if len(value) >= SHORTEST:
                searched += 1
                # A word that another attribute may keep (a known code, a maker) is no identity.
                assert value not in rest or _is_public(value, header), (file.name, value[:4])
    assert files > 100
    assert searched > 1000


def _is_public(value: bytes, header: Dataset) -> bool:
    """Whether the value is one that stands in an attribute outside the table, where the keep-list let it."""
    return any(
        value in str(element.value).encode()
        for element in header.iterall()
        if int(element.tag) not in table_tags() and element.VR != "SQ"
    )


def test_a_study_stays_one_and_its_references_lead_where_they_led(shared_data: Path) -> None:
    folder = shared_data / "multiframe/ct-legacy-pair-23x38x3"
    sources = [
        dcmread(one) for one in sorted(folder.rglob("*")) if one.is_file() and one.parent.name != "nrrd"
    ]
    instance = sources[0].SOPInstanceUID
    for one in sources[1:]:
        # An attribute that the table lets stay, so that there is a reference to follow.
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sources[0].SOPClassUID, instance
        one.ReferencedInstanceSequence = [item]
    cleaned = [dcmread(BytesIO(_cleaned(one))) for one in sources]
    assert len(cleaned) > 3
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "SOPInstanceUID"):
        before = [one.get(keyword) for one in sources]
        after = [one.get(keyword) for one in cleaned]
        assert [before.index(one) for one in before] == [after.index(one) for one in after]
        assert not set(filter(None, before)) & set(after)
    for one in cleaned[1:]:
        assert one.ReferencedInstanceSequence[0].ReferencedSOPInstanceUID == cleaned[0].SOPInstanceUID


def _cleaned(source: Dataset) -> bytes:
    buffer = BytesIO()
    source.save_as(buffer)
    return deidentify(buffer.getvalue(), Profile(), NAMES).encoded
