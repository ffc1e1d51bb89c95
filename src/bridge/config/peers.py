"""What the sources and destinations of site.toml are to each other."""

from __future__ import annotations

import os.path
from collections.abc import Mapping
from pathlib import Path

from bridge.config.destinations import DestinationSettings, FolderDestination
from bridge.config.load import Document, Key, did_you_mean
from bridge.config.sources import DicomSource, FolderSource, SourceSettings
from bridge.errors import ConfigError

Sources = Mapping[str, SourceSettings]
Destinations = Mapping[str, DestinationSettings]


def check_sources(document: Document, sources: Sources, destinations: Destinations) -> list[ConfigError]:
    """Two sources that are one (CFG-005), and what is asked and cannot answer (CFG-008)."""
    return _ambiguous(document, sources) + _unknown_to_ask(document, sources, destinations)


def _unknown_to_ask(document: Document, sources: Sources, destinations: Destinations) -> list[ConfigError]:
    problems = []
    for name, source in sources.items():
        if source.ask is not None and source.ask not in destinations:
            there = ", ".join(sorted(destinations)) or "none yet"
            found = f'"{source.ask}" is not among the destinations'
            key = ("sources", name, "ask")
            remedy = did_you_mean(source.ask, destinations)
            problems.append(document.error("CFG-008", key, found, f"one of them ({there})", remedy))
        elif source.ask is not None and isinstance(destinations[source.ask], FolderDestination):
            found = f'"{source.ask}" is a folder'
            problems.append(
                document.error(
                    "CFG-008", ("sources", name, "ask"), found, "a destination that answers C-FIND"
                )
            )
    return problems


def _ambiguous(document: Document, sources: Sources) -> list[ConfigError]:
    seen: dict[tuple[str, str | None], str] = {}
    problems = []
    for name, source in sources.items():
        if not isinstance(source, DicomSource):
            continue
        first = seen.setdefault((source.ae_title, source.host), name)
        if first != name:
            found = f'"{source.ae_title}" is also the AE title of sources.{first}, with the same host'
            key = ("sources", name, "ae_title")
            problems.append(
                document.error("CFG-005", key, found, "one source", "Remove one, or give them hosts")
            )
    return problems


def check_folders(
    document: Document, data: Path, sources: Sources, destinations: Destinations
) -> list[ConfigError]:
    """What the bridge writes must not come in again, and no file belongs to two sources."""
    held: list[tuple[Key, Path, str]] = [(("bridge", "data"), data, "bridge.data")]
    held += [
        (("sources", name, "folder"), source.folder, f"sources.{name}")
        for name, source in sources.items()
        if isinstance(source, FolderSource)
    ]
    written = [
        (("destinations", name, "folder"), there.folder, f"destinations.{name}")
        for name, there in destinations.items()
        if isinstance(there, FolderDestination)
    ]
    problems = []
    for number, (key, folder, _) in enumerate([*held, *written]):
        # Two destinations may share a folder: a case has a folder of its own there.
        for _, other, whose in held[:number]:
            if _meet(folder, other):
                found = f"a folder that is, holds or lies in that of {whose}"
                problems.append(document.error("CFG-005", key, found, "a folder apart", "Choose another"))
    return problems


def _meet(one: Path, other: Path) -> bool:
    one, other = (Path(os.path.normpath(path)) for path in (one, other))
    return one.is_relative_to(other) or other.is_relative_to(one)
