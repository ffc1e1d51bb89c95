"""An origin that fails again and again is left alone, and then asked once; a refused token is tried once a minute."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from tests.unit.platforms.gc_kit import Token, account, run

from bridge.errors import BridgeError, TryLater, Unauthorized, Unsure
from bridge.platforms.grand_challenge import GrandChallenge
from bridge.platforms.http import Http, Network

NETWORK = Network(breaker_failures=3, breaker_s=10.0, breaker_longest_s=25.0)
MEDIA = "https://store.example/x.mha"


class Line:
    """An API whose health a test sets, a clock that it moves, and what was sent."""

    def __init__(self, token: Token | None = None) -> None:
        self.now_s = 1000.0
        self.answer: Callable[[httpx.Request], httpx.Response] = lambda request: httpx.Response(200, json={})
        self.sent = 0
        given = account(token=token or Token())
        self.http = Http(given, httpx.MockTransport(self._handle), NETWORK, lambda: self.now_s)

    def _handle(self, request: httpx.Request) -> httpx.Response:
        self.sent += 1
        return self.answer(request)

    def ask(self, *, commits: bool = False) -> BridgeError | int:
        async def once() -> int:
            return (await self.http.api("GET", "uploads/", commits=commits)).status

        try:
            return run(once())
        except BridgeError as error:
            return error

    def fail(self, times: int) -> None:
        self.answer = lambda request: httpx.Response(503)
        for _ in range(times):
            self.ask()


def down(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("x", request=request)


def test_failures_in_a_row_open_it_and_nothing_is_sent() -> None:
    line = Line()
    line.answer = down
    codes = [line.ask() for _ in range(5)]
    assert [getattr(one, "code", one) for one in codes] == ["NET-001"] * 3 + ["NET-008"] * 2
    assert line.sent == 3
    last = codes[-1]
    assert isinstance(last, TryLater)
    assert (last.after_s, line.http.away_s()) == (10.0, 10.0)
    assert last.numbers == {"failures": 3, "wait_s": 10.0}


@pytest.mark.parametrize("status", [500, 502, 503, 504, 507])
def test_server_errors_count_and_refusals_do_not(status: int) -> None:
    line = Line()
    for answer in (status, status, 400, status, status, 404, 429, status, status):
        line.answer = lambda request, answer=answer: httpx.Response(answer)
        assert line.ask() == answer
    assert line.http.away_s() == 0.0


def test_open_breaker_is_no_doubt_about_a_commit() -> None:
    line = Line()
    line.fail(3)
    refused = line.ask(commits=True)
    assert isinstance(refused, TryLater)
    assert not isinstance(refused, Unsure), "nothing was sent"


def test_pause_doubles_up_to_its_bound_and_one_good_answer_closes_it() -> None:
    line = Line()
    line.fail(3)
    pauses = []
    for _ in range(4):
        pauses.append(line.http.away_s())
        line.now_s += line.http.away_s()
        assert line.ask() == 503
    assert pauses == [10.0, 20.0, 25.0, 25.0]
    assert line.sent == 3 + 4
    line.now_s += 25.0
    line.answer = lambda request: httpx.Response(200, json={})
    assert [line.ask(), line.ask()] == [200, 200]
    line.fail(3)
    assert line.http.away_s() == 10.0, "begins anew"


def test_only_one_request_probes_and_one_that_is_cancelled_gives_its_place_back() -> None:
    line = Line()
    line.fail(3)
    line.now_s += 10.0

    async def story() -> list[Any]:
        gate = asyncio.Event()

        async def slow(request: httpx.Request) -> httpx.Response:
            await gate.wait()
            return httpx.Response(200, json={})

        http = Http(account(), httpx.MockTransport(slow), NETWORK, lambda: line.now_s)
        http._api_breaker = line.http._api_breaker
        probe = asyncio.create_task(http.api("GET", "uploads/"))
        await asyncio.sleep(0)
        others = await asyncio.gather(
            *(http.api("GET", "uploads/") for _ in range(3)), return_exceptions=True
        )
        probe.cancel()
        await asyncio.gather(probe, return_exceptions=True)
        gate.set()
        return [*others, (await http.api("GET", "uploads/")).status]

    *others, status = run(story())
    assert [getattr(one, "code", one) for one in others] == ["NET-008"] * 3
    assert status == 200


def test_storage_and_api_are_left_alone_apart() -> None:
    line = Line()
    line.fail(3)
    line.answer = lambda request: httpx.Response(200)

    async def fetch() -> int:
        async with line.http.download(MEDIA) as download:
            return download.status

    assert run(fetch()) == 200
    assert isinstance(line.ask(), TryLater)


def test_platform_says_for_how_long_it_is_away() -> None:
    line = Line()
    platform = GrandChallenge(account(), line.http)
    assert platform.away_s() == 0.0
    line.fail(3)
    line.now_s += 4.0
    assert platform.away_s() == 6.0


def test_options_of_the_account_set_the_network() -> None:
    options = {"connect_s": 3, "read_s": 70, "write_s": 80, "pool_s": 9, "breaker_failures": 1}
    made = GrandChallenge(account(options=options))

    async def timeouts() -> list[httpx.Timeout]:
        return [client.timeout for client in made._http._on_this_loop()]

    assert run(timeouts()) == [httpx.Timeout(connect=3, read=70, write=80, pool=9)] * 2


def test_refused_token_is_tried_once_a_minute_and_a_new_one_at_once() -> None:
    token = Token("0" * 64)
    line = Line(token)
    line.answer = lambda request: httpx.Response(401 if "0000" in request.headers["authorization"] else 200)
    assert line.ask() == 401
    for _ in range(5):
        refused = line.ask()
        assert isinstance(refused, Unauthorized)
        assert refused.code == "NET-009"
        assert "0000" not in refused.sentence()
    assert line.sent == 1
    line.now_s += 61.0
    assert line.ask() == 401
    assert line.sent == 2
    token.text = "1" * 64
    assert line.ask() == 200
    token.text = "0" * 64
    assert isinstance(line.ask(), Unauthorized)
    assert line.sent == 3


def test_refusal_that_arrives_after_the_token_was_renewed_does_not_hold_the_new_one_back() -> None:
    token = Token("0" * 64)
    line = Line(token)

    def answer(request: httpx.Request) -> httpx.Response:
        token.text = "1" * 64
        return httpx.Response(401)

    line.answer = answer
    assert line.ask() == 401
    line.answer = lambda request: httpx.Response(200)
    assert line.ask() == 200
