"""Which volume goes into a socket: conditions of the input's own, or definitions that have a name.

`[volumes.NAME]` says once what a thin chest CT is. An input names one definition, or several, of which a later one is
looked at only where no candidate is what an earlier one asks for.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, PlainValidator, Strict
from pydantic_core import PydanticCustomError

from bridge.config.load import Document, Key, did_you_mean, nearest
from bridge.config.validate import Section, bad, describe
from bridge.config.vocabulary import COMBINATIONS, PREFERENCES, REPAIRS
from bridge.errors import ConfigError

Conditions = dict[str, Any]
"""As written; checked by `config.conditions`, because a union of models gives errors that nobody understands."""
Ranking = dict[str, list[str | int | float]]
"""One keyword or fact, and its values, the best first."""


def _known(what: str, value: Iterable[str], words: Collection[str]) -> None:
    names = list(value)
    for name in names:
        if name not in words:
            expected = ", ".join(f'"{one}"' for one in words)
            raise bad(f'the {what} "{name[:40]}"', expected, did_you_mean(name, words))
        if names.count(name) > 1:
            raise bad(f'the {what} "{name}" twice', "each once")


def _repairs(value: tuple[str, ...]) -> tuple[str, ...]:
    _known("repair", value, REPAIRS)
    return value


_RANKING = 'As in { ConvolutionKernel = ["B30f", "B31f"] }'


def _preference(value: object) -> str | Ranking:
    if isinstance(value, str):
        return value
    if not isinstance(value, dict) or len(value) != 1:
        found = f"a table of {len(value)} keys" if isinstance(value, dict) else describe(value)
        raise bad(found, "the name of a preference, or one keyword and its values, the best first", _RANKING)
    [(word, values)] = value.items()
    if word in COMBINATIONS:
        raise bad(f'"{word}"', "a keyword or a fact of a volume", _RANKING)
    if not isinstance(values, list) or not values:
        raise bad(
            "an empty list" if values == [] else describe(values, shown=False),
            "a list of values, the best first",
            _RANKING,
        )
    for one in values:
        if isinstance(one, bool) or not isinstance(one, str | int | float):
            raise bad(describe(one, shown=False), "text or a number", _RANKING)
        if values.count(one) > 1:
            raise bad("a value twice", "each once")
    return value


def _preferences(value: tuple[str | Ranking, ...]) -> tuple[str | Ranking, ...]:
    names = [one for one in value if isinstance(one, str)]
    _known("preference", names, PREFERENCES)
    if {"thinnest", "thickest"} <= set(names):
        raise bad("thinnest and thickest", "one of the two", "The second of them would never decide")
    words = [word for one in value if isinstance(one, dict) for word in one]
    if len(set(words)) < len(words):
        raise bad("a keyword twice", "each once", "Put all of its values into one list")
    return value


def _volume(value: object) -> Conditions | tuple[str, ...]:
    match value:
        case dict() if value:
            return value
        case str() if value:
            return (value,)
        case dict() | list() | tuple() if not value:
            raise bad(f"an empty {'table' if isinstance(value, dict) else 'list'}", "at least one entry")
        case list() | tuple() if all(isinstance(one, str) and one for one in value):
            if len(set(value)) < len(value):
                raise bad("a name twice", "each once")
            return tuple(value)
        case _:
            raise PydanticCustomError("volume_type", "bad value")


Wanted = Annotated[Conditions | tuple[str, ...], PlainValidator(_volume)]
Preferred = Annotated[
    tuple[Annotated[str | Ranking, PlainValidator(_preference)], ...],
    Strict(False),
    AfterValidator(_preferences),
]
Repairs = Annotated[tuple[str, ...], Strict(False), AfterValidator(_repairs)]


class VolumeModel(Section):
    """`[volumes.NAME]`: a kind of volume, for the inputs that name it."""

    where: Conditions = Field(min_length=1, examples=['{ Modality = "CT" }'])
    """Conditions on the volume, by keyword or fact."""
    prefer: Preferred = ()
    """For ties, in this order: names, and keywords with their values, the best first."""
    repair: Repairs = ()
    """Irregularities that may be mended; what was done stands in the job, the segmentation and the report."""


class InputModel(Section):
    """`[rules.NAME.inputs.SOCKET]`: which volume goes into a socket of the algorithm."""

    volume: Wanted = Field(examples=['{ Modality = "CT" }'])
    """Conditions on the volume, by keyword or fact; or the name of a `[volumes.NAME]`, or several: the first that finds
    a volume."""
    prefer: Preferred = ()
    """For ties, in this order: names, and keywords with their values, the best first."""
    repair: Repairs = ()
    """Irregularities that may be mended; what was done stands in the job, the segmentation and the report."""
    mask: str = Field(default="", examples=['"study"'])
    """The socket takes labels: `study`, a segmentation that came with the study; or the name of a rule, its results."""
    mesh: bool = False
    """The input takes a mesh: one Encapsulated STL or OBJ object of the study, of which the conditions speak."""
    of: str = Field(default="", examples=['"fixed-image"'])
    """Of a rule's results, those that were made of the image in this other input of the rule."""
    study: Literal["current", "prior"] = "current"
    """`prior`: the volume comes from the newest earlier study of the same patient that has one."""
    prior_min_days: Annotated[int, Field(ge=0, le=36500)] | None = None
    """With `prior`: an earlier study counts from so many days before the current one on."""
    prior_max_days: Annotated[int, Field(ge=0, le=36500)] | None = None
    """With `prior`: an earlier study does not count when it is more than so many days before the current one."""

    @property
    def is_image(self) -> bool:
        return not self.mask and not self.mesh

    @property
    def names(self) -> tuple[str, ...]:
        """The definitions it names, in their order; () where its conditions are its own."""
        return self.volume if isinstance(self.volume, tuple) else ()

    @property
    def own(self) -> VolumeModel:
        """Its own conditions, as a definition without a name."""
        where = self.volume if isinstance(self.volume, dict) else {}
        return VolumeModel(where=where, prefer=self.prefer, repair=self.repair)

    def settled(self, definition: VolumeModel) -> InputModel:
        """The input with the words of a definition in the place of its name: needs no other table any more."""
        told = {"volume": definition.where, "prefer": definition.prefer, "repair": definition.repair}
        return self.model_copy(update=told)


def unknown_volumes(
    document: Document, inputs: Mapping[Key, InputModel], volumes: Mapping[str, VolumeModel]
) -> Iterator[ConfigError]:
    """CFG-008, a definition that is not there; CFG-005, words beside a name that stand in the definition."""
    there = ", ".join(sorted(volumes)) or "none yet"
    for key, given in inputs.items():
        for index, name in enumerate(given.names):
            if name in volumes:
                continue
            near, place = nearest(name, volumes), (*key, "volume", index)
            yield document.error(
                "CFG-008",
                place if place in document.places else place[:-1],
                f'"{name[:40]}" is no volume of this file',
                f"conditions, or one of its volumes ({there})",
                f"Did you mean {near}?" if near else f"Add [volumes.{name[:40]}]",
            )
        for word in ("prefer", "repair") if given.names else ():
            if getattr(given, word):
                found = f"{word} beside the name of a volume"
                remedy = f"Write it under [volumes.{given.names[0][:40]}]"
                yield document.error("CFG-005", (*key, word), found, "one place for it", remedy)
