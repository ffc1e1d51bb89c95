"""What rules see of a study: the same for a decision, a question and a replay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from functools import partial

from bridge.flow.study.chain import Shelf, answers_of, not_held
from bridge.flow.study.earlier import Archive, asks
from bridge.rules import Rule, Study
from bridge.store.instances import Instances
from bridge.store.jobs import Jobs
from bridge.store.studies import Study as StudyRow


def sight_of(
    instances: Instances,
    jobs: Jobs,
    row: StudyRow,
    rules: Sequence[Rule],
    *,
    today: date,
    shelf: Shelf,
    archive: Archive | None = None,
) -> Study:
    """The study of a row with all that these rules may ask of it.

    Args:
        shelf: of a job, by its id.
        archive: for earlier studies of the patient; without it there are none.
    """
    see = partial(_study, instances, jobs, rules=rules, today=today, shelf=shelf)
    seen = see(row)
    if archive is None or not asks(rules):
        return seen
    priors, undated = archive.priors(seen, see)
    return replace(seen, priors=priors, undated=undated)


def _study(
    instances: Instances, jobs: Jobs, row: StudyRow, *, rules: Sequence[Rule], today: date, shelf: Shelf
) -> Study:
    uid = row.study_instance_uid
    held, answers = instances.of_study(uid), answers_of(jobs, uid, rules, shelf)
    return Study(
        study_instance_uid=uid,
        instances=(*held, *not_held(jobs, uid, rules, shelf, held)),
        today=today,
        calling_ae_titles=instances.calling_ae_titles(uid),
        called_ae_titles=instances.called_ae_titles(uid),
        source=row.source,
        made_by={mask: one.rule for one in answers for mask in one.masks},
        answers=answers,
    )
