"""The ways on which a study leaves: an object or a file made by the engine's face, or a whole case to a platform."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from tempfile import mkdtemp

from pydicom import dcmread
from tests.canaries.platforms import Way
from tests.canaries.search import Hit, Searcher
from tests.canaries.sources import Planted
from tests.canaries.tap import Tap

from bridge.dicom.folder import read_folder
from bridge.dicom.pixels import FileReader
from bridge.errors import BridgeError, ConfigError, Refused
from bridge.export import FORMATS, PixelPolicy, Profile, Pseudonyms, Scope, deidentify, refuse_risky
from bridge.export.conversion import convert
from bridge.export.pixel_bytes import Region
from bridge.export.risks import Risk
from bridge.volumes import candidates_of

NAMES = Pseudonyms(bytes(range(32)), Scope.of_job("canaries"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table. `objects`: bodies that were sent, or files that were made.

    refused: the code of the bridge's refusal; "then CODE" of a case that stopped after something was sent.
    """

    source: str
    format: str
    way: str
    planted: int
    objects: int = 0
    searched: int = 0
    hits: tuple[Hit, ...] = ()
    refused: str = ""

    @property
    def found(self) -> int:
        return len({hit.mark for hit in self.hits})


@lru_cache(maxsize=3)
def _searcher(wanted: tuple[tuple[str, tuple[bytes, ...]], ...]) -> Searcher:
    return Searcher(dict(wanted))


def searcher_of(study: Planted) -> Searcher:
    return _searcher(tuple(study.wanted.items()))


def in_sources(study: Planted) -> set[str]:
    """Marks that stand in the files themselves: what is not there could not be found outside either.

    The first file goes through the search that what leaves goes through; the others hold the same and a few more.
    """
    seen = searcher_of(study).search(study.files[0]).marks
    for file in study.files[1:]:
        seen |= study.marks.in_plain(file)
    return seen | {
        mark
        for mark, codings in study.raw.items()
        if any(one in file for one in codings for file in study.files)
    }


def as_dicom(
    study: Planted,
    profile: Profile | None = None,
    *,
    allowed: frozenset[Risk] = frozenset(),
    regions: tuple[Region, ...] = (),
) -> Row:
    """Every object de-identified; refused where the pixels may show a person, unless that is allowed by its word."""
    # What a file is about may be its texts: then its pixels are taken as they are.
    policy = PixelPolicy(allowed=frozenset(Risk) if study.is_text else allowed)
    format = "dicom, masked" if regions else "dicom"
    try:
        made = []
        for file in study.files:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                refuse_risky(dcmread(BytesIO(file), stop_before_pixels=True), policy)
                made.append(deidentify(file, profile or Profile(), NAMES, regions).encoded)
    except Refused as refusal:
        return _row(study, format, "file", [], refused=refusal.code)
    return _row(study, format, "file", made)


def as_file(study: Planted, format: str) -> Row:
    """The volume written in a bare format."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = candidates_of(read_folder(study.write(Path(mkdtemp(prefix="canaries-")))).instances)
    volumes = [one.volume for one in found if one.volume is not None]
    if not volumes:
        (code, *_) = [one.refusal.code for one in found if one.refusal] or ["no volume"]
        return _row(study, format, "file", [], refused=code)
    made = []
    for volume in volumes:
        sink = io.BytesIO()

        def emptied(sink: io.BytesIO = sink) -> contextlib.AbstractContextManager[io.BytesIO]:
            sink.seek(0), sink.truncate()
            return nullcontext(sink)

        convert(volume, FileReader(), FORMATS[format], emptied)
        made.append(sink.getvalue())
    return _row(study, format, "file", made)


def to_platform(study: Planted, way: Way, format: str, wire: Tap, folder: Path, rule: str = "") -> Row:
    """A whole case by `bridge run`; everything that the platform was sent is searched, also of one that failed."""
    from bridge.cli.run import run

    site = way.write(folder / "site", rule or way.formats[format], study.modality)
    wire.forget()
    refused = ""
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            run("send", study.write(folder / "study"), folder / "out", site)
        except (Refused, ConfigError) as refusal:
            refused = refusal.code
        except BridgeError as error:
            refused = f"then {error.code}"
    sent = wire.requests()
    parts = [part for one in sent for part in (one.head, one.body) if part]
    row = _row(study, format, way.platform, parts, refused=refused)
    bodies = sum(bool(one.body) for one in sent)
    return Row(
        source=row.source,
        format=format,
        way=row.way,
        planted=row.planted,
        objects=bodies,
        searched=row.searched,
        hits=row.hits,
        refused=refused,
    )


def _row(study: Planted, format: str, way: str, made: Iterable[bytes], refused: str = "") -> Row:
    searcher = searcher_of(study)
    reports = [searcher.search(one) for one in made]
    return Row(
        source=study.name,
        format=format,
        way=way,
        planted=len(study.wanted),
        objects=len(reports),
        searched=sum(report.searched for report in reports),
        hits=tuple({hit for report in reports for hit in report.hits}),
        refused=refused,
    )
