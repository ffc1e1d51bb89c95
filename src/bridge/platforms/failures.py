"""What a failure of the network means: nothing was sent, it broke off, or its effect may have happened."""

from __future__ import annotations

import ssl

import httpx

from bridge.errors import BridgeError, TryLater, Unauthorized, Unsure

NOT_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)
"""Failures before the first byte of the request: the other side cannot have acted on it."""


def failed(error: Exception, what: str, *, commits: bool) -> BridgeError:
    """The error of the tree. `what`: method, host and, on the API's origin, the path; never a query."""
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
