"""Peers that were not let in: the last of them are remembered."""

from __future__ import annotations

from pathlib import Path

from bridge.store.refusals import MOST, Refusals
from bridge.store.tables import Index


def test_scanner_fills_nothing_and_hides_nobody_who_comes_after(tmp_path: Path) -> None:
    now = [0.0]
    index = Index(tmp_path / "index.sqlite", clock=lambda: now[0])
    index.open()
    refusals = Refusals(index)
    for number in range(MOST + 50):
        now[0] += 1.0
        refusals.note(f"SCAN{number}", "BRIDGE", "10.0.0.9", "calling")
    now[0] += 1.0
    refusals.note("NEWCT", "BRIDGE", "10.0.0.7", "calling")
    refusals.note("NEWCT", "BRIDGE", "10.0.0.7", "calling")
    known = refusals.all()
    assert len(known) == MOST
    assert (known[0].calling_ae_title, known[0].count) == ("NEWCT", 2)
    assert "SCAN0" not in {one.calling_ae_title for one in known}
