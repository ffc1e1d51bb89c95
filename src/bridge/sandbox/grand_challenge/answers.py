"""What handlers share: the call, the refusals, lists with their pages, links by path."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit
from uuid import UUID

from bridge.sandbox.loopback.server import Request, Response

from .objects import User

MOST_JSON_BYTES = 16 * 1024 * 1024
PAGE, LARGEST_PAGE = 100, 1000

UNAUTHENTICATED = "Authentication credentials were not provided."
FORBIDDEN = "You do not have permission to perform this action."
NOT_FOUND = "Not found."
NO_OBJECT = "Invalid hyperlink - Object does not exist."
REQUIRED = "This field is required."

T = TypeVar("T")


class Answered(Exception):
    """Ends a handler early with this response."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


def refuse(status: int, body: Any, *headers: tuple[str, str]) -> Answered:
    return Answered(Response.of_json(status, body, *headers))


def detail(status: int, text: str) -> Answered:
    challenge = (("WWW-Authenticate", "Bearer"),) if status == 401 else ()
    return refuse(status, {"detail": text}, *challenge)


def page_500() -> Answered:
    """The platform's own crash: a page, not JSON."""
    return Answered(Response.of_html(500))


def not_a_list(value: object) -> str:
    return f'Expected a list of items but got type "{type(value).__name__}".'


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request that found its route; `user` is None for a caller without a token."""

    request: Request
    user: User | None
    arguments: tuple[str, ...]
    url: str

    @property
    def known_user(self) -> User:
        if self.user is None:
            raise detail(401, UNAUTHENTICATED)
        return self.user

    def json(self) -> dict[str, Any]:
        """The body. Raises Answered 400, 413, 415 as the platform's framework does."""
        kind = self.request.headers.get_content_type()
        if self.request.body.size and kind != "application/json":
            raise detail(415, f'Unsupported media type "{kind}" in request.')
        if self.request.body.size > MOST_JSON_BYTES:
            raise Answered(Response.of_html(413))
        try:
            value = json.loads(self.request.body.whole() or b"{}")
        except ValueError as exc:
            raise detail(400, f"JSON parse error - {exc}") from None
        if not isinstance(value, dict):
            found = f"Invalid data. Expected a dictionary, but got {type(value).__name__}."
            raise refuse(400, {"non_field_errors": [found]})
        return value


def listing(call: Call, items: Sequence[T], write: Callable[[T], Any]) -> Response:
    """One page: `limit` (100; 0 or nonsense acts as 100; at most 1000) and `offset`."""
    given = call.request.parameters
    limit = min(_number(given.get("limit")) or PAGE, LARGEST_PAGE)
    offset = _number(given.get("offset"))
    following = offset + limit if offset + limit < len(items) else None
    preceding = max(0, offset - limit) if offset else None
    return Response.of_json(
        200,
        {
            "count": len(items),
            "next": _page_url(call, limit, following),
            "previous": _page_url(call, limit, preceding),
            "results": [write(item) for item in items[offset : offset + limit]],
        },
    )


def _number(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() else 0


def _page_url(call: Call, limit: int, offset: int | None) -> str | None:
    if offset is None:
        return None
    query = dict(parse_qsl(call.request.query, keep_blank_values=True))
    query["limit"] = str(limit)
    if offset:
        query["offset"] = str(offset)
    else:
        query.pop("offset", None)
    return f"{call.url}?{urlencode(sorted(query.items()))}"


def is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def choice(call: Call, name: str, known: Callable[[str], bool]) -> str | None:
    """A filter by primary key: None when not given. Raises Answered 400 when it names nothing."""
    value = call.request.parameters.get(name)
    if not value:
        return None
    if not is_uuid(value):
        raise refuse(400, {name: [f"“{value}” is not a valid UUID."]})
    if not known(value):
        raise refuse(400, {name: ["Select a valid choice. That choice is not one of the available choices."]})
    return value


class BadLink(ValueError):
    """A link in a body; the text is the platform's sentence."""


def linked(link: object, route: str) -> str:
    """The primary key in a link to `route` ("cases/images"); only the path counts. Raises BadLink."""
    if not isinstance(link, str):
        raise BadLink(f"Incorrect type. Expected URL string, received {type(link).__name__}.")
    path = urlsplit(link).path if link.startswith(("http:", "https:")) else link
    match = re.fullmatch(r"/api/v1/([a-z/-]+)/([^/.]+)/", path)
    if not match:
        raise BadLink("Invalid hyperlink - No URL match.")
    if match[1] != route:
        raise BadLink("Invalid hyperlink - Incorrect URL match.")
    return match[2]


def pk_of(call: Call) -> str:
    """The pk in the path. Raises Answered 404 when it is none."""
    if not is_uuid(call.arguments[0]):
        raise detail(404, NOT_FOUND)
    return call.arguments[0]


def no_match(model: str) -> Answered:
    return detail(404, f"No {model} matches the given query.")
