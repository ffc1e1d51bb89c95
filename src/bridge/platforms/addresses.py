"""Where an address leads: origins decide which client may go there."""

from __future__ import annotations

import httpx

from bridge.errors import Damaged

Origin = tuple[str, str, int]


def origin_of(url: str) -> Origin | None:
    """Scheme, host and port, RFC 6454; None where it is no address."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        return None
    port = parsed.port or {"https": 443, "http": 80}.get(parsed.scheme)
    return (parsed.scheme, parsed.host.lower(), port) if parsed.host and port else None


def is_private(origin: Origin | None) -> bool:
    """Whether nobody on the way can read along: https, or this machine."""
    return origin is not None and (origin[0] == "https" or origin[1] in ("127.0.0.1", "::1", "localhost"))


def host_of(url: str) -> str:
    origin = origin_of(url)
    if origin is None:
        return "an unreadable address"
    return origin[1] if origin[2] == 443 else f"{origin[1]}:{origin[2]}"


def must_be_private(url: str) -> None:
    """Raises Damaged: NET-006, images would travel for everybody on the way to see."""
    if not is_private(origin_of(url)):
        raise Damaged("NET-006", f"the platform gave an address at {host_of(url)} without https", "https")


def next_hop(url: str, location: str) -> str:
    """Where a redirect leads; byte for byte what was said, for it may be signed, unless it came without a host."""
    try:
        return location if "://" in location else str(httpx.URL(url).join(location))
    except httpx.InvalidURL:
        return ""
