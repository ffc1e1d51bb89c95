"""The page of the platform names every setting and every wait."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.errors import TryLater
from bridge.platforms.grand_challenge.answers import TABLE
from bridge.platforms.grand_challenge.options import Options

PAGE = Path(__file__).resolve().parents[3] / "docs" / "platforms" / "grand-challenge.md"


@pytest.mark.parametrize("name", Options.model_fields)
def test_setting_is_on_the_page_with_its_default(name: str) -> None:
    (line,) = [
        one
        for one in PAGE.read_text(encoding="utf-8").splitlines()
        if one.startswith("| ") and f"`{name}`" in one.split("|")[1]
    ]
    default = Options.model_fields[name].default
    if default is not None:
        written = str(default).lower().removesuffix(".0")
        assert line.split("|")[2].strip() == written


@pytest.mark.parametrize("code", [row.code for row in TABLE if issubclass(row.error, TryLater)])
def test_wait_is_on_the_page(code: str) -> None:
    assert code in PAGE.read_text(encoding="utf-8")
