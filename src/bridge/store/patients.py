"""Which studies name the same patient, by a keyed hash: no Patient ID stands in these tables.

The hash finds studies; whether they are one patient's is for their headers to say.
"""

from __future__ import annotations

import zlib

import sqlalchemy as sa
from pydicom.dataset import Dataset

from bridge.config.priors import NO_PRIOR
from bridge.dicom.headers import parse_header, text
from bridge.dicom.uids import keyed_name
from bridge.store.rows import NewJob
from bridge.store.studies import DECIDED, GONE, OPEN, SET_ASIDE, Study
from bridge.store.tables import Index, borrowed, decisions, headers, instances, patients, studies

LOOK_BACK_S = 30 * 86400.0
"""A study that came longer ago than this is not looked at again because an earlier one arrives."""
NOBODY = ""


def note_patient(connection: sa.Connection, key: bytes, study: str, header: Dataset) -> None:
    """Inside the transaction that keeps an instance of the study."""
    connection.execute(
        sa.insert(patients)
        .prefix_with("OR IGNORE")
        .values(study_instance_uid=study, patient=_patient(key, header))
    )


def _patient(key: bytes, header: Dataset) -> str:
    id, issuer = ((text(header, word) or "").strip() for word in ("PatientID", "IssuerOfPatientID"))
    return keyed_name(key, "patient", issuer, id) if id else NOBODY


class Patients:
    def __init__(self, index: Index, key: bytes) -> None:
        self._index = index
        self._key = key

    def tell(self, study_instance_uid: str) -> None:
        """`tell_others` for a study that is set aside."""
        with self._index.write() as connection:
            tell_others(connection, study_instance_uid, self._index.clock())

    def others(self, study_instance_uid: str) -> list[Study]:
        """Other studies that name a patient whom this one names, in the order of their names."""
        query = (
            sa.select(studies)
            .where(studies.c.study_instance_uid.in_(_others(study_instance_uid)))
            .order_by(studies.c.name)
        )
        with self._index.read() as connection:
            return [Study(**row._mapping) for row in connection.execute(query)]

    def named(self, patient_id: str, issuer: str | None = None) -> list[Study]:
        """Studies with an object that names this patient, by the headers of one object of each series.

        issuer: None for whoever issued the ID. Reads every study: for the rare question of a person.
        """
        with self._index.read() as connection:
            every = connection.execute(sa.select(studies).order_by(studies.c.name)).all()
            return [
                Study(**row._mapping)
                for row in every
                if any(
                    _names(header, patient_id, issuer)
                    for header in _of_each_series(connection, row.study_instance_uid)
                )
            ]

    def fill(self, at_most: int = 20) -> int:
        """Note the patients of so many studies that came before this was noted. Returns how many there were.

        One object of each series speaks for it. A crash loses nothing: a study without a row is looked at again.
        """
        without = sa.select(studies.c.study_instance_uid).where(
            ~sa.exists().where(patients.c.study_instance_uid == studies.c.study_instance_uid)
        )
        with self._index.read() as connection:
            found = list(connection.execute(without.limit(at_most)).scalars())
            rows = [
                {"study_instance_uid": study, "patient": one}
                for study in found
                for one in {_patient(self._key, each) for each in _of_each_series(connection, study)}
                or {NOBODY}
            ]
        if rows:
            with self._index.write() as connection:
                connection.execute(sa.insert(patients).prefix_with("OR IGNORE"), rows)
        return len(found)


def _names(header: Dataset, patient_id: str, issuer: str | None) -> bool:
    id, by = ((text(header, word) or "").strip() for word in ("PatientID", "IssuerOfPatientID"))
    return id == patient_id.strip() and (issuer is None or by == issuer.strip())


def _of_each_series(connection: sa.Connection, study: str) -> list[Dataset]:
    newest = (
        sa.select(sa.func.max(instances.c.number))
        .where(instances.c.study_instance_uid == study, sa.not_(instances.c.own))
        .group_by(instances.c.series_instance_uid)
    )
    rows = connection.execute(sa.select(headers).where(headers.c.number.in_(newest))).all()
    return [parse_header(zlib.decompress(row.encoded), row.syntax) for row in rows]


def tell_others(connection: sa.Connection, study: str, now: float) -> None:
    """Let rules look again at later studies that want this one, once for each time that something of it has happened.

    Inside the transaction that closes the study. What is opened here tells nobody in turn, so no two studies can wake
    each other for ever.
    """
    told = connection.execute(
        sa.update(studies)
        .where(studies.c.study_instance_uid == study, studies.c.news, studies.c.state != OPEN)
        .values(news=False)
    )
    if not told.rowcount:
        return
    waiting = sa.select(decisions.c.study_instance_uid).where(
        decisions.c.study_instance_uid.in_(_others(study)), decisions.c.code.in_((NO_PRIOR, GONE))
    )
    for later in connection.execute(waiting.distinct()).scalars().all():
        # One by one: of several at once SQLite would go through all studies that are decided.
        connection.execute(
            sa.update(studies)
            .where(
                studies.c.study_instance_uid == later,
                studies.c.state == DECIDED,
                studies.c.last_at >= now - LOOK_BACK_S,
            )
            .values(state=OPEN, opened_at=now, due_at=now, attempts=0)
        )


def wants_again(connection: sa.Connection, study: str) -> bool:
    """Whether a study waits for being sent once more: that is how a person asks for another look at it.

    Or a later study of the patient does, whose pixels may be those of this one.
    """
    this = studies.c.study_instance_uid == study
    waits = sa.and_(this, sa.or_(studies.c.state == SET_ASIDE, studies.c.doubts.contains(GONE)))
    later = sa.and_(studies.c.study_instance_uid.in_(_others(study)), studies.c.doubts.contains(GONE))
    query = sa.select(studies.c.name).where(sa.or_(waits, later))
    return connection.execute(query.limit(1)).first() is not None


def borrow(connection: sa.Connection, job: NewJob) -> None:
    """Note that a job takes volumes of other studies: their pixels stay while it is not over."""
    for study in job.borrows:
        connection.execute(
            sa.insert(borrowed).prefix_with("OR IGNORE").values(job_id=job.id, study_instance_uid=study)
        )


def _others(study: str) -> sa.Select[tuple[str]]:
    here, there = patients.alias("here"), patients.alias("there")
    return (
        sa.select(there.c.study_instance_uid)
        .join_from(here, there, here.c.patient == there.c.patient)
        .where(
            here.c.study_instance_uid == study,
            here.c.patient != NOBODY,
            there.c.patient != NOBODY,
            there.c.study_instance_uid != study,
        )
    )
