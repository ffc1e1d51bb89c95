"""How the connections of an account are made: trust, proxy, time-outs, and when an origin is left alone."""

from __future__ import annotations

import ssl
from dataclasses import dataclass

import httpx

from bridge.errors import ConfigError
from bridge.platforms.protocol import Account
from bridge.version import __version__

CONNECT_S = 15.0
"""A host that a firewall hides says nothing at all: nobody should wait a whole time-out for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """Seconds; None takes the account's `timeout_s` (for `connect_s`: at most 15 of them)."""

    connect_s: float | None = None
    read_s: float | None = None
    """Between two pieces of an answer."""
    write_s: float | None = None
    """Between two pieces of a request."""
    pool_s: float | None = None
    """For a free connection."""
    breaker_failures: int = 8
    """Failures in a row after which an origin is left alone."""
    breaker_s: float = 15.0
    """How long at first; doubles with each failed attempt."""
    breaker_longest_s: float = 900.0

    def timeout(self, account: Account) -> httpx.Timeout:
        whole = account.timeout_s
        return httpx.Timeout(
            connect=self.connect_s or min(CONNECT_S, whole),
            read=self.read_s or whole,
            write=self.write_s or whole,
            pool=self.pool_s or whole,
        )


class Clients:
    """Makes the HTTP clients of an account. Raises ConfigError: NET-011, NET-012."""

    def __init__(
        self, account: Account, network: Network, transport: httpx.AsyncBaseTransport | None
    ) -> None:
        self.trust = _trust(account)
        self._proxy = _proxy(account)
        self._timeout = network.timeout(account)
        self._transport = transport

    def make(self, *, identity: bool = False) -> httpx.AsyncClient:
        """`identity`: bodies are wanted as they are stored, for sizes and digests."""
        headers = {"User-Agent": f"bridge/{__version__}"}
        if identity:
            headers["Accept-Encoding"] = "identity"
        return httpx.AsyncClient(
            verify=self.trust,
            proxy=self._proxy,
            transport=self._transport,
            headers=headers,
            timeout=self._timeout,
            follow_redirects=False,
            # Proxies and authorities come from site.toml; a variable left in the environment must not reroute a study.
            trust_env=False,
        )


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
