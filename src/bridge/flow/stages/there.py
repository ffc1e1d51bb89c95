"""Images that another job of the study has at the platform: named there, and not sent once more."""

from __future__ import annotations

from collections.abc import Collection

from pydantic import TypeAdapter

from bridge.config.chains import Reference
from bridge.errors import Damaged
from bridge.platforms.protocol import RemoteJob, There
from bridge.results.output import Output
from bridge.store.jobs import Job, Jobs

OUTPUT_LIST = TypeAdapter(tuple[Output, ...])
REMOTE = TypeAdapter(RemoteJob)


def there_of(jobs: Jobs, job: Job, studies: Collection[str], socket: str, wanted: Reference) -> There:
    """The newest job of that rule and account with that very image, of any of these studies.

    Raises Damaged (PRE-006): there is none.
    """
    makers = [
        one
        for study in studies
        for one in jobs.of_study(study)
        if (one.rule, one.account) == (wanted.rule, job.account) and _gave(one, wanted)
    ]
    if not makers:
        raise Damaged(
            "PRE-006",
            f"no job of {wanted.rule} that gave the {wanted.output} for {socket}",
            "the one that the rule chose",
            "Send the study again: the rule then decides anew",
        )
    maker = max(makers, key=lambda one: (one.created_at, one.id))
    return There(input=socket, job=REMOTE.validate_json(maker.remote).remote_id, socket=wanted.output)


def _gave(job: Job, wanted: Reference) -> bool:
    outputs = OUTPUT_LIST.validate_json(job.outputs)
    return any((one.name, one.sha256 or "") == (wanted.output, wanted.sha256) for one in outputs)
