"""Images that are at the platform already: which one an order means."""

from __future__ import annotations

from bridge.errors import Held, Never, TryLater
from bridge.export.parcel import Json
from bridge.platforms.grand_challenge.api import Api
from bridge.platforms.grand_challenge.names import pk_of
from bridge.platforms.grand_challenge.shapes import SocketValue
from bridge.platforms.grand_challenge.states import phase_of
from bridge.platforms.protocol import Phase, Verdict

LOOK_AGAIN_S = 60.0


async def resolve(api: Api, socket: str, address: str) -> dict[str, Json]:
    """The note with id and address of the image that `address` (of the order's details) names for a socket.

    Raises:
        Never: GC-225, it is gone or not visible, or its job gave none.
        Held: GC-226, an archive's item has several.
        TryLater: GC-227, its job has not ended.
    """
    way, _, rest = address.partition("/")
    pk, _, wanted = rest.partition("/")
    try:
        match way:
            case "image":
                image = pk
            case "archive_item":
                image = _of_item((await api.archive_item(pk)).values, wanted or socket, is_named=bool(wanted))
            case _:
                image = await _of_job(api, pk, wanted)
        seen = await api.image(image)
    except Never as error:
        if error.code not in ("GC-116", "GC-113"):
            raise
        raise _gone(socket) from None
    return {"pk": seen.pk, "api_url": seen.api_url}


def _of_item(values: tuple[SocketValue, ...], socket: str, *, is_named: bool) -> str:
    """The image at the socket of that name; where none was named, the only one of the item will do."""
    images = {value.socket.slug: pk_of(value.image) for value in values if value.image}
    if socket in images:
        return images[socket]
    if is_named or not images:
        raise _gone(socket)
    if len(images) > 1:
        raise Held(
            "GC-226",
            f"the archive's item for {socket} has {len(images)} images",
            "one, or the name of its socket",
            'Add `socket = "…"` to the value of the rule, with one of ' + ", ".join(sorted(images)),
        )
    return next(iter(images.values()))


async def _of_job(api: Api, pk: str, socket: str) -> str:
    job = await api.job(pk)
    phase, verdict = phase_of(job.status)
    if phase is not Phase.ENDED:
        raise TryLater("GC-227", "the earlier job has not ended", "its outputs", after_s=LOOK_AGAIN_S)
    for value in job.outputs:
        if value.socket.slug == socket and value.image and verdict is Verdict.DONE:
            return pk_of(value.image)
    raise _gone(socket)


def _gone(socket: str) -> Never:
    return Never(
        "GC-225",
        f"the image at the platform that is named for {socket} is gone or not visible",
        "one that this account may see",
        "Look for it at the platform with this account, and mend the rule",
    )
