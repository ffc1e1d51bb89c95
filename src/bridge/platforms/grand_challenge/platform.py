"""The operations on Grand Challenge. Each is a few lines here and a noun in a file beside."""

from __future__ import annotations

import time
from collections.abc import Callable
from difflib import get_close_matches
from typing import ClassVar

from bridge.errors import BridgeError, ConfigError
from bridge.export.parcel import Order, Parcel, Step
from bridge.platforms.grand_challenge import planning
from bridge.platforms.grand_challenge.adoption import Adopter, Wish
from bridge.platforms.grand_challenge.api import Api
from bridge.platforms.grand_challenge.cancelled import stopped, why_cancelled
from bridge.platforms.grand_challenge.comparison import Comparison
from bridge.platforms.grand_challenge.downloads import Downloads
from bridge.platforms.grand_challenge.names import pk_of
from bridge.platforms.grand_challenge.options import options_of
from bridge.platforms.grand_challenge.planning import CREATE
from bridge.platforms.grand_challenge.recent import Recent
from bridge.platforms.grand_challenge.search import Search
from bridge.platforms.grand_challenge.shapes import Algorithm
from bridge.platforms.grand_challenge.sockets import spec_of
from bridge.platforms.grand_challenge.states import look_again_s, phase_of, validation
from bridge.platforms.grand_challenge.submission import Submission
from bridge.platforms.http import Answer, Http
from bridge.platforms.optional import Adoption
from bridge.platforms.protocol import (
    Absent,
    Account,
    AskAgain,
    Capabilities,
    Fetched,
    Finding,
    Forgotten,
    Found,
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
from bridge.results.output import Output

LARGEST_SKEW_S = 60.0
PROBE_NAME = "bridge-check.bin"


class GrandChallenge:
    """One account at Grand Challenge or at a site with its software.

    `clock`: seconds since 1970, for the age of uploads and jobs.
    """

    capabilities: ClassVar[Capabilities] = Capabilities()

    def __init__(
        self, account: Account, http: Http | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        """Raises ConfigError: GC-001 (options), NET-010, NET-011, NET-012 (address, authority, proxy)."""
        self._options = options_of(account)
        self._http = http or Http(account, network=self._options.network())
        self._api = Api(self._http)
        self._clock = clock
        self._search = Search(self._api, self._options, clock)
        self._submission = Submission(self._api, self._options, self._search, clock)
        self._downloads = Downloads(self._api)
        self._recent = Recent(self._api, clock)
        self._comparison = Comparison(self._api)
        self._adopter = Adopter(self._api)

    async def check(self) -> tuple[Finding, ...]:
        """Token, clock, and the hosts that a firewall must let through.

        The host of the store is told with an upload only, so one is begun and aborted.
        """
        host = self._http.host
        try:
            answer = await self._api.check_token()
        except BridgeError as error:
            return (_trouble(error),)
        findings = [
            Finding(ok=True, what=f"{host} answers and knows the token"),
            *self._clock_finding(answer),
        ]
        try:
            upload = await self._api.begin_upload(PROBE_NAME)
            urls = await self._api.presigned_urls(upload, (1,))
            await self._api.abort_upload(upload)
            store = await self._http.reach(urls.get(1, ""))
        except BridgeError as error:
            return (*findings, _trouble(error))
        return (*findings, Finding(ok=True, what=f"uploads go to {store}, which answers"))

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
        """`version` is not chosen here: a job takes the active one, which `state` tells.

        An empty list is also what a request without a right token gets, so the token is checked before the
        algorithm is called unknown.

        Raises ConfigError: GC-010, no such algorithm is visible.
        """
        return spec_of(await self._algorithm(algorithm))

    async def _algorithm(self, slug: str) -> Algorithm:
        for found in (await self._api.algorithms(slug)).results:
            if found.slug == slug:
                return found
        await self._api.check_token()
        visible = [other.slug for other in (await self._api.algorithms()).results]
        near = get_close_matches(slug, visible, n=3)
        raise ConfigError(
            "GC-010",
            f"no algorithm {slug!r} is visible to this account",
            ("for example " + ", ".join(near)) if near else f"one of the {len(visible)} that are",
            "Write its slug, the last part of its address; if that is right, ask its editors for access",
        )

    def plan(self, spec: Spec, request: Request) -> Order:
        """Raises ConfigError: GC-210, GC-211, GC-214; Refused: GC-212, GC-215."""
        return planning.plan(spec, request)

    async def find(self, job: RemoteJob, spec: Spec, order: Order) -> Found | Absent | AskAgain:
        """Raises Held: GC-222, GC-230."""
        return await self._search.find(job, order)

    async def perform(self, step: Step, job: RemoteJob, parcel: Parcel, shelf: Shelf) -> RemoteJob:
        return await self._submission.perform(step, job, parcel, shelf)

    async def newer(self, since: float) -> tuple[Newer, ...]:
        """The platform tells no job's age; `recent` says how it is told all the same."""
        return await self._recent.newer(since)

    async def state(self, job: RemoteJob) -> State:
        """Cancelled with a broken upload session is a failure: the platform refused the image."""
        seen = await self._api.job(job.remote_id)
        phase, verdict = phase_of(seen.status)
        age_s = self._age_s(job)
        is_given_up, reason = validation(self._options, seen.status, age_s)
        if is_given_up:
            phase, verdict = Phase.ENDED, Verdict.FAILED
        elif verdict is Verdict.CANCELLED:
            reason = await why_cancelled(self._api, job)
            verdict = Verdict.FAILED if reason else Verdict.CANCELLED
            reason = reason or stopped(job)
        elif verdict is Verdict.FAILED:
            reason = "the algorithm failed or its outputs were refused; the API tells no more"
        typical_s = job.notes.get(CREATE, {}).get("typical_s")
        return State(
            phase=phase,
            verdict=verdict,
            raw=scrub(seen.status),
            reason=reason,
            pin=pk_of(seen.algorithm_image),
            look_again_s=self._options.poll_longest_s
            if reason and phase is Phase.WAITING
            else look_again_s(
                self._options,
                age_s=age_s,
                typical_s=typical_s if isinstance(typical_s, (int, float)) else None,
            ),
        )

    def _age_s(self, job: RemoteJob) -> float | None:
        """Seconds since the job was made, or since it was found; None where neither was noted."""
        note = job.notes.get(CREATE, {})
        since = note.get("made_s", note.get("found_s"))
        return self._clock() - since if isinstance(since, (int, float)) else None

    async def compare(self, job: RemoteJob, parcel: Parcel, shelf: Shelf) -> tuple[str, ...]:
        """Raises Held: GC-250. Compares nothing where `compare_inputs` is off."""
        return await self._comparison.compare(job, parcel, shelf) if self._options.compare_inputs else ()

    async def earlier(
        self,
        algorithm: str,
        *,
        pin: str = "",
        images: tuple[str, ...] = (),
        items: tuple[str, ...] = (),
        archive: str = "",
    ) -> Adoption:
        """Raises ConfigError: GC-010, GC-260 (no such algorithm, archive or item is visible)."""
        wish = Wish(pin=pin, images=images, items=items, archive=archive)
        return await self._adopter.earlier((await self._algorithm(algorithm)).pk, wish)

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
        """The API has no route for it; cancelling is an act of the platform's administrators."""
        return Stopped.NOT_POSSIBLE

    async def forget(self, job: RemoteJob) -> tuple[Forgotten, ...]:
        """Nothing can be erased by the API, and the platform keeps images and jobs for ever."""
        no_route = "the platform offers no way to erase it; ask its administrators"
        kept = []
        for step, note in sorted(job.notes.items()):
            kind, _, socket = step.partition(":")
            if kind == "upload":
                kept.append((f"what was sent for {socket} as upload {note.get('pk')}", no_route))
        if job.remote_id:
            kept.append((f"job {job.remote_id} with its outputs", no_route))
        return tuple(Forgotten(what=what, erased=False, reason=reason) for what, reason in kept)

    async def close(self) -> None:
        await self._http.close()


def _trouble(error: BridgeError) -> Finding:
    return Finding(ok=False, what=error.found, remedy=error.remedy)
