"""One event, one line, whatever a stranger calls himself."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from io import StringIO

import pytest

from bridge.log import event, start_logging


@pytest.fixture(params=[True, False])
def stream(request: pytest.FixtureRequest) -> Iterator[StringIO]:
    stream = StringIO()
    start_logging(stream, plain=request.param)
    yield stream
    logging.getLogger("bridge").handlers.clear()
    logging.getLogger("bridge").propagate = True


def test_text_of_a_peer_cannot_begin_a_line(stream: StringIO) -> None:
    event(logging.getLogger("bridge.receive"), "association.rejected", calling_ae_title="A\nforged line")
    assert stream.getvalue().count("\n") == 1


def test_records_of_libraries_go_nowhere(stream: StringIO) -> None:
    logging.getLogger("pydicom").error("Canary^Yellow")
    logging.getLogger("httpx").error("https://store/?signature=1")
    assert stream.getvalue() == ""
