"""What tests among peers share: a program that is slow to start."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.peers.pixelmed import ReportValidator, running


@pytest.fixture(scope="session")
def report_validator() -> Iterator[ReportValidator]:
    with running() as validator:
        yield validator
