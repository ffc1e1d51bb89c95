"""The documents are run: every command, every example file, every link, and the reference of the settings."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from bridge.config import load_rules, load_site
from bridge.rules import compile_rules

ROOT = Path(__file__).resolve().parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
READY_S, SETTLE_S = 60, 2
"""A program that was put into the background is waited for so long, and gets so long before the next line."""


@dataclass(frozen=True)
class Block:
    page: Path
    language: str
    text: str


def blocks(page: Path) -> list[Block]:
    return [Block(page, *match.groups()) for match in BLOCK.finditer(page.read_text())]


def lines(block: Block) -> list[str]:
    """Commands of a console block, without comments."""
    return [line[2:].split("  #")[0].strip() for line in block.text.splitlines() if line.startswith("$ ")]


EVERY = [block for page in PAGES for block in blocks(page)]
TOML = [block for block in EVERY if block.language == "toml"]
COMMANDS = [
    (block.page.name, line) for block in EVERY if block.language == "console" for line in lines(block)
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text()):
        assert (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize("block", TOML, ids=lambda block: block.page.name)
def test_example_file_is_valid(block: Block, tmp_path: Path) -> None:
    file = tmp_path / "example.toml"
    file.write_text(block.text)
    for name in re.findall(r'\{ file = "([\w.-]+)" \}', block.text):
        (tmp_path / name).write_text("a file of the site")
    if "[bridge]" in block.text:
        load_site(file)
    else:
        compile_rules(load_rules(file))


@pytest.mark.parametrize(("page", "line"), COMMANDS)
def test_command_exists(page: str, line: str) -> None:
    program, *arguments = line.removesuffix(" &").split()
    if program == "make":
        assert f"\n{arguments[0]}:" in (ROOT / "Makefile").read_text()
        return
    assert program == "bridge", f"{page}: {line}"
    words = [word for word in arguments if not word.startswith("-")]
    command = words[:2] if words[0] in ("jobs", "sandbox") else words[:1]
    subprocess.run([sys.executable, "-m", "bridge", *command, "--help"], check=True, capture_output=True)


def test_reference_of_the_settings_is_that_of_the_models() -> None:
    told = subprocess.run([sys.executable, str(ROOT / "scripts" / "settings.py"), "--check"], check=False)
    assert told.returncode == 0, "run scripts/settings.py"


def test_make_help_names_every_target() -> None:
    told = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert phony
    for target in phony.group(1).split():
        assert re.search(rf"^{target} ", told, re.MULTILINE), target


def _begun(command: str) -> list[str]:
    """A server in the background, waited for as a person would wait: until it says that it is there."""
    heard = f"for n in $(seq {READY_S * 10}); do grep -q '\"ready\"\\|receive.listening' told && break; sleep 0.1; done"
    return [f"{command.removesuffix('&')} >told 2>&1 &", heard, "cat told", f"sleep {SETTLE_S}"]


@pytest.mark.slow
def test_quickstart_works_as_written(tmp_path: Path) -> None:
    script = ["set -e", "trap 'kill $(jobs -p) 2>/dev/null; wait' EXIT"]
    for block in blocks(ROOT / "docs" / "quickstart.md"):
        if block.language == "toml":
            (tmp_path / ("site.toml" if "[bridge]" in block.text else "rules.toml")).write_text(block.text)
        for line in lines(block) if block.language == "console" else ():
            if not line.startswith("make "):
                script += _begun(line) if line.endswith("&") else [line]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    told = subprocess.run(
        ["bash", "-c", "\n".join(script)],
        cwd=tmp_path,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert told.returncode == 0, told.stdout + told.stderr
    assert {file.name for file in (tmp_path / "result").iterdir()} >= {"report.html"}
    ledger = (tmp_path / "cloud" / "ledger.jsonl").read_text().splitlines()
    assert len(ledger) == 1
    again = subprocess.run(
        [sys.executable, "-m", "bridge", "run", "lungs", "study", "--out", "result"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert again.returncode == 0, "the cloud is gone, and nothing of a finished case is asked of it"
    kinds = sorted(file.suffixes[-2] for file in (tmp_path / "result").glob("*.dcm"))
    assert kinds == [".seg", ".sr"]
