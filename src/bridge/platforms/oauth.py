"""OAuth 2.0 client credentials (RFC 6749 4.4): one token for all jobs of an account, asked for as seldom as can be.

The token stands in the account's secrets, under a digest of what it was asked with: it outlives the process, and an
exchanged secret counts at once. Providers count the tokens they give, so two jobs that find it expired ask once.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable

from bridge.errors import TryLater, Unauthorized
from bridge.export.parcel import Json
from bridge.platforms.addresses import host_of
from bridge.platforms.answer import Answer
from bridge.platforms.protocol import Account
from bridge.platforms.token import REST_S, clean, digest_of, refused_before

REFUSED = (400, 401, 403)
DAY_S = 86_400.0

Ask = Callable[[str, str, Json], Awaitable[Answer]]


class ClientCredentials:
    """`token_url`: where a token is asked for; the client's secret is what stands in the account's token_file.

    `ask`: sends a method and JSON to an address without any token. `clock`: seconds since 1970. Used from one event
    loop at a time.
    """

    def __init__(
        self,
        account: Account,
        ask: Ask,
        *,
        token_url: str,
        audience: str,
        client_id: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._account, self._ask, self._clock = account, ask, clock
        self._url, self._audience, self._client_id = token_url, audience, client_id
        self._refused: tuple[str, float] | None = None
        self._replaced: tuple[str, float] | None = None
        self._quiet_until = 0.0
        self._turn: tuple[asyncio.AbstractEventLoop, asyncio.Lock] | None = None

    async def header(self) -> str:
        """Raises Unauthorized: NET-005, NET-009 (nothing is asked), NET-013 (refused); TryLater: NET-014, NET-015."""
        secret = clean(self._account)
        name = self._name(secret)
        known = self._known(name)
        if known:
            return known
        async with self._lock():
            # Another job may have asked while this one waited for its turn.
            known = self._known(name)
            return known or await self._new(secret, name)

    async def answered(self, header: str, status: int) -> bool:
        """A refused token is given up and another asked for, once a minute; then the secret itself is at fault."""
        if status != 401:
            return False
        name = self._name(clean(self._account))
        if self._known(name) != header:
            return True  # another job was told before us
        now = self._clock()
        await asyncio.to_thread(self._account.secrets.drop, name)
        if self._replaced is not None and self._replaced[0] == name and now < self._replaced[1]:
            self._refused = (name, now + REST_S)
            return False
        self._replaced = (name, now + REST_S)
        return True

    def _name(self, secret: str) -> str:
        words = json.dumps([self._url, self._audience, self._client_id, secret])
        return f"token/{self._account.name}/{digest_of(words)}"

    def _known(self, name: str) -> str:
        """The header, while it is good; "" without one."""
        if self._refused is not None and self._refused[0] == name and self._clock() < self._refused[1]:
            raise refused_before(self._account)
        try:
            kept = json.loads(self._account.secrets.get(name) or "{}")
            return str(kept["header"]) if self._clock() < float(kept["until"]) else ""
        except (ValueError, TypeError, KeyError):
            return ""

    async def _new(self, secret: str, name: str) -> str:
        began = self._clock()
        if began < self._quiet_until:
            raise self._busy(self._quiet_until - began)
        answer = await self._ask(
            "POST",
            self._url,
            {
                "grant_type": "client_credentials",
                "audience": self._audience,
                "client_id": self._client_id,
                "client_secret": secret,
            },
        )
        if answer.status in REFUSED:
            self._refused = (name, self._clock() + REST_S)
            raise self._no(answer.status)
        if answer.status == 429:
            wait_s = answer.retry_after_s() or REST_S
            self._quiet_until = self._clock() + wait_s
            raise self._busy(wait_s)
        if not 200 <= answer.status < 300:
            raise TryLater(
                "NET-015",
                f"{host_of(self._url)} answered with HTTP {answer.status} instead of a token",
                "a token",
                "If this lasts, look at the account's token_url",
                {"status": answer.status},
                after_s=answer.retry_after_s(),
            )
        header, lifetime_s = _read(answer, self._url)
        # Ours to the second before its end would be the platform's past it.
        kept = {"header": header, "until": began + lifetime_s - min(300.0, 0.1 * lifetime_s)}
        await asyncio.to_thread(self._account.secrets.put, name, json.dumps(kept))
        return header

    def _no(self, status: int) -> Unauthorized:
        return Unauthorized(
            "NET-013",
            f"{host_of(self._url)} gives account {self._account.name!r} no token (HTTP {status})",
            "client id and secret that it knows, for this audience",
            "Write the client's secret into the account's token_file, and look at client_id and audience",
            {"status": status},
        )

    def _busy(self, wait_s: float) -> TryLater:
        return TryLater(
            "NET-014",
            f"{host_of(self._url)} gives no more tokens for {wait_s:.0f} s",
            numbers={"wait_s": round(wait_s, 1)},
            after_s=wait_s,
        )

    def _lock(self) -> asyncio.Lock:
        loop = asyncio.get_running_loop()
        if self._turn is None or self._turn[0] is not loop:
            self._turn = (loop, asyncio.Lock())
        return self._turn[1]


def _read(answer: Answer, url: str) -> tuple[str, float]:
    """Header and lifetime in seconds; RFC 6749 5.1."""
    try:
        told = json.loads(answer.body)
        token, kind = str(told["access_token"]), str(told.get("token_type") or "Bearer")
        lifetime_s = float(told.get("expires_in") or DAY_S)
        if not token or not token.isascii() or not token.isprintable() or " " in token:
            raise ValueError
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise TryLater(
            "NET-015", f"{host_of(url)} answered with something other than a token", "JSON with access_token"
        ) from None
    return f"{'Bearer' if kind.casefold() == 'bearer' else kind} {token}", lifetime_s
