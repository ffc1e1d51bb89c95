"""The index of a site, opened beside a service that may be running; and the one job that a person means."""

from __future__ import annotations

from bridge.config.site import Site
from bridge.errors import ConfigError
from bridge.store.jobs import Job, Jobs
from bridge.store.migrations import MIGRATIONS
from bridge.store.tables import Index


def open_index(site: Site) -> Index:
    """Raises ConfigError: CLI-001 where no bridge has run yet, CLI-005 where another release has."""
    file = site.data / "index.sqlite"
    if not file.exists():
        raise ConfigError(
            "CLI-001",
            "no index in the data directory",
            "a bridge that has run at least once",
            "Start `bridge serve` first, or name the right site.toml with --config",
        )
    index = Index(file)
    with index.read() as connection:
        have = int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())
    if have != len(MIGRATIONS):
        raise ConfigError(
            "CLI-005",
            f"an index of schema {have}",
            f"schema {len(MIGRATIONS)}, which this release reads",
            "Start `bridge serve` of this release once: it brings an older index up to date"
            if have < len(MIGRATIONS)
            else "Use the newer release that wrote it",
        )
    return index


def the_job(store: Jobs, beginning: str) -> Job:
    """The one job whose id begins so. Raises ConfigError (CLI-002) when there is none or more than one."""
    found = store.find(beginning)
    if not found:
        raise ConfigError(
            "CLI-002", f"no job begins with {beginning!r}", "one job", "`bridge jobs list` shows them"
        )
    if len(found) > 1:
        some = ", ".join(job.id[:12] for job in found[:4])
        raise ConfigError(
            "CLI-002",
            f"{len(found)} jobs begin with {beginning!r}: {some}",
            "one job",
            "Write more of the id",
        )
    return found[0]
