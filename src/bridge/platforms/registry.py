"""Which platforms are installed: the entry points of the group `bridge.platforms`, ours and those of others."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from bridge.errors import ConfigError
from bridge.platforms.protocol import Account, Platform

GROUP = "bridge.platforms"


def names() -> tuple[str, ...]:
    """Names under which `site.toml` may ask for a platform, sorted."""
    from importlib.metadata import entry_points

    return tuple(sorted(entry_points(group=GROUP).names))


def make(name: str, account: Account) -> Platform:
    """The platform of one account; no request is sent.

    Raises:
        ConfigError: PLT-001, no such platform; PLT-002, its package does not load; or what the platform says
            of the account's settings.
    """
    from importlib.metadata import entry_points

    found = entry_points(group=GROUP, name=name)
    if not found:
        raise _unknown(name)
    try:
        platform = next(iter(found)).load()
    except (ImportError, AttributeError) as error:
        raise ConfigError(
            "PLT-002",
            f"the platform {name!r} is installed but does not load ({type(error).__name__})",
            remedy="Install its package again",
        ) from error
    return cast(Callable[[Account], Platform], platform)(account)


def _unknown(name: str) -> ConfigError:
    from difflib import get_close_matches

    known = names()
    near = get_close_matches(name, known, n=1, cutoff=0.5)
    return ConfigError(
        "PLT-001",
        f"there is no platform {name!r}",
        "one of " + (", ".join(known) or "none: no platform is installed"),
        f"Did you mean {near[0]!r}?" if near else "",
    )
