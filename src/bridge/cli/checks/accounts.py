"""Accounts: what the platform says of itself, and how long certificates still hold."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from bridge.cli.checks.finding import Finding, Level, Look, days_left, good, wrong
from bridge.config import Site
from bridge.config.site import AccountSettings
from bridge.errors import BridgeError

CONNECT_S = 10.0


def accounts(site: Site) -> list[Look]:
    looks: list[Look] = []
    for name, account in site.accounts.items():
        subject = f"account {name}"
        looks.append((subject, partial(_platform, name, account, site.data)))
        looks.append((subject, partial(_certificates, subject, account)))
    return looks


def _platform(name: str, account: AccountSettings, data: Path) -> list[Finding]:
    subject = f"account {name}"
    try:
        found = asyncio.run(_asked(name, account, data))
    except BridgeError as error:
        return [wrong(subject, error.sentence())]
    return found


async def _asked(name: str, account: AccountSettings, data: Path) -> list[Finding]:
    from bridge.assembly import platform_of

    platform = platform_of(name, account, data)
    try:
        return [
            Finding(
                subject=f"account {name}",
                what=one.what,
                level=Level.OK if one.ok else Level.WRONG,
                remedy=one.remedy,
            )
            for one in await platform.check()
        ]
    finally:
        await platform.close()


def _certificates(subject: str, account: AccountSettings) -> list[Finding]:
    lines = []
    if account.ca:
        lines += _authorities(subject, account.ca)
    url = urlsplit(account.base_url)
    if url.scheme != "https" or url.hostname is None:
        return lines
    if account.proxy:
        return [
            *lines,
            good(subject, f"certificate of {url.hostname}: not looked at, it is behind the proxy"),
        ]
    try:
        context = ssl.create_default_context(cafile=account.ca)
        with (
            socket.create_connection((url.hostname, url.port or 443), timeout=CONNECT_S) as plain,
            context.wrap_socket(plain, server_hostname=url.hostname) as secure,
        ):
            certificate = secure.getpeercert() or {}
    except (OSError, ssl.SSLError):
        return lines  # the platform's own check says what is wrong there
    return [*lines, *_days(subject, f"certificate of {url.hostname}", str(certificate.get("notAfter", "")))]


def _authorities(subject: str, file: Path) -> list[Finding]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cafile=file)
    except (OSError, ssl.SSLError) as problem:
        return [
            wrong(subject, f"the file of `ca` cannot be read ({type(problem).__name__})", f"Look at {file}")
        ]
    ends = [str(one.get("notAfter", "")) for one in context.get_ca_certs()]
    soonest = min(ends, key=ssl.cert_time_to_seconds, default="")
    return _days(subject, "the authority in `ca`", soonest)


def _days(subject: str, what: str, not_after: str) -> list[Finding]:
    if not not_after:
        return []
    return [days_left(subject, what, (ssl.cert_time_to_seconds(not_after) - time.time()) / 86400)]
