"""What some platforms can do besides the operations that all have: `isinstance(platform, Adopts)` asks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from bridge.export.parcel import Json, Parcel
from bridge.platforms.protocol import RemoteJob, Shelf, State


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierInput:
    """What a job of an earlier day was given."""

    name: str
    id: str
    """The platform's number of the value: the same value in a job and in an archive's item has the same."""
    image: str = ""
    value: Json = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """A job of an earlier day. `job` is ready for `state`, `outputs` and `fetch`."""

    job: RemoteJob
    """With the key that its inputs' names tell, or an empty one."""
    state: State
    inputs: tuple[EarlierInput, ...]
    item: str = ""
    """The archive's item that it was made from, where items were asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adoption:
    """Jobs of earlier days, the oldest first, and what was asked for and has none."""

    jobs: tuple[Earlier, ...]
    without: tuple[str, ...] = ()
    """Images or items among those asked for that no job was made from."""


@runtime_checkable
class Adopts(Protocol):
    """A platform that can find jobs of earlier days, made by this house or by hand."""

    async def earlier(
        self,
        algorithm: str,
        *,
        pin: str = "",
        images: tuple[str, ...] = (),
        items: tuple[str, ...] = (),
        archive: str = "",
    ) -> Adoption:
        """Jobs of an algorithm with their inputs; a job belongs to the item whose values are its inputs.

        Without such an item, to the only one that holds them among others; where several do, to none. A job of two
        items is told twice.

        Args:
            pin: only jobs that this version computed.
            images: ids at the platform; only jobs that have one of them as input.
            items: ids of an archive's items; only jobs that were made from one of them.
            archive: the name of an archive, for all its items; without items, no job.
        Raises ConfigError (unknown algorithm or archive), TryLater, Unauthorized.
        """


@runtime_checkable
class Compares(Protocol):
    """A platform that gives its own copy of an input back, so that both grids can be compared."""

    async def compare(self, job: RemoteJob, parcel: Parcel, shelf: Shelf) -> tuple[str, ...]:
        """Inputs whose grid at the platform is that of our file. For a job that has ended, before its outputs count.

        Raises Held (another size, spacing, origin or direction, with numbers), TryLater, Unauthorized, Damaged.
        """


@runtime_checkable
class Breaks(Protocol):
    """A platform that stops asking while the other side is down."""

    def away_s(self) -> float:
        """Seconds until it is asked again; 0 while it is. Deadlines of jobs stand still meanwhile."""

    def answers(self) -> int:
        """Good answers so far, in this process: one more says that an outage is over."""
