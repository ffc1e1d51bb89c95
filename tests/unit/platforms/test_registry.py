"""Platforms by name."""

from __future__ import annotations

import importlib.metadata

import pytest
from tests.unit.platforms.gc_kit import account

from bridge.errors import ConfigError
from bridge.platforms import make, names
from bridge.platforms.grand_challenge import GrandChallenge


def test_grand_challenge_is_installed_and_made_without_a_request() -> None:
    assert "grand-challenge" in names()
    assert isinstance(make("grand-challenge", account()), GrandChallenge)


def test_misspelt_name_is_answered_with_the_nearest_known_one() -> None:
    with pytest.raises(ConfigError) as caught:
        make("grandchallenge", account())
    assert (caught.value.code, caught.value.remedy) == ("PLT-001", "Did you mean 'grand-challenge'?")


def test_name_like_no_other_gets_the_list_only() -> None:
    with pytest.raises(ConfigError) as caught:
        make("zzz", account())
    assert "grand-challenge" in caught.value.expected
    assert caught.value.remedy == ""


def test_package_that_does_not_load_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = importlib.metadata.EntryPoint("other", "no_such_package:Platform", "bridge.platforms")
    found = importlib.metadata.EntryPoints([broken])
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda **query: found)
    with pytest.raises(ConfigError) as caught:
        make("other", account())
    assert caught.value.code == "PLT-002"
