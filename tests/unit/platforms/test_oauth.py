"""One token for all jobs of an account, asked for as seldom as can be, and never kept where it may be read."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from tests.unit.platforms.vpe_kit import LOGIN, SECRET, Clock, Secret

from bridge.errors import BridgeError, TryLater, Unauthorized
from bridge.export.parcel import Json
from bridge.platforms import Account, Unkept
from bridge.platforms.answer import Answer
from bridge.platforms.oauth import ClientCredentials

GOOD = {"access_token": "t{}", "token_type": "Bearer", "expires_in": 86_400}


class Provider:
    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.answer: tuple[int, dict[str, str], Any] = (200, {}, GOOD)

    async def __call__(self, method: str, url: str, body: Json) -> Answer:
        assert (method, url) == ("POST", LOGIN)
        assert isinstance(body, dict)
        self.asked.append(body)
        await asyncio.sleep(0.01)
        status, headers, told = self.answer
        text = told if isinstance(told, str) else json.dumps(told).replace("{}", str(len(self.asked)))
        return Answer(status=status, headers=headers, body=text.encode())


class Bench:
    def __init__(self) -> None:
        self.clock, self.provider, self.secrets, self.secret = Clock(), Provider(), Unkept(), Secret()

    def credentials(self, **changes: str) -> ClientCredentials:
        """As a new process makes them."""
        account = Account(name="vpe", base_url="https://e.example", token=self.secret, secrets=self.secrets)
        words = {"token_url": LOGIN, "audience": "engine", "client_id": "us", **changes}
        return ClientCredentials(account, self.provider, clock=self.clock, **words)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_many_jobs_at_once_and_the_next_process_ask_once(bench: Bench) -> None:
    async def ten() -> list[str]:
        credentials = bench.credentials()
        return list(await asyncio.gather(*(credentials.header() for _ in range(10))))

    assert set(asyncio.run(ten())) == {"Bearer t1"}
    assert asyncio.run(bench.credentials().header()) == "Bearer t1"
    assert bench.provider.asked == [
        {
            "grant_type": "client_credentials",
            "audience": "engine",
            "client_id": "us",
            "client_secret": SECRET,
        }
    ]


@pytest.mark.parametrize(
    ("lifetime_s", "good_s"),
    [
        (86_400, 86_400 - 300),  # five minutes before its end
        (1_000, 1_000 - 100),  # a tenth, where that is less
    ],
)
def test_token_is_renewed_shortly_before_its_end(bench: Bench, lifetime_s: int, good_s: int) -> None:
    bench.provider.answer = (200, {}, {**GOOD, "expires_in": lifetime_s})
    headers = []
    for after_s in (0, good_s - 1, 2):
        bench.clock.now_s += after_s
        headers.append(asyncio.run(bench.credentials().header()))
    assert headers == ["Bearer t1", "Bearer t1", "Bearer t2"]


@pytest.mark.parametrize("what", ["secret", "client_id", "audience"])
def test_other_credentials_have_a_token_of_their_own_at_once(bench: Bench, what: str) -> None:
    asyncio.run(bench.credentials().header())
    if what == "secret":
        bench.secret.text = "another"
        other = bench.credentials()
    else:
        other = bench.credentials(**{what: "another"})
    assert asyncio.run(other.header()) == "Bearer t2"
    bench.secret.text = SECRET
    assert asyncio.run(bench.credentials().header()) == "Bearer t1"


def test_refused_token_is_replaced_once_for_all_jobs_and_then_left_alone_for_a_minute(bench: Bench) -> None:
    async def story() -> None:
        credentials = bench.credentials()
        first = await credentials.header()
        # Two jobs are told of the same refusal.
        assert await credentials.answered(first, 401)
        second = await credentials.header()
        assert await credentials.answered(first, 401)
        assert await credentials.header() == second == "Bearer t2"
        assert not await credentials.answered(second, 401)
        for _ in range(5):
            with pytest.raises(Unauthorized) as caught:
                await credentials.header()
            assert caught.value.code == "NET-009"
        bench.clock.now_s += 61
        assert await credentials.header() == "Bearer t3"

    asyncio.run(story())
    assert len(bench.provider.asked) == 3


def test_other_answers_leave_the_token_alone(bench: Bench) -> None:
    async def story() -> None:
        credentials = bench.credentials()
        header = await credentials.header()
        for status in (200, 202, 403, 404, 500):
            assert not await credentials.answered(header, status)
        assert await credentials.header() == header

    asyncio.run(story())


@pytest.mark.parametrize(
    ("status", "headers", "body", "error", "code", "after_s"),
    [
        (400, {}, {"error": "invalid_grant"}, Unauthorized, "NET-013", None),
        (401, {}, {"error": "access_denied"}, Unauthorized, "NET-013", None),
        (403, {}, {"error": "access_denied"}, Unauthorized, "NET-013", None),
        (429, {"retry-after": "1800"}, {}, TryLater, "NET-014", 1800.0),
        (429, {}, {}, TryLater, "NET-014", 60.0),
        (503, {"retry-after": "9"}, "<html>", TryLater, "NET-015", 9.0),
        (404, {}, {}, TryLater, "NET-015", None),
        (200, {}, "<html>", TryLater, "NET-015", None),
        (200, {}, {"token_type": "Bearer"}, TryLater, "NET-015", None),
        (200, {}, {**GOOD, "access_token": "two words"}, TryLater, "NET-015", None),
        (200, {}, ["t"], TryLater, "NET-015", None),
    ],
)
def test_answers_of_the_token_endpoint(
    bench: Bench,
    status: int,
    headers: dict[str, str],
    body: Any,
    error: type[BridgeError],
    code: str,
    after_s: float | None,
) -> None:
    bench.provider.answer = (status, headers, body)
    with pytest.raises(error) as caught:
        asyncio.run(bench.credentials().header())
    assert caught.value.code == code
    assert SECRET not in caught.value.sentence()
    if isinstance(caught.value, TryLater):
        assert caught.value.after_s == after_s


@pytest.mark.parametrize(("status", "quiet_s"), [(401, 60), (429, 1800)])
def test_no_is_heard_by_all_jobs(bench: Bench, status: int, quiet_s: int) -> None:
    bench.provider.answer = (status, {"retry-after": str(quiet_s)}, {})
    credentials = bench.credentials()
    for _ in range(5):
        with pytest.raises((Unauthorized, TryLater)):
            asyncio.run(credentials.header())
    assert len(bench.provider.asked) == 1
    bench.provider.answer = (200, {}, GOOD)
    bench.clock.now_s += quiet_s + 1
    assert asyncio.run(credentials.header()) == "Bearer t2"


@pytest.mark.parametrize(
    "kept", ["", "not JSON", "[]", '{"header": "Bearer t"}', '{"header": 1, "until": "x"}']
)
def test_spoiled_secret_is_none(bench: Bench, kept: str) -> None:
    asyncio.run(bench.credentials().header())
    (name,) = bench.secrets._values
    bench.secrets.put(name, kept)
    assert asyncio.run(bench.credentials().header()) == "Bearer t2"
