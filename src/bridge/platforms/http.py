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
from dataclasses import dataclass

import httpx

from bridge.errors import ConfigError, Damaged
from bridge.export.parcel import Json
from bridge.platforms.addresses import host_of, is_private, must_be_private, next_hop, origin_of
from bridge.platforms.answer import Answer, Download
from bridge.platforms.breaker import Breaker
from bridge.platforms.failures import failed
from bridge.platforms.network import Clients, Network
from bridge.platforms.protocol import Account
from bridge.platforms.token import Bearer, Credential

__all__ = ["Answer", "Download", "Http", "Network"]

REDIRECTS = frozenset({301, 302, 303, 307, 308})
MOST_HOPS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    method: str
    url: str
    json: Json = None
    params: Mapping[str, str | int] | None = None


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
        credential: Callable[[Http], Credential] | None = None,
    ) -> None:
        """`credential`: where the token is not what stands in the account's token_file.

        Raises ConfigError: NET-010, NET-011, NET-012 (address, authority file, proxy cannot be used)."""
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
        self._credential = credential(self) if credential else Bearer(account, clock)
        self._api_breaker = _breaker(self.host, network, clock)
        self._storage_breaker = _breaker("storage", network, clock)
        self._other_breaker = _breaker("another host", network, clock)
        self._clients: tuple[httpx.AsyncClient, httpx.AsyncClient] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def host(self) -> str:
        """Host and port of the API's origin."""
        return host_of(self.base_url)

    def away_s(self) -> float:
        """Seconds until the API is asked again after it failed too often in a row; 0 while it is asked."""
        return self._api_breaker.away_s()

    def answers(self) -> int:
        """Answers below 500 of the API so far."""
        return self._api_breaker.answers

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
        what = f"{method} {path} at {self.host}"
        request = _Asked(method=method, url=self.base_url + path, json=json, params=params)
        return await self._authorized(request, what, commits=commits)

    async def call(self, method: str, url: str, *, commits: bool = False) -> Answer:
        """One request without a body to an address that the platform gave, byte for byte; the token goes along
        only where the origin is the API's.

        Raises what `api` raises, and Damaged: NET-006, an address without https.
        """
        must_be_private(url)
        request = _Asked(method=method, url=url)
        if origin_of(url) == self.origin:
            return await self._authorized(
                request, f"{method} of a given address at {self.host}", commits=commits
            )
        return await self._bare(request, f"{method} of a given address at {host_of(url)}", commits=commits)

    async def elsewhere(self, method: str, url: str, json: Json = None) -> Answer:
        """One request to another origin than the API's, without the token: where a token comes from.

        Raises TryLater: NET-001, NET-002, NET-008; Unauthorized: NET-004; Damaged: NET-006.
        """
        must_be_private(url)
        request = _Asked(method=method, url=url, json=json)
        return await self._bare(request, f"{method} at {host_of(url)}", commits=False)

    async def log_in(self) -> None:
        """Make sure that there is a token. Raises Unauthorized, TryLater."""
        await self._credential.header()

    async def _authorized(self, asked: _Asked, what: str, *, commits: bool) -> Answer:
        client, _ = self._on_this_loop()
        for is_last in (False, True):
            header = await self._credential.header()
            headers = {"Accept": "application/json", "Authorization": header}
            answer = await _send(client, self._api_breaker, asked, headers, what, commits=commits)
            if not await self._credential.answered(header, answer.status) or is_last:
                break
        return answer

    async def _bare(self, asked: _Asked, what: str, *, commits: bool) -> Answer:
        _, client = self._on_this_loop()
        headers = {"Accept": "application/json"}
        return await _send(client, self._other_breaker, asked, headers, what, commits=commits)

    async def put(
        self,
        url: str,
        content: AsyncIterator[bytes],
        size_bytes: int,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """PUT to a presigned address, bare. The length is told, or httpx would send chunks that S3 refuses.

        Raises TryLater: NET-001, NET-002, NET-008; Unauthorized: NET-004; Damaged: NET-006, not https.
        """
        must_be_private(url)
        _, client = self._on_this_loop()
        what = f"PUT to storage at {host_of(url)}"
        try:
            with self._storage_breaker.attempt() as attempt:
                response = await client.put(
                    url, content=content, headers={**(headers or {}), "Content-Length": str(size_bytes)}
                )
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
                headers["Authorization"] = await self._credential.header()
            try:
                with breaker.attempt() as attempt:
                    request = client.build_request("GET", url, headers=headers)
                    response = await client.send(request, stream=True)
                    attempt.seen(response.status_code)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise failed(error, what, commits=False) from None
            try:
                if ours:
                    await self._credential.answered(headers["Authorization"], response.status_code)
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


async def _send(
    client: httpx.AsyncClient,
    breaker: Breaker,
    asked: _Asked,
    headers: Mapping[str, str],
    what: str,
    *,
    commits: bool,
) -> Answer:
    try:
        with breaker.attempt() as attempt:
            response = await client.request(
                asked.method, asked.url, headers=headers, params=asked.params, json=asked.json
            )
            attempt.seen(response.status_code)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise failed(error, what, commits=commits) from None
    return Answer(status=response.status_code, headers=response.headers, body=response.content)


def _breaker(host: str, network: Network, clock: Callable[[], float]) -> Breaker:
    return Breaker(
        host,
        failures=network.breaker_failures,
        pause_s=network.breaker_s,
        longest_pause_s=network.breaker_longest_s,
        clock=clock,
    )
