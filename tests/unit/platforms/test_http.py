"""Two clients: where the token goes, what a transport error means, what a message never says."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.unit.platforms.gc_kit import BASE, TOKEN, Token, account, run

from bridge.errors import BridgeError, ConfigError, Damaged, TryLater, Unauthorized, Unsure
from bridge.platforms.http import Answer, Http
from bridge.sandbox.grand_challenge import Sandbox

SIGNED = "https://store.example/bucket/x.mha?X-Amz-Signature=5ecre7"


def http_that(handler: Any, **changes: Any) -> Http:
    return Http(account(**changes), httpx.MockTransport(handler))


async def read(http: Http, url: str) -> tuple[int, bytes]:
    async with http.download(url) as download:
        return download.status, b"".join([chunk async for chunk in download.chunks()])


async def some_bytes() -> AsyncIterator[bytes]:
    yield b"abc"
    yield b"de"


def test_token_goes_to_the_api_only_and_storage_gets_none() -> None:
    seen: dict[str, httpx.Headers] = {}

    def handler(request: httpx.Request) -> httpx.Response:
        seen[f"{request.method} {request.url.host}"] = request.headers
        if request.method == "GET" and request.url.host == "api.example" and "media" in request.url.path:
            return httpx.Response(302, headers={"Location": SIGNED})
        return httpx.Response(200, content=b"bytes")

    http = http_that(handler)

    async def story() -> None:
        await http.api("POST", "uploads/", json={})
        await http.put(SIGNED, some_bytes(), 5)
        assert await read(http, "https://api.example/media/x.mha") == (200, b"bytes")

    run(story())
    assert {key: headers.get("authorization") for key, headers in seen.items()} == {
        "POST api.example": f"Bearer {TOKEN}",
        "PUT store.example": None,
        "GET api.example": f"Bearer {TOKEN}",
        "GET store.example": None,
    }
    put = seen["PUT store.example"]
    assert (put["content-length"], put.get("transfer-encoding")) == ("5", None)
    assert seen["GET store.example"]["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    "url",
    [
        "https://api.example:8443/media/x.mha",
        "https://api.example.evil.example/media/x.mha",
        "https://evil.example/api.example/x.mha",
        "https://api.example@evil.example/x.mha",
    ],
)
def test_address_that_only_looks_like_the_api_gets_no_token(url: str) -> None:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200)

    run(read(http_that(handler), url))
    assert "Bearer" not in seen[0].headers.get("authorization", "")


def test_signed_address_is_used_byte_for_byte() -> None:
    signed = "https://store.example/a%20b/x.mha?Key=a%2Fb%3D&Policy=~x_-.&Signature=%2B%2F=="
    seen: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(f"https://store.example{request.url.raw_path.decode()}")
        return (
            httpx.Response(302, headers={"Location": signed})
            if request.url.host == "api.example"
            else httpx.Response(200)
        )

    run(read(http_that(handler), "https://api.example/media/x.mha"))
    assert seen[-1] == signed


def test_redirect_of_the_api_is_an_answer_and_not_followed() -> None:
    http = http_that(lambda request: httpx.Response(301, headers={"Location": "/api/v1/uploads/"}))
    assert run(http.api("POST", "uploads", json={})).status == 301


@pytest.mark.parametrize(
    ("location", "code"),
    [("http://store.example/x", "NET-006"), ("/media/x.mha", "NET-007"), ("http://[", "NET-006")],
)
def test_redirects_to_nowhere_or_in_the_clear_are_damaged(location: str, code: str) -> None:
    http = http_that(lambda request: httpx.Response(302, headers={"Location": location}))
    with pytest.raises(Damaged) as caught:
        run(read(http, "https://api.example/media/x.mha"))
    assert caught.value.code == code


def test_nothing_is_uploaded_in_the_clear() -> None:
    http = http_that(lambda request: httpx.Response(200))
    with pytest.raises(Damaged):
        run(http.put("http://store.example/x", some_bytes(), 5))


@pytest.mark.parametrize(
    ("raised", "reading", "committing"),
    [
        (httpx.ConnectError, "NET-001", "NET-001"),
        (httpx.ConnectTimeout, "NET-001", "NET-001"),
        (httpx.PoolTimeout, "NET-001", "NET-001"),
        (httpx.ProxyError, "NET-001", "NET-001"),
        (httpx.ReadTimeout, "NET-002", "NET-003"),
        (httpx.WriteTimeout, "NET-002", "NET-003"),
        (httpx.ReadError, "NET-002", "NET-003"),
        (httpx.WriteError, "NET-002", "NET-003"),
        (httpx.RemoteProtocolError, "NET-002", "NET-003"),
    ],
)
def test_transport_error_is_unsure_only_where_a_commit_may_have_happened(
    raised: type[httpx.TransportError], reading: str, committing: str
) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        raise raised("https://api.example/?secret=" + TOKEN, request=request)

    for commits, code in ((False, reading), (True, committing)):
        with pytest.raises(TryLater) as caught:
            run(http_that(handler).api("POST", "algorithms/jobs/", json={}, commits=commits))
        error = caught.value
        assert error.code == code
        assert isinstance(error, Unsure) == (code == "NET-003")
        assert TOKEN not in error.sentence()
        assert error.__cause__ is None
        assert error.__suppress_context__


def test_message_about_storage_names_the_host_and_no_more() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("x", request=request)

    with pytest.raises(TryLater) as caught:
        run(http_that(handler).put(SIGNED, some_bytes(), 5))
    assert caught.value.found == "PUT to storage at store.example: broke off (ReadError)"


@pytest.mark.parametrize("token", ["", "two words", "tab\tbed", "töken", "line\nbreak"])
def test_unfit_token_is_not_sent_and_not_shown(token: str) -> None:
    http = http_that(lambda request: httpx.Response(500), token=Token(token))
    with pytest.raises(Unauthorized) as caught:
        run(http.api("GET", "uploads/"))
    assert caught.value.code == "NET-005"
    assert not token or token not in caught.value.sentence()


def test_token_is_read_anew_for_each_request_and_its_line_end_dropped() -> None:
    seen: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["authorization"])
        return httpx.Response(200)

    token = Token("first\n")
    http = http_that(handler, token=token)

    async def story() -> None:
        await http.api("GET", "uploads/")
        token.text = "second"
        await http.api("GET", "uploads/")

    run(story())
    assert seen == ["Bearer first", "Bearer second"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"base_url": "http://api.example/api/v1/"}, "NET-010"),
        ({"base_url": "api.example"}, "NET-010"),
        ({"ca": "/no/such/file.pem"}, "NET-011"),
        ({"ca": __file__}, "NET-011"),
        ({"proxy": "proxy.example:3128"}, "NET-012"),
    ],
)
def test_account_that_cannot_work_is_refused_at_the_start(changes: dict[str, Any], code: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Http(account(**changes))
    assert caught.value.code == code
    assert caught.value.key.startswith("accounts.gc.")


def test_plain_http_is_taken_on_this_machine_only() -> None:
    assert Http(account(base_url="http://127.0.0.1:8000/api/v1")).base_url == "http://127.0.0.1:8000/api/v1/"


def test_certificate_of_an_unknown_authority_is_unauthorized_and_ca_mends_it(tmp_path: Path) -> None:
    with Sandbox(tmp_path) as sandbox:
        token = Token(sandbox.token)
        with pytest.raises(Unauthorized) as caught:
            run(Http(account(base_url=sandbox.base_url, token=token)).api("GET", "uploads/"))
        assert caught.value.code == "NET-004"
        known = Http(account(base_url=sandbox.base_url, token=token, ca=str(sandbox.ca_file)))
        assert run(known.api("GET", "uploads/")).status == 200


def test_authority_of_the_account_replaces_the_public_ones(tmp_path: Path) -> None:
    with Sandbox(tmp_path) as sandbox:
        http = Http(account(base_url=sandbox.base_url, ca=str(sandbox.ca_file)))
    assert len(http._factory.trust.get_ca_certs()) == 1
    assert http._factory.trust.verify_mode is ssl.CERT_REQUIRED
    assert http._factory.trust.check_hostname


def test_time_outs_and_proxy_hold_for_both_clients_and_the_environment_for_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://elsewhere.example:1")
    http = Http(account(timeout_s=40.0, proxy="http://proxy.example:3128"))

    async def story() -> None:
        for client in http._on_this_loop():
            assert client.timeout == httpx.Timeout(connect=15.0, read=40.0, write=40.0, pool=40.0)
            assert not client.trust_env
            (mount,) = client._mounts.values()
            assert b"proxy.example" in mount._pool._proxy_url.host
        await http.close()

    run(story())


def test_object_lives_on_from_one_loop_to_the_next() -> None:
    http = http_that(lambda request: httpx.Response(200))
    for _ in range(2):
        assert asyncio.run(http.api("GET", "uploads/")).status == 200
    asyncio.run(http.close())


def test_certificate_and_transfer_errors_of_a_download_are_ours() -> None:
    class Torn(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b"half"
            raise httpx.RemoteProtocolError("peer closed " + SIGNED)

    http = http_that(lambda request: httpx.Response(200, stream=Torn()))
    with pytest.raises(BridgeError) as caught:
        run(read(http, SIGNED))
    assert caught.value.code == "NET-002"
    assert "5ecre7" not in caught.value.sentence()


@pytest.mark.parametrize(
    ("headers", "wish"),
    [
        ({"retry-after": "120"}, 120.0),
        ({"retry-after": "9" * 400}, 86_400.0),
        ({"retry-after": "Sat, 21 Nov 2099 00:10:00 GMT", "date": "Sat, 21 Nov 2026 00:08:30 GMT"}, 86_400.0),
        ({"retry-after": "Sat, 21 Nov 2026 00:10:00 GMT", "date": "Sat, 21 Nov 2026 00:08:30 GMT"}, 90.0),
        ({"retry-after": "Sat, 21 Nov 2026 00:07:00 GMT", "date": "Sat, 21 Nov 2026 00:08:30 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({}, None),
    ],
)
def test_retry_after_as_seconds_or_date(headers: dict[str, str], wish: float | None) -> None:
    assert Answer(status=503, headers=headers).retry_after_s() == wish


def test_base_url_with_and_without_a_slash_is_the_same() -> None:
    assert Http(account(base_url=BASE.rstrip("/"))).base_url == BASE
