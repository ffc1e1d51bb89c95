"""`bridge serve`: receiver, intake and engine over one data directory."""

from __future__ import annotations

import json
import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import IO

from bridge.assembly import INDEX, build, platform_of
from bridge.config import RulesFile, Site, load_rules
from bridge.config.sources import DicomSource
from bridge.config.sources import FolderSource as FolderSourceSettings
from bridge.errors import ConfigError
from bridge.flow.acts import perform as acts
from bridge.flow.engine import Engine
from bridge.flow.job import Stages
from bridge.flow.keeping import fence, fencing
from bridge.flow.keeping.fencing import Fence, Fencing
from bridge.flow.keeping.resume import resume
from bridge.flow.keeping.upkeep import Upkeep
from bridge.flow.parts import Parts, nothing
from bridge.flow.relay import Relay
from bridge.flow.study.intake import Intake
from bridge.flow.study.rulebook import ALERT, RELOAD, SUBJECT, rules_of
from bridge.log import event
from bridge.receive.folder import FolderSource, Watched
from bridge.receive.listening import Listening, Peer
from bridge.receive.scp import Receiver
from bridge.store.disk import refuse_network
from bridge.store.refusals import Refusals

log = logging.getLogger("bridge.service")


class Service:
    """`bridge serve`: receiver, intake, engine. One per process and one per data directory."""

    def __init__(self, site: Site, rules: RulesFile, *, passing: Callable[[str], None] = nothing) -> None:
        self._site = site
        self._rules = rules_of(rules, site)
        self._passing = passing
        self._stop = threading.Event()
        self._hup = threading.Event()
        self._lock: IO[str] | None = None
        self._hands_over = False

    def start(self) -> None:
        """Open everything in the order that is safe: own the directory, then the tables, the port, the engine."""
        site = self._site
        site.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        refuse_network(site.data)
        self._lock = fence.lock(site.data)
        is_new = not any((site.data / name).exists() for name in (fence.KEY_FILE, INDEX))
        self._engine = Engine(site.data / ENGINE, poll_s=site.engine.poll_s)
        self._built = build(site, enqueue=self._engine.enqueue, passing=self._passing)
        parts = self._built.parts
        # The port before the engine: what fails for a reason that a person can mend fails before anything runs.
        self.receiver = Receiver(_listening(site), parts.instances, Refusals(self._built.index))
        self.receiver.start()
        self._folders = _folders(site, parts)
        for one in self._folders:
            one.start()
        self._fencing = Fencing(
            parts,
            site.data / ENGINE,
            lambda name: platform_of(name, site.accounts[name], site.data),
            is_new=is_new,
        )
        self._stages = Stages(parts, self._fencing.is_open)
        self._stages.register(self._engine)
        self._intake = Intake(parts, self._rules, today=lambda: datetime.now().astimezone().date())
        self._relay = Relay(parts)
        self._upkeep = Upkeep(parts, self._engine, self._fencing)
        if not self._fencing.waits():
            self._hand_over()
        parts.studies.begin_again()
        self._thread = threading.Thread(target=self._look, name="intake", daemon=True)
        self._thread.start()
        event(
            log,
            "service.started",
            data=str(site.data),
            rules=len(self._rules.compiled),
            port=self.receiver.port,
        )

    def _hand_over(self) -> None:
        """From here on something is sent: the directory is known to be ours, and to be of today."""
        self._fencing.settle()
        self._fencing.ask()
        self._engine.launch(self._stages.queues(self._site.engine.cores or os.cpu_count() or 1))
        resume(self._built.parts, self._engine)
        self._hands_over = True

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT, then end at once: what is under way goes on at the next start."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stop.set())
        signal.signal(signal.SIGHUP, lambda *_: self._hup.set())
        self._stop.wait()
        self.stop()
        # Threads of sleeping stages are no daemons and would hold the interpreter until their pause is over.
        logging.shutdown()
        os._exit(0)

    def stop(self) -> None:
        event(log, "service.stopping")
        self._stop.set()
        self.receiver.drain(self._site.engine.stop_s)
        for one in self._folders:
            one.stop()
        until = time.monotonic() + self._site.engine.stop_s
        for one in self._folders:
            one.join(max(until - time.monotonic(), 0.0))
        self._thread.join(self._site.engine.stop_s)
        self._fencing.stop()
        self._engine.stop(self._site.engine.stop_s)
        if self._hands_over:
            self._fencing.renew()
        self._built.close()
        (self._site.data / HEALTH).unlink(missing_ok=True)
        event(log, "service.stopped")

    def _reload(self) -> str:
        """Read the rules again. Raises ConfigError (CFG-...) for a file with mistakes, which changes nothing."""
        alerts = self._built.parts.alerts
        try:
            newer = rules_of(load_rules(self._site.rules_file), self._site)
        except ConfigError as error:
            told = f"{error.sentence()}. The rules of before stay in force"
            alerts.begin(ALERT, SUBJECT, told)
            raise
        difference = self._rules.difference(newer)
        self._rules = newer
        self._intake.use(newer)
        alerts.end(ALERT, SUBJECT)
        event(log, "rules.read", rules=len(newer.compiled), difference=difference)
        return f"the rules are read again: {difference}"

    def _look(self) -> None:
        due = 0.0
        while not self._stop.is_set():
            try:
                self._tick()
                if time.monotonic() >= due:
                    due = time.monotonic() + HEALTH_EVERY_S
                    if self._hands_over:
                        self._stages.give_up(self._engine)
                        for stage in self._engine.take_up():
                            event(log, "engine.taken-up", level=logging.WARNING, stage=stage)
                    write_health(self._site.data, self.receiver.port, self._fencing.state())
            except Exception:  # noqa: BLE001 - a full disk or a locked file must not end the looking
                event(log, "intake.trouble", level=logging.ERROR, failed=True)
            self._stop.wait(self._site.engine.look_s)

    def _tick(self) -> None:
        if self._hup.is_set():
            self._hup.clear()
            with suppress(ConfigError):  # told already; the rules of before stay in force
                self._reload()
        only = () if self._hands_over else (fencing.LIFT, RELOAD)
        acts.perform(self._built.parts, reload=self._reload, only=only)
        self._intake.tick()
        if not self._hands_over:
            if self._fencing.waits():
                return
            self._hand_over()
        self._relay.tick()
        self._upkeep.tick()


ENGINE = "engine.sqlite"
HEALTH = "health.json"
HEALTH_EVERY_S = 5.0


def write_health(data: Path, port: int, fence: Fence | None = None) -> None:
    """Say that the service lives; `bridge health` reads it without importing the world."""
    part = data / f".{HEALTH}"
    state = {"pid": os.getpid(), "at": time.time(), "port": port, "fenced": fence.case if fence else ""}
    part.write_text(json.dumps(state))
    part.replace(data / HEALTH)


def _folders(site: Site, parts: Parts) -> tuple[FolderSource, ...]:
    return tuple(
        FolderSource(
            Watched(
                name=name,
                folder=source.folder,
                settle_s=source.settle_s,
                look_s=source.look_s,
                after=source.after,
                quiet_s=source.quiet_s,
                maximum_instance_bytes=site.receive.maximum_instance_bytes,
            ),
            parts.instances,
            parts.alerts,
            passing=parts.passing,
        )
        for name, source in site.sources.items()
        if isinstance(source, FolderSourceSettings)
    )


def _listening(site: Site) -> Listening:
    receive = site.receive
    return Listening(
        ae_title=site.ae_title,
        host=receive.host,
        port=receive.port,
        peers=tuple(
            Peer(name=name, ae_title=source.ae_title, quiet_s=source.quiet_s, host=source.host)
            for name, source in site.sources.items()
            if isinstance(source, DicomSource)
        ),
        any_calling_ae=receive.any_calling_ae,
        quiet_s=receive.quiet_s,
        maximum_associations=receive.maximum_associations,
        maximum_pdu_bytes=receive.maximum_pdu_bytes,
        maximum_instance_bytes=receive.maximum_instance_bytes,
        acse_timeout_s=receive.acse_timeout_s,
        dimse_timeout_s=receive.dimse_timeout_s,
        network_timeout_s=receive.network_timeout_s,
        also_called=receive.also_called,
    )
