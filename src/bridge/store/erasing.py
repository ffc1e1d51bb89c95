"""A study leaves the tables. What stays tells no more than that there was a job, and what of it left the house.

The files go before the rows: a crash in between leaves rows, by which the next try finds what is left to do.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa

from bridge.dicom.statuses import STORED
from bridge.store.rows import JobState
from bridge.store.studies import Study
from bridge.store.tables import (
    Index,
    alerts,
    borrowed,
    crosswalk,
    decision_jobs,
    decisions,
    deliveries,
    erasures,
    frames,
    headers,
    instances,
    jobs,
    patients,
    studies,
    turns,
)

GOING = (JobState.READY, JobState.RUNNING, JobState.HELD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What there is of a study."""

    files: tuple[str, ...]
    """Below the folder of instances; of results that came back too."""
    jobs: tuple[str, ...]
    borrowers: tuple[str, ...]
    """Jobs of other studies that took volumes of this one."""
    going: tuple[str, ...]
    """Those of either kind that are not over, or owe results."""
    names: int
    """Rows of the crosswalk."""
    stored: tuple[tuple[str, str, int], ...]
    """(job, destination, number of results that it has)"""


class Erasing:
    def __init__(self, index: Index) -> None:
        self._index = index

    def held(self, study: Study) -> Held:
        study_instance_uid = study.study_instance_uid
        of_study = jobs.c.study_instance_uid == study_instance_uid
        lent = sa.select(borrowed.c.job_id).where(borrowed.c.study_instance_uid == study_instance_uid)
        owes = sa.exists().where(turns.c.job_id == jobs.c.id, turns.c.due_at.is_not(None))
        mine = instances.c.study_instance_uid == study_instance_uid
        stored = (
            sa.select(deliveries.c.job_id, deliveries.c.destination, sa.func.count())
            .join_from(deliveries, jobs, deliveries.c.job_id == jobs.c.id)
            .where(of_study, deliveries.c.outcome.in_(tuple(STORED)))
            .group_by(deliveries.c.job_id, deliveries.c.destination)
        )
        with self._index.read() as connection:

            def ids(where: sa.ColumnElement[bool]) -> tuple[str, ...]:
                return tuple(
                    connection.execute(sa.select(jobs.c.id).where(where).order_by(jobs.c.id)).scalars()
                )

            involved = sa.or_(of_study, jobs.c.id.in_(lent))
            return Held(
                files=tuple(connection.execute(sa.select(instances.c.file).where(mine)).scalars()),
                jobs=ids(of_study),
                borrowers=ids(sa.and_(jobs.c.id.in_(lent), sa.not_(of_study))),
                going=ids(sa.and_(involved, sa.or_(jobs.c.state.in_(GOING), owes))),
                names=connection.execute(
                    sa.select(sa.func.count()).where(crosswalk.c.study == study.name)
                ).scalar_one(),
                stored=tuple((job, there, count) for job, there, count in connection.execute(stored)),
            )

    def erase(self, study: Study, act_id: int, explanation: str, notes: Iterable[dict[str, object]]) -> None:
        """Remove the rows of a study and write down what became of it, in one transaction.

        Args:
            explanation: stands in the place of that of each job, which has values of the patient.
            notes: rows of the table `erasures`, without their time.
        """
        uid = study.study_instance_uid
        numbers = sa.select(instances.c.number).where(instances.c.study_instance_uid == uid)
        now = self._index.clock()
        with self._index.write() as connection:
            # What is deleted is overwritten with zeros.
            connection.exec_driver_sql("PRAGMA secure_delete = ON")
            for table in (headers, frames):
                connection.execute(sa.delete(table).where(table.c.number.in_(numbers)))
            for table in (instances, decisions, decision_jobs, patients, borrowed, studies):
                connection.execute(sa.delete(table).where(table.c.study_instance_uid == uid))
            connection.execute(sa.delete(crosswalk).where(crosswalk.c.study == study.name))
            connection.execute(sa.delete(alerts).where(alerts.c.subject == study.name))
            of_study = jobs.c.study_instance_uid == uid
            for row in connection.execute(sa.select(jobs.c.id, jobs.c.frozen).where(of_study)).all():
                # Answers of other rules stand among the values of a rule as it was frozen.
                frozen = json.dumps(json.loads(row.frozen) | {"values": {}})
                bare = {"explanation": explanation, "frozen": frozen, "inputs": "{}", "outputs": "[]"}
                connection.execute(sa.update(jobs).where(jobs.c.id == row.id).values(**bare))
            for one in notes:
                connection.execute(sa.insert(erasures).values(**one, act_id=act_id, study=study.name, at=now))
        self._index.write_back()
