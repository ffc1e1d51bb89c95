"""Two HTTP clients per account: one carries the token, to the API's origin only; one is bare, for storage.

A presigned or redirected address lies on another origin and must never see the token. httpx would send a client's
default `Authorization` to whatever address it is asked for, so the token is put on each request by hand, after the
origin was compared, and redirects are followed by hand.

No message names more of a request than method, host and, on the API's origin, the path: a query may hold a signature.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import httpx

from bridge.errors import BridgeError, ConfigError, Damaged, TryLater, Unauthorized, Unsure
from bridge.export.parcel import Json
from bridge.platforms.addresses import host_of, is_private, must_be_private, next_hop, origin_of
from bridge.platforms.protocol import Account
from bridge.version import __version__

REDIRECTS = frozenset({301, 302, 303, 307, 308})
MOST_HOPS = 5

NOT_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)
"""Failures before the first byte of the request: the other side cannot have acted on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Status, headers (names in lower case) and whole body."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""

    def date_s(self) -> float | None:
        """The `Date` header in seconds since 1970; RFC 9110 6.6.1."""
        return _http_date_s(self.headers.get("date", ""))

    def retry_after_s(self) -> float | None:
        """`Retry-After`, given in seconds or as a date, in seconds from the answer; RFC 9110 10.2.3."""
        wish = self.headers.get("retry-after", "").strip()
        if wish.isdecimal():
            return float(wish)
        until, now = _http_date_s(wish), self.date_s()
        return max(0.0, until - now) if until is not None and now is not None else None


class Download:
    """A body that is being read. `status` other than 200 means that `body` holds the reason."""

    def __init__(self, response: httpx.Response, *, from_storage: bool, what: str) -> None:
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers
        self.from_storage = from_storage
        self._response = response
        self._what = what

    async def chunks(self) -> AsyncIterator[bytes]:
        """The bytes in the order they come. Raises TryLater: NET-002, the transfer broke off."""
        try:
            async for chunk in self._response.aiter_bytes():
                yield chunk
        except httpx.HTTPError as error:
            raise _failed(error, self._what, commits=False) from None

    async def answer(self) -> Answer:
        """The whole body, for an error page. Raises TryLater: NET-002."""
        body = b"".join([chunk async for chunk in self.chunks()])
        return Answer(status=self.status, headers=self.headers, body=body)

    def size_told(self) -> int | None:
        """`Content-Length`, where the body travels as it is stored."""
        length = self.headers.get("content-length", "")
        return int(length) if length.isdecimal() and "content-encoding" not in self.headers else None


class Http:
    """The clients of one account. They belong to the event loop they are first used on."""

    def __init__(self, account: Account, transport: httpx.AsyncBaseTransport | None = None) -> None:
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
        self._account = account
        self._trust = _trust(account)
        self._proxy = _proxy(account)
        self._transport = transport
        self._clients: tuple[httpx.AsyncClient, httpx.AsyncClient] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def host(self) -> str:
        """Host and port of the API's origin."""
        return host_of(self.base_url)

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
            TryLater: NET-001, nothing was sent; NET-002, no whole answer came.
            Unsure: NET-003, no whole answer came and `commits`: the effect may have happened.
            Unauthorized: NET-004, the certificate is not trusted; NET-005, the token cannot be sent.
        """
        client, _ = self._on_this_loop()
        what = f"{method} {path} at {self.host}"
        headers = {"Accept": "application/json", "Authorization": self._bearer()}
        try:
            response = await client.request(
                method,
                self.base_url + path,
                headers=headers,
                params=params,
                json=json,
            )
        except httpx.HTTPError as error:
            raise _failed(error, what, commits=commits) from None
        return Answer(status=response.status_code, headers=response.headers, body=response.content)

    async def put(self, url: str, content: AsyncIterator[bytes], size_bytes: int) -> Answer:
        """PUT to a presigned address, bare. The length is told, or httpx would send chunks that S3 refuses.

        Raises TryLater: NET-001, NET-002; Unauthorized: NET-004; Damaged: NET-006, an address without https.
        """
        must_be_private(url)
        _, client = self._on_this_loop()
        what = f"PUT to storage at {host_of(url)}"
        try:
            response = await client.put(url, content=content, headers={"Content-Length": str(size_bytes)})
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _failed(error, what, commits=False) from None
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
            raise _failed(error, f"HEAD to storage at {host_of(url)}", commits=False) from None
        return host_of(url)

    @asynccontextmanager
    async def download(self, url: str) -> AsyncIterator[Download]:
        """GET with redirects followed by hand; the token goes along only where the origin is the API's.

        Raises:
            TryLater: NET-001, NET-002. Unauthorized: NET-004, NET-005.
            Damaged: NET-006, an address without https; NET-007, the redirects lead nowhere.
        """
        api, bare = self._on_this_loop()
        for _ in range(MOST_HOPS):
            must_be_private(url)
            ours = origin_of(url) == self.origin
            what = f"GET of a file at {host_of(url)}"
            client = api if ours else bare
            headers = {"Accept-Encoding": "identity"}
            if ours:
                headers["Authorization"] = self._bearer()
            try:
                request = client.build_request("GET", url, headers=headers)
                response = await client.send(request, stream=True)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise _failed(error, what, commits=False) from None
            try:
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
            self._clients, self._loop = (self._client(), self._client(identity=True)), loop
        return self._clients

    def _client(self, *, identity: bool = False) -> httpx.AsyncClient:
        headers = {"User-Agent": f"bridge/{__version__}"}
        if identity:
            headers["Accept-Encoding"] = "identity"
        seconds = self._account.timeout_s
        return httpx.AsyncClient(
            verify=self._trust,
            proxy=self._proxy,
            transport=self._transport,
            headers=headers,
            timeout=httpx.Timeout(connect=min(15.0, seconds), read=seconds, write=seconds, pool=seconds),
            follow_redirects=False,
            # Proxies and authorities come from site.toml; a variable left in the environment must not reroute a study.
            trust_env=False,
        )

    def _bearer(self) -> str:
        token = self._account.token.reveal().strip()
        if not token or not token.isascii() or not token.isprintable() or " " in token:
            raise Unauthorized(
                "NET-005",
                f"the token of account {self._account.name!r} is empty or holds spaces or control characters",
                "one line with the token alone",
                "Write the token into the account's token_file again",
            )
        return f"Bearer {token}"


def _failed(error: Exception, what: str, *, commits: bool) -> BridgeError:
    name = type(error).__name__
    if _is_untrusted(error):
        return Unauthorized(
            "NET-004",
            f"{what}: the certificate is not trusted",
            "one signed by a known authority",
            "Name the PEM file of your own authority as `ca` of the account, or look who answers there",
        )
    if isinstance(error, (*NOT_SENT, httpx.InvalidURL)):
        return TryLater("NET-001", f"{what}: not reached ({name})")
    if commits:
        return Unsure("NET-003", f"{what}: the answer was lost ({name}); its effect may have happened")
    return TryLater("NET-002", f"{what}: broke off ({name})")


def _is_untrusted(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _trust(account: Account) -> ssl.SSLContext:
    try:
        if account.ca is None:
            return httpx.create_ssl_context(trust_env=False)
        return ssl.create_default_context(cafile=account.ca)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            "NET-011",
            f"the authority file cannot be read ({type(error).__name__})",
            "a file with certificates in PEM form",
            key=f"accounts.{account.name}.ca",
        ) from None


def _proxy(account: Account) -> httpx.Proxy | None:
    try:
        return httpx.Proxy(account.proxy) if account.proxy else None
    except (ValueError, httpx.InvalidURL):
        raise ConfigError(
            "NET-012",
            "the proxy is not an address",
            "for example http://proxy.example:3128",
            key=f"accounts.{account.name}.proxy",
        ) from None


def _http_date_s(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except ValueError:
        return None
