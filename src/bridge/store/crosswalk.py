"""Who is meant by a name outside: rows that only this house can read, sealed with a key in a file.

AES-256-GCM (NIST SP 800-38D) by `cryptography`; a row is bound to its job and its name, so none can take the place of
another. Columns in clear are keyed hashes, names that were made for outside, and numbers of keys.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from bridge.dicom.uids import keyed_name
from bridge.errors import Damaged
from bridge.store.keys import Keys, Kind
from bridge.store.tables import Index, crosswalk

NONCE_BYTES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Whom an object names."""

    issuer: str = field(repr=False)
    patient_id: str = field(repr=False)

    def hashes(self, key: bytes) -> tuple[str, str]:
        """What stands for the ID, and for the ID of that issuer, where the ID must not stand; "" of nobody."""
        if not self.patient_id:
            return "", ""
        return (
            keyed_name(key, "patient id", self.patient_id),
            keyed_name(key, "patient of issuer", self.issuer, self.patient_id),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One study of a job under its names outside."""

    job_id: str
    study: str
    """The keyed name of the study."""
    account: str
    pseudonym: str
    outward_study: str
    """Its Study Instance UID outside."""
    naming: int
    """Number of the key that made the names."""
    person: Person
    study_instance_uid: str = field(repr=False)
    made_at: float = 0.0


class Crosswalk:
    """`key`: of the installation, for the hashes."""

    def __init__(self, index: Index, keys: Keys, key: bytes) -> None:
        self._index, self._keys, self._key = index, keys, key

    def naming(self, job_id: str) -> tuple[int, bytes]:
        """The key behind the names of a job, by its number: the one it began with, whatever was made since.

        Raises Damaged: KEY-001, it is gone; KEY-002, all are gone, and names were made.
        """
        query = sa.select(crosswalk.c.job_id, crosswalk.c.naming)
        with self._index.read() as connection:
            began = connection.execute(query.where(crosswalk.c.job_id == job_id).limit(1)).first()
            any_row = began or connection.execute(query.limit(1)).first()
        number = began.naming if began else self._keys.newest(Kind.NAMES)
        if number is None and any_row:
            raise Damaged(
                "KEY-002",
                "a crosswalk without the keys of its names",
                "the folder `keys` of the data directory",
                "Restore it from the back-up: a patient would get another name",
            )
        if number is None:
            # Two jobs that begin at once get the same key: the lock of the index is that of the first key too.
            with self._index.write():
                number = self._keys.newest(Kind.NAMES) or self._keys.make(Kind.NAMES)
        return number, self._keys.get(Kind.NAMES, number)

    def keep(self, entries: Sequence[Entry]) -> None:
        """Write down who is meant; repeating it changes nothing. Durable when it returns."""
        # Inside the transaction, so that no row is sealed with a key that is just being replaced.
        with self._index.write() as connection:
            sealing = self._keys.newest(Kind.SEAL) or self._keys.make(Kind.SEAL)
            rows = self._rows(entries, sealing)
            if rows:
                connection.execute(sa.insert(crosswalk).prefix_with("OR IGNORE"), rows)

    def _rows(self, entries: Sequence[Entry], sealing: int) -> list[dict[str, Any]]:
        cipher = _cipher(self._keys.get(Kind.SEAL, sealing))
        rows = []
        for one in entries:
            patient, _ = one.person.hashes(self._key)
            told = {
                "issuer": one.person.issuer,
                "patient_id": one.person.patient_id,
                "study_instance_uid": one.study_instance_uid,
            }
            rows.append(
                {
                    "job_id": one.job_id,
                    "study": one.study,
                    "patient": patient,
                    "account": one.account,
                    "pseudonym": one.pseudonym,
                    "outward_study": one.outward_study,
                    "naming": one.naming,
                    "sealing": sealing,
                    "sealed": _seal(cipher, told, one.job_id, one.pseudonym),
                    "made_at": self._index.clock(),
                }
            )
        return rows

    def of_name(self, name: str) -> list[Entry]:
        """Who is meant by a patient's name, or a Study Instance UID, outside."""
        return self._open(sa.or_(crosswalk.c.pseudonym == name, crosswalk.c.outward_study == name))

    def of_job(self, job_id: str) -> list[Entry]:
        return self._open(crosswalk.c.job_id == job_id)

    def seal_anew(self) -> int:
        """Seal every row with a new key and remove the older ones. Returns how many rows there are.

        A crash in between leaves rows that name the key they are sealed with; the next time finishes it.
        """
        with self._index.write() as connection:
            newest = self._keys.make(Kind.SEAL)
            cipher = _cipher(self._keys.get(Kind.SEAL, newest))
            rows = connection.execute(sa.select(crosswalk)).all()
            for row in rows:
                told = _unseal(_cipher(self._keys.get(Kind.SEAL, row.sealing)), row)
                connection.execute(
                    sa.update(crosswalk)
                    .where(
                        crosswalk.c.job_id == row.job_id,
                        crosswalk.c.study == row.study,
                        crosswalk.c.patient == row.patient,
                    )
                    .values(sealing=newest, sealed=_seal(cipher, told, row.job_id, row.pseudonym))
                )
        for number in self._keys.numbers(Kind.SEAL):
            if number < newest:
                self._keys.drop(Kind.SEAL, number)
        return len(rows)

    def name_anew(self) -> int:
        """A new key for names: from the next job on every patient has another. Returns its number.

        Older ones stay: jobs that began with them keep their names.
        """
        return self._keys.make(Kind.NAMES)

    def _open(self, where: sa.ColumnElement[bool]) -> list[Entry]:
        with self._index.read() as connection:
            rows = connection.execute(sa.select(crosswalk).where(where).order_by(crosswalk.c.made_at)).all()
        return [self._entry(row) for row in rows]

    def _entry(self, row: Any) -> Entry:
        told = _unseal(_cipher(self._keys.get(Kind.SEAL, row.sealing)), row)
        return Entry(
            job_id=row.job_id,
            study=row.study,
            account=row.account,
            pseudonym=row.pseudonym,
            outward_study=row.outward_study,
            naming=row.naming,
            person=Person(issuer=told["issuer"], patient_id=told["patient_id"]),
            study_instance_uid=told["study_instance_uid"],
            made_at=row.made_at,
        )


def _cipher(key: bytes) -> Any:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key)


def _seal(cipher: Any, told: dict[str, str], job_id: str, pseudonym: str) -> bytes:
    nonce = os.urandom(NONCE_BYTES)
    bound = f"{job_id}|{pseudonym}".encode()
    return nonce + bytes(cipher.encrypt(nonce, json.dumps(told).encode(), bound))


def _unseal(cipher: Any, row: Any) -> dict[str, str]:
    """Raises Damaged: KEY-003, a row that this key does not open."""
    from cryptography.exceptions import InvalidTag

    bound = f"{row.job_id}|{row.pseudonym}".encode()
    try:
        opened = cipher.decrypt(row.sealed[:NONCE_BYTES], row.sealed[NONCE_BYTES:], bound)
    except InvalidTag:
        raise Damaged(
            "KEY-003",
            f"a row of the crosswalk that key seal {row.sealing} does not open",
            "a row as it was written, and its key",
            "Restore index and keys from the same back-up",
        ) from None
    told: dict[str, str] = json.loads(opened)
    return told
