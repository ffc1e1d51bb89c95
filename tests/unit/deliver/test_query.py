"""C-FIND against real SCPs: what is named, what is not, and "not known", which is neither."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelFind,
    Verification,
)

from bridge.deliver.association import Address
from bridge.deliver.query import Named, Silent, instances_of, named
from bridge.sandbox.pacs import SmallPacs, send
from made_objects import ct_slice

STUDY, SERIES = "1.2.3", ("1.2.3.1", "1.2.3.2")
HELD = {f"{series}.{number}": series for series in SERIES for number in (1, 2, 3)}
Find = Callable[[Any], Iterator[tuple[int, Dataset | None]]]


def address(port: int, **changes: Any) -> Address:
    values: dict[str, Any] = {
        "name": "pacs",
        "ae_title": "PACS",
        "host": "127.0.0.1",
        "port": port,
        "calling_ae_title": "BRIDGE",
        "connect_timeout_s": 2.0,
        "acse_timeout_s": 2.0,
        "dimse_timeout_s": 0.5,
        "network_timeout_s": 5.0,
    }
    return Address(**(values | changes))


@contextmanager
def archive(find: Find, *, knows_find: bool = True) -> Iterator[int]:
    """An archive that answers C-FIND as it is told. Gives its port."""
    entity = AE(ae_title="PACS")
    entity.add_supported_context(StudyRootQueryRetrieveInformationModelFind if knows_find else Verification)
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_FIND, find)])
    try:
        yield server.socket.getsockname()[1]
    finally:
        # It takes half a second to notice, and nobody needs to wait for that.
        threading.Thread(target=server.shutdown, daemon=True).start()


def answer(level: str, study: str, series: str, instance: str = "") -> Dataset:
    found = Dataset()
    found.QueryRetrieveLevel = level
    found.StudyInstanceUID, found.SeriesInstanceUID = study, series
    if instance:
        found.SOPInstanceUID = instance
    return found


def hierarchical(relational: int | None) -> Find:
    """Knows STUDY, and images only by their series: without one it answers that status, or nothing if None."""

    def find(event: Any) -> Iterator[tuple[int, Dataset | None]]:
        asked = event.identifier
        if asked.QueryRetrieveLevel == "SERIES":
            for series in SERIES:
                yield 0xFF00, answer("SERIES", STUDY, series)
        elif asked.SeriesInstanceUID:
            for uid, series in HELD.items():
                if series == asked.SeriesInstanceUID:
                    yield 0xFF01, answer("IMAGE", STUDY, series, uid)
        elif relational is not None:
            yield relational, None

    return find


@pytest.fixture
def pacs(tmp_path: Path) -> Iterator[SmallPacs]:
    with SmallPacs(tmp_path / "pacs", ae_title="PACS") as pacs:
        files = []
        for study, uids in ((STUDY, HELD), ("9.9", {"9.9.1.1": "9.9.1"})):
            for uid, series in uids.items():
                made = ct_slice(study=study, series=series)
                made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = uid
                files.append(tmp_path / f"{uid}.dcm")
                made.save_as(files[-1], enforce_file_format=True)
        assert send(files, port=pacs.port) == [0] * len(files)
        yield pacs


def test_every_instance_of_the_study_is_named_and_none_of_another(pacs: SmallPacs) -> None:
    assert instances_of(address(pacs.port), STUDY) == Named(sop_instance_uids=frozenset(HELD))


def test_archive_that_has_nothing_of_the_study_says_so(pacs: SmallPacs) -> None:
    assert instances_of(address(pacs.port), "4.4") == Named(sop_instance_uids=frozenset())


def test_asked_back_only_what_is_there_is_named(pacs: SmallPacs) -> None:
    wanted = ["1.2.3.1.1", "1.2.3.2.1", "1.2.3.1.9"]
    assert named(address(pacs.port), STUDY, "1.2.3.1", wanted) == {"1.2.3.1.1"}


@pytest.mark.parametrize("relational", [None, 0xA900, 0xC001, 0x0122, 0xA700])
def test_archive_that_wants_a_series_is_asked_series_by_series(relational: int | None) -> None:
    with archive(hierarchical(relational)) as port:
        assert instances_of(address(port), STUDY) == Named(sop_instance_uids=frozenset(HELD))


def test_answers_about_another_study_are_not_counted() -> None:
    def ignores_its_keys(event: Any) -> Iterator[tuple[int, Dataset | None]]:
        for uid, series in HELD.items():
            yield 0xFF00, answer("IMAGE", STUDY if uid.endswith(".1") else "9.9", series, uid)

    with archive(ignores_its_keys) as port:
        assert instances_of(address(port), STUDY) == Named(
            sop_instance_uids=frozenset({"1.2.3.1.1", "1.2.3.2.1"})
        )
        assert named(address(port), STUDY, "1.2.3.1", HELD) == {"1.2.3.1.1"}


def refuses(event: Any) -> Iterator[tuple[int, Dataset | None]]:
    yield 0xA700, None


def breaks_off(event: Any) -> Iterator[tuple[int, Dataset | None]]:
    yield 0xFF00, answer("IMAGE", STUDY, SERIES[0], "1.2.3.1.1")
    event.assoc.abort()


def hangs_up(event: Any) -> Iterator[tuple[int, Dataset | None]]:
    event.assoc.abort()
    yield 0xC000, None


def hangs(event: Any) -> Iterator[tuple[int, Dataset | None]]:
    time.sleep(1.2)
    yield 0x0000, None


def names_nothing_in_its_answer(event: Any) -> Iterator[tuple[int, Dataset | None]]:
    yield 0xFF00, answer("IMAGE", STUDY, SERIES[0])


def fails_in_the_second_series(event: Any) -> Iterator[tuple[int, Dataset | None]]:
    if event.identifier.get("SeriesInstanceUID") == SERIES[1]:
        yield 0xC000, None
    else:
        yield from hierarchical(None)(event)


@pytest.mark.parametrize(
    ("find", "words"),
    [
        (refuses, "0xA700 out of resources"),
        (breaks_off, "no answer to C-FIND"),
        (hangs_up, "no answer to C-FIND"),
        (hangs, "no answer to C-FIND"),
        (names_nothing_in_its_answer, "cannot be read"),
        (fails_in_the_second_series, "0xC000 unable to process"),
    ],
)
def test_what_is_no_whole_answer_is_not_known(find: Find, words: str) -> None:
    with archive(find) as port:
        found = instances_of(address(port), STUDY)
    assert isinstance(found, Silent)
    assert words in found.reason


@pytest.mark.parametrize("find", [refuses, hangs_up, names_nothing_in_its_answer])
def test_asked_back_what_is_no_whole_answer_is_not_known(find: Find) -> None:
    with archive(find) as port:
        assert isinstance(named(address(port), STUDY, SERIES[0], HELD), Silent)


def test_archive_without_c_find_or_without_connection_is_not_known() -> None:
    with archive(refuses, knows_find=False) as port:
        found = instances_of(address(port), STUDY)
        assert isinstance(found, Silent)
        assert "presentation context" in found.reason
    found = instances_of(address(1), STUDY)
    assert isinstance(found, Silent)
    assert "no connection" in found.reason


def test_answers_without_an_end_are_broken_off(monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(event: Any) -> Iterator[tuple[int, Dataset | None]]:
        for number in range(100_000):
            if not event.assoc.is_established:
                return
            yield 0xFF00, answer("IMAGE", STUDY, SERIES[0], f"1.2.3.1.{number}")

    monkeypatch.setattr("bridge.deliver.query.MOST", 50)
    with archive(endless) as port:
        found = instances_of(address(port), STUDY)
    assert isinstance(found, Silent)
    assert "without an end" in found.reason
