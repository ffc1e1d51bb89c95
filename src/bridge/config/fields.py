"""Kinds of values in our files, each with the sentence that says what is wrong with one."""

from __future__ import annotations

import ipaddress
import re
from datetime import date
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, Strict, ValidationInfo

from bridge.config.validate import bad, describe


def _ae_title(value: str) -> str:
    """PS3.5 6.2: VR AE, 16 characters of the default repertoire, padding is not significant."""
    title = value.strip(" ")
    wrong = (
        "an empty AE title"
        if not title
        else f"{len(title)} characters"
        if len(title) > 16
        else "a backslash"
        if "\\" in title
        else "a character that is not printable ASCII"
        if not (title.isascii() and title.isprintable())
        else ""
    )
    if wrong:
        raise bad(wrong, "an AE title: 1 to 16 printable ASCII characters without backslash")
    return title


def _name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", value):
        raise bad(
            f'the name "{value[:40]}"',
            "letters, digits, - and _, at most 64, beginning with a letter or digit",
        )
    return value


def _day(value: str) -> str:
    try:
        return date.fromisoformat(value).isoformat() if value else value
    except ValueError:
        raise bad(describe(value), 'year, month and day in quotes, such as "2027-01-31"') from None


def _uid_root(value: str) -> str:
    """PS3.5 9.1. Behind the root come a dot and up to 39 digits, and a UID has at most 64 characters."""
    if value and not re.fullmatch(r"[0-2](\.(0|[1-9][0-9]*))+", value):
        raise bad(describe(value), "a UID: numbers without leading zeros, with dots between them")
    if len(value) > 24:
        raise bad(f"{len(value)} characters", "at most 24, so that 39 digits fit behind them")
    return value


def _host(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._:-]+", value) or "://" in value:
        raise bad(describe(value), "a host name or an IP address", "Leave out http://, port and path")
    return value


def _path(value: object, info: ValidationInfo) -> object:
    """Relative paths begin at the folder of the file that names them, wherever the bridge is started."""
    if not isinstance(value, str):
        return value
    if not value.strip() or "\0" in value:
        raise bad(describe(value), "the path of a file or folder")
    assert isinstance(info.context, Path)
    return info.context / value


def _url(value: str) -> str:
    parts = _split(value)
    if parts.scheme == "http" and _is_loopback(parts.hostname or ""):
        return value
    if parts.scheme != "https":
        raise bad(
            f"an address that begins with {parts.scheme or 'no'}://",
            "https://",
            "http is for this machine only",
        )
    return value


def _proxy(value: str) -> str:
    parts = _split(value)
    if parts.scheme not in {"http", "https"}:
        raise bad(
            f"an address that begins with {parts.scheme or 'no'}://", "http://host:port or https://host:port"
        )
    return value


def _split(value: str) -> SplitResult:
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise bad("no web address", "for example https://host:443/path") from None
    if parts.username is not None or parts.password is not None:
        # The address is not repeated: what stands before the @ is a secret.
        raise bad(
            "a user name or password in the address", "an address without them", "Remove all before the @"
        )
    if parts.query or parts.fragment:
        raise bad("an address with ? or #", "scheme, host and path only")
    if parts.scheme and not host:
        raise bad("an address without a host", "for example https://host/path")
    return parts


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


Text = Annotated[str, Field(min_length=1)]
Day = Annotated[str, AfterValidator(_day)]
AETitle = Annotated[str, AfterValidator(_ae_title)]
Name = Annotated[str, AfterValidator(_name)]
Host = Annotated[str, AfterValidator(_host)]
Port = Annotated[int, Field(ge=1, le=65535)]
FilePath = Annotated[Path, BeforeValidator(_path)]
Seconds = Annotated[float, Field(gt=0, le=30 * 86400)]
Pauses = Annotated[tuple[Seconds, ...], Strict(False), Field(min_length=1)]
"""Seconds before the second, third ... attempt; the last one repeats."""
Then = Literal["go-on", "hold", "alert"]
Purpose = Literal["clinical", "research"]
UidRoot = Annotated[str, AfterValidator(_uid_root)]
Url = Annotated[str, AfterValidator(_url)]
"""https, or http on this machine; without credentials."""
ProxyUrl = Annotated[str, AfterValidator(_proxy)]
