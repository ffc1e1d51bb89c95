"""The operations on the Virtual Patient Engine. Each is a few lines here and a noun in a file beside."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from typing import Any, ClassVar

from bridge.errors import BridgeError, ConfigError, Damaged, Never, TryLater
from bridge.export.parcel import Json, Order, Parcel, Step
from bridge.platforms.addresses import host_of
from bridge.platforms.http import Answer, Http
from bridge.platforms.oauth import ClientCredentials
from bridge.platforms.protocol import (
    Absent,
    Account,
    AskAgain,
    Capabilities,
    Fetched,
    Finding,
    Forgotten,
    Found,
    InputSpec,
    Interface,
    Newer,
    Phase,
    RemoteJob,
    Request,
    Shelf,
    Sink,
    Spec,
    State,
    Stopped,
    Verdict,
)
from bridge.platforms.scrub import scrub
from bridge.platforms.virtual_patient_engine import planning
from bridge.platforms.virtual_patient_engine.answers import CREATE_STEP, Call, error_for
from bridge.platforms.virtual_patient_engine.api import Api
from bridge.platforms.virtual_patient_engine.downloads import Downloads, version_of, wanted_of
from bridge.platforms.virtual_patient_engine.kept import Keeper
from bridge.platforms.virtual_patient_engine.options import EXPLICIT, VERSION, Options, options_of
from bridge.platforms.virtual_patient_engine.results import came, verdict_of
from bridge.platforms.virtual_patient_engine.shapes import Polled
from bridge.platforms.virtual_patient_engine.submission import TOLD_AT, Submission
from bridge.results.output import Output, OutputKind

ALGORITHM = "virtual-patient"
"""The one thing that the service computes; what of it is wanted, the rule's outputs say."""
LARGEST_SKEW_S = 60.0
NOT_YET_S = 60.0
"""A job that is younger may not be known everywhere at the platform."""
MOST_PUZZLES = 3
NEVER_RUNS = "a job without its inputs never runs"


class VirtualPatientEngine:
    """One account. `clock`: seconds since 1970, for tokens, addresses and jobs."""

    capabilities: ClassVar[Capabilities] = Capabilities(describes=False, lists_jobs=False)

    def __init__(
        self,
        account: Account,
        http: Callable[[Account, Options], Http] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Raises ConfigError: VPE-001 (options), NET-010, NET-011, NET-012 (address, authority, proxy)."""
        self._options = options_of(account)
        self._clock = clock
        self._http = http(account, self._options) if http else http_of(account, self._options, clock)
        self._api = Api(self._http, self._options)
        self._keeper = Keeper(account)
        self._submission = Submission(self._api, self._http, self._options, self._keeper, clock)
        self._downloads = Downloads(self._api, self._options)
        self._puzzles: dict[str, int] = {}

    async def check(self) -> tuple[Finding, ...]:
        """Token, engine, clock. No route tells licence, limits or health, and storage is told with a job only."""
        try:
            await self._http.log_in()
            answer = await self._api.probe(self._options.version or "v2")
            error = error_for(Call.POLL, answer)
            if error is not None and error.code != "VPE-122":
                raise error
        except BridgeError as error:
            return (Finding(ok=False, what=error.found, remedy=error.remedy),)
        return (
            Finding(ok=True, what=f"{host_of(self._options.token_url)} gives a token"),
            Finding(ok=True, what=f"{self._http.host} answers and knows the token"),
            *self._clock_finding(answer),
            Finding(
                ok=True, what="the host of storage is told with a job only; a firewall must let it through"
            ),
        )

    def _clock_finding(self, answer: Answer) -> tuple[Finding, ...]:
        theirs = answer.date_s()
        if theirs is None:
            return ()
        skew = self._clock() - theirs
        if abs(skew) <= LARGEST_SKEW_S:
            return (Finding(ok=True, what=f"clocks agree within {LARGEST_SKEW_S:.0f} s"),)
        side = "ahead of" if skew > 0 else "behind"
        return (
            Finding(
                ok=False,
                what=f"this machine's clock is {abs(skew):.0f} s {side} the platform's",
                remedy="Set it by NTP: signed addresses depend on it",
            ),
        )

    async def describe(self, algorithm: str, version: str = "") -> Spec:
        """Nothing is asked but a token: no route tells what an engine takes or gives.

        Raises ConfigError: VPE-010 (another algorithm), VPE-011 (no version).
        """
        if algorithm != ALGORITHM:
            raise ConfigError(
                "VPE-010",
                f"there is no algorithm {algorithm!r} at this platform",
                ALGORITHM,
                "What is wanted of it is said by values.outputs of the rule",
            )
        version = version or self._options.version
        if not VERSION.fullmatch(version):
            raise ConfigError(
                "VPE-011",
                "neither the rule nor the account says which version of the engine",
                "one as in its address, for example 24.06 or v2",
                'Write version = "24.06" into the rule: another version is another algorithm',
            )
        await self._http.log_in()
        # What else it may take (ios_upper, ios_lower, facial) a rule names: the vendor has the list.
        taken = (InputSpec(name="cbct", kind=OutputKind.IMAGE, optional=True),)
        return Spec(
            algorithm=algorithm,
            title=f"Virtual Patient Engine {version}",
            interfaces=(Interface(inputs=taken, outputs=()),),
            details={"version": version, "route": self._options.route(version)},
            pin=version,
        )

    def plan(self, spec: Spec, request: Request) -> Order:
        """Raises ConfigError: VPE-020 to VPE-026."""
        return planning.plan(spec, request, uncompressed=self._options.dicom_syntax == EXPLICIT)

    async def find(self, job: RemoteJob, spec: Spec, order: Order) -> Found | Absent | AskAgain:
        return await self._submission.find(job, order)

    async def perform(self, step: Step, job: RemoteJob, parcel: Parcel, shelf: Shelf) -> RemoteJob:
        return await self._submission.perform(step, job, parcel, shelf)

    async def newer(self, since: float) -> tuple[Newer, ...]:
        """Raises Never: VPE-012, always; `capabilities.lists_jobs` is False."""
        raise Never("VPE-012", "this platform lists no jobs")

    async def state(self, job: RemoteJob) -> State:
        """Raises also TryLater: VPE-123, a young job is not known yet; Damaged: VPE-124, no word of success."""
        version = version_of(job)
        try:
            polled = await self._api.poll(version, job.remote_id)
        except Never as error:
            if error.code == "VPE-122" and self._age_s(job) < NOT_YET_S:
                raise TryLater("VPE-123", "the platform does not know the new job yet", after_s=5.0) from None
            raise
        if polled is None:
            return State(
                phase=Phase.RUNNING, raw="processing", pin=version, look_again_s=self._look_again_s(job)
            )
        if not isinstance(polled.success, bool):
            return self._puzzled(job, version, polled)
        self._puzzles.pop(job.remote_id, None)
        await self._ended(job)
        if not polled.success:
            return State(
                phase=Phase.ENDED,
                verdict=Verdict.FAILED,
                raw="failed",
                reason=_reason(polled),
                pin=version,
            )
        files = came(polled, wanted_of(job))
        verdict = verdict_of(files)
        return State(
            phase=Phase.ENDED,
            verdict=verdict,
            raw="success",
            reason="" if verdict is Verdict.DONE else _failed_files([one.output() for one in files]),
            pin=version,
        )

    def _puzzled(self, job: RemoteJob, version: str, polled: Polled) -> State:
        """An end is never guessed: looked at three times, then kept aside."""
        seen = self._puzzles.get(job.remote_id, 0) + 1
        self._puzzles[job.remote_id] = seen
        if seen >= MOST_PUZZLES:
            raise Damaged(
                "VPE-124",
                "the platform has finished the job and does not say whether it succeeded",
                "true or false",
                "Ask the vendor what became of the job; `bridge jobs show` has its number",
            )
        return State(
            phase=Phase.RUNNING,
            raw=scrub(str(polled.success)),
            pin=version,
            look_again_s=self._options.poll_s,
        )

    async def _ended(self, job: RemoteJob) -> None:
        """The addresses are of no use any more."""
        kept = await self._keeper.get(job)
        if kept is not None and kept.job == job.remote_id and not kept.has_ended:
            await self._keeper.put(job, replace(kept, is_committing=True, has_ended=True, addresses={}))

    def _age_s(self, job: RemoteJob) -> float:
        made = job.notes.get(CREATE_STEP, {}).get("made_s")
        return self._clock() - made if isinstance(made, (int, float)) else NOT_YET_S

    def _look_again_s(self, job: RemoteJob) -> float:
        """Half of the time that has passed, so that pauses grow by half; a tenth apart for jobs side by side."""
        told = [note.get(TOLD_AT) for note in job.notes.values()]
        since = max((at for at in told if isinstance(at, (int, float))), default=self._clock())
        pause_s = min(max(self._options.poll_s, (self._clock() - since) / 2), self._options.poll_longest_s)
        spread = int(sha256(job.key.encode()).hexdigest()[:4], 16) / 0xFFFF
        return pause_s * (0.9 + 0.2 * spread)

    def away_s(self) -> float:
        return self._http.away_s()

    def answers(self) -> int:
        """Good answers so far."""
        return self._http.answers()

    async def outputs(self, job: RemoteJob) -> tuple[Output, ...]:
        return await self._downloads.outputs(job)

    async def fetch(self, job: RemoteJob, output: Output, sink: Sink) -> Fetched:
        return await self._downloads.fetch(job, output, sink)

    async def stop(self, job: RemoteJob) -> Stopped:
        """No route for it is documented."""
        return Stopped.NOT_POSSIBLE

    async def forget(self, job: RemoteJob) -> tuple[Forgotten, ...]:
        """No route for it is documented, and not how long the platform keeps anything."""
        if not job.remote_id:
            return ()
        kept = await self._keeper.get(job)
        forgotten = [
            Forgotten(
                what=f"job {job.remote_id} with what was sent for it and its meshes",
                erased=False,
                reason="the platform documents no way to erase it; ask the vendor",
            )
        ]
        if kept is not None and kept.orphans:
            forgotten.append(
                Forgotten(what=f"{kept.orphans} jobs that were given up", erased=False, reason=NEVER_RUNS)
            )
        return tuple(forgotten)

    async def close(self) -> None:
        await self._http.close()


def http_of(account: Account, options: Options, clock: Callable[[], float] = time.time) -> Http:
    """The clients of an account, with the token of its client credentials."""

    def credential(http: Http) -> ClientCredentials:
        async def ask(method: str, url: str, body: Json) -> Answer:
            return await http.elsewhere(method, url, body)

        return ClientCredentials(
            account,
            ask,
            token_url=options.token_url,
            audience=options.audience,
            client_id=options.client_id,
            clock=clock,
        )

    return Http(account, network=options.network(), credential=credential)


def _reason(polled: Polled) -> str:
    told: Any = {key: value for key, value in (polled.model_extra or {}).items() if isinstance(value, str)}
    said = scrub("; ".join(f"{key}: {value}" for key, value in sorted(told.items())))
    return said or "the platform tells no more"


def _failed_files(outputs: list[Output]) -> str:
    failed = [one for one in outputs if one.presence == "failed"]
    return "; ".join(f"{one.name}: {one.reason}" for one in failed[:8])
