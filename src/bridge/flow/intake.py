"""An instance opens or touches a study; when it is due, every rule looks at it; what matches becomes a job.

Deciding twice is deciding once: a job is its identity, and the row is written in the same transaction as the
decision. The relay then hands ready jobs to the engine, which knows an id that it has seen.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import date

from pydantic import TypeAdapter

from bridge.config.rules import RuleModel
from bridge.errors import BridgeError
from bridge.flow import heavy
from bridge.flow.job import CPU, platform_queue
from bridge.flow.parts import Parts
from bridge.flow.verdicts import pause
from bridge.log import event
from bridge.rules import Choice, Explanation, Match, Rule, Study, choose, job_id
from bridge.store.instances import Study as StudyRow
from bridge.store.jobs import Decision, Job, JobState, NewJob
from bridge.volumes import Volume, candidates_of, content_of

log = logging.getLogger("bridge.intake")

MOST_ATTEMPTS = 20
"""A study at which deciding failed so often, or died, is left alone until something new of it arrives."""

ASK_AGAIN_S = 60
"""How often a platform that cannot describe an algorithm is asked again; with a wrong token no oftener either."""

EXPLANATION = TypeAdapter(Explanation)


class Intake:
    """Looks for studies that are due and for jobs that are ready. `tick` is called again and again."""

    def __init__(
        self, parts: Parts, rules: Sequence[Rule], models: dict[str, RuleModel], today: Callable[[], date]
    ) -> None:
        self._parts = parts
        self._rules = [rule for rule in rules if models[rule.name].mode != "off"]
        self._models = models
        self._today = today
        self._asked: dict[str, str] = {}

    def tick(self) -> None:
        """One look. An error of one study never keeps another from its turn."""
        for study in self._parts.instances.due(self._parts.clock()):
            attempts = self._parts.instances.count_attempt(study)
            if attempts > MOST_ATTEMPTS:
                event(
                    log, "alert.study-set-aside", level=logging.ERROR, study=study.name, attempts=attempts - 1
                )
                self._parts.instances.set_aside(study)
                continue
            try:
                self.decide(study)
            except Exception as error:  # noqa: BLE001 - counted above; in the end it is set aside, with an alert
                pause_s = pause(self._parts.site.engine.retry_s, attempts - 1)
                self._parts.instances.look_again(study, pause_s)
                event(
                    log,
                    "study.not-decided",
                    level=logging.ERROR,
                    failed=True,
                    study=study.name,
                    pause_s=pause_s,
                    code=error.code if isinstance(error, BridgeError) else "BUG-002",
                )
        self.relay()

    def decide(self, study: StudyRow) -> list[str]:
        """Let every rule look at a study. Returns the ids of jobs that are new."""
        self._parts.passing("decide:before")
        held = self._parts.instances.of_study(study.study_instance_uid)
        seen = Study(
            study_instance_uid=study.study_instance_uid,
            instances=held,
            today=self._today(),
            calling_ae_titles=self._parts.instances.calling_ae_titles(study.study_instance_uid),
        )
        candidates = candidates_of(held)
        made = [self._decision(study, rule, choose(rule, seen, candidates)) for rule in self._rules]
        self._parts.passing("decide:mid")
        new = self._parts.jobs.decide(study.study_instance_uid, study.due_at, made)
        for decision in made:
            event(
                log,
                "rule.decided",
                study=study.name,
                rule=decision.rule,
                outcome=decision.outcome,
                reason=decision.reason,
                job=decision.job.id if decision.job else None,
                new=decision.job is not None and decision.job.id in new,
            )
        self._parts.passing("decide:after")
        return new

    def relay(self) -> None:
        """Hand ready jobs to the engine, once the algorithm's description is known. Repeating it is harmless."""
        for job in self._parts.jobs.all(state=JobState.READY):
            if job.account not in self._parts.site.accounts:
                self._say(job, "CFG-020", f"account {job.account} is no longer in site.toml. Put it back")
                continue
            if not self._described(job):
                continue
            self._parts.enqueue("prepare", CPU, f"{job.id}.prepare", job.id)
            self._parts.passing("relay:mid")
            self._parts.jobs.started(job.id)

    def _decision(self, study: StudyRow, rule: Rule, choice: Choice) -> Decision:
        explanation = choice.explanation
        job = None
        if choice.volumes is not None and self._models[rule.name].mode != "explain":
            job = self._job(self._match(study, rule, choice.volumes, explanation))
        return Decision(
            rule=rule.name,
            outcome=explanation.outcome,
            reason=explanation.reason,
            explanation=EXPLANATION.dump_json(explanation).decode(),
            job=job,
        )

    def _match(
        self, study: StudyRow, rule: Rule, volumes: Mapping[str, Volume], explanation: Explanation
    ) -> Match:
        model = self._models[rule.name]
        return Match(
            rule=rule.name,
            job_id=job_id(
                self._parts.key,
                rule=rule.name,
                platform=model.platform,
                algorithm=model.algorithm,
                version=model.version,
                study_instance_uid=study.study_instance_uid,
                inputs={name: self._content(volume) for name, volume in volumes.items()},
                values=model.values,
                rerun=0,
            ),
            volumes=volumes,
            explanation=explanation,
        )

    def _job(self, match: Match) -> NewJob:
        model = self._models[match.rule]
        held = model.mode == "hold"
        numbers = {name: [i.number for i in volume.instances] for name, volume in match.volumes.items()}
        return NewJob(
            id=match.job_id,
            rule=match.rule,
            account=model.platform,
            algorithm=model.algorithm,
            declared_version=model.version,
            state=JobState.HELD if held else JobState.READY,
            reason="the rule holds its jobs until a person releases them" if held else "",
            frozen=model.model_dump_json(),
            inputs=json.dumps(numbers),
        )

    def _content(self, volume: Volume) -> str:
        """Identity of a volume by what it shows; digests of frames are computed once and kept for ever."""
        wanted = [(plane.instance.number, plane.frame) for plane in volume.planes]
        known = self._parts.instances.frame_digests([number for number, _ in wanted])
        if any(frame not in known for frame in wanted):
            fresh = self._parts.children.run(heavy.frame_digests, volume)
            self._parts.instances.keep_frame_digests(fresh)
            known |= fresh
        return content_of(volume, [known[frame] for frame in wanted])

    def _described(self, job: Job) -> bool:
        account = self._parts.site.accounts[job.account]
        known = self._parts.jobs.spec(job.account, job.algorithm, job.declared_version)
        now = self._parts.clock()
        if known and known.spec and now - known.learned_at < account.describe_again_s:
            return True
        if known and known.spec is None:
            self._say(job, known.code, known.reason)
            if now - known.learned_at < ASK_AGAIN_S:
                return False
        self._ask(job, int(now // ASK_AGAIN_S))
        return False

    def _say(self, job: Job, code: str, reason: str) -> None:
        """Show in the job's row why it waits; once, not at every look."""
        if job.reason != reason:
            self._parts.jobs.change(job.id, code=code, reason=reason)
            event(log, "job.waits", level=logging.WARNING, job=job.id, code=code, reason=reason)

    def _ask(self, job: Job, window: int) -> None:
        """One question for all jobs that wait for its answer; the window in its id lets a later one be asked."""
        words = (job.account, job.algorithm, job.declared_version)
        name = hashlib.sha256("\0".join(words).encode()).hexdigest()[:16]
        id = f"describe.{name}.{window}"
        if id != self._asked.get(name):
            self._parts.enqueue("describe", platform_queue(job.account), id, *words, urgent=True)
            self._asked[name] = id
