"""`[destinations.NAME]`: where results go. A DICOM peer has `ae_title`, a folder has `folder`."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Discriminator, Field, Strict, Tag

from bridge.config.fields import AETitle, FilePath, Host, Pauses, Port, Purpose, Seconds
from bridge.config.load import did_you_mean
from bridge.config.sources import shape_of
from bridge.config.validate import FOLDER, PEER, Section, bad

HARMLESS_WORDS = ("study", "rule", "job")
"""Words of a name of a case that tell nothing of the patient: names of ours."""
CASE_WORDS = (
    *HARMLESS_WORDS,
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "StudyDate",
    "StudyID",
    "StudyDescription",
    "AccessionNumber",
    "StudyInstanceUID",
)
_APART = frozenset({"study", "job", "PatientID", "AccessionNumber", "StudyInstanceUID"})
WORD = re.compile(r"\{([^{}]*)\}")


def _case(value: str) -> str:
    words = WORD.findall(value)
    for word in words:
        if word not in CASE_WORDS:
            known = ", ".join(f"{{{one}}}" for one in CASE_WORDS)
            raise bad(f"the word {{{word[:40]}}}", f"one of {known}", did_you_mean(word, CASE_WORDS))
    text = WORD.sub("", value)
    if re.search(r"[{}/\\\0]", text):
        raise bad("a brace or a slash", "the name of one folder, with words in { }")
    if not _APART & set(words):
        raise bad(
            "a name that is the same for several patients",
            f"at least one of {', '.join(f'{{{one}}}' for one in CASE_WORDS if one in _APART)}",
        )
    return value


def _marker(value: str) -> str:
    if "/" in value or "\\" in value or "\0" in value:
        raise bad("a path", "the name of a file in the folder")
    return value


class _Wishes(Section):
    retry_s: Pauses = (10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)
    """Pauses before the second, third ... attempt; the last one repeats."""
    give_up_after_days: float = Field(default=7.0, gt=0, le=365)
    """After so long a person must decide."""
    parallel: int = Field(default=1, ge=1, le=16)
    """Jobs at once, each with an association of its own where it is a peer."""
    segmentation: Literal["binary", "labelmap"] = "binary"
    """Masks as Segmentation, or as Label Map Segmentation where that is taken and shown."""
    mended: Literal["images", "corrected"] = "images"
    """Masks of a series that a rule has mended: on its images as they came, or on the corrected grid."""
    empty_frames: bool = False
    """A frame of each segment on every slice, also where nothing is marked: larger, for viewers that want it."""
    series_number_base: int = Field(default=9000, ge=1, le=2**31 - 1000)
    """Series numbers of results begin here; where it is not given, that of the bridge."""
    accepts: Annotated[tuple[Purpose, ...], Strict(False), Field(min_length=1)] = ("clinical", "research")
    """Results of rules of these purposes only."""


class DicomDestination(_Wishes):
    """A peer that takes results by C-STORE."""

    ae_title: AETitle = Field(examples=['"PACS"'])
    """The called AE title."""
    host: Host = Field(examples=['"pacs.example"'])
    """Name or address."""
    port: Port = Field(examples=["104"])
    """DICOM port."""
    calling_ae_title: AETitle = ""
    """Where it is not given, that of the bridge."""
    connect_timeout_s: Seconds = 10.0
    """For the TCP connection."""
    acse_timeout_s: Seconds = 30.0
    """For the negotiation of an association."""
    dimse_timeout_s: Seconds = 60.0
    """For the answer to one C-STORE."""
    network_timeout_s: Seconds = 60.0
    """How long an association may be silent."""
    keepalive_s: Seconds = 30.0
    """A silent connection is probed so often (TCP keepalive)."""
    ask_back: bool = False
    """Ask by C-FIND whether it has what it said it stored; only then a result counts as delivered."""
    ask_back_s: Pauses = (5.0, 30.0, 120.0, 600.0, 3600.0)
    """Pauses before it is asked; after the last one what it does not name is sent again."""


class FolderDestination(_Wishes):
    """A folder, on a share or here, in which each case has a folder of its own."""

    folder: FilePath = Field(examples=['"/share/results"'])
    """It must exist: a share that is not there is waited for."""
    files: Literal["plain", "dicom", "both"] = "plain"
    """`plain`: meshes, documents and pictures as plain files, all else as DICOM files. `dicom`: DICOM files only.
    `both`: either of what has a plain form."""
    case: Annotated[str, AfterValidator(_case)] = "{study}"
    """Name of the folder of a case, with words in { }. Other words than study, rule and job show who the patient is."""
    marker: Annotated[str, AfterValidator(_marker)] = ""
    """A file that must lie in the folder, or else the share counts as away: where one is mounted, so that nothing is
    written below it."""

    @property
    def shows_patients(self) -> bool:
        """Whether names of folders tell of patients."""
        return bool(set(WORD.findall(self.case)) - set(HARMLESS_WORDS))

    @property
    def ask_back(self) -> bool:
        """Never: what is written is read back at once."""
        return False

    @property
    def ask_back_s(self) -> tuple[float, ...]:
        return ()


DestinationSettings = DicomDestination | FolderDestination
DestinationTable = Annotated[
    Annotated[DicomDestination, Tag(PEER)] | Annotated[FolderDestination, Tag(FOLDER)],
    Discriminator(shape_of),
]
"""As it stands in the file."""
