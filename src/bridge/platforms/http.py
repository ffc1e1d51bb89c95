"""Two HTTP clients per account: one carries the token, to the API's origin only; one is bare, for storage.

A presigned or redirected address lies on another origin and must never see the token. httpx would send a client's
default `Authorization` to whatever address it is asked for, so the token is put on each request by hand, after the
origin was compared, and redirects are followed by hand.

No message names more of a request than method, host and, on the API's origin, the path: a query may hold a signature.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import httpx

from bridge.errors import ConfigError, Damaged
from bridge.export.parcel import Json
from bridge.platforms.addresses import host_of, is_private, must_be_private, next_hop, origin_of
from bridge.platforms.answer import Answer, Download
from bridge.platforms.breaker import Breaker
from bridge.platforms.failures import failed
from bridge.platforms.network import Clients, Network
from bridge.platforms.protocol import Account
from bridge.platforms.token import Bearer

__all__ = ["Answer", "Download", "Http", "Network"]

REDIRECTS = frozenset({301, 302, 303, 307, 308})
MOST_HOPS = 5


class Http:
    """The clients of one account. They belong to the event loop they are first used on.

    `clock`: seconds that never go back, for the breakers and for the rest of a refused token.
    """

    def __init__(
        self,
        account: Account,
        transport: httpx.AsyncBaseTransport | None = None,
        network: Network | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Raises ConfigError: NET-010, NET-011, NET-012 (address, authority file, proxy cannot be used)."""
        self.base_url = account.base_url.rstrip("/") + "/"
        self.origin = origin_of(self.base_url)
        if not is_private(self.origin):
            raise ConfigError(
                "NET-010",
                "the base URL is not an https address",
                "for example https://grand-challenge.org/api/v1/",
                key=f"accounts.{account.name}.base_url",
            )
        network = network or Network()
        self._factory = Clients(account, network, transport)
        self._bearer = Bearer(account, clock)
        self._api_breaker = _breaker(self.host, network, clock)
        self._storage_breaker = _breaker("storage", network, clock)
        self._clients: tuple[httpx.AsyncClient, httpx.AsyncClient] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def host(self) -> str:
        """Host and port of the API's origin."""
        return host_of(self.base_url)

    def away_s(self) -> float:
        """Seconds until the API is asked again after it failed too often in a row; 0 while it is asked."""
        return self._api_breaker.away_s()

    async def api(
        self,
        method: str,
        path: str,
        *,
        json: Json = None,
        params: Mapping[str, str | int] | None = None,
        commits: bool = False,
    ) -> Answer:
        """One request below the base URL, with the token. A redirect is an answer like any other.

        Raises:
            TryLater: NET-001, nothing was sent; NET-002, no whole answer came; NET-008, the breaker is open.
            Unsure: NET-003, no whole answer came and `commits`: the effect may have happened.
            Unauthorized: NET-004, the certificate is not trusted; NET-005, NET-009, the token is not sent.
        """
        client, _ = self._on_this_loop()
        what = f"{method} {path} at {self.host}"
        headers = {"Accept": "application/json", "Authorization": self._bearer.header()}
        try:
            with self._api_breaker.attempt() as attempt:
                response = await client.request(
                    method,
                    self.base_url + path,
                    headers=headers,
                    params=params,
                    json=json,
                )
                attempt.seen(response.status_code)
        except httpx.HTTPError as error:
            raise failed(error, what, commits=commits) from None
        self._bearer.answered(headers["Authorization"], response.status_code)
        return Answer(status=response.status_code, headers=response.headers, body=response.content)

    async def put(self, url: str, content: AsyncIterator[bytes], size_bytes: int) -> Answer:
        """PUT to a presigned address, bare. The length is told, or httpx would send chunks that S3 refuses.

        Raises TryLater: NET-001, NET-002, NET-008; Unauthorized: NET-004; Damaged: NET-006, not https.
        """
        must_be_private(url)
        _, client = self._on_this_loop()
        what = f"PUT to storage at {host_of(url)}"
        try:
            with self._storage_breaker.attempt() as attempt:
                response = await client.put(url, content=content, headers={"Content-Length": str(size_bytes)})
                attempt.seen(response.status_code)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise failed(error, what, commits=False) from None
        return Answer(status=response.status_code, headers=response.headers, body=response.content)

    async def reach(self, url: str) -> str:
        """Host and port of a storage address; any answer of it will do.

        Raises TryLater: NET-001, NET-002; Unauthorized: NET-004; Damaged: NET-006.
        """
        must_be_private(url)
        _, client = self._on_this_loop()
        try:
            await client.head(httpx.URL(url).copy_with(raw_path=b"/"))
        except httpx.HTTPError as error:
            raise failed(error, f"HEAD to storage at {host_of(url)}", commits=False) from None
        return host_of(url)

    @asynccontextmanager
    async def download(self, url: str, first_bytes: int | None = None) -> AsyncIterator[Download]:
        """GET with redirects followed by hand; the token goes along only where the origin is the API's.

        `first_bytes`: no more of the file is wanted; a server may send the whole all the same.

        Raises:
            TryLater: NET-001, NET-002, NET-008. Unauthorized: NET-004, NET-005, NET-009.
            Damaged: NET-006, an address without https; NET-007, the redirects lead nowhere.
        """
        api, bare = self._on_this_loop()
        for _ in range(MOST_HOPS):
            must_be_private(url)
            ours = origin_of(url) == self.origin
            what = f"GET of a file at {host_of(url)}"
            client, breaker = (api, self._api_breaker) if ours else (bare, self._storage_breaker)
            headers = {"Accept-Encoding": "identity"}
            if first_bytes is not None:
                headers["Range"] = f"bytes=0-{first_bytes - 1}"
            if ours:
                headers["Authorization"] = self._bearer.header()
            try:
                with breaker.attempt() as attempt:
                    request = client.build_request("GET", url, headers=headers)
                    response = await client.send(request, stream=True)
                    attempt.seen(response.status_code)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise failed(error, what, commits=False) from None
            try:
                if ours:
                    self._bearer.answered(headers["Authorization"], response.status_code)
                location = response.headers.get("location", "")
                if response.status_code not in REDIRECTS or not location:
                    yield Download(response, from_storage=not ours, what=what)
                    return
                url = next_hop(url, location)
            finally:
                await response.aclose()
        raise Damaged("NET-007", f"more than {MOST_HOPS} redirects on the way to a file", "a file behind one")

    async def close(self) -> None:
        """Give the connections back; those of a loop that has ended are gone with it."""
        clients, self._clients = self._clients, None
        if clients is not None and self._loop is asyncio.get_running_loop():
            for client in clients:
                await client.aclose()

    def _on_this_loop(self) -> tuple[httpx.AsyncClient, httpx.AsyncClient]:
        loop = asyncio.get_running_loop()
        if self._clients is None or self._loop is not loop:
            self._clients = (self._factory.make(), self._factory.make(identity=True))
            self._loop = loop
        return self._clients


def _breaker(host: str, network: Network, clock: Callable[[], float]) -> Breaker:
    return Breaker(
        host,
        failures=network.breaker_failures,
        pause_s=network.breaker_s,
        longest_pause_s=network.breaker_longest_s,
        clock=clock,
    )
