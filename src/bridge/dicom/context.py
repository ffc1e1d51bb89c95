"""The clean data set of a patient and a study that every result of ours carries.

Results belong to the patient and study of their source and repeat its attributes. Real headers break the standard in
them, and an archive may refuse a whole result for that. What is copied, mended or left out is the table of
`modules`; what a legal value looks like is in `values`.

Bytes are copied, text is not (see `charsets`). Give `context_of` a header whose attributes nobody has read, where
that can be had: pydicom forgets the bytes of a text once it has decoded it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pydicom.charset import default_encoding
from pydicom.datadict import dictionary_has_tag, dictionary_VM, dictionary_VR, keyword_for_tag
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag

from bridge.dicom.charsets import CHARSET_TAG, decoded, encoded_value, encodings_of, item_of
from bridge.dicom.modules import (
    BONDS,
    CODE,
    EQUIPMENT,
    ITEM_NEEDS,
    MAY_BE_EMPTY,
    OF_THE_IMAGE,
    PATIENT_AND_STUDY,
    TYPE_2_OF_MODULE,
    Bond,
    Do,
)
from bridge.dicom.values import TEXT_VRS, is_valid, mended
from bridge.errors import Damaged


def context_of(header: Dataset) -> Dataset:
    """The patient, the study and the equipment, valid, in the source's character set.

    Args:
        header: data set of one source instance before Pixel Data; not changed.
    Returns:
        A new data set. Its texts are the source's bytes and are decoded only when someone reads them.
    Raises:
        Damaged: CTX-001, an identifier was decoded before and its bytes are lost.
    """
    encodings = encodings_of(header)
    context = _data_set(encodings)
    if (charset := item_of(header, CHARSET_TAG)) is not None:
        _put(context, Tag(CHARSET_TAG), "CS", encoded_value(charset, encodings) or b"")
    for keyword, do in PATIENT_AND_STUDY.items():
        _copy(header, context, Tag(keyword), do, encodings)
    for keyword in OF_THE_IMAGE:
        _copy(header, context, Tag(keyword), Do.VALID, encodings)
    _break_bonds(context)
    for there, wanted in TYPE_2_OF_MODULE:
        if there in context:
            for keyword in wanted:
                if keyword not in context:
                    _put(context, Tag(keyword), dictionary_VR(keyword), b"")
    return context


def stamp(data_set: Dataset, context: Dataset) -> None:
    """Give `data_set` the patient, the study and the character set of `context`, and nothing else of these.

    Texts of ours in `data_set` must be plain ASCII: every character set of a source can hold that.
    """
    for tag in (Tag(CHARSET_TAG), *map(Tag, PATIENT_AND_STUDY)):
        data_set.pop(tag, None)
        if (element := item_of(context, tag)) is not None:
            data_set[tag] = element
    # Only with this does the writer take the source's bytes as they are.
    declared = encodings_of(data_set) if CHARSET_TAG in data_set else default_encoding
    data_set.set_original_encoding(False, True, declared)


def equipment_of(context: Dataset) -> Dataset | None:
    """Item of the Contributing Equipment Sequence (PS3.3 C.12.1) for the device that made the source.

    None when the source does not name its manufacturer (Type 1). Names of hospital, station and people stay out.
    """
    if not _any_valued(context, ("Manufacturer",)):
        return None
    item = _data_set(encodings_of(context))
    for keyword in EQUIPMENT:
        if (element := item_of(context, Tag(keyword))) is not None:
            item[Tag(keyword)] = element
    return item


def left_out(header: Dataset, context: Dataset) -> tuple[str, ...]:
    """Keywords of patient and study whose value in the source is not, or not the same, in the context."""
    encodings = encodings_of(header)
    missing = []
    for keyword in PATIENT_AND_STUDY:
        tag = Tag(keyword)
        before, after = item_of(header, tag), item_of(context, tag)
        if before is None or before.value in (None, b"", ""):
            continue
        if after is None:
            missing.append(keyword)
        elif dictionary_VR(tag) in TEXT_VRS:
            if encoded_value(before, encodings) != encoded_value(after, encodings):
                missing.append(keyword)
        elif dictionary_VR(tag) == "SQ" and len(context[tag].value) != len(header[tag].value):
            missing.append(keyword)
    return tuple(missing)


def _data_set(encodings: Sequence[str]) -> Dataset:
    data_set = Dataset(parent_encoding=list(encodings))
    data_set.set_original_encoding(False, True, list(encodings))
    return data_set


def _copy(source: Dataset, target: Dataset, tag: BaseTag, do: Do, encodings: Sequence[str]) -> None:
    keyword, vr = keyword_for_tag(tag), dictionary_VR(tag)
    element = item_of(source, tag)
    if element is None:
        if do is not Do.VALID and keyword != "StudyInstanceUID":
            _put(target, tag, vr, b"")
    elif vr == "SQ":
        _copy_items(source, target, tag, encodings)
    elif vr in TEXT_VRS:
        value = encoded_value(element, encodings)
        if do is Do.KEEP and value is None:
            raise Damaged(
                "CTX-001",
                f"{keyword} does not fit the declared character set and its bytes are no longer known",
                "a header that was not read before",
                "Encode the results again from the stored header",
            )
        if do is not Do.KEEP:
            value = _judged(value, tag, vr, mend=do is Do.MEND, encodings=encodings)
        if value is not None:
            _put(target, tag, vr, value)
    elif (number := _number(source, tag)) is not None:
        target[tag] = number


def _judged(
    value: bytes | None, tag: BaseTag, vr: str, *, mend: bool, encodings: Sequence[str]
) -> bytes | None:
    """The value when it is valid; what it meant or b"" when it has to be something; else None."""
    keyword = keyword_for_tag(tag)
    text = None if value is None else decoded(value, encodings)
    if text is not None and is_valid(keyword, vr, dictionary_VM(tag), text):
        return value
    if not mend:
        return None
    return (mended(keyword, vr, text or "") or "").encode("ascii")


def _number(source: Dataset, tag: BaseTag) -> DataElement | None:
    """A binary number; None when it cannot be read or is not among the values the standard lists."""
    try:
        element = source[tag]
        value = element.value
    except Exception:  # noqa: BLE001 - a value that its VR forbids is as good as absent here
        return None
    if element.is_empty:
        return DataElement(tag, dictionary_VR(tag), None)
    if not isinstance(value, (int, float)) or not is_valid(keyword_for_tag(tag), "", "1", str(value)):
        return None
    return DataElement(tag, dictionary_VR(tag), value)


def _copy_items(source: Dataset, target: Dataset, tag: BaseTag, encodings: Sequence[str]) -> None:
    """The items that are complete; the sequence is left out when it has none, or is no sequence at all."""
    keyword = keyword_for_tag(tag)
    try:
        items = list(source[tag].value)
    except Exception:  # noqa: BLE001 - a sequence that cannot be framed is as good as absent here
        return
    kept = [item for item in (_item(one, keyword, encodings) for one in items) if item is not None]
    if kept or (not items and keyword in MAY_BE_EMPTY):
        target[tag] = DataElement(tag, "SQ", kept)


def _item(source: object, keyword: str, inherited: Sequence[str]) -> Dataset | None:
    if not isinstance(source, Dataset):
        return None
    encodings = encodings_of(source, inherited)
    item = _data_set(encodings)
    for tag in sorted(source.keys()):
        if not tag.is_private and dictionary_has_tag(tag) and tag.element != 0:
            _copy(source, item, tag, Do.VALID, encodings)
    _break_bonds(item)
    needs = ITEM_NEEDS.get(keyword, CODE if keyword.endswith("CodeSequence") else ())
    return item if len(item) and all(_any_valued(item, group) for group in needs) else None


def _break_bonds(data_set: Dataset) -> None:
    for bond in BONDS:
        if _is_broken(data_set, bond):
            for keyword in bond.fall:
                data_set.pop(Tag(keyword), None)


def _is_broken(data_set: Dataset, bond: Bond) -> bool:
    if not any(keyword in data_set for keyword in bond.fall):
        return False
    if bond.when and data_set.get(bond.fall[0]) != bond.when:
        return False
    whole = all(_any_valued(data_set, group) for group in bond.need)
    return not whole or not all(keyword in data_set for keyword in bond.beside)


def _any_valued(data_set: Dataset, keywords: Iterable[str]) -> bool:
    found = (item_of(data_set, Tag(keyword)) for keyword in keywords)
    return any(element is not None and element.value not in (None, b"", "", []) for element in found)


def _put(target: Dataset, tag: BaseTag, vr: str, value: bytes) -> None:
    if len(value) % 2:
        value += b"\x00" if vr == "UI" else b" "
    target[tag] = RawDataElement(tag, vr, len(value), value, 0, False, True)
