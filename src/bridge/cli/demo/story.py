"""The demonstration: a study goes PACS -> bridge -> cloud -> bridge -> PACS, and the bridge is killed on the way.

Everything is real: three processes on this machine, DICOM and HTTPS between them, an algorithm that computes. At the
end the figures are taken from what the cloud billed, what PACS holds and what the bridge acknowledged.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import typer
from pydantic import TypeAdapter
from rich.console import Console

from bridge.cli.demo.figures import Figures, Seen, Wanted, figures
from bridge.cli.demo.files import fresh_folder, header_inside, header_outside, own_study, series_rows
from bridge.cli.demo.plays import Play, play_of
from bridge.cli.demo.programs import Program, free_port
from bridge.cli.demo.screen import Screen, left_table, series_table
from bridge.cli.demo.site import write_config
from bridge.cli.report import write as write_report
from bridge.config import Site, load_site
from bridge.errors import BridgeError, Refused
from bridge.log import silence_libraries
from bridge.rules import Explanation
from bridge.sandbox.pacs import send
from bridge.store.decisions import Decisions
from bridge.store.deliveries import Deliveries
from bridge.store.jobs import FINAL, Job, JobEvent, Jobs, JobState
from bridge.store.tables import Index

T = TypeVar("T")

REFUSED_STORES = 4
"""Two attempts of the bridge where each has a SEG and an SR."""
PATIENCE_S = 600.0
ENDED = FINAL | {JobState.HELD}


def demo(study: Path | None, out: Path, platform: str) -> None:
    """`show` of a platform's play. Raises ConfigError: DMO-010, DMO-011, DMO-012."""
    show(study, out, play_of(platform))


def show(study: Path | None, out: Path, play: Play) -> None:
    """Exit code 0 when the cloud billed one job, PACS holds one SEG and one SR, and nothing was lost."""
    silence_libraries()
    fresh_folder(out)
    console = Console(highlight=False)
    with Screen(console) as screen:
        shown = Demonstration(screen, out, study, play)
        try:
            found = shown.play()
        finally:
            shown.stop()
    console.print()
    console.print(found.sentence(), style="bold green" if found.as_expected else "bold red")
    typer.echo(str(out / "report.html"))
    if not found.as_expected:
        raise typer.Exit(1)


class Demonstration:
    def __init__(self, screen: Screen, out: Path, study: Path | None, play: Play) -> None:
        self._screen = screen
        self._out = out
        self._own = study
        self._play = play
        self._wanted: Wanted | None = None
        words = ["--compute-seconds", str(play.compute_s), *(play.for_phantom if study is None else ())]
        self._cloud = Program(out, "cloud", "sandbox", play.platform, str(out / "cloud"), *words)
        self._pacs = Program(
            out, "pacs", "sandbox", "pacs", str(out / "pacs"), "--refuse", str(REFUSED_STORES)
        )
        self._bridge = Program(out, "bridge", "serve", "--config", str(out / "site.toml"))
        self._port = free_port()

    def play(self) -> Figures:
        self._cloud.start()
        self._pacs.start()
        files = self._study()
        site = self._start()
        statuses = self._send(files)
        index = Index(site.data / "index.sqlite")
        self._jobs = Jobs(index)
        self._decisions = Decisions(index)
        self._deliveries = Deliveries(index)
        job = self._decide(site, files)
        self._submit(job.id)
        self._kill_while_computing(job.id)
        self._encode(job.id)
        done = self._store(job.id)
        write_report(site, index, done, self._out / "report.html", webp=False)
        self._screen.show(left_table(header_inside(files, done), header_outside(site.data / "jobs" / job.id)))
        seen = Seen(
            out=self._out, sent=files, statuses=statuses, is_bill=self._play.is_bill, wanted=self._wanted
        )
        return figures(seen, index)

    def stop(self) -> None:
        for program in (self._bridge, self._pacs, self._cloud):
            program.stop()

    def _study(self) -> list[Path]:
        if self._own is not None:
            line = self._screen.begin("a study", str(self._own))
            files = own_study(self._own)
        else:
            line = self._screen.begin("a study", f"a phantom is drawn: {self._play.what}")
            from bridge.sandbox.phantom import KINDS, write_study

            drawn = KINDS[self._play.phantom](when=datetime.now().astimezone(), **self._play.drawn)
            files = write_study(drawn, self._out / "study")
            self._wanted = self._play.wanted(drawn)
        size = sum(file.stat().st_size for file in files) / 1e6
        self._screen.end(line, f"{len(files)} objects, {size:.0f} MB")
        return files

    def _start(self) -> Site:
        line = self._screen.begin("PACS, cloud and bridge start")
        cloud, pacs = self._cloud.ready(), self._pacs.ready()
        write_config(
            self._out,
            self._play,
            port=self._port,
            pacs_port=pacs["port"],
            cloud=cloud,
            any_volume=self._own is not None,
        )
        self._bridge.start()
        self._bridge.listening(self._port)
        self._screen.end(line, "three processes on 127.0.0.1")
        return load_site(self._out / "site.toml")

    def _send(self, files: list[Path]) -> list[int | None]:
        line = self._screen.begin("PACS sends the study")
        statuses = send(files, port=self._port, called_ae_title="BRIDGE", calling_ae_title="PACS")
        good = sum(status == 0 for status in statuses)
        self._screen.end(line, f"{good} of {len(files)} acknowledged, each on the disk before its 0x0000")
        return statuses

    def _decide(self, site: Site, files: list[Path]) -> Job:
        line = self._screen.begin("the study is complete", f"nothing new for {site.receive.quiet_s:g} s")
        explanation = self._wait(self._explanation)
        self._screen.end(line)
        self._screen.show(series_table(series_rows(explanation, files)))
        found = self._jobs.all()
        if not found:
            raise Refused("DMO-002", f"the rule chose nothing: {explanation.reason}", "a study with a volume")
        self._screen.say(f"rule {explanation.rule} matches", explanation.reason)
        return found[0]

    def _submit(self, job: str) -> None:
        line = self._screen.begin("converted")
        converted = self._wait_for(job, "prepare.converted")
        keys = converted.keys
        self._screen.end(line, f"{keys['shape']} voxels as .{keys['format']}, {keys['bytes'] / 1e6:.1f} MB")
        line = self._screen.begin("sent to the cloud", "HTTPS, in parts")
        self._wait_for(job, "cloud.step", step=self._play.sent)
        self._screen.end(line, "uploaded, and a job made")

    def _kill_while_computing(self, job: str) -> None:
        line = self._screen.begin("the cloud computes")
        self._wait_for(job, "cloud.state", **self._play.computing)
        time.sleep(1.0)
        self._bridge.kill()
        self._screen.say("the bridge is killed", "SIGKILL while the cloud computes", mark="trouble")
        time.sleep(1.5)
        again = self._screen.begin("the bridge starts again")
        self._bridge.start()
        self._bridge.listening(self._port)
        self._screen.end(again, "and goes on with the job that it finds")
        fetched = self._wait_for(job, "cloud.fetched")
        self._screen.end(line, f"{fetched.keys['outputs']} outputs, {fetched.keys['bytes'] / 1e3:.0f} kB")

    def _encode(self, job: str) -> None:
        line = self._screen.begin("masks and values become DICOM")
        self._wait(lambda: self._deliveries.of(job))
        made = self._jobs.results(job)
        sizes: Counter[str] = Counter()
        for one in made:
            sizes[one.kind] += one.size_bytes
        counts = _counted([one.kind for one in made])
        self._screen.end(
            line, ", ".join(f"{word} {sizes[kind] / 1e3:.0f} kB" for kind, word in counts.items())
        )

    def _store(self, job: str) -> Job:
        """Show each attempt at PACS as it happens, until the job has ended."""
        line = self._screen.begin("PACS stores the results")
        results = len(self._jobs.results(job))
        seen = 0
        while True:
            answers = [e for e in self._jobs.timeline(job) if e.event == "deliver.answered"][seen:]
            now = self._jobs.get(job)
            attempt = answers[:results] if len(answers) >= results else answers if now.state in ENDED else []
            if attempt:
                seen += len(attempt)
                words = "; ".join(sorted({str(one.keys["reason"]) for one in attempt}))
                kinds = ", ".join(_counted([str(one.keys["kind"]) for one in attempt]).values())
                stored = all(one.keys["outcome"] in ("delivered", "warned") for one in attempt)
                self._screen.end(line, f"{kinds}: {words}", mark="done" if stored else "bumpy")
                if not stored and now.state not in ENDED:
                    line = self._screen.begin("PACS stores the results")
            elif now.state in ENDED:
                if now.state is not JobState.DONE:
                    raise BridgeError(now.code or "DMO-003", now.reason or f"the job ended as {now.state}")
                return now
            else:
                time.sleep(0.1)

    def _explanation(self) -> Explanation | None:
        decisions = self._decisions.all()
        return TypeAdapter(Explanation).validate_json(decisions[0].explanation) if decisions else None

    def _wait_for(self, job: str, event: str, **keys: Any) -> JobEvent:
        def look() -> JobEvent | None:
            for one in self._jobs.timeline(job):
                if one.event == event and all(one.keys.get(key) == value for key, value in keys.items()):
                    return one
            now = self._jobs.get(job)
            if now.state in ENDED:
                raise BridgeError(now.code or "DMO-003", now.reason or f"the job ended as {now.state}")
            return None

        return self._wait(look)

    def _wait(self, look: Callable[[], T | None]) -> T:
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            found = look()
            if found:
                return found
            time.sleep(0.1)
        raise BridgeError(
            "DMO-004", f"nothing happened for {PATIENCE_S:.0f} s", "progress", f"See {self._out}/bridge.log"
        )


def _counted(kinds: list[str]) -> dict[str, str]:
    """Each kind as it is told: with its number where there are several."""
    return {kind: kind if count == 1 else f"{count} {kind}" for kind, count in Counter(kinds).items()}
