"""What becomes of a choice: a decision, and the job that it wants unless something stands against it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from pydantic import TypeAdapter

from bridge.dicom.uids import keyed_name
from bridge.errors import Damaged, Refused
from bridge.flow.parts import Parts
from bridge.flow.stages.inputs import borrowed, repairs_of
from bridge.flow.study.contents import content, known_content, known_mesh_content, mesh_content
from bridge.flow.study.doubts import Doubt
from bridge.flow.study.guard import budget_of
from bridge.flow.study.rulebook import Rules
from bridge.flow.study.waiting import WAITS, Kept
from bridge.rules import Choice, Explanation, Match, Outcome, Rule, job_id
from bridge.rules.choice import Taken
from bridge.store.jobs import Decision, JobState, NewJob
from bridge.store.not_begun import REPLACED
from bridge.store.studies import GONE
from bridge.store.studies import Study as StudyRow

EXPLANATION = TypeAdapter(Explanation)

NO_FILE = frozenset({"PIX-008", "PIX-009"})
"""Nothing is wrong with pixels whose file cannot be opened: they are looked for again, or found to be gone."""


class Wanted:
    """What rules want of one study."""

    def __init__(self, parts: Parts, rulebook: Rules, study: StudyRow) -> None:
        self._parts = parts
        self._rulebook = rulebook
        self._study = study

    def against(self, rule: Rule, choice: Choice, doubtful: Sequence[Doubt]) -> Sequence[Doubt]:
        """What stands against the job that a rule wants; nothing where it wants none."""
        if not choice.matches or self._rulebook.models[rule.name].mode == "explain":
            return ()
        return doubtful or [doubt for one in choice.matches for doubt in self._gone(rule, one)]

    def _gone(self, rule: Rule, taken: Taken) -> Sequence[Doubt]:
        """Pixels that retention, or a person, has removed, where they are needed: no job of that content was made."""
        volumes = taken.volumes
        chosen = {one.number: one for volume in volumes.values() for one in volume.instances}
        chosen |= {one.number: one for one in taken.documents.values()}
        gone = [n for n, one in chosen.items() if one.dropped_at is not None or not one.file.is_file()]
        if not gone:
            return ()
        contents = {name: known_content(self._parts, volume) for name, volume in sorted(volumes.items())}
        contents |= {
            name: known_mesh_content(self._parts, one) for name, one in sorted(taken.documents.items())
        }
        known = {name: one for name, one in contents.items() if one is not None}
        if len(known) == len(contents):
            id = self._identity(rule, taken, known)
            if any(one.id == id and one.code != REPLACED for one in self._parts.jobs.find(id)):
                return ()
        studies = {chosen[n].study_instance_uid for n in gone}
        which = "study" if studies == {self._study.study_instance_uid} else "earlier study"
        reason = (
            f"the pixels of {len(gone)} of {len(chosen)} chosen objects are gone; expected all of them. "
            f"Send the {which if len(studies) == 1 else 'studies'} again"
        )
        mark = f"{GONE}.{keyed_name(self._parts.key, GONE, *map(str, sorted(gone)))}"
        return (Doubt(code=GONE, reason=reason, mark=mark),)

    def decision(
        self, rule: Rule, choice: Choice, against: Sequence[Doubt], kept: Kept | None = None
    ) -> Decision:
        explanation = choice.explanation
        jobs: tuple[NewJob, ...] = ()
        code = ""
        if against:
            code = against[0].code
            explanation = replace(explanation, outcome=Outcome.HELD, reason=sentence(against))
        elif kept and kept.reason:
            code = WAITS
            explanation = replace(explanation, outcome=Outcome.HELD, reason=kept.reason)
        else:
            code = choice.code
            if self._rulebook.models[rule.name].mode != "explain":
                jobs, explanation = self._jobs(rule, choice)
        return Decision(
            rule=rule.name,
            outcome=explanation.outcome,
            reason=explanation.reason,
            explanation=EXPLANATION.dump_json(explanation).decode(),
            jobs=jobs,
            each=rule.for_each,
            code=code,
            budget=budget_of(self._rulebook.models[rule.name]),
            waits=kept.waits if kept else None,
        )

    def _jobs(self, rule: Rule, choice: Choice) -> tuple[tuple[NewJob, ...], Explanation]:
        """The jobs of a choice, and why they are these: with what only the pixels tell."""
        made: dict[str, NewJob] = {}
        refused: list[str] = []
        same = 0
        for one in choice.matches:
            try:
                job = self._job(rule, one)
            except (Refused, Damaged) as refusal:
                # The other volumes go on, and the other rules of the study.
                if refusal.code in NO_FILE:
                    raise
                refused.append(f"{refusal.code}: {refusal.sentence()}")
                continue
            same += job.id in made
            made.setdefault(job.id, job)
        explanation = choice.explanation
        more = f" (and {len(refused) - 1} more)" if len(refused) > 1 else ""
        if refused and not made:
            explanation = replace(explanation, outcome=Outcome.REFUSED, reason=refused[0] + more)
        elif refused:
            reason = f"{explanation.reason}; no job for {len(refused)} of them, {refused[0]}{more}"
            explanation = replace(explanation, reason=reason)
        if same:
            reason = f"{explanation.reason}; {same} of them show what another shows, which is one job"
            explanation = replace(explanation, reason=reason)
        if rule.for_each:
            return tuple(made.values()), explanation
        # What the decision says is what its one job says.
        return tuple(replace(job, explanation="") for job in made.values()), explanation

    def _job(self, rule: Rule, taken: Taken) -> NewJob:
        model, volumes, explanation = self._rulebook.models[rule.name], taken.volumes, taken.explanation
        contents = {name: content(self._parts, volume) for name, volume in sorted(volumes.items())}
        contents |= {name: mesh_content(self._parts, one) for name, one in sorted(taken.documents.items())}
        match = Match(
            rule=rule.name,
            job_id=self._identity(rule, taken, contents),
            volumes=volumes,
            explanation=explanation,
        )
        held = model.mode == "hold"
        numbers = {name: [i.number for i in volume.chosen] for name, volume in match.volumes.items()}
        numbers |= {name: [one.number] for name, one in taken.documents.items()}
        return NewJob(
            id=match.job_id,
            rule=match.rule,
            account=model.platform,
            algorithm=model.algorithm,
            declared_version=model.version,
            state=JobState.HELD if held else JobState.READY,
            reason="the rule holds its jobs until a person releases them" if held else "",
            frozen=self._rulebook.frozen(rule.name, explanation.inputs, taken.values).model_dump_json(),
            inputs=json.dumps(numbers),
            contents=json.dumps(contents),
            explanation=EXPLANATION.dump_json(explanation).decode(),
            urgent=model.urgent,
            priority=model.priority,
            not_before=model.not_before,
            borrows=borrowed(volumes, self._study.study_instance_uid),
        )

    def _identity(self, rule: Rule, taken: Taken, contents: Mapping[str, str]) -> str:
        model = self._rulebook.models[rule.name]
        return job_id(
            self._parts.key,
            rule=rule.name,
            platform=model.platform,
            algorithm=model.algorithm,
            version=model.version,
            study_instance_uid=self._study.study_instance_uid,
            inputs=contents,
            values={**model.values, **taken.values},
            repairs=repairs_of(taken.volumes),
            rerun=0,
        )


def sentence(doubtful: Sequence[Doubt]) -> str:
    """The first doubt in words, and how many there are beside it."""
    first = f"{doubtful[0].code}: {doubtful[0].reason}"
    return first + (f" (and {len(doubtful) - 1} more)" if len(doubtful) > 1 else "")
