"""Instance files: durable before anybody hears of them, under names that say nothing."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


class InstanceFiles:
    """Files under `<data>/instances/`, 256 folders of them. Names are relative to `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def write(self, *parts: bytes) -> str:
        """Write a new file under a name of ours and make both durable. What cannot be finished is removed."""
        name = secrets.token_hex(16)
        folder = self.folder / name[:2]
        if not folder.is_dir():
            folder.mkdir(exist_ok=True)
            sync_folder(self.folder)
        file = folder / f"{name}.dcm"
        try:
            with file.open("xb") as stream:
                for part in parts:
                    stream.write(part)
                stream.flush()
                os.fsync(stream.fileno())
            sync_folder(folder)
        except BaseException:
            file.unlink(missing_ok=True)
            raise
        return f"{name[:2]}/{name}.dcm"

    def link(self, source: Path) -> str:
        """A name of ours for a file that is whole and never changes; a copy where the disk knows no second names."""
        name = secrets.token_hex(16)
        folder = self.folder / name[:2]
        if not folder.is_dir():
            folder.mkdir(exist_ok=True)
            sync_folder(self.folder)
        try:
            os.link(source, folder / f"{name}.dcm")
        except OSError:
            return self.write(source.read_bytes())
        sync_folder(folder)
        return f"{name[:2]}/{name}.dcm"

    def is_there(self, name: str) -> bool:
        return (self.folder / name).is_file()

    def remove(self, name: str) -> None:
        (self.folder / name).unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable; fsync of a file does not cover its entry."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
