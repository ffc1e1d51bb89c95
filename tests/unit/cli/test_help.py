"""Help answers at once, and mistakes are sentences."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import startup


def bridge(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bridge", *arguments], capture_output=True, text=True, cwd=cwd, check=False
    )


def test_help_loads_no_heavy_library() -> None:
    assert startup.loaded() == set()


def test_help_names_every_command() -> None:
    told = bridge("--help").stdout
    for command in (
        "serve",
        "init",
        "check",
        "run",
        "jobs",
        "fence",
        "status",
        "health",
        "sandbox",
        "demo",
        "version",
    ):
        assert f"\n  {command} " in told


@pytest.mark.parametrize("command", [["check"], ["serve"], ["status"], ["jobs", "list"], ["fence", "show"]])
def test_missing_site_file_is_one_sentence_without_traceback(tmp_path: Path, command: list[str]) -> None:
    told = bridge(*command, cwd=tmp_path)
    assert told.returncode in (1, 2)
    said = told.stdout + told.stderr
    assert "site.toml" in said
    assert "cannot be opened" in said
    assert "Traceback" not in said


def test_init_writes_files_that_check_can_read(tmp_path: Path) -> None:
    told = subprocess.run(
        [sys.executable, "-m", "bridge", "init", str(tmp_path / "site")],
        input="\n" * 20,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    from bridge.config import check_rules, load_rules, load_site
    from bridge.rules import compile_rules

    site = load_site(tmp_path / "site" / "site.toml")
    rules = load_rules(site.rules_file)
    assert check_rules(rules, site) == []
    assert [rule.name for rule in compile_rules(rules)] == ["lungs-and-airways"]
    assert site.accounts["gc"].token_file.stat().st_mode & 0o777 == 0o600


def test_init_never_overwrites(tmp_path: Path) -> None:
    (tmp_path / "rules.toml").write_text("mine")
    told = subprocess.run(
        [sys.executable, "-m", "bridge", "init", str(tmp_path)],
        input="\n" * 20,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 2
    assert "is there already" in told.stderr
    assert (tmp_path / "rules.toml").read_text() == "mine"


def test_health_of_nothing_is_not_well(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text('[bridge]\nae_title = "B"\ndata = "data"\nrules = "r.toml"\n')
    assert bridge("health", "--config", str(tmp_path / "site.toml")).returncode == 1
