"""`bridge disclosures`, `bridge erase`, `bridge keys rotate`: questions of a data-protection officer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from site_bench import Bench
from typer.testing import CliRunner

from bridge.cli.app import app
from bridge.errors import ConfigError
from bridge.flow.acts.perform import perform
from bridge.flow.keeping.fence import installation_key
from bridge.store.acts import Acts
from bridge.store.crosswalk import Crosswalk, Entry, Person
from bridge.store.disclosures import Disclosures, Erased, Sent
from bridge.store.keys import Keys

PERSON = Person(issuer="West", patient_id="C-4711")
NOW = 1_800_000_000.0


class House(Bench):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.config = folder / "site.toml"
        self.data = self.site.data
        (self.data / "secret.key").write_bytes(b"k" * 32)
        key = installation_key(self.data)
        self.keys = Keys(self.data / "keys")
        self.crosswalk = Crosswalk(self.index, self.keys, key)
        number, _ = self.crosswalk.naming("j1")
        entry = Entry(
            job_id="j1",
            study="5eed",
            account="gc",
            pseudonym="P-00",
            outward_study="2.25.9",
            naming=number,
            person=PERSON,
            study_instance_uid="1.2.77",
        )
        self.crosswalk.keep([entry])
        record = Disclosures(self.index, key)
        record.about("j1", [("5eed", PERSON)])
        sent = [self.sent("ct.zip"), self.sent("note.pdf")]
        record.begin(sent)
        record.left(sent[:1])
        gone = Erased(
            act_id=7, study="5eed", job_id="j1", place="gc", what="job 9", erased=False, reason="no route"
        )
        record.note_erased([gone])

    def sent(self, name: str) -> Sent:
        return Sent(
            job_id="j1",
            attempt=1,
            name=name,
            sha256="ab" * 32,
            size_bytes=1234,
            input="ct",
            format="dicom-zip",
            rule="lungs",
            account="gc",
            platform="grand-challenge",
            algorithm="lobes",
            pseudonym="P-00",
            profile="f00d",
        )

    def call(self, *words: str) -> Any:
        return CliRunner().invoke(app, [*words, "--config", str(self.config)])


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


@pytest.mark.parametrize(
    "question",
    [
        ("--patient", "C-4711"),
        ("--patient", "C-4711", "--issuer", "West"),
        ("--name", "P-00"),
        ("--name", "2.25.9"),
    ],
)
def test_what_left_of_a_patient_is_told(house: House, question: tuple[str, ...]) -> None:
    told = json.loads(house.call("disclosures", *question, "--json").stdout)
    assert [(one["name"], one["account"], one["profile"]) for one in told["sent"]] == [
        ("ct.zip", "gc", "f00d"),
        ("note.pdf", "gc", "f00d"),
    ]
    assert [one["sent_at"] is None for one in told["sent"]] == [False, True]
    assert [(one["what"], one["erased"], one["reason"]) for one in told["erased"]] == [
        ("job 9", False, "no route")
    ]
    whom = [(one["patient_id"], one["issuer"], one["study_instance_uid"]) for one in told["meant"]]
    assert whom == ([("C-4711", "West", "1.2.77")] if question[0] == "--name" else [])


def test_a_page_for_a_person_says_what_is_not_sure(house: House) -> None:
    told = house.call("disclosures", "--patient", "C-4711").stdout
    assert "gc (grand-challenge)" in told
    assert "1 begun: the platform never said that it has them; count them as sent" in told
    assert "not erased" in told
    assert "nothing left this house" in house.call("disclosures", "--patient", "C-1").stdout


@pytest.mark.parametrize(
    "question",
    [(), ("--patient", "C-1", "--study", "1.2"), ("--study", "1.2", "--issuer", "West")],
)
def test_one_question_at_a_time(house: House, question: tuple[str, ...]) -> None:
    error = house.call("disclosures", *question).exception
    assert isinstance(error, ConfigError)
    assert error.code == "DIS-001"


def test_a_wish_to_erase_names_the_study_and_never_the_patient(house: House) -> None:
    error = house.call("erase", "--patient", "C-4711", "--reason", "asked", "--yes").exception
    assert isinstance(error, ConfigError), "nothing of the patient is here"
    assert error.code == "ERA-002"
    assert "C-4711" not in str(error)
    both = house.call("erase", "--patient", "C-1", "--study", "1.2", "--reason", "r", "--yes").exception
    assert isinstance(both, ConfigError)
    assert both.code == "ERA-001"
    assert Acts(house.index).waiting() == []


def test_a_new_seal_is_a_wish_that_the_service_fulfils(house: House) -> None:
    told = house.call("keys", "rotate", "seal", "--reason", "an admin left")
    assert told.exit_code == 3
    parts: Any = type("Parts", (), {"acts": Acts(house.index), "crosswalk": house.crosswalk})
    perform(parts, reload=lambda: "")
    assert sorted(one.name for one in (house.data / "keys").iterdir()) == ["names-0001.key", "seal-0002.key"]
    assert house.crosswalk.of_name("P-00")[0].person == PERSON
    assert house.call("keys", "rotate", "all", "--reason", "r").exception.code == "CLI-014"
