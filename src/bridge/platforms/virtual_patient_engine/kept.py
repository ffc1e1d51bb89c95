"""What is kept of a job among the account's secrets: its addresses, and how far it went.

The platform lists no jobs. This stands beside the index and survives it: when an earlier state of the index was put
back, the job that is at the platform already is found here, and nothing is billed twice.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict, dataclass, field

from bridge.platforms.protocol import Account, RemoteJob


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """`job`: the platform's id; "" where the answer that tells it never came, or the job was given up."""

    job: str = ""
    version: str = ""
    made_s: float = 0.0
    """POSIX seconds."""
    is_committing: bool = False
    """The last input was told, or that was begun: from here on there is no other job for this work."""
    has_ended: bool = False
    orphans: int = 0
    """Jobs that were asked for and never given their inputs: they never run."""
    addresses: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Upload and notify address by input; signed, so never outside of the secrets."""

    def __repr__(self) -> str:
        return f"Kept(job={self.job!r}, ...)"


class Keeper:
    """Reads and writes what is kept of the jobs of one account."""

    def __init__(self, account: Account) -> None:
        self._account = account

    async def get(self, job: RemoteJob) -> Kept | None:
        text = await asyncio.to_thread(self._account.secrets.get, self._name(job))
        if text is None:
            return None
        try:
            told = json.loads(text)
            addresses = {name: (pair[0], pair[1]) for name, pair in told.pop("addresses").items()}
            return Kept(**told, addresses=addresses)
        except (ValueError, TypeError, KeyError, AttributeError, IndexError):
            return None

    async def put(self, job: RemoteJob, kept: Kept) -> None:
        await asyncio.to_thread(self._account.secrets.put, self._name(job), json.dumps(asdict(kept)))

    def _name(self, job: RemoteJob) -> str:
        return f"job/{self._account.name}/{job.key}/{job.attempt}"
