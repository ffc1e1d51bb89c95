"""What left the house: which file of which job went to whom, when, under which profile. Rows are never removed.

Nothing in them names a patient: a keyed hash finds those of a patient whose ID is given, by whoever has the key.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from bridge.store.crosswalk import Person
from bridge.store.tables import Index, disclosed_patients, disclosures, erasures, jobs


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One file, or one value, on its way to a platform."""

    job_id: str
    attempt: int
    """Of the job at the platform."""
    name: str
    """As it was called on the way; of a value, its input."""
    sha256: str
    size_bytes: int
    input: str
    format: str
    """Of the table of formats; `value` for a value, `file` for one of the site's own."""
    rule: str
    account: str
    platform: str
    algorithm: str
    pseudonym: str
    profile: str
    begun_at: float = 0.0
    """When its sending began: from then on some of it may have left."""
    sent_at: float | None = None
    """When the platform had it; None while nobody knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """What became of one thing that was to be erased."""

    act_id: int
    study: str
    job_id: str
    place: str
    """An account, or `here`."""
    what: str
    erased: bool
    reason: str
    at: float = 0.0


class Disclosures:
    """`key`: of the installation, for the hashes of patients."""

    def __init__(self, index: Index, key: bytes) -> None:
        self._index, self._key = index, key

    def about(self, job_id: str, whose: Iterable[tuple[str, Person]]) -> None:
        """Whose a job is: keyed names of studies, each with a person. Repeating it changes nothing."""
        rows = []
        for study, person in whose:
            patient, issued = person.hashes(self._key)
            rows.append({"job_id": job_id, "study": study, "patient": patient, "issued": issued})
        if rows:
            with self._index.write() as connection:
                connection.execute(sa.insert(disclosed_patients).prefix_with("OR IGNORE"), rows)

    def begin(self, sent: Sequence[Sent]) -> None:
        """Before the first byte: durable when it returns. What began before keeps its time."""
        if not sent:
            return
        now = self._index.clock()
        rows = [{**_row(one), "begun_at": now, "sent_at": None} for one in sent]
        with self._index.write() as connection:
            connection.execute(sa.insert(disclosures).prefix_with("OR IGNORE"), rows)

    def left(self, sent: Sequence[Sent]) -> None:
        """The platform has them. The first time counts."""
        if not sent:
            return
        now = self._index.clock()
        with self._index.write() as connection:
            for one in sent:
                connection.execute(
                    sa.update(disclosures)
                    .where(
                        disclosures.c.job_id == one.job_id,
                        disclosures.c.attempt == one.attempt,
                        disclosures.c.name == one.name,
                        disclosures.c.sha256 == one.sha256,
                        disclosures.c.sent_at.is_(None),
                    )
                    .values(sent_at=now)
                )

    def of_job(self, job_id: str) -> list[Sent]:
        return self._sent(disclosures.c.job_id == job_id)

    def of_patient(self, patient_id: str, issuer: str | None = None) -> list[Sent]:
        """Of every job that was about that ID; `issuer` None for whoever issued it."""
        return self._sent(disclosures.c.job_id.in_(self._jobs_of(patient_id, issuer)))

    def of_study(self, study: str) -> list[Sent]:
        jobs = sa.select(disclosed_patients.c.job_id).where(disclosed_patients.c.study == study)
        return self._sent(disclosures.c.job_id.in_(jobs))

    def studies_of(self, patient_id: str, issuer: str | None = None) -> list[str]:
        """Keyed names of the studies of which something was made ready for a platform."""
        query = sa.select(disclosed_patients.c.study).where(self._is(patient_id, issuer)).distinct()
        with self._index.read() as connection:
            return sorted(connection.execute(query).scalars())

    def note_erased(self, erased: Iterable[Erased]) -> None:
        now = self._index.clock()
        rows = [
            {column.name: now if column.name == "at" else getattr(one, column.name) for column in _ERASED}
            for one in erased
        ]
        if rows:
            with self._index.write() as connection:
                connection.execute(sa.insert(erasures), rows)

    def erased(self, studies: Iterable[str]) -> list[Erased]:
        query = sa.select(*_ERASED).where(erasures.c.study.in_(list(studies))).order_by(erasures.c.id)
        with self._index.read() as connection:
            return [
                Erased(**{**row._mapping, "erased": bool(row.erased)}) for row in connection.execute(query)
            ]

    def was_erased(self, act_id: int) -> bool:
        """Whether the rows that a wish was about are gone."""
        return bool(self.study_of_act(act_id))

    def study_of_act(self, act_id: int) -> str:
        """The keyed name of the study that a wish erased; "" for one that did not."""
        query = sa.select(erasures.c.study).where(erasures.c.act_id == act_id).limit(1)
        with self._index.read() as connection:
            return connection.execute(query).scalar() or ""

    def erased_jobs(self, act_id: int) -> list[str]:
        """Jobs of the study that a wish erased."""
        query = sa.select(erasures.c.job_id).where(erasures.c.act_id == act_id, erasures.c.job_id != "")
        with self._index.read() as connection:
            return sorted(set(connection.execute(query).scalars()))

    def has_asked(self, act_id: int, job_id: str) -> bool:
        """Whether the record says what the platform of a job has done for a wish."""
        account = sa.select(jobs.c.account).where(jobs.c.id == job_id).scalar_subquery()
        query = sa.select(erasures.c.id).where(
            erasures.c.act_id == act_id, erasures.c.job_id == job_id, erasures.c.place == account
        )
        with self._index.read() as connection:
            return connection.execute(query.limit(1)).first() is not None

    def _jobs_of(self, patient_id: str, issuer: str | None) -> sa.Select[tuple[str]]:
        return sa.select(disclosed_patients.c.job_id).where(self._is(patient_id, issuer))

    def _is(self, patient_id: str, issuer: str | None) -> sa.ColumnElement[bool]:
        person = Person(issuer=(issuer or "").strip(), patient_id=patient_id.strip())
        patient, issued = person.hashes(self._key)
        if issuer is None:
            return disclosed_patients.c.patient == patient
        return disclosed_patients.c.issued == issued

    def _sent(self, where: sa.ColumnElement[bool]) -> list[Sent]:
        order = (disclosures.c.begun_at, disclosures.c.job_id, disclosures.c.name)
        with self._index.read() as connection:
            rows = connection.execute(sa.select(disclosures).where(where).order_by(*order))
            return [Sent(**row._mapping) for row in rows]


_ERASED = tuple(column for column in erasures.columns if column.name != "id")


def _row(one: Sent) -> dict[str, object]:
    return {column.name: getattr(one, column.name) for column in disclosures.columns}
