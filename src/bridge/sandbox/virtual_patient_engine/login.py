"""The token endpoint: client credentials (RFC 6749 4.4) as Auth0 answers them, and a count of what it gave."""

from __future__ import annotations

import hmac
import json
import secrets
from collections.abc import Callable
from threading import Lock
from typing import Any
from urllib.parse import parse_qsl

from bridge.sandbox.loopback.server import Request, Response

from .settings import Limits

CLIENT = "sandbox-client"
AUDIENCE = "virtualpatientengine.com"
PATH = "/oauth/token"
QUOTA_WAIT_S = 3600


class Login:
    """Gives tokens, and says of one whether it is good."""

    def __init__(self, secret: Callable[[], str], clock: Callable[[], float]) -> None:
        self._secret, self._clock = secret, clock
        self._lock = Lock()
        self._until: dict[str, float] = {}
        self.limits = Limits()
        self.asked = 0
        self.issued = 0

    def is_good(self, authorization: str) -> bool:
        kind, _, token = authorization.partition(" ")
        with self._lock:
            return kind == "Bearer" and self._clock() < self._until.get(token, 0.0)

    def revoke(self) -> None:
        """Every token that was given is unknown from now on."""
        with self._lock:
            self._until.clear()

    def tokens(self) -> tuple[str, ...]:
        with self._lock:
            return tuple(self._until)

    def answer(self, request: Request) -> Response:
        if request.path != PATH or request.method != "POST":
            return Response.of_json(404, {"error": "Not Found"})
        given = _body(request)
        with self._lock:
            self.asked += 1
            if self.limits.tokens is not None and self.issued >= self.limits.tokens:
                quota = f"b=per_day;q={self.limits.tokens};r=0;t={QUOTA_WAIT_S}"
                return Response.of_json(
                    429,
                    {"error": "too_many_requests", "error_description": "Client quota reached"},
                    ("Auth0-Client-Quota-Limit", quota),
                    ("Retry-After", str(QUOTA_WAIT_S)),
                )
            if given.get("grant_type") != "client_credentials":
                return _no(403, "unauthorized_client", "Grant type not allowed for the client")
            if given.get("audience") != AUDIENCE:
                return _no(403, "access_denied", "Service not found")
            if given.get("client_id") != CLIENT or not hmac.compare_digest(
                str(given.get("client_secret", "")), self._secret()
            ):
                return _no(401, "access_denied", "Unauthorized")
            self.issued += 1
            token = secrets.token_urlsafe(48)
            self._until[token] = self._clock() + self.limits.token_life_s
            return Response.of_json(
                200,
                {
                    "access_token": token,
                    "scope": "run:jobs",
                    "expires_in": int(self.limits.token_life_s),
                    "token_type": "Bearer",
                },
            )


def _body(request: Request) -> dict[str, Any]:
    text = request.body.whole()
    if "json" not in request.headers.get("Content-Type", ""):
        return dict(parse_qsl(text.decode(errors="replace")))
    try:
        told = json.loads(text)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _no(status: int, error: str, why: str) -> Response:
    return Response.of_json(status, {"error": error, "error_description": why})
