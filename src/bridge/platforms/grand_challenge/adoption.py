"""Jobs of earlier days: found by algorithm, version and inputs, with their results.

A value that is bound to a socket has one id, whoever binds it: the ids of an archive item's values hold the ids of the
inputs of every job that was made from it. So a result finds its case though nobody kept the numbers of the jobs.
"""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass, replace

from bridge.errors import ConfigError, Never
from bridge.platforms.grand_challenge.api import Api
from bridge.platforms.grand_challenge.names import pk_of
from bridge.platforms.grand_challenge.planning import CREATE
from bridge.platforms.grand_challenge.recent import own_key
from bridge.platforms.grand_challenge.shapes import ArchiveItem, Job
from bridge.platforms.grand_challenge.states import phase_of
from bridge.platforms.optional import Adoption, Earlier, EarlierInput
from bridge.platforms.protocol import RemoteJob, State
from bridge.platforms.scrub import scrub


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What an adoption asks for; () and "" ask for everything."""

    pin: str = ""
    images: tuple[str, ...] = ()
    items: tuple[str, ...] = ()
    archive: str = ""

    @property
    def is_by_item(self) -> bool:
        """Also where the archive turns out to be empty: then no job is meant, and not every one."""
        return bool(self.items or self.archive)


class Adopter:
    """Looks through the jobs of an algorithm."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def earlier(self, algorithm_pk: str, wish: Wish) -> Adoption:
        """Raises ConfigError: GC-260, no such archive or item is visible."""
        items = await self._items(wish)
        images = {pk_of(image) if "/" in image else image for image in wish.images}
        pin = pk_of(wish.pin) if "/" in wish.pin else wish.pin
        jobs: list[Earlier] = []
        met: set[str] = set()
        async with aclosing(self._api.jobs(algorithm_pk)) as all_jobs:
            async for job in all_jobs:
                if pin and pk_of(job.algorithm_image) != pin:
                    continue
                given = {pk_of(value.image) for value in job.inputs if value.image}
                if images and not given & images:
                    continue
                of_items = _items_of(job, items)
                if wish.is_by_item and not of_items:
                    continue
                met |= (given & images) | set(of_items)
                one = await self._earlier(job)
                jobs += [replace(one, item=item) for item in of_items] or [one]
        return Adoption(jobs=tuple(jobs), without=tuple(sorted((images | set(items)) - met)))

    async def _items(self, wish: Wish) -> dict[str, frozenset[str]]:
        """Ids of the values of each item asked for."""
        items: list[ArchiveItem] = []
        for pk in wish.items:
            try:
                items.append(await self._api.archive_item(pk_of(pk) if "/" in pk else pk))
            except Never:
                raise _not_visible("archive item") from None
        if wish.archive:
            found = (await self._api.archive(wish.archive)).results
            # A server that does not know the filter would give every archive.
            if len(found) != 1:
                raise _not_visible("archive")
            async with aclosing(self._api.archive_items(found[0].pk)) as listed:
                items += [item async for item in listed]
        return {item.pk: frozenset(str(value.pk) for value in item.values) for item in items}

    async def _earlier(self, job: Job) -> Earlier:
        phase, verdict = phase_of(job.status)
        pin = pk_of(job.algorithm_image)
        key = await own_key(self._api, job)
        return Earlier(
            job=RemoteJob(
                key=key, remote_id=job.pk, pin=pin, begun=(CREATE,), notes={CREATE: {"pk": job.pk}}
            ),
            state=State(phase=phase, verdict=verdict, raw=scrub(job.status), pin=pin),
            inputs=tuple(
                EarlierInput(
                    name=value.socket.slug,
                    id=str(value.pk),
                    image=pk_of(value.image) if value.image else "",
                    value=value.value,
                )
                for value in job.inputs
            ),
        )


def _items_of(job: Job, items: dict[str, frozenset[str]]) -> tuple[str, ...]:
    """Items whose values are the inputs of a job; without one, the only item that holds them among others.

    An item may have more values, its results among them. Where several hold a job's inputs, those are what the items
    share, such as a fixed image, and the job says nothing about the case of any one of them.
    """
    inputs = {str(value.pk) for value in job.inputs}
    if not inputs:
        return ()
    same = tuple(pk for pk, values in items.items() if values == inputs)
    holding = tuple(pk for pk, values in items.items() if values >= inputs)
    return same or (holding if len(holding) == 1 else ())


def _not_visible(what: str) -> ConfigError:
    return ConfigError(
        "GC-260",
        f"the {what} is not visible to this account",
        f"an {what} of the platform",
        "Write it as it stands in its address; if that is right, ask its editors for access",
    )
