"""Who is meant by a name outside: sealed in the table, found with the keys, and by nobody else."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from bridge.errors import Damaged
from bridge.store.crosswalk import Crosswalk, Entry, Person
from bridge.store.keys import Keys, Kind
from bridge.store.tables import Index, crosswalk

KEY = b"k" * 32
PERSON = Person(issuer="House^West", patient_id="Canary-4711")


def entry(job: str = "j1", study: str = "s1", pseudonym: str = "P-1", naming: int = 1) -> Entry:
    return Entry(
        job_id=job,
        study=study,
        account="gc",
        pseudonym=pseudonym,
        outward_study=f"2.25.{study}",
        naming=naming,
        person=PERSON,
        study_instance_uid="1.2.826.77",
    )


class Bench:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.index = Index(folder / "index.sqlite", clock=lambda: 5.0)
        self.index.open()
        self.keys = Keys(folder / "keys")
        self.rows = Crosswalk(self.index, self.keys, KEY)

    def files(self) -> list[str]:
        return sorted(one.name for one in (self.folder / "keys").iterdir())

    def sealed(self) -> list[bytes]:
        with self.index.read() as connection:
            return [bytes(one) for one in connection.execute(sa.select(crosswalk.c.sealed)).scalars()]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_name_outside_leads_back_and_the_tables_do_not(bench: Bench) -> None:
    bench.rows.keep([entry()])
    for name in ("P-1", "2.25.s1"):
        (found,) = bench.rows.of_name(name)
        assert (found.person, found.study_instance_uid, found.job_id) == (PERSON, "1.2.826.77", "j1")
    assert bench.rows.of_name("P-2") == []
    bench.index.write_back()
    held = b"".join(one.read_bytes() for one in bench.folder.glob("index.sqlite*"))
    for told in (b"Canary-4711", b"House^West", b"1.2.826.77"):
        assert told not in held


def test_keys_are_files_of_the_owner_alone(bench: Bench) -> None:
    bench.rows.naming("j1")
    bench.rows.keep([entry()])
    assert bench.files() == ["names-0001.key", "seal-0001.key"]
    modes = {oct(one.stat().st_mode & 0o777) for one in (bench.folder / "keys").iterdir()}
    assert modes == {"0o600"}
    assert oct((bench.folder / "keys").stat().st_mode & 0o777) == "0o700"


def test_a_new_seal_opens_every_row_and_the_old_key_is_gone(bench: Bench) -> None:
    bench.rows.keep([entry(), entry(job="j2", pseudonym="P-2")])
    before = bench.sealed()
    assert bench.rows.seal_anew() == 2
    assert bench.files() == ["seal-0002.key"]
    assert not set(before) & set(bench.sealed())
    assert [one.person for one in bench.rows.of_name("P-2")] == [PERSON]


def test_a_seal_that_died_halfway_is_finished_by_the_next(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.rows.keep([entry()])

    def dies(self: Keys, kind: Kind, number: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Keys, "drop", dies)
        with pytest.raises(KeyboardInterrupt):
            bench.rows.seal_anew()
    assert bench.files() == ["seal-0001.key", "seal-0002.key"]
    assert bench.rows.of_name("P-1")[0].person == PERSON
    bench.rows.seal_anew()
    assert bench.files() == ["seal-0003.key"]


def test_a_job_keeps_the_key_of_its_names_and_the_next_has_the_new_one(bench: Bench) -> None:
    number, key = bench.rows.naming("j1")
    bench.rows.keep([entry(naming=number)])
    assert bench.rows.name_anew() == 2
    assert bench.rows.naming("j1") == (1, key)
    newer, other = bench.rows.naming("j2")
    assert newer == 2
    assert other != key


def test_without_its_keys_a_crosswalk_makes_no_other_names(bench: Bench) -> None:
    number, _ = bench.rows.naming("j1")
    bench.rows.keep([entry(naming=number)])
    for one in (bench.folder / "keys").iterdir():
        one.unlink()
    for job, code in (("j1", "KEY-001"), ("j2", "KEY-002")):
        with pytest.raises(Damaged) as error:
            bench.rows.naming(job)
        assert error.value.code == code


def test_a_row_in_the_place_of_another_is_not_opened(bench: Bench) -> None:
    bench.rows.keep([entry(), entry(job="j2", study="s2", pseudonym="P-2")])
    first = bench.sealed()[0]
    with bench.index.write() as connection:
        connection.execute(sa.update(crosswalk).where(crosswalk.c.job_id == "j2").values(sealed=first))
    with pytest.raises(Damaged) as error:
        bench.rows.of_name("P-2")
    assert error.value.code == "KEY-003"


def test_writing_it_down_again_changes_nothing(bench: Bench) -> None:
    bench.rows.keep([entry()])
    before = bench.sealed()
    bench.rows.keep([entry()])
    assert bench.sealed() == before
