"""Archives and their items: images and values that are already at the platform."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from bridge.sandbox.loopback.server import Response

from .answers import (
    FORBIDDEN,
    NO_OBJECT,
    REQUIRED,
    BadLink,
    Call,
    choice,
    detail,
    linked,
    listing,
    no_match,
    not_a_list,
    pk_of,
    refuse,
)
from .imports import ImportFailed, Imports
from .inputs import Inputs
from .objects import Archive, ArchiveItem, Pending, SocketValue
from .platform import Platform
from .wire import Wire


class ArchiveEndpoints:
    def __init__(self, platform: Platform, wire: Wire, inputs: Inputs, imports: Imports) -> None:
        self._platform, self._wire = platform, wire
        self._inputs, self._imports = inputs, imports

    def list(self, call: Call) -> Response:
        slug = call.request.parameters.get("slug")
        archives = [a for a in self._visible(call) if slug in (None, "", a.slug)]
        return listing(call, archives, self._wire.archive)

    def read(self, call: Call) -> Response:
        archive = self._platform.archives.get(pk_of(call))
        if archive is None or archive not in self._visible(call):
            raise no_match("Archive")
        return Response.of_json(200, self._wire.archive(archive))

    def items(self, call: Call) -> Response:
        archive = choice(call, "archive", lambda pk: pk in self._platform.archives)
        items = list(self._platform.items.values()) if self._visible(call) else []
        return listing(call, [i for i in items if archive in (None, i.archive)], self._wire.item)

    def item(self, call: Call) -> Response:
        return Response.of_json(200, self._wire.item(self._item(call)))

    def create(self, call: Call) -> Response:
        """An empty item; values come by PATCH."""
        user = call.known_user
        body = call.json()
        if not user.may_run:
            raise detail(403, FORBIDDEN)
        if body.get("values"):
            raise refuse(400, ["Values can only be added via update"])
        try:
            link = body.get("archive")
            archive = self._platform.archives.get(linked(link, "archives")) if link else None
        except BadLink as exc:
            raise refuse(400, {"archive": [str(exc)]}) from None
        if archive is None:
            raise refuse(400, {"archive": [NO_OBJECT if link else REQUIRED]})
        item = ArchiveItem(
            pk=str(uuid4()), archive=archive.pk, creator=user.pk, title=str(body.get("title", ""))
        )
        with self._platform.lock:
            self._platform.items[item.pk] = item
        return Response.of_json(201, self._wire.posted_item(item))

    def update(self, call: Call) -> Response:
        """Values are put in place of those at the same sockets; PUT leaves no others. Files are imported first."""
        user, item, body = call.known_user, self._item(call), call.json()
        given = body.get("values", [])
        if not isinstance(given, list):
            raise refuse(400, {"values": {"non_field_errors": [not_a_list(given)]}})
        with self._platform.lock:
            drafts, errors = self._inputs.drafts(given, user)
            if any(errors):
                raise refuse(400, {"values": errors})
            bound, pending = self._inputs.take(drafts, user)
        values = bound + self._imported(pending, user.pk)
        fresh = {value.socket.slug for value in values}
        kept = () if call.request.method == "PUT" else item.values
        changes: dict[str, Any] = {"values": (*(v for v in kept if v.socket.slug not in fresh), *values)}
        if "title" in body:
            changes["title"] = str(body["title"])
        changed = self._platform.change_item(item.pk, **changes)
        return Response.of_json(200, self._wire.posted_item(changed))

    def _imported(self, pending: tuple[Pending, ...], creator: int) -> tuple[SocketValue, ...]:
        """Those that could be imported; the others say why in their session, as on the platform."""
        values = []
        for one in pending:
            try:
                values.append(self._imports.bind(one, creator))
            except ImportFailed:
                continue
        return tuple(values)

    def _visible(self, call: Call) -> tuple[Archive, ...]:
        return tuple(self._platform.archives.values()) if call.user and call.user.may_run else ()

    def _item(self, call: Call) -> ArchiveItem:
        item = self._platform.items.get(pk_of(call))
        if item is None or not self._visible(call):
            raise no_match("ArchiveItem")
        return item
