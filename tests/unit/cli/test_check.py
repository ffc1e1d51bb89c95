"""`bridge check`: each finding with its remedy, every destination asked what it takes, and an end to it all."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pynetdicom import AE, _config, evt
from pynetdicom.sop_class import (
    SegmentationStorage,
    StudyRootQueryRetrieveInformationModelFind,
    Verification,
)
from tests.unit.cli.site_bench import RULES, Bench

from bridge.cli.checks import accounts, machine
from bridge.cli.checks.destinations import result_classes
from bridge.cli.checks.files import files
from bridge.cli.checks.finding import Finding, Level, good, take
from bridge.config import load_rules
from bridge.receive.admit import Why
from bridge.store.refusals import Refusals


@contextmanager
def peer(*classes: Any, find: int | None = None) -> Iterator[int]:
    """A peer that takes these classes; `find`: the status with which it answers C-FIND."""
    # Process-wide, and whatever made a PACS that takes everything before in this process has switched it on.
    unrestricted, _config.UNRESTRICTED_STORAGE_SERVICE = _config.UNRESTRICTED_STORAGE_SERVICE, False
    entity = AE(ae_title="PACS")
    for one in (Verification, *classes):
        entity.add_supported_context(one)
    if find is not None:
        entity.add_supported_context(StudyRootQueryRetrieveInformationModelFind)
    handlers = [(evt.EVT_C_FIND, lambda event: iter([(find, None)]))]
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    try:
        yield server.socket.getsockname()[1]
    finally:
        server.shutdown()
        _config.UNRESTRICTED_STORAGE_SERVICE = unrestricted


def of(lines: list[dict[str, Any]], subject: str) -> dict[str, str]:
    return {one["what"]: one["level"] for one in lines if one["subject"] == subject}


def test_each_result_class_is_proposed_to_its_destination(tmp_path: Path) -> None:
    with peer(SegmentationStorage) as port:
        told = of(Bench(tmp_path, port=port).json("check"), "destination pacs")
    assert told == {
        f"PACS at 127.0.0.1:{port} answers C-ECHO": "ok",
        "takes Segmentation Storage": "ok",
        "does not take Comprehensive 3D SR Storage in Explicit VR Little Endian": "wrong",
        # Only some algorithms write one.
        "does not take Encapsulated PDF Storage in Explicit VR Little Endian": "warn",
    }


@pytest.mark.parametrize(
    ("status", "level", "what"),
    [(0x0000, "ok", "answers C-FIND"), (0xA900, "wrong", "C-FIND: C-FIND answered 0xA900")],
)
def test_destination_that_is_asked_is_asked(tmp_path: Path, status: int, level: str, what: str) -> None:
    with peer(SegmentationStorage, find=status) as port:
        told = of(Bench(tmp_path, port=port, destination="ask_back = true").json("check"), "destination pacs")
    assert [found for text, found in told.items() if text.startswith(what)] == [level]


def test_destination_that_is_not_asked_needs_no_query(tmp_path: Path) -> None:
    with peer(SegmentationStorage) as port:
        told = of(Bench(tmp_path, port=port).json("check"), "destination pacs")
    assert not any("C-FIND" in text for text in told)


def test_nobody_there_is_a_sentence_with_a_remedy(tmp_path: Path) -> None:
    code, told = Bench(tmp_path).run("check")
    assert code == 1
    assert (
        "✗ PACS at 127.0.0.1:1: no connection (Connection refused)\n      Check address and AE titles" in told
    )


def test_findings_stand_under_their_subject_once(tmp_path: Path) -> None:
    told = Bench(tmp_path).run("check")[1].splitlines()
    headings = [line for line in told if not line.startswith(" ")]
    assert headings == [
        "site.toml",
        "rules.toml",
        "this machine",
        "data folder",
        "account gc",
        "destination pacs",
    ]


def test_refused_peer_is_a_warning_with_the_lines_that_admit_it(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    Refusals(bench.index).note("NEWCT", "BRIDGE", "10.0.0.7", Why.CALLING)
    [found] = [one for one in bench.json("check") if one["subject"] == machine.REFUSED]
    assert (found["level"], found["ok"]) == ("warn", True)
    assert '[sources.newct]\nae_title = "NEWCT"\nhost = "10.0.0.7"' in found["remedy"]


def test_key_and_token_that_others_can_read_are_wrong(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    key = bench.site.data / "secret.key"
    key.write_bytes(b"k" * 32)
    for file in (key, tmp_path / "token"):
        file.chmod(0o644)
    remedies = [one["remedy"] for one in bench.json("check") if one["level"] == "wrong"]
    assert f"chmod 600 {key}" in remedies
    assert f"chmod 600 {tmp_path / 'token'}" in remedies


@pytest.mark.parametrize(
    ("days", "level", "what"),
    [
        (-3, "wrong", "the token ended 2 days ago"),
        (-1, "wrong", "the token ended 0 days ago"),
        (0, "warn", "the token: 1 days left"),
        (28, "warn", "the token: 29 days left"),
        (29, "ok", "the token: 30 days left"),
    ],
)
def test_days_of_a_token_are_counted_to_the_end_of_its_last(
    tmp_path: Path, days: int, level: str, what: str
) -> None:
    bench = Bench(tmp_path)
    ends = datetime.now().astimezone().date() + timedelta(days=days)
    text = bench.file.read_text()
    bench.file.write_text(
        text.replace('token_file = "token"', f'token_file = "token"\ntoken_ends = "{ends}"')
    )
    [found] = [one for one in bench.json("check") if one["what"].startswith("the token")]
    assert (found["level"], found["what"]) == (level, what)


def test_network_file_system_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.store.disk.network_file_system", lambda folder: "nfs4")
    found = machine.machine(Bench(tmp_path).site)
    assert [one.what for one in found if one.level is Level.WRONG] == ["on a network file system (nfs4)"]


@pytest.mark.parametrize(
    ("free", "reserve", "level"), [(9, 10, Level.WRONG), (15, 10, Level.WARN), (25, 10, Level.OK)]
)
def test_free_space_is_told_against_the_reserve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, reserve: int, level: Level
) -> None:
    bench = Bench(tmp_path)
    bench.file.write_text(bench.file.read_text().replace("reserve_bytes = 0", f"reserve_bytes = {reserve}"))
    monkeypatch.setattr("shutil.disk_usage", lambda folder: type("Usage", (), {"free": free}))
    from bridge.config import load_site

    [room] = [one for one in machine.machine(load_site(bench.file)) if "reserve" in one.what]
    assert room.level is level


DAYS = [(400, Level.OK), (30.5, Level.OK), (29.5, Level.WARN), (-1, Level.WRONG)]


@pytest.mark.parametrize(("days", "level"), DAYS)
def test_days_of_a_certificate_are_counted(days: float, level: Level) -> None:
    ends = time.strftime("%b %d %H:%M:%S %Y GMT", time.gmtime(time.time() + days * 86400))
    assert ssl.cert_time_to_seconds(ends)
    assert [one.level for one in accounts._days("account gc", "certificate", ends)] == [level]


SEG, SR, PDF = "Segmentation Storage", "Comprehensive 3D SR Storage", "Encapsulated PDF Storage"
RULE_KINDS = [
    ("", [SEG, SR, PDF]),
    ("segmentation = false", [SR, PDF]),
    ("measurement_report = false", [SEG, PDF]),
    ("documents = false", [SEG, SR]),
    ("picture = true", [SEG, SR, "Secondary Capture Image Storage", PDF]),
    ('heat_map = "parametric-map"', [SEG, SR, "Parametric Map Storage", PDF]),
    ("meshes = true", [SEG, SR, PDF, "Encapsulated STL Storage"]),
    ("meshes = false", [SEG, SR, PDF]),
]


@pytest.mark.parametrize(("results", "kinds"), RULE_KINDS)
def test_only_what_rules_can_make_is_proposed(tmp_path: Path, results: str, kinds: list[str]) -> None:
    from pydicom.uid import UID

    (tmp_path / "rules.toml").write_text(f"{RULES}\n[rules.lungs.results]\n{results}\n")
    rules = load_rules(tmp_path / "rules.toml")
    assert [UID(one).name for one in result_classes(rules, "pacs")] == kinds
    assert result_classes(rules, "archive") == ()


def test_definition_that_nobody_names_is_a_warning_with_its_line(tmp_path: Path) -> None:
    Bench(tmp_path)
    text = f'{RULES}\n[volumes.thin]\nwhere = {{ Modality = "CT" }}\n'
    line = text.splitlines().index("[volumes.thin]") + 1
    for volume, warnings in (
        ('{ Modality = "CT" }', [f"line {line}: volumes.thin is named by no input"]),
        ('"thin"', []),
    ):
        (tmp_path / "rules.toml").write_text(
            text.replace('volume = { Modality = "CT" }', f"volume = {volume}")
        )
        findings, _, rules = files(tmp_path / "site.toml")
        assert rules is not None
        assert [one.what for one in findings if one.level is not Level.OK] == warnings


def test_look_without_an_end_is_left_behind() -> None:
    def forever() -> list[Finding]:
        time.sleep(60)
        return []

    def broken() -> list[Finding]:
        raise ValueError("https://user:secret@proxy")

    looks: list[tuple[str, Callable[[], list[Finding]]]] = [
        ("a", forever),
        ("b", lambda: [good("b", "well")]),
        ("c", broken),
    ]
    begun = time.monotonic()
    found = take(looks, 0.3)
    assert time.monotonic() - begun < 5
    assert [(one.subject, one.level) for one in found] == [
        ("a", Level.WRONG),
        ("b", Level.OK),
        ("c", Level.WRONG),
    ]
    assert "secret" not in found[2].what


def test_opt_out_list_is_counted_and_never_shown(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    text = bench.file.read_text().replace("[receive]", 'opt_out_file = "out.txt"\n\n[receive]')
    bench.file.write_text(text + "\n[test_patients]\nPatientId = 'TEST'\n")
    told = bench.run("check")[1]
    assert "the opt-out list cannot be read" in told
    assert "Did you mean PatientID?" in told
    (tmp_path / "out.txt").write_text("# March\nP-17\n\nHOUSE|P-18\n")
    told = bench.run("check")[1]
    assert "2 lines of the opt-out list" in told
    assert "P-17" not in told
