"""`bridge check` of folders: there, with the rights that are needed, and nothing left behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.cli.checks import folders as checks
from bridge.cli.checks.destinations import destinations
from bridge.cli.checks.folders import folders
from bridge.config import Site, load_site

SITE = """
[bridge]
ae_title = "BRIDGE"
data = "data"
rules = "rules.toml"

[sources.scanner]
folder = "in"
after = "{after}"

[destinations.out]
folder = "out"
case = "{case}"
{more}
"""


def site(folder: Path, *, after: str = "move", case: str = "{study}", more: str = "") -> Site:
    for name in ("in", "out"):
        (folder / name).mkdir(exist_ok=True)
    file = folder / "site.toml"
    file.write_text(SITE.format(after=after, case=case, more=more))
    return load_site(file)


def told(site: Site) -> dict[str, str]:
    """Words of each finding and its level; nothing may stay in the folders."""
    looks = [*folders(site), *destinations(site, None)]
    found = {one.what: str(one.level) for _, look in looks for one in look()}
    root = site.file.parent
    assert not [one for name in ("in", "out") for one in (root / name).glob(".*")]
    return found


def test_folders_that_can_be_used_are_good(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "1.dcm").touch()
    watched, written = told(site(tmp_path)).items()
    assert watched == (f"{tmp_path}/in is there and can be written; 1 files wait in it", "ok")
    assert written[0].startswith(f"{tmp_path}/out can be written, ") and written[1] == "ok"


def remove(folder: Path) -> None:
    (folder / "in").rmdir()
    (folder / "out").rmdir()


def fail_something(folder: Path) -> None:
    (folder / "in" / "failed").mkdir()
    (folder / "in" / "failed" / "x.why.txt").touch()


WRONG: dict[str, tuple[dict[str, str], Callable[[Path], None], dict[str, str]]] = {
    "gone": (
        {},
        remove,
        {"in cannot be looked through (No such file or directory)": "wrong", "out is not there": "wrong"},
    ),
    "not mounted": (
        {"more": 'marker = "here"'},
        lambda folder: None,
        {"out has no here: the share is not mounted": "wrong"},
    ),
    "something was not taken": (
        {},
        fail_something,
        {"in/failed holds what could not be taken": "warn"},
    ),
    "names of patients": (
        {"case": "{PatientID}"},
        lambda folder: None,
        {"`case` shows on the share who the patients are; {study} would not": "ok"},
    ),
    "nothing is written": (
        {"after": "keep"},
        lambda folder: None,
        {"in is there; files stay where they are (0 now)": "ok"},
    ),
}


@pytest.mark.parametrize(("settings", "does", "expected"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_with_a_folder_is_said(
    tmp_path: Path, settings: dict[str, str], does: Callable[[Path], None], expected: dict[str, str]
) -> None:
    asked = site(tmp_path, **settings)
    does(tmp_path)
    found = told(asked)
    for words, level in expected.items():
        assert [one for what, one in found.items() if what.endswith(words)] == [level], found


def test_a_right_that_is_missing_is_found_by_trying(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "_cannot_write", lambda folder: "Permission denied")
    found = told(site(tmp_path))
    assert set(found.values()) == {"wrong"}
    assert f"{tmp_path}/in cannot be changed (Permission denied)" in found
