"""An instance opens or touches a study; when it is due, every rule looks at it; what matches becomes a job.

Deciding twice is deciding once: a job is its identity, and the row is written in the same transaction as the
decision. The relay hands it to the engine.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from functools import partial

from pydantic import TypeAdapter

from bridge.dicom.uids import keyed_name
from bridge.errors import BridgeError, Refused
from bridge.flow.parts import Parts
from bridge.flow.stages.inputs import repairs_of, tolerance_of
from bridge.flow.study import versions
from bridge.flow.study.complete import Complete, Completeness, Wait
from bridge.flow.study.contents import content, known_content, made_by, mend
from bridge.flow.study.doubts import Doubt, doubts
from bridge.flow.study.guard import Watch, budget_of, guards_now
from bridge.flow.study.rulebook import Rules
from bridge.flow.verdicts import pause
from bridge.log import event
from bridge.rules import Choice, Explanation, Match, Outcome, Rule, Study, choose, job_id
from bridge.store.budgets import CODES
from bridge.store.jobs import Decision, JobState, NewJob
from bridge.store.not_begun import REPLACED
from bridge.store.studies import GONE, INCOMPLETE
from bridge.store.studies import Study as StudyRow
from bridge.volumes import Volume, candidates_of
from bridge.volumes.masks import masks_of

log = logging.getLogger("bridge.intake")

MOST_ATTEMPTS = 20
"""A study at which deciding failed so often, or died, is left alone until something of it arrives."""

NO_PATIENT_ID = "STU-007"
"""A doubt that matters where results go to an archive: a folder files nothing under a patient."""

EXPLANATION = TypeAdapter(Explanation)


class Intake:
    """Looks for studies that are due. `tick` is called again and again."""

    def __init__(self, parts: Parts, rules: Rules, today: Callable[[], date]) -> None:
        self._parts = parts
        self.use(rules)
        self._today = today
        self._completeness = Completeness(parts)
        self._watch = Watch(parts)
        self._rests: dict[str, float] = {}

    def use(self, rules: Rules) -> None:
        """Decide by these rules from the next study on."""
        self._rules = [rule for rule in rules.compiled if rule.mode != "off"]
        self._models = rules.models
        self._rulebook = rules

    def tick(self) -> None:
        """One look. An error of one study never keeps another from its turn."""
        now = self._parts.clock()
        self._watch.tick(self._models)
        for study in self._completeness.due():
            if self._rests.get(study.name, now) > now:
                continue
            verdict = self._completeness.look(study)
            match verdict:
                case Wait():
                    self._wait(study, verdict)
                case Complete():
                    self._try(study, verdict)

    def _wait(self, study: StudyRow, verdict: Wait) -> None:
        marks = f"{INCOMPLETE}.{study.opened_at:.0f}" if verdict.alert else ""
        self._parts.studies.wait(
            study, verdict.after_s, waits=verdict.reason, asked=verdict.asked, doubts=marks
        )
        self._rest(study, verdict.after_s)
        if verdict.alert:
            self._parts.alerts.begin("study-incomplete", study.name, verdict.reason)
        if verdict.reason != study.waits:
            event(log, "study.waits", study=study.name, reason=verdict.reason, pause_s=verdict.after_s)

    def _try(self, study: StudyRow, complete: Complete) -> None:
        attempts = self._parts.studies.count_attempt(study)
        if attempts > MOST_ATTEMPTS:
            self._parts.studies.set_aside(study)
            reason = f"deciding failed {attempts - 1} times; it rests until something of it arrives"
            self._parts.alerts.begin("study-set-aside", study.name, reason)
            return
        try:
            self.decide(study, complete)
            self._parts.alerts.end("study-set-aside", study.name)
        except Exception as error:  # noqa: BLE001 - counted above; in the end it is set aside, with an alert
            pause_s = pause(self._parts.site.engine.retry_s, attempts - 1)
            self._parts.studies.look_again(study, pause_s)
            self._rest(study, pause_s)
            event(
                log,
                "study.not-decided",
                level=logging.ERROR,
                failed=True,
                study=study.name,
                pause_s=pause_s,
                code=error.code if isinstance(error, BridgeError) else "BUG-002",
            )

    def _rest(self, study: StudyRow, after_s: float) -> None:
        """A study that never gets quiet is due at every look: arrivals move its due time, not its limit."""
        now = self._parts.clock()
        self._rests = {name: until for name, until in self._rests.items() if until > now}
        if study.due_at > now:
            self._rests[study.name] = now + after_s

    def decide(self, study: StudyRow, complete: Complete | None = None) -> list[str]:
        """Let every rule look at a study. Returns the ids of jobs that are new.

        complete: why now; None for a folder, which is whole by itself.
        """
        self._parts.passing("decide:before")
        complete = complete or Complete(reason="")
        uid = study.study_instance_uid
        self._note_versions(study)
        held = self._parts.instances.of_study(uid)
        seen = Study(
            study_instance_uid=uid,
            instances=held,
            today=self._today(),
            calling_ae_titles=self._parts.instances.calling_ae_titles(uid),
            source=study.source,
            made_by=made_by(self._parts.jobs, uid, self._rules),
        )
        doubtful = self._doubts(study, seen, complete)
        tolerance = tolerance_of(self._parts.site)
        candidates = candidates_of(held, tolerance)
        masks = (
            masks_of(held, tolerance) if any(one.mask for rule in self._rules for one in rule.inputs) else ()
        )
        guards = guards_now(self._parts.site, self._rulebook.test_patients)
        made: list[Decision] = []
        against: dict[str, Doubt] = {}
        for rule in self._rules:
            choice = choose(rule, seen, candidates, partial(mend, self._parts), masks, guards=guards)
            stands = self._against(study, rule, choice, doubtful)
            against |= {one.mark: one for one in stands}
            made.append(self._decision(study, rule, choice, stands))
        self._parts.passing("decide:mid")
        marks = " ".join(against)
        new = self._parts.decisions.decide(uid, study.due_at, made, complete=complete.reason, doubts=marks)
        self._alert(study, list(against.values()))
        paused = {one.rule: one for one in self._parts.decisions.of_study(uid) if one.code in CODES}
        for decision in (paused.get(one.rule, one) for one in made):
            event(
                log,
                "rule.decided",
                study=study.name,
                rule=decision.rule,
                outcome=decision.outcome,
                reason=decision.reason,
                job=decision.job.id if decision.job else None,
                new=decision.job is not None and decision.job.id in new,
                complete=complete.reason,
            )
        self._parts.passing("decide:after")
        return new

    def _note_versions(self, study: StudyRow) -> None:
        """Classify what came again with other bytes; each job of the study says so in its timeline."""
        changed = versions.classify(self._parts, study.study_instance_uid)
        for job in self._parts.jobs.of_study(study.study_instance_uid) if changed else ():
            if job.state is JobState.CANCELLED:
                continue
            name = "instance.late" if job.has_begun else "instance.version"
            for number, change in changed:
                self._parts.jobs.note(job.id, name, instance=number, change=change)

    def _doubts(self, study: StudyRow, seen: Study, complete: Complete) -> tuple[Doubt, ...]:
        """What speaks against jobs and no person has accepted."""
        studies = self._parts.studies
        found = doubts(
            seen.foreign,
            elsewhere=studies.series_elsewhere(study.study_instance_uid),
            sent_as_another=studies.changed(study.study_instance_uid, versions.OTHER_IDENTITY),
            key=self._parts.key,
        )
        if complete.doubt:
            found = (complete.doubt, *found)
        accepted = study.released.split()
        return tuple(
            one
            for one in found
            if one.mark not in accepted and not (self._parts.instead and one.code == NO_PATIENT_ID)
        )

    def _alert(self, study: StudyRow, doubtful: Sequence[Doubt]) -> None:
        for kind, of_kind in (
            ("study-incomplete", [one for one in doubtful if one.code == INCOMPLETE]),
            ("study-held", [one for one in doubtful if one.code != INCOMPLETE]),
        ):
            if of_kind:
                self._parts.alerts.begin(kind, study.name, _sentence(of_kind))
            else:
                self._parts.alerts.end(kind, study.name)

    def _against(
        self, study: StudyRow, rule: Rule, choice: Choice, doubtful: Sequence[Doubt]
    ) -> Sequence[Doubt]:
        """What stands against the job that a rule wants; nothing where it wants none."""
        if choice.volumes is None or self._models[rule.name].mode == "explain":
            return ()
        return doubtful or self._gone(study, rule, choice.volumes)

    def _gone(self, study: StudyRow, rule: Rule, volumes: Mapping[str, Volume]) -> Sequence[Doubt]:
        """Pixels that retention, or a person, has removed, where they are needed: no job of that content was made."""
        chosen = {one.number: one for volume in volumes.values() for one in volume.instances}
        gone = [n for n, one in chosen.items() if one.dropped_at is not None or not one.file.is_file()]
        if not gone:
            return ()
        contents = {name: known_content(self._parts, volume) for name, volume in sorted(volumes.items())}
        known = {name: one for name, one in contents.items() if one is not None}
        if len(known) == len(contents):
            id = self._identity(study, rule, volumes, known)
            if any(one.id == id and one.code != REPLACED for one in self._parts.jobs.find(id)):
                return ()
        reason = (
            f"the pixels of {len(gone)} of {len(chosen)} chosen objects are gone; expected all of them. "
            "Send the study again"
        )
        mark = f"{GONE}.{keyed_name(self._parts.key, GONE, *map(str, sorted(gone)))}"
        return (Doubt(code=GONE, reason=reason, mark=mark),)

    def _decision(self, study: StudyRow, rule: Rule, choice: Choice, against: Sequence[Doubt]) -> Decision:
        explanation = choice.explanation
        job, code = None, ""
        if against:
            code = against[0].code
            explanation = replace(explanation, outcome=Outcome.HELD, reason=_sentence(against))
        else:
            code = choice.code
            if choice.volumes is not None and self._models[rule.name].mode != "explain":
                try:
                    job = self._job(study, rule, choice.volumes, explanation)
                except Refused as refusal:
                    # What only the pixels tell. The other rules of the study go on.
                    reason = f"{refusal.code}: {refusal.sentence()}"
                    explanation = replace(explanation, outcome=Outcome.REFUSED, reason=reason)
        return Decision(
            rule=rule.name,
            outcome=explanation.outcome,
            reason=explanation.reason,
            explanation=EXPLANATION.dump_json(explanation).decode(),
            job=job,
            code=code,
            budget=budget_of(self._models[rule.name]),
        )

    def _job(
        self, study: StudyRow, rule: Rule, volumes: Mapping[str, Volume], explanation: Explanation
    ) -> NewJob:
        model = self._models[rule.name]
        contents = {name: content(self._parts, volume) for name, volume in sorted(volumes.items())}
        match = Match(
            rule=rule.name,
            job_id=self._identity(study, rule, volumes, contents),
            volumes=volumes,
            explanation=explanation,
        )
        held = model.mode == "hold"
        numbers = {name: [i.number for i in volume.chosen] for name, volume in match.volumes.items()}
        return NewJob(
            id=match.job_id,
            rule=match.rule,
            account=model.platform,
            algorithm=model.algorithm,
            declared_version=model.version,
            state=JobState.HELD if held else JobState.READY,
            reason="the rule holds its jobs until a person releases them" if held else "",
            frozen=self._rulebook.frozen(rule.name, explanation.inputs).model_dump_json(),
            inputs=json.dumps(numbers),
            contents=json.dumps(contents),
        )

    def _identity(
        self, study: StudyRow, rule: Rule, volumes: Mapping[str, Volume], contents: Mapping[str, str]
    ) -> str:
        model = self._models[rule.name]
        return job_id(
            self._parts.key,
            rule=rule.name,
            platform=model.platform,
            algorithm=model.algorithm,
            version=model.version,
            study_instance_uid=study.study_instance_uid,
            inputs=contents,
            values=model.values,
            repairs=repairs_of(volumes),
            rerun=0,
        )


def _sentence(doubtful: Sequence[Doubt]) -> str:
    first = f"{doubtful[0].code}: {doubtful[0].reason}"
    return first + (f" (and {len(doubtful) - 1} more)" if len(doubtful) > 1 else "")
