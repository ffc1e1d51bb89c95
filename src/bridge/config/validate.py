"""From pydantic's list of errors to sentences for the person who wrote the file."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Tag, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticCustomError

from bridge.config.load import Document, Key, did_you_mean, nearest, written
from bridge.errors import ConfigError


class Section(BaseModel):
    """A table of a configuration file: nothing is guessed, nothing is overlooked, nothing changes afterwards."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


S = TypeVar("S", bound=Section)

TABLE, LIST = "[table]", "[tables]"
"""Tags of what may be written as one table or as a list of them; no part of a key."""
PEER, FOLDER = "[peer]", "[folder]"
"""Tags of the two shapes of a source or a destination; no part of a key either."""
_TAGS = frozenset({TABLE, LIST, PEER, FOLDER})


def validate(
    model: type[S], document: Document, data: Mapping[str, Any]
) -> tuple[S | None, list[ConfigError]]:
    """The model, or every problem of the file. Paths in `data` are relative to the file's folder."""
    folder = document.file.absolute().parent
    secrets = {key for key in inline_secrets(data) if str(key[-1]) not in _keys(model, key[:-1])}
    problems = [secret(document, key) for key in secrets]
    try:
        return model.model_validate(data, context=folder), problems
    except ValidationError as error:
        details = error.errors(include_url=False)
        unknown = [_path(one) for one in details if one["type"] == "extra_forbidden"]
        meant = {(*_bare(path[:-1]), nearest(str(path[-1]), _keys(model, path[:-1]))) for path in unknown}

        def is_echo(one: ErrorDetails) -> bool:
            """Said already: as a secret, as a misspelling, or where the value was inherited from."""
            key = _key(one)
            match one["type"]:
                case "extra_forbidden":
                    return key in secrets or key not in document.places
                case "missing":
                    return key in meant
                case _:
                    return key not in document.places

        # What is not taken over must never pass in silence, even if all that is wrong with it looks like an echo.
        told = [one for one in details if not is_echo(one)] or ([] if problems else details)
        return None, problems + [_sentence(model, document, one) for one in told]


def bad(found: str, expected: str, remedy: str = "") -> PydanticCustomError:
    """What a validator of ours raises; the sentence is made of these three."""
    context = {"found": found, "expected": expected, "remedy": remedy}
    return PydanticCustomError("bad_value", "bad value", context)


_SECRET = re.compile(r"(^|[-_])(token|password|passwd|passphrase|secret|api[-_]?key)$", re.IGNORECASE)


def inline_secrets(data: Mapping[str, Any], key: Key = ()) -> Iterator[Key]:
    """Keys that look as if a secret stood behind them."""
    for name, value in data.items():
        if isinstance(value, Mapping):
            yield from inline_secrets(value, (*key, name))
        elif _SECRET.search(name):
            yield (*key, name)


def secret(document: Document, key: Key) -> ConfigError:
    """The message for a secret in the file. Its value is never repeated."""
    return document.error(
        "CFG-006",
        key,
        "a secret must not stand in this file",
        "token_file = the path of a file that holds it",
        "Move it there with rights 0600, and ask for a new one if this file was ever copied",
    )


def describe(value: object, *, shown: bool = True) -> str:
    """A value as a person would name it, with the kind that TOML gives it; the kind only when not `shown`."""
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return f"the number {value}" if shown else "a number"
        case str():
            return "an empty text" if not value else f'the text "{value[:40]}"' if shown else "text"
        case datetime.datetime() | datetime.date() | datetime.time():
            return "a date or time"
        case Mapping():
            return "a table"
        case _:
            return "a list"


_TYPES = {
    "bool_type": "true or false",
    "dict_type": "a table",
    "float_type": "a number",
    "int_type": "a whole number",
    "is_instance_of": "text in quotes",
    "model_type": "a table",
    "path_type": "text in quotes",
    "string_type": "text in quotes",
    "tuple_type": "a list in [ ]",
    "volume_type": "a table of conditions, the name of a [volumes.NAME], or a list of such names",
    "invalid-json-value": "text, a number, true or false, a list or a table",
}


def _key(error: ErrorDetails) -> Key:
    return _bare(_path(error))


def _path(error: ErrorDetails) -> Key:
    """The key with the tags of the shapes on its way."""
    return tuple(part for part in error["loc"] if part != "[key]")


def _bare(path: Key) -> Key:
    return tuple(part for part in path if part not in _TAGS)


def _sentence(model: type[BaseModel], document: Document, error: ErrorDetails) -> ConfigError:
    path = _path(error)
    key = _bare(path)
    kind, value = error["type"], error["input"]
    context: dict[str, Any] = error.get("ctx", {})
    match kind:
        case "missing":
            return _missing(model, document, path)
        case "extra_forbidden":
            return _unknown(model, document, path)
        case "bad_value":
            return document.error("CFG-005", key, context["found"], context["expected"], context["remedy"])
        case "literal_error":
            # pydantic's own words are all there is of an entry of a list.
            told = re.findall(r"'([^']*)'", context["expected"])
            allowed = (
                told if isinstance(path[-1], int) else [*map(str, get_args(_field(model, path).annotation))]
            )
            words = [f'"{one}"' for one in allowed]
            wanted = f"{', '.join(words[:-1])} or {words[-1]}"
            remedy = did_you_mean(value, allowed) if isinstance(value, str) else ""
            return document.error("CFG-005", key, describe(value), wanted, remedy)
        case "too_short":
            return document.error("CFG-005", key, f"an empty {_noun(value)}", "at least one entry")
        case "string_too_short":
            return document.error("CFG-005", key, "an empty text", "at least one character")
        case "string_too_long":
            found = f"a text of {len(value)} characters"
            return document.error("CFG-005", key, found, f"at most {context['max_length']}")
        case "finite_number":
            return document.error("CFG-005", key, "no finite number", "a number")
        case _ if kind in _TYPES:
            return document.error("CFG-004", key, describe(value), _TYPES[kind])
        case _:
            signs = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
            bounds = [f"{text} {context[name]:g}" for name, text in signs.items() if name in context]
            return document.error("CFG-005", key, describe(value), " and ".join(bounds) or "another value")


def _noun(value: object) -> str:
    return "table" if isinstance(value, Mapping) else "list"


def _missing(model: type[BaseModel], document: Document, path: Key) -> ConfigError:
    field = _field(model, path)
    key = document.origin(_bare(path))
    table = f"under [{written(key[:-1])}]" if key[:-1] else "at the top of the file"
    if field.examples:
        remedy = f"Write {written(key[-1:])} = {field.examples[0]} {table}"
    elif get_origin(field.annotation) is dict:
        remedy = f"Add a table [{written(key)}.NAME]"
    else:
        remedy = f"Add the table [{written(key)}]"
    return document.error("CFG-003", key, "missing", "", remedy)


def _unknown(model: type[BaseModel], document: Document, path: Key) -> ConfigError:
    name, known, key = str(path[-1]), _keys(model, path[:-1]), _bare(path)
    where = f"[{written(key[:-1])}]" if key[:-1] else "this file"
    if name in _keys(model, (*path[:-2], *_OTHER.get(path[-2:-1], ()))):
        shape = _CALLED[path[-2]]
        return document.error(
            "CFG-007", key, f"a key that {shape} does not have", f"one of {', '.join(known)}"
        )
    near = nearest(name, known)
    if near:
        return document.error("CFG-007", key, "unknown key", f"a key of {where}", f"Did you mean {near}?")
    return document.error("CFG-007", key, "unknown key", f"one of {', '.join(known)}")


_OTHER: dict[Key, Key] = {(PEER,): (FOLDER,), (FOLDER,): (PEER,)}
_CALLED: dict[str | int, str] = {PEER: "a DICOM peer", FOLDER: "a folder"}


def _keys(model: type[BaseModel], path: Key) -> list[str]:
    table = _table(model, path)
    return list(fields_of(table)) if table else []


def fields_of(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """Those of private bases last: what makes a table what it is stands above what it shares with others."""
    shared = {name for base in model.__mro__[1:] if base.__name__[0] == "_" for name in base.__annotations__}
    mine = {name: one for name, one in model.model_fields.items() if name not in shared}
    return {**mine, **model.model_fields}


def _table(model: type[BaseModel], path: Key) -> type[BaseModel] | None:
    """The model of the table at `path`; None for a table of free names."""
    here: Any = model
    for part in path:
        if isinstance(part, int):
            continue
        if part in _TAGS:
            here = _shape(here, part)
            continue
        here = _shape(here)
        if isinstance(here, type) and issubclass(here, BaseModel):
            field = here.model_fields.get(part)
            here = field.annotation if field else None
        elif get_origin(here) is dict:
            here = get_args(here)[1]
        else:
            return None
    here = _shape(here)
    return here if isinstance(here, type) and issubclass(here, BaseModel) else None


def _shape(annotation: Any, tag: str = "") -> Any:
    """Of what has several shapes the one of that tag, or the first; of one table or a list of them, the table."""
    if get_origin(annotation) is Annotated and not _tag(annotation):
        annotation = get_args(annotation)[0]
    shapes = {_tag(one): get_args(one)[0] for one in get_args(annotation) if _tag(one)}
    return shapes.get(TABLE) or shapes.get(tag) or next(iter(shapes.values()), annotation)


def _tag(annotation: Any) -> str:
    found = getattr(annotation, "__metadata__", ())
    return next((str(one.tag) for one in found if isinstance(one, Tag)), "")


def _field(model: type[BaseModel], path: Key) -> FieldInfo:
    table = _table(model, path[:-1])
    return table.model_fields[str(path[-1])] if table else FieldInfo()
