"""Whether any of many marks stands in bytes, however they were packed on the way.

What is packed is unpacked, again and again: zip, gzip, zlib, raw deflate, deflated DICOM, base64, hexadecimal, URL and
JSON escapes. In every layer each mark is looked for as it is, in UTF-16, hexadecimal, the three alignments of base64
and with swapped bytes, by a table of 8-byte beginnings.
"""

from __future__ import annotations

import base64
import binascii
import re
import struct
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote_from_bytes, unquote_to_bytes

import numpy as np
from numpy.typing import NDArray

DEEPEST = 6
MOST_BYTES = 1 << 30
"""Of all layers of one body together: nobody hides a mark in a bomb."""
SHORTEST = 5
"""Bytes of a form that is looked for: shorter ones stand anywhere by chance."""
CHUNK = 1 << 22
_BITS = 24
_HEAD = 8
_LONGEST_DATE_RUN = 16
"""Digits in a row, of a date with its time. A day within a longer row, of a UID or a digest, is no day."""

_BASE64 = re.compile(rb"(?:[A-Za-z0-9+/_-]{4}[\r\n]{0,2}){3,}[A-Za-z0-9+/_-]{0,3}={0,2}")
_HEX = re.compile(rb"(?:[0-9a-fA-F]{2}){8,}")
_PERCENT = re.compile(rb"%[0-9a-fA-F]{2}")
_TEXTS = re.compile(rb"[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]+")
"""Where URL escapes may stand. Unescaping packed bytes as well would make other streams of them, whose rubbish holds
pieces of UIDs that read as dates."""
_JSON_ESCAPE = re.compile(rb"\\u([0-9a-fA-F]{4})")
_WIDE = (re.compile(rb"(?:[\x20-\x7e]\x00){6,}"), re.compile(rb"(?:\x00[\x20-\x7e]){6,}"))
_STANDARD = bytes.maketrans(b"-_", b"+/")
_APART = bytes(4)
_DIGITS, _HEXADECIMAL = frozenset(b"0123456789"), frozenset(b"0123456789abcdefABCDEF")
_DEFLATED_DICOM = b"1.2.840.10008.1.2.1.99"


@dataclass(frozen=True, slots=True)
class Hit:
    """A mark, and by which ways it was found: "gzip > base64"."""

    mark: str
    ways: tuple[str, ...] = ()


@dataclass(slots=True)
class Report:
    """What was found. `searched`: bytes of all layers."""

    searched: int = 0
    hits: set[Hit] = field(default_factory=set)

    @property
    def marks(self) -> set[str]:
        return {hit.mark for hit in self.hits}


class Searcher:
    """Looks for marks. `raw`: the bytes that a mark has where it is written plainly, more than one for a name that
    was encoded in several character sets.
    """

    def __init__(self, raw: Mapping[str, Iterable[bytes]]) -> None:
        self._long: defaultdict[bytes, list[tuple[bytes, str]]] = defaultdict(list)
        self._short: list[tuple[bytes, str]] = []
        self._first, self._second = np.zeros(1 << _BITS, np.bool_), np.zeros(1 << _BITS, np.bool_)
        for mark, codings in raw.items():
            for form in {
                form for coding in codings for form in forms(coding) if _is_long_enough(form, coding)
            }:
                if len(form) < _HEAD:
                    self._short.append((form, mark))
                else:
                    self._long[form[:_HEAD]].append((form, mark))
        heads = np.frombuffer(b"".join(self._long), "<u4").reshape(-1, 2)
        self._first[_hashed(heads[:, 0], heads[:, 1])] = True
        self._second[_hashed(heads[:, 1], heads[:, 0])] = True

    @classmethod
    def of_texts(cls, marks: Iterable[str]) -> Searcher:
        return cls({mark: (mark.encode(), mark.lower().encode()) for mark in marks})

    def search(self, data: bytes) -> Report:
        report = Report()
        layers: list[tuple[tuple[str, ...], bytes]] = [((), data)]
        seen: set[bytes] = set()
        while layers:
            ways, layer = layers.pop()
            report.searched += len(layer)
            report.hits |= {Hit(mark, ways) for mark in self._in(layer)}
            if len(ways) < DEEPEST and report.searched < MOST_BYTES:
                for way, inner in unpacked(layer):
                    if inner not in seen:
                        seen.add(inner)
                        layers.append(((*ways, way), inner))
        return report

    def _in(self, data: bytes) -> Iterator[str]:
        for form, mark in self._short:
            if form in data:
                yield mark
        for start in range(0, len(data), CHUNK):
            part = np.frombuffer(data, np.uint8, min(CHUNK + _HEAD - 1, len(data) - start), start)
            for place in self._places(part):
                at = start + int(place)
                for form, mark in self._long.get(data[at : at + _HEAD], ()):
                    if data.startswith(form, at) and not _within_a_number(data, at, form):
                        yield mark

    def _places(self, part: NDArray[np.uint8]) -> NDArray[np.intp]:
        """Where eight bytes stand that a form may begin with."""
        if len(part) < _HEAD:
            return np.empty(0, np.intp)
        wide = part.astype(np.uint32)
        words = wide[:-3] | wide[1:-2] << 8 | wide[2:-1] << 16 | wide[3:] << 24
        places = np.flatnonzero(self._first[_hashed(words[:-4], words[4:])])
        return places[self._second[_hashed(words[places + 4], words[places])]]


def forms(raw: bytes) -> Iterator[bytes]:
    """How bytes look that were encoded in a place where nobody would decode."""
    yield raw
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = ""
    if text:
        yield text.encode("utf-16-le")
        yield text.encode("utf-16-be")
        yield "".join(f"\\u{unit:04x}" for unit in _units(text)).encode()
        yield "".join(f"\\u{unit:04X}" for unit in _units(text)).encode()
    yield raw.hex().encode()
    yield raw.hex().upper().encode()
    yield quote_from_bytes(raw, safe="").encode()
    for shift in range(3):
        # Characters at both ends also hold bits of the neighbours.
        coded = base64.b64encode(bytes(shift) + raw)
        whole = coded[(0, 2, 3)[shift] : 8 * (shift + len(raw)) // 6]
        yield whole
        yield whole.translate(bytes.maketrans(b"+/", b"-_"))
    for swapped in (raw, raw[1:]):
        pairs = swapped[: len(swapped) // 2 * 2]
        yield b"".join(pairs[at : at + 2][::-1] for at in range(0, len(pairs), 2))


def _is_long_enough(form: bytes, raw: bytes) -> bool:
    """A short name is looked for as it is; what a long one loses at both ends of a coding is nothing to look for."""
    return len(form) >= _HEAD or (form == raw and len(form) >= SHORTEST)


def unpacked(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Everything inside that can be unpacked, by the name of the way; raw deflate only where it is the whole."""
    yield from _compressed(data)
    yield from _zipped(data)
    if data[128:132] == b"DICM" and _DEFLATED_DICOM in data[:2048]:
        length = int.from_bytes(data[140:144], "little")
        yield from _inflated("deflate", data[144 + length :], -15, 1)
    elif data:
        yield from _inflated("deflate", data, -15, 32)
    # All runs of a way make one layer: there are thousands of them in a list of UIDs.
    runs = [run.translate(_STANDARD, b"\r\n=") for run in _BASE64.findall(data)]
    for shift in range(4) if runs else ():
        yield "base64", _APART.join(_decoded(run[shift:]) for run in runs)
    if runs := _HEX.findall(data):
        yield "hex", _APART.join(binascii.unhexlify(run) for run in runs)
        yield "hex", _APART.join(binascii.unhexlify(run[1:-1]) for run in runs)
    if _PERCENT.search(data):
        yield "url", _APART.join(unquote_to_bytes(run) for run in _TEXTS.findall(data) if b"%" in run)
    if _JSON_ESCAPE.search(data):
        yield "json", _unescaped(data)
    for wide in _WIDE:
        if runs := wide.findall(data):
            yield "utf-16", _APART.join(run.replace(b"\0", b"") for run in runs)


def _compressed(data: bytes) -> Iterator[tuple[str, bytes]]:
    """gzip and zlib streams wherever they begin."""
    for magic, way, window in (
        (b"\x1f\x8b\x08", "gzip", 31),
        *((b"\x78" + second, "zlib", 15) for second in (b"\x01", b"\x5e", b"\x9c", b"\xda")),
    ):
        at = data.find(magic)
        while at >= 0:
            yield from _inflated(way, memoryview(data)[at:], window, 8)
            at = data.find(magic, at + 1)


def _zipped(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Entries by their local headers (APPNOTE 4.3.7), so that an archive within something else is seen as well."""
    at = data.find(b"PK\x03\x04")
    while at >= 0:
        if len(data) >= at + 30:
            method, names, extra = struct.unpack_from("<8xH16xHH", data, at)
            body = memoryview(data)[at + 30 + names + extra :]
            if method == 8:
                yield from _inflated("zip", body, -15, 1)
        at = data.find(b"PK\x03\x04", at + 4)


def _inflated(way: str, data: bytes | memoryview, window: int, least: int) -> Iterator[tuple[str, bytes]]:
    stream = zlib.decompressobj(window)
    out = bytearray()
    try:
        for start in range(0, len(data), 1 << 16):
            out += stream.decompress(data[start : start + (1 << 16)])
            if stream.eof or len(out) > MOST_BYTES:
                break
    except zlib.error:
        if window < 0 and least > 1:
            return  # bytes that are no stream begin like one often
    if len(out) >= least:
        yield way, bytes(out)


def _decoded(run: bytes) -> bytes:
    """Base64 without its padding; a character that is left over holds no byte."""
    run = run[: len(run) - (len(run) % 4 == 1)]
    return base64.b64decode(run + b"=" * (-len(run) % 4))


def _unescaped(data: bytes) -> bytes:
    """JSON's escapes as UTF-8; what stands between them as it is."""
    out, units, end = [], bytearray(), 0
    for found in _JSON_ESCAPE.finditer(data):
        if found.start() != end and units:
            out.append(units.decode("utf-16-be", "replace").encode())
            units.clear()
        out.append(data[end : found.start()])
        units += int(found[1], 16).to_bytes(2, "big")
        end = found.end()
    out.append(units.decode("utf-16-be", "replace").encode())
    return b"".join(out) + data[end:]


def _units(text: str) -> Iterator[int]:
    encoded = text.encode("utf-16-be")
    return (int.from_bytes(encoded[at : at + 2], "big") for at in range(0, len(encoded), 2))


def _within_a_number(data: bytes, at: int, form: bytes) -> bool:
    """Whether a form of digits alone is a piece of something else: a UID, a digest, another number."""
    if len(form) > _HEAD or not form.isdigit():
        return False
    start, end = at, at + len(form)
    while start and at - start < _LONGEST_DATE_RUN and data[start - 1] in _HEXADECIMAL:
        start -= 1
    while end < len(data) and end - at <= _LONGEST_DATE_RUN and data[end] in _HEXADECIMAL:
        end += 1
    return end - start > _LONGEST_DATE_RUN or (at > 0 and data[at - 1] in _DIGITS)


def _hashed(first: NDArray[np.uint32], second: NDArray[np.uint32]) -> NDArray[np.uint32]:
    mixed = (first * np.uint32(2654435761)) ^ (second * np.uint32(2246822519))
    return (mixed ^ (mixed >> np.uint32(15))) >> np.uint32(32 - _BITS)
