"""`bridge jobs show` counts what was asked for at a platform and came to nothing."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from bridge.cli.jobs import _given_up
from bridge.platforms.protocol import RemoteJob


@pytest.mark.parametrize(
    ("remote", "given_up"),
    [
        ("", 0),
        (RemoteJob(key="k"), 0),
        (RemoteJob(key="k", notes={"create": {"job": "1", "orphans": 3}, "upload:cbct": {}}), 3),
    ],
)
def test_jobs_that_were_given_up_are_counted_from_the_notes(remote: RemoteJob | str, given_up: int) -> None:
    from pydantic import TypeAdapter

    text = TypeAdapter(RemoteJob).dump_json(remote).decode() if isinstance(remote, RemoteJob) else remote
    assert _given_up(SimpleNamespace(remote=text)) == given_up  # type: ignore[arg-type]
