"""A TOML file as values, and the line and column of every key in it.

`tomllib` reads the values and is the judge of the grammar; tree-sitter remembers the places, which `tomllib` forgets.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bridge.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tree_sitter import Node

Key = tuple[str | int, ...]
"""Where a value stands: the names of tables and keys from the top of the file; a number counts in a list, from 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Line and column of a key, both from 1; the column counts characters."""

    line: int
    column: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A TOML file that could be read: its values, and where each of them is written."""

    file: Path
    data: dict[str, Any]
    places: Mapping[Key, Place] = field(repr=False)
    inherits: Mapping[Key, Key] = field(default_factory=dict, repr=False)
    """By key that is not written in its place, the one that its value comes from."""

    def place_of(self, key: Key) -> Place:
        """Where `key` is written; for a key that is not, the nearest table around it."""
        while key and key not in self.places:
            key = key[:-1]
        return self.places.get(key, Place(line=1, column=1))

    def origin(self, key: Key) -> Key:
        """Where the value of `key` comes from: another key, when it is inherited."""
        for length in range(len(key), 0, -1):
            if (source := self.inherits.get(key[:length])) is not None:
                return (*source, *key[length:])
        return key

    def error(self, code: str, key: Key, found: str, expected: str = "", remedy: str = "") -> ConfigError:
        """A problem of this file at the place where `key` comes from."""
        key = self.origin(key)
        place, file = self.place_of(key), str(self.file)
        return ConfigError(
            code, found, expected, remedy, file=file, line=place.line, column=place.column, key=written(key)
        )


def read_document(file: Path) -> Document:
    """Read a TOML file.

    Raises ConfigError: CFG-001, the file cannot be opened or is not UTF-8; CFG-002, it is no TOML.
    """
    try:
        # Some editors put a byte order mark in front, which TOML 1.0 does not allow and nobody can see.
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(
            "CFG-001",
            f"the file cannot be opened ({(error.strerror or 'unknown reason').lower()})",
            "a file that this user may read",
            "Check the path and the rights of the file",
            file=str(file),
        ) from None
    except UnicodeDecodeError:
        raise ConfigError(
            "CFG-001", "the file is not UTF-8", "text in UTF-8", "Save it again as UTF-8", file=str(file)
        ) from None
    root = _tree(text)
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _syntax_error(file, str(error), root) from None
    return Document(file=file, data=data, places=_places(root, text))


def raise_first(problems: Iterable[ConfigError]) -> None:
    """Raise the problem that stands first in the file, with the `others` behind it; return when there is none.

    What several rules inherit is said once.
    """
    different = {str(problem): problem for problem in problems}
    ordered = sorted(
        different.values(), key=lambda problem: (problem.line, problem.column, problem.key, problem.found)
    )
    if ordered:
        ordered[0].others = tuple(ordered[1:])
        raise ordered[0]


def nearest(name: str, known: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """The known name that `name` was probably meant to be, or None. `cutoff`: likeness from 0 to 1."""
    folded = {one.casefold(): one for one in sorted(known)}
    close = get_close_matches(name.casefold(), folded, n=1, cutoff=cutoff)
    return folded[close[0]] if close else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A remedy that names the nearest right spelling, "" when nothing is near."""
    near = nearest(name, known)
    return f"Did you mean {near}?" if near else ""


def written(key: Key) -> str:
    """A key as it could stand in the file: `destinations.pacs.retry_s[2]`."""
    text = ""
    for part in key:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            plain = part if re.fullmatch(r"[A-Za-z0-9_-]+", part) else f'"{part}"'
            text += f".{plain}" if text else plain
    return text


_REMEDIES = {
    "Invalid value": 'Text needs quotes: key = "text"; yes and no are written true and false',
    "Cannot overwrite a value": "The key is written twice: keep one of them",
    "Cannot declare": "The table is written twice: join the two",
    "Cannot mutate immutable namespace": "The table is written twice: join the two",
    "Unclosed array": "Close the list with ]",
    "Unclosed inline table": "Close the table with }",
    "Expected ']'": "Close the name of the table with ]",
    "Illegal character '\\n'": "Close the text with a quotation mark on the same line",
    "Unescaped '\\'": "Double the backslash, or use single quotes: 'text'",
    "Unterminated string": "Close the text with the quotation marks that opened it",
    "Expected '='": "Each line is key = value",
    "Invalid initial character for a key part": "A table in { } stands on one line, with no comma at its end",
    "Invalid statement": "Each line is key = value, [table] or a # comment",
}
"""What to do, by the beginning of what `tomllib` says."""


def _syntax_error(file: Path, said: str, root: Node) -> ConfigError:
    message, _, where = said.rpartition(" (at ")
    numbered = re.match(r"line (\d+), column (\d+)", where)
    # Where the parser gave up on a bracket that was never closed is of less use than the bracket.
    useful = numbered if not message.startswith("Unclosed") else None
    place = Place(line=int(useful[1]), column=int(useful[2])) if useful else _first_damage(root)
    remedy = next((text for start, text in _REMEDIES.items() if message.startswith(start)), "")
    # tomllib names tables as Python tuples.
    message = re.sub(r"\('(.*)',?\)", lambda names: f"[{names[1]}]".replace("', '", "."), message)
    found = message[:1].lower() + message[1:]
    found = f"not valid TOML: {found}"
    return ConfigError("CFG-002", found, "", remedy, file=str(file), line=place.line, column=place.column)


def _first_damage(node: Node) -> Place:
    for child in node.children:
        if child.is_error or child.is_missing:
            return _place_of(child.start_point)
        if child.has_error:
            return _first_damage(child)
    return _place_of(node.end_point)


def _place_of(point: tuple[int, int]) -> Place:
    return Place(line=point[0] + 1, column=point[1] + 1)


def _tree(text: str) -> Node:
    import tree_sitter_toml
    from tree_sitter import Language, Parser

    return Parser(Language(tree_sitter_toml.language())).parse(text.encode()).root_node


def _places(root: Node, text: str) -> dict[Key, Place]:
    lines = text.encode().split(b"\n")
    places: dict[Key, Place] = {}
    elements: dict[Key, int] = {}

    def remember(key: Key, node: Node) -> None:
        row, column = node.start_point
        characters = len(lines[row][:column].decode(errors="replace"))
        places.setdefault(key, Place(line=row + 1, column=characters + 1))

    def descend(key: Key, names: Sequence[tuple[str, Node]]) -> Key:
        for name, node in names:
            key = (*key, name)
            remember(key, node)
            # [fruit.size] after [[fruit]] speaks of the latest element.
            if key in elements:
                key = (*key, elements[key])
        return key

    def value(key: Key, node: Node) -> None:
        if node.type == "inline_table":
            pairs(key, node)
        elif node.type == "array":
            for index, item in enumerate(child for child in node.named_children if child.type != "comment"):
                remember((*key, index), item)
                value((*key, index), item)

    def pairs(key: Key, node: Node) -> None:
        for pair in node.named_children:
            if pair.type == "pair":
                name, content = (child for child in pair.named_children if child.type != "comment")
                value(descend(key, list(_names(name))), content)

    pairs((), root)
    for table in root.named_children:
        if table.type not in {"table", "table_array_element"}:
            continue
        names = list(_names(table.named_children[0]))
        if table.type == "table":
            key = descend((), names)
        else:
            around = descend((), names[:-1])
            name, node = names[-1]
            key = (*around, name)
            remember(key, node)
            elements[key] = elements.get(key, -1) + 1
            key = (*key, elements[key])
            remember(key, node)
        pairs(key, table)
    return places


def _names(node: Node) -> Iterator[tuple[str, Node]]:
    if node.type == "dotted_key":
        for child in node.named_children:
            yield from _names(child)
    else:
        text = (node.text or b"").decode()
        # A quoted key has the escapes of a text: let the judge of the grammar read it.
        yield (text if node.type == "bare_key" else next(iter(tomllib.loads(f"{text} = 0")))), node
