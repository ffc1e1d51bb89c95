"""Order, Step, Parcel: what a platform asks for, in which steps it is submitted, and what may leave the house.

`plan` of a platform answers with an `Order`; `export` fills it and the result is a `Parcel`. Both hold neutral names,
numbers and digests only, and round-trip through JSON unchanged: they are kept with the job.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from typing_extensions import TypeAliasType

# Named, because a plain alias that holds itself sends pydantic, which keeps these values as JSON, round for ever.
Json = TypeAliasType("Json", "bool | int | float | str | list[Json] | dict[str, Json] | None")


class Repeat(StrEnum):
    """What doing a step twice means."""

    SAFE = "safe"
    """Twice is as once."""
    FIND_FIRST = "find-first"
    """Twice may bill twice: look whether it happened before doing it again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One remote action of a submission."""

    name: str
    """Unique within the order, for example `upload:ct-image`."""
    needs: tuple[str, ...] = ()
    """Steps whose notes this one reads."""
    commits: bool = False
    """Money or work may begin here."""
    sends: tuple[str, ...] = ()
    """Inputs whose files or values leave the house with it."""
    repeat: Repeat = Repeat.SAFE


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderedFile:
    """A volume, or a mesh, that the platform wants as one file."""

    input: str
    format: str
    """A name of the table of formats in `export.formats`, for example `mha`; of a mesh, what it is: `stl` or `obj`."""
    file_name: str
    """Neutral: says nothing about patient, study or house."""
    as_labels: bool = False
    """Voxels leave as unsigned 8-bit integers."""
    uncompressed: bool = False
    """Of a DICOM format: compressed objects leave decoded, in Explicit VR Little Endian."""
    labels: tuple[int, ...] = ()
    """With `as_labels`: the values that may occur besides 0; () where any will do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderedCopy:
    """A file of the site's own, which goes as it stands."""

    input: str
    file_name: str
    """Neutral, as that of a volume."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderedValue:
    """A number, text or structure that the rule gives to the platform."""

    input: str
    value: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Which files in which format, which values, and the steps that submit them."""

    files: tuple[OrderedFile, ...]
    values: tuple[OrderedValue, ...] = ()
    steps: tuple[Step, ...]
    details: dict[str, str]
    """The platform's own words for its steps, for example the address of the algorithm."""
    copies: tuple[OrderedCopy, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ParcelFile:
    """A file that was converted or copied, ready to leave."""

    input: str
    ref: str
    """Name on the job's shelf."""
    file_name: str
    size_bytes: int
    sha256: str
    format: str = ""
    """As it was ordered; "" for a file of the site's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """What leaves the house for one job."""

    order: Order
    files: tuple[ParcelFile, ...]
    values: tuple[OrderedValue, ...] = ()
    pseudonym: str = ""
    """What the patient is called outside, whether or not a file says it."""
    profile: str = ""
    """Digest of all that decides what of a person is in the files."""

    def file(self, input_name: str) -> ParcelFile:
        return next(file for file in self.files if file.input == input_name)

    def files_of(self, input_name: str) -> tuple[ParcelFile, ...]:
        """All of an input: a format may make a file for each object."""
        return tuple(file for file in self.files if file.input == input_name)
