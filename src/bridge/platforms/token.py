"""What proves who we are: a token of the account's own file, not tried again and again once it was refused."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Protocol

from bridge.errors import Unauthorized
from bridge.platforms.protocol import Account

REST_S = 60.0
"""A refused token is tried once a minute: a queue of jobs must not look like an attack on the platform."""


class Credential(Protocol):
    """Gives the `Authorization` header of a request to the API's origin."""

    async def header(self) -> str:
        """Raises Unauthorized: nothing is sent; TryLater: one cannot be had now."""

    async def answered(self, header: str, status: int) -> bool:
        """Told the status of the answer to each request that carried the header; whether to send it once more,
        with another."""


class Bearer:
    """Gives the header. Of a refused token only the digest is remembered: a renewed file counts at once."""

    def __init__(self, account: Account, clock: Callable[[], float]) -> None:
        self._account = account
        self._clock = clock
        self._refused: tuple[str, float] | None = None

    async def header(self) -> str:
        """Raises Unauthorized: NET-005, the token cannot be sent; NET-009, it was refused a moment ago."""
        header = f"Bearer {clean(self._account)}"
        if self._refused is not None:
            digest, until = self._refused
            if digest == digest_of(header) and self._clock() < until:
                raise refused_before(self._account)
        return header

    async def answered(self, header: str, status: int) -> bool:
        """A second request would carry the same."""
        if status == 401:
            self._refused = (digest_of(header), self._clock() + REST_S)
        return False


def clean(account: Account) -> str:
    """What stands in the account's token_file. Raises Unauthorized: NET-005."""
    token = account.token.reveal().strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise Unauthorized(
            "NET-005",
            f"the token of account {account.name!r} is empty or holds spaces or control characters",
            "one line with the token alone",
            "Write the token into the account's token_file again",
        )
    return token


def refused_before(account: Account) -> Unauthorized:
    return Unauthorized(
        "NET-009",
        f"the platform refused the token of account {account.name!r} less than a minute ago",
        "another token",
        "Make a new one at the platform and write it into the account's token_file",
    )


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
