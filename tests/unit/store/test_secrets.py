"""Secrets outlive the process, are the owner's alone, and are whole at any moment."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bridge.errors import TryLater
from bridge.store import secrets
from bridge.store.secrets import SecretFiles


def test_what_was_put_is_there_for_the_next_process_and_nothing_else(tmp_path: Path) -> None:
    SecretFiles(tmp_path / "secrets").put("token/vpe/1", "one\nline two")
    SecretFiles(tmp_path / "secrets").put("token/vpe/2", "other")
    again = SecretFiles(tmp_path / "secrets")
    assert again.get("token/vpe/1") == "one\nline two"
    again.put("token/vpe/1", "changed")
    again.drop("token/vpe/2")
    again.drop("never/there")
    assert (again.get("token/vpe/1"), again.get("token/vpe/2")) == ("changed", None)


def test_files_are_of_the_owner_alone_and_their_names_say_nothing(tmp_path: Path) -> None:
    mask = os.umask(0)
    try:
        SecretFiles(tmp_path / "secrets").put("token/vpe/1", "value")
    finally:
        os.umask(mask)
    (file,) = (tmp_path / "secrets").iterdir()
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert "vpe" not in file.name
    assert "value" not in repr(SecretFiles(tmp_path / "secrets"))


def test_crash_before_the_end_leaves_the_value_of_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = SecretFiles(tmp_path / "secrets")
    kept.put("name", "before")

    def die(handle: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(secrets.os, "fsync", die)
    with pytest.raises(KeyboardInterrupt):
        kept.put("name", "after")
    assert kept.get("name") == "before"


def test_disk_in_trouble_is_later_and_says_no_name(tmp_path: Path) -> None:
    (tmp_path / "secrets").write_text("a file where the folder should be")
    with pytest.raises(TryLater) as caught:
        SecretFiles(tmp_path / "secrets").put("token/vpe/1", "value")
    assert caught.value.code == "SEC-001"
    assert "vpe" not in caught.value.sentence() and "value" not in caught.value.sentence()
