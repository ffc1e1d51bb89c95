"""What a test may do to the platform that no client can: move its clock, break its answers, decide over jobs."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from bridge.errors import ConfigError
from bridge.itk import read_image
from bridge.sandbox.loopback.clock import MovableClock
from bridge.sandbox.loopback.faults import Fault, Faults

from .imports import Imports
from .objects import FAILED, ArchiveItem, Image, Job
from .platform import FIRST_USER, Platform
from .runner import Runner
from .settings import Behaviour, Limits


class Controls:
    """The sandbox's hands. `bridge.sandbox.grand_challenge.control` gives the same over HTTP."""

    def __init__(
        self,
        folder: Path,
        platform: Platform,
        runner: Runner,
        imports: Imports,
        faults: Faults,
        clock: MovableClock,
    ) -> None:
        self.folder, self.platform = folder, platform
        self.requests_file, self.ledger_file = folder / "requests.jsonl", folder / "ledger.jsonl"
        self._runner, self._imports, self._faults, self._clock = runner, imports, faults, clock

    def add_user(self, *, may_run: bool = True) -> str:
        """Another account; returns its token."""
        return self.platform.add_user(secrets.token_hex(32), may_run=may_run).token

    def revoke(self, token: str) -> None:
        """From now on the token is unknown: 401."""
        with self.platform.lock:
            self.platform.users.pop(token, None)

    def arm(self, fault: Fault) -> int:
        """Let something go wrong with the next requests that match; gives the fault's number."""
        return self._faults.arm(fault)

    def disarm(self, number: int | None = None) -> None:
        """Forget one fault, or all of them; what they delay goes on."""
        self._faults.disarm(number)

    def faults(self) -> tuple[dict[str, Any], ...]:
        """What is armed, each with `hits` and `left`."""
        return self._faults.armed()

    def now_s(self) -> float:
        """The sandbox's time, seconds since 1970."""
        return self._clock()

    def move_clock(self, seconds: float) -> float:
        """Every deadline, signature and duration of the sandbox sees the new time, which is given back."""
        moved = self._clock.move(seconds)
        self.platform.sweep()
        return moved

    def set_limits(self, **changes: Any) -> Limits:
        """Raises ConfigError SBX-002 for a name that is no limit."""
        self.platform.limits = _changed(self.platform.limits, changes)
        return self.platform.limits

    def behave(self, **changes: Any) -> Behaviour:
        """Raises ConfigError SBX-002 for a name that is no behaviour."""
        self.platform.behaviour = _changed(self.platform.behaviour, changes)
        return self.platform.behaviour

    def hold(self, *labels: str) -> None:
        """Every job that reaches one of these statuses stays there; in "Validating inputs" two days at most."""
        with self.platform.lock:
            self.platform.holds.update(labels)

    def release(self, *labels: str) -> None:
        """Let jobs leave these statuses again; without labels, all."""
        with self.platform.lock:
            self.platform.holds.difference_update(labels or set(self.platform.holds))

    def set_status(self, job: str, label: str, *, reason: str = "") -> Job:
        """Take a job out of the platform's hands: it shows this label, known or not, until `let_go`.

        reason: why it failed, written where the platform writes it, into the job's upload sessions.
        """
        with self.platform.lock:
            changed = self.platform.change_job(job, label, forced=True)
            for session in changed.sessions if reason else ():
                self.platform.change_session(session, status=FAILED, error_message=reason)
        return changed

    def let_go(self, job: str) -> None:
        """Back to its own life: a running job goes on where it was, a Re-Queued one that had ended runs again."""
        self._runner.let_go(job)

    def new_version(self, slug: str, *, is_ready: bool = True) -> str | None:
        """Another container image becomes the active one, or none while it is not ready; gives its pk."""
        return self.platform.new_algorithm_image(slug, is_ready=is_ready)

    def withdraw(self, image: str) -> None:
        """Take away the right to see an image: links to it dangle."""
        with self.platform.lock:
            self.platform.withdrawn.add(image)

    def add_image(self, file: Path, *, name: str | None = None) -> Image:
        """An image of the first account that is already at the platform, from a file that ITK can read."""
        return self._imports.keep(read_image(file), name or file.name, FIRST_USER, None)

    def add_archive_item(self, archive: str, contents: Mapping[str, Any], *, title: str = "") -> ArchiveItem:
        """An item of an archive (by slug): for each socket a file (image or File socket) or a value."""
        pk = next(a.pk for a in self.platform.archives.values() if a.slug == archive)
        values = []
        for slug, content in contents.items():
            socket = self.platform.sockets[slug]
            match socket.super_kind:
                case "Image":
                    values.append(self.platform.bind(socket, image=self.add_image(Path(content)).pk))
                case "File":
                    held = Path(content).read_bytes()
                    values.append(self.platform.bind_file(socket, held, FIRST_USER))
                case _:
                    values.append(self.platform.bind(socket, value=content))
        item = ArchiveItem(pk=str(uuid4()), archive=pk, creator=FIRST_USER, title=title, values=tuple(values))
        with self.platform.lock:
            self.platform.items[item.pk] = item
        return item

    def ledger(self) -> list[dict[str, Any]]:
        """One entry for each job that would have been billed, with its credits."""
        return _lines(self.ledger_file)

    def requests(self, origin: str | None = None) -> list[dict[str, Any]]:
        """Every request in the order of its answer; `token`: a token was in a header or in the address."""
        return [line for line in _lines(self.requests_file) if origin in (None, line["origin"])]


def _changed(value: Any, changes: Mapping[str, Any]) -> Any:
    try:
        # Through the field's type, so that "empty" from JSON becomes the enum's member.
        typed = {
            name: type(getattr(value, name))(given) if isinstance(getattr(value, name), str) else given
            for name, given in changes.items()
        }
        return replace(value, **typed)
    except (AttributeError, TypeError, ValueError):
        raise ConfigError(
            "SBX-002",
            f"{', '.join(changes)} does not fit {type(value).__name__}",
            "names and values of bridge.sandbox.grand_challenge.settings",
            "Correct the name or the value",
        ) from None


def _lines(file: Path) -> list[dict[str, Any]]:
    if not file.exists():
        return []
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
