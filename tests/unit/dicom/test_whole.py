"""A data set that was cut off is told from one that is whole, whatever its syntax, and never the other way round."""

from __future__ import annotations

import zlib
from io import BytesIO

import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
)

from bridge.dicom.whole import is_whole


def data_set(*, undefined: bool = False) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodeMeaning = "T-1", "Jaw"
    inner = Dataset()
    inner.ConceptNameCodeSequence = Sequence([item])
    made = Dataset()
    made.StudyInstanceUID, made.PatientComments = "1.2.3", "some text"
    made.ContentSequence = Sequence([inner, inner])
    made.ContentSequence.is_undefined_length = undefined
    made["ContentSequence"].is_undefined_length = undefined
    inner.is_undefined_length_sequence_item = undefined
    made.PixelData = b"\x01\x02" * 50
    made["PixelData"].VR = "OW"
    return made


def encoded(made: Dataset, *, implicit: bool = False, little: bool = True) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = implicit, little
    write_dataset(buffer, made)
    return buffer.getvalue()


def compressed() -> bytes:
    made = data_set()
    made.PixelData = encapsulate([b"frame one", b"frame two"])
    made["PixelData"].VR, made["PixelData"].is_undefined_length = "OB", True
    return encoded(made)


SYNTAXES = {
    "explicit": (encoded(data_set()), ExplicitVRLittleEndian),
    "explicit, undefined lengths": (encoded(data_set(undefined=True)), ExplicitVRLittleEndian),
    "implicit": (encoded(data_set(undefined=True), implicit=True), ImplicitVRLittleEndian),
    "big endian": (encoded(data_set(undefined=True), little=False), ExplicitVRBigEndian),
    "compressed": (compressed(), JPEGLSLossless),
}


@pytest.mark.parametrize(("data", "syntax"), SYNTAXES.values(), ids=SYNTAXES)
def test_only_ends_of_elements_are_ends(data: bytes, syntax: str) -> None:
    assert is_whole(data, syntax)
    from pydicom.filereader import read_dataset

    # Elsewhere derived: where pydicom finds an element of the outermost level at its end.
    read = read_dataset(BytesIO(data), syntax == ImplicitVRLittleEndian, syntax != ExplicitVRBigEndian)
    ends = {0}
    for count in range(1, len(read) + 1):
        part = Dataset()
        for element in list(read)[:count]:
            part.add(element)
        ends.add(
            len(
                encoded(part, implicit=syntax == ImplicitVRLittleEndian, little=syntax != ExplicitVRBigEndian)
            )
        )
    whole = {size for size in range(len(data) + 1) if is_whole(data[:size], syntax)}
    assert whole == ends


def test_deflated_data_set_is_judged_by_what_it_holds() -> None:
    def deflated(data: bytes) -> bytes:
        packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        return packer.compress(data) + packer.flush()

    data = encoded(data_set())
    assert is_whole(deflated(data), DeflatedExplicitVRLittleEndian)
    assert not is_whole(deflated(data[:-1]), DeflatedExplicitVRLittleEndian)


@pytest.mark.parametrize("behind", [bytes(512), b"\xff" * 64], ids=["zeros", "ones"])
@pytest.mark.parametrize("implicit", [False, True])
def test_padding_behind_a_data_set_is_nothing_that_is_missing(behind: bytes, implicit: bool) -> None:
    syntax = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    assert is_whole(encoded(data_set(), implicit=implicit) + behind, syntax)
