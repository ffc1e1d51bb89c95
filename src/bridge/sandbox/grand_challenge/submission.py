"""POST algorithms/jobs/: the platform's checks in the platform's order, with its sentences.

Fields and links of all inputs at once, then the active image, credits, active jobs, the set of sockets, the
duplicate. So a full queue hides a wrong set of inputs, as it does there.
"""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

from .answers import NO_OBJECT, REQUIRED, Answered, BadLink, Call, linked, not_a_list, refuse
from .catalogue import Algorithm
from .inputs import Draft, Inputs
from .objects import Job, User
from .platform import Platform
from .settings import Limits

__all__ = ["Limits", "Submission"]


class Submission:
    """Turns a body into a job or a refusal, in one transaction."""

    def __init__(self, platform: Platform, inputs: Inputs) -> None:
        self._platform, self._inputs = platform, inputs

    def create(self, call: Call) -> Job:
        """Raises Answered 400 with the first refusal that applies."""
        user = call.known_user
        body = call.json()
        limits = self._platform.limits
        with self._platform.lock:
            algorithm, drafts = self._fields(body, user)
            image_pk = algorithm.image_pk
            if image_pk is None:
                raise _refusal("Algorithm image is not ready to be used")
            cost = limits.credits_per_job
            if limits.credits is not None and self._platform.credits_of(user) + cost > limits.credits:
                raise _refusal("You have run out of algorithm credits")
            if self._platform.active_jobs_of(user) >= limits.active_jobs:
                raise _refusal("You have too many active jobs, please try again after they have completed")
            sockets = frozenset(draft.socket.slug for draft in drafts)
            if len(sockets) != len(drafts) or not algorithm.interface_for(sockets):
                raise _refusal(
                    "The set of inputs provided does not match any of the algorithm's interfaces. This algorithm "
                    f"supports the following input combinations: {_combinations(algorithm)}"
                )
            if self._exists(image_pk, drafts):
                raise _refusal("A result for these inputs with the current image and model already exists.")
            bound, pending = self._inputs.take(drafts, user)
            job = Job(
                pk=str(uuid4()),
                creator=user.pk,
                created_s=self._platform.clock(),
                algorithm=algorithm.pk,
                algorithm_image=image_pk,
                credits=cost,
                sockets=sockets,
                inputs=bound,
                pending=pending,
                sessions=tuple(p.session for p in pending if p.session),
            )
            self._platform.jobs[job.pk] = job
            return job

    def _exists(self, image_pk: str, drafts: tuple[Draft, ...]) -> bool:
        # Only inputs by image and value count: a fresh upload never equals an earlier one.
        if not all(draft.is_bound for draft in drafts):
            return False
        wanted = {(draft.socket.slug, draft.image, json.dumps(draft.value)) for draft in drafts}
        return any(
            job.algorithm_image == image_pk
            and not job.pending
            and {(v.socket.slug, v.image, json.dumps(v.value)) for v in job.inputs} == wanted
            for job in self._platform.jobs.values()
        )

    def _fields(self, body: dict[str, Any], user: User) -> tuple[Algorithm, tuple[Draft, ...]]:
        errors: dict[str, Any] = {}
        algorithm = None
        drafts: tuple[Draft, ...] = ()
        try:
            algorithm = self._algorithm(body.get("algorithm"), user)
        except BadLink as exc:
            errors["algorithm"] = [str(exc)]
        inputs = body.get("inputs")
        if inputs is None:
            errors["inputs"] = [REQUIRED]
        elif not isinstance(inputs, list):
            errors["inputs"] = {"non_field_errors": [not_a_list(inputs)]}
        else:
            drafts, found = self._inputs.drafts(inputs, user)
            if any(found):
                errors["inputs"] = found
        if errors or algorithm is None:
            raise refuse(400, errors)
        return algorithm, drafts

    def _algorithm(self, link: object, user: User) -> Algorithm:
        if link is None:
            raise BadLink(REQUIRED)
        algorithm = self._platform.algorithms.get(linked(link, "algorithms"))
        if algorithm is None or not user.may_run:
            raise BadLink(NO_OBJECT)
        return algorithm


def _refusal(sentence: str) -> Answered:
    return refuse(400, {"non_field_errors": [sentence]})


def _combinations(algorithm: Algorithm) -> str:
    return _listed(
        [
            f"Interface {n}: {_listed([f'{s.title} ({s.kind})' for s in interface.inputs])}"
            for n, interface in enumerate(algorithm.interfaces, start=1)
        ]
    )


def _listed(names: list[str]) -> str:
    if len(names) < 3:
        return " and ".join(names)
    return f"{', '.join(names[:-1])}, and {names[-1]}"
