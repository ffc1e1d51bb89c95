"""Every rule looks at one study: what each makes of it, written in one transaction with the jobs that it wants."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from datetime import date
from functools import partial

from bridge.config.starts import INPUTS_COMPLETE
from bridge.flow.parts import Parts
from bridge.flow.stages.inputs import tolerance_of
from bridge.flow.study import chain, versions
from bridge.flow.study.complete import Complete
from bridge.flow.study.contents import mend, shown
from bridge.flow.study.doubts import Doubt, doubts
from bridge.flow.study.earlier import Archive
from bridge.flow.study.early import Early, Growing
from bridge.flow.study.guard import guards_now
from bridge.flow.study.rulebook import Rules
from bridge.flow.study.screening import screened
from bridge.flow.study.sight import sight_of
from bridge.flow.study.waiting import Waiting
from bridge.flow.study.wanted import Wanted, sentence
from bridge.log import event
from bridge.rules import Choice, Rule, Study, choose
from bridge.rules.waits import in_order, is_whole
from bridge.store.budgets import CODES
from bridge.store.jobs import Decision, JobState
from bridge.store.studies import INCOMPLETE
from bridge.store.studies import Study as StudyRow
from bridge.volumes import candidates_of
from bridge.volumes.masks import masks_of

log = logging.getLogger("bridge.intake")

NO_PATIENT_ID = "STU-007"
"""A doubt that matters where results go to an archive: a folder files nothing under a patient."""


class Decider:
    """Lets the rules in force look at studies."""

    def __init__(self, parts: Parts, rules: Rules, today: Callable[[], date]) -> None:
        self.rules = [rule for rule in rules.compiled if rule.mode != "off"]
        self._parts = parts
        self._rulebook = rules
        self._today = today

    def decide(self, study: StudyRow, complete: Complete, growing: Growing | None) -> list[str]:
        """`Intake.decide`"""
        self._parts.passing("decide:before")
        rules = in_order(Early.rules(self.rules) if growing else self.rules)
        self._note_versions(study)
        self._take_in(study, rules)
        seen = sight_of(
            self._parts.instances,
            self._parts.jobs,
            study,
            rules,
            today=self._today(),
            shelf=lambda job: self._parts.shelf(job),
            archive=Archive(
                instances=self._parts.instances,
                studies=self._parts.studies,
                key=self._parts.key,
                tolerance=tolerance_of(self._parts.site),
            ),
        )
        made, against = self._look(study, seen, rules, self._doubts(study, seen, complete), growing)
        if growing and not made:
            return []
        self._parts.passing("decide:mid")
        new = self._parts.decisions.decide(
            study.study_instance_uid,
            study.due_at,
            made,
            complete=complete.reason,
            doubts=" ".join(one.mark for one in against),
            is_final=growing is None,
        )
        if not growing:
            self._alert(study, against)
        self._tell(study, made, new, complete)
        self._parts.passing("decide:after")
        return new

    def _take_in(self, study: StudyRow, rules: Sequence[Rule]) -> None:
        uid = study.study_instance_uid
        chain.take_in(self._parts, uid, rules)
        if any(one.prior and one.mask for rule in rules for one in rule.inputs):
            for other in self._parts.instances.patients.others(uid):
                chain.take_in(self._parts, other.study_instance_uid, rules)

    def _look(
        self,
        study: StudyRow,
        seen: Study,
        rules: Sequence[Rule],
        doubtful: Sequence[Doubt],
        growing: Growing | None,
    ) -> tuple[list[Decision], list[Doubt]]:
        """What each rule decides, and the doubts that stand against any of them."""
        uid, tolerance = study.study_instance_uid, tolerance_of(self._parts.site)
        candidates = candidates_of(seen.instances, tolerance)
        takes_masks = any(one.mask for rule in rules for one in rule.inputs)
        masks = masks_of(seen.instances, tolerance) if takes_masks else ()
        guards = guards_now(self._parts.site, self._rulebook.test_patients)
        wanted = Wanted(self._parts, self._rulebook, study)
        waiting = Waiting(self._parts, self._rulebook.models, study, seen, candidates)
        made: list[Decision] = []
        against: dict[str, Doubt] = {}
        for rule in rules:
            choice = choose(
                rule,
                seen,
                candidates,
                # Of what still grows no pixels are looked at before it fits.
                None if growing else partial(mend, self._parts),
                masks,
                guards=guards,
                shows=partial(shown, self._parts),
            )
            choice = screened(self._parts.site, rule, choice)
            if growing and not (choice.matches and is_whole(choice, uid, growing.whole(rule))):
                continue
            kept = waiting.keeps(rule, choice)
            stands = wanted.against(rule, choice, _about(rule, choice, uid, doubtful))
            stands = (*stands, *(kept.doubts if kept else ()))
            if growing and stands:
                continue
            against |= {one.mark: one for one in stands}
            decision = wanted.decision(rule, choice, stands, kept)
            waiting.decided(decision)
            made.append(decision)
        return made, list(against.values())

    def _tell(
        self, study: StudyRow, made: Sequence[Decision], new: Collection[str], complete: Complete
    ) -> None:
        uid = study.study_instance_uid
        paused = {one.rule: one for one in self._parts.decisions.of_study(uid) if one.code in CODES}
        jobs = self._parts.decisions.job_ids(uid)
        for decision in (paused.get(one.rule, one) for one in made):
            for job in jobs.get(decision.rule, (None,)):
                event(
                    log,
                    "rule.decided",
                    study=study.name,
                    rule=decision.rule,
                    outcome=decision.outcome,
                    reason=decision.reason,
                    job=job,
                    new=job in new,
                    complete=complete.reason,
                )

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
                self._parts.alerts.begin(kind, study.name, sentence(of_kind))
            else:
                self._parts.alerts.end(kind, study.name)


def _about(rule: Rule, choice: Choice, study: str, doubtful: Sequence[Doubt]) -> Sequence[Doubt]:
    """The doubts that matter to a rule: one that starts with its inputs does not ask whether the rest has come."""
    if rule.start != INPUTS_COMPLETE or not is_whole(choice, study, _series(choice)):
        return doubtful
    return [one for one in doubtful if one.code != INCOMPLETE]


def _series(choice: Choice) -> set[str]:
    volumes = (volume for taken in choice.matches for volume in taken.volumes.values())
    return {instance.series_instance_uid for volume in volumes for instance in volume.instances}
