"""What may leave of a DICOM object, as a new one: PS3.15 Annex E, its table, and default deny on top.

Values in, values out: time, keys and randomness do not occur, so the same object under the same names gives the same
bytes, and one that was de-identified before comes out as it went in.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import dcmread
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian

from bridge.dicom.headers import part10_prefix
from bridge.errors import BridgeError, Refused
from bridge.export.attribute_types import knows, top_of
from bridge.export.cleaning import Walk
from bridge.export.keep import keyword_of
from bridge.export.pixel_bytes import NATIVE, Region, tidy_pixels, words_to_little_endian
from bridge.export.profile import METHODS, Profile
from bridge.export.pseudonyms import Pseudonyms
from bridge.export.references import drop_orphans
from bridge.export.verdicts import Deed, Judge

_SOUND = frozenset({"1.2.840.10008.5.1.4.1.1.9.4.1", "1.2.840.10008.5.1.4.1.1.9.4.2"})
"""Basic Voice Audio and General Audio Waveform Storage (PS3.4 B.5): nothing here listens to them."""

_AGAIN = "Ask the source to send the object again, or send voxels instead of DICOM"


@dataclass(frozen=True, slots=True, order=True)
class Done:
    """What was done to an attribute, how often: its path of keywords, never its value."""

    path: str
    deed: Deed
    count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Deidentified:
    """A Part 10 file that may leave, the names it has there, and what was done to make it."""

    encoded: bytes
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    done: tuple[Done, ...]


def deidentify(
    file: bytes, profile: Profile, names: Pseudonyms, regions: tuple[Region, ...] = ()
) -> Deidentified:
    """A Part 10 file (PS3.10 7) de-identified. Its preamble, meta information and padding are written anew.

    Native and deflated objects come out as Explicit VR Little Endian, compressed ones in their transfer syntax.
    regions: parts of every frame that are blackened; in uncompressed pixels only.

    Raises:
        Refused: DEI-003, a SOP Class without a known IOD, private ones among them; DEI-004, no readable Part 10
            file; DEI-005 to DEI-008, of `tidy_pixels`; DEI-010, recorded sound.
    """
    try:
        source = dcmread(BytesIO(file))
        syntax = str(source.file_meta.TransferSyntaxUID)
    except Exception:  # noqa: BLE001 - pydicom raises many kinds, and their texts quote values
        raise Refused(
            "DEI-004", f"{len(file)} bytes that are no Part 10 file", "PS3.10 7.1", _AGAIN
        ) from None
    return deidentify_data_set(source, syntax, profile, names, regions)


def deidentify_data_set(
    source: Dataset,
    transfer_syntax_uid: str,
    profile: Profile,
    names: Pseudonyms,
    regions: tuple[Region, ...] = (),
) -> Deidentified:
    """As `deidentify`, of a data set in memory, which stays as it is."""
    sop_class = str(source.get("SOPClassUID") or "")
    if not knows(sop_class):
        raise Refused(
            "DEI-003",
            "an object of a SOP Class whose IOD is not known",
            "a standard SOP Class of PS3.4 B.5",
            "Choose other instances for this rule, or send voxels instead of DICOM",
        )
    if sop_class in _SOUND:
        raise Refused(
            "DEI-010",
            "recorded sound, in which somebody may be named",
            "an object without speech",
            "Choose other instances for this rule",
        )
    try:
        return _deidentified(source, sop_class, str(transfer_syntax_uid), profile, names, regions)
    except BridgeError:
        raise
    except Exception:  # noqa: BLE001 - as above
        raise Refused("DEI-004", "a data set that cannot be read to its end", "PS3.5 7", _AGAIN) from None


def _deidentified(
    source: Dataset,
    sop_class: str,
    syntax: str,
    profile: Profile,
    names: Pseudonyms,
    regions: tuple[Region, ...],
) -> Deidentified:
    # A patient who already has the name of this scope says that the dates have moved.
    is_ours = names.is_patient(str(source.get("PatientID") or ""))
    walk = Walk(Judge(profile=profile, names=names, is_ours=is_ours))
    out = walk.data_set(source, top_of(sop_class))
    words_to_little_endian(out, syntax)
    tidy_pixels(out, syntax, regions)
    for tag in drop_orphans(out):
        walk.done[keyword_of(tag), Deed.CLEANED] += 1
    for keyword in _write_methods(out, profile, names):
        walk.done[keyword, Deed.WRITTEN] += 1
    if not _is_ascii(out):
        out.SpecificCharacterSet = "ISO_IR 192"
    written = _written_syntax(syntax)
    instance = str(out.SOPInstanceUID)
    return Deidentified(
        encoded=part10_prefix(sop_class, instance, written) + _encoded(out),
        sop_class_uid=sop_class,
        sop_instance_uid=instance,
        transfer_syntax_uid=written,
        done=tuple(sorted(Done(path, deed, count) for (path, deed), count in walk.done.items())),
    )


def _write_methods(out: Dataset, profile: Profile, names: Pseudonyms) -> tuple[str, ...]:
    """PS3.15 E.1.1, steps 5 to 7; and the patient, whom the table lets be a pseudonym."""
    out.PatientID = out.PatientName = names.patient()
    out.PatientIdentityRemoved = "YES"
    out.DeidentificationMethod = profile.method
    codes = [("113100", "Basic Application Confidentiality Profile")]
    codes += [METHODS[option] for option in METHODS if option in profile.options]
    out.DeidentificationMethodCodeSequence = Sequence([_code(value, meaning) for value, meaning in codes])
    out.LongitudinalTemporalInformationModified = profile.dates
    tags = (0x00100010, 0x00100020, 0x00120062, 0x00120063, 0x00120064, 0x00280303)
    return tuple(keyword_of(tag) for tag in tags)


def _code(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "DCM", meaning[:64]
    return item


def _written_syntax(source: str) -> str:
    return str(ExplicitVRLittleEndian) if source in NATIVE else source


def _encoded(out: Dataset) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_dataset(buffer, out)
    return buffer.getvalue()


def _is_ascii(out: Dataset) -> bool:
    """Whether no value needs a character set; options keep text as the sender wrote it."""
    return all(
        _is_ascii_value(element.value) if element.VR != "SQ" else all(map(_is_ascii, element.value))
        for element in out
    )


def _is_ascii_value(value: object) -> bool:
    return isinstance(value, (bytes, int, float)) or str(value).isascii()
