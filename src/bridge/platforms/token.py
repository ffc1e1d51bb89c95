"""The account's token: read from its file for each request, and not tried again and again once it was refused."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from bridge.errors import Unauthorized
from bridge.platforms.protocol import Account

REST_S = 60.0
"""A refused token is tried once a minute: a queue of jobs must not look like an attack on the platform."""


class Bearer:
    """Gives the header. Of a refused token only the digest is remembered: a renewed file counts at once."""

    def __init__(self, account: Account, clock: Callable[[], float]) -> None:
        self._account = account
        self._clock = clock
        self._refused: tuple[str, float] | None = None

    def header(self) -> str:
        """Raises Unauthorized: NET-005, the token cannot be sent; NET-009, it was refused a moment ago."""
        header = f"Bearer {self._token()}"
        if self._refused is not None:
            digest, until = self._refused
            if digest == _digest(header) and self._clock() < until:
                raise Unauthorized(
                    "NET-009",
                    f"the platform refused the token of account {self._account.name!r} less than a minute ago",
                    "another token",
                    "Make a new one at the platform and write it into the account's token_file",
                )
        return header

    def answered(self, header: str, status: int) -> None:
        """Told the status of the answer to each request that carried the header."""
        if status == 401:
            self._refused = (_digest(header), self._clock() + REST_S)

    def _token(self) -> str:
        token = self._account.token.reveal().strip()
        if not token or not token.isascii() or not token.isprintable() or " " in token:
            raise Unauthorized(
                "NET-005",
                f"the token of account {self._account.name!r} is empty or holds spaces or control characters",
                "one line with the token alone",
                "Write the token into the account's token_file again",
            )
        return token


def _digest(header: str) -> str:
    return hashlib.sha256(header.encode()).hexdigest()
