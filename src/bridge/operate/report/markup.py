"""The one helper through which every word of the page goes: text is escaped unless it is `Html` already."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable

VOID = frozenset({"img", "input", "meta", "br", "hr"})
"""Elements without content and end tag (HTML 13.1.2)."""

_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Controls, lone surrogates, and marks that turn the direction of writing: they could make a text look like another."""


class Html(str):
    """Markup that may stand in the page as it is."""

    __slots__ = ()


Content = str | int | None | Iterable["Content"]


def tag(name: str, /, *content: Content, **attributes: str | int | bool | None) -> Html:
    """An element.

    Args:
        content: `Html` as it is, other text escaped, None left out, lists unfolded.
        attributes: `class_` is `class` and `aria_label` is `aria-label`; True is an attribute without a value, False
            and None leave it out. Names are the caller's own, never data.
    """
    written = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in VOID:
        return Html(f"<{name}{written}>")
    return Html(f"<{name}{written}>{join(content)}</{name}>")


def join(content: Content) -> Html:
    """Contents one after the other."""
    if content is None:
        return Html("")
    if isinstance(content, Html):
        return content
    if isinstance(content, str | int):
        return Html(_escaped(str(content)))
    return Html("".join(join(one) for one in content))


def _attribute(key: str, value: str | int | bool | None) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{_escaped(str(value))}"'


def _escaped(text: str) -> str:
    return html.escape(_UNSEEN.sub("\ufffd", text), quote=True)
