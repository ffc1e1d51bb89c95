"""What an answer of a peer means beside what was tried before."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from bridge.deliver.receipt import Receipt
from bridge.dicom.statuses import Outcome
from bridge.flow.deliveries import FEW, HELD, _outcome
from bridge.flow.parts import Parts
from bridge.store.jobs import Delivery

NOW = 1_000_000.0
DAYS = 7.0
PARTS = cast(
    Parts,
    SimpleNamespace(
        clock=lambda: NOW,
        site=SimpleNamespace(destinations={"pacs": SimpleNamespace(give_up_after_days=DAYS)}),
    ),
)
LONG_AGO = NOW - (DAYS * 86400 + 1)

ROWS = [
    (Outcome.DELIVERED, 0, None, "delivered"),
    (Outcome.WARNED, 0, None, "warned"),
    (Outcome.REFUSED, 0, None, "refused"),
    (Outcome.RETRY, 99, NOW - 3600, "retry"),
    (Outcome.RETRY, 99, LONG_AGO, HELD),
    (Outcome.CONFIGURATION, 99, NOW - 3600, "configuration"),
    (Outcome.CONFIGURATION, 99, LONG_AGO, HELD),
    (Outcome.RETRY_FEW, FEW - 2, NOW - 60, "retry-few"),
    (Outcome.RETRY_FEW, FEW - 1, NOW - 60, HELD),
    (Outcome.DUPLICATE, 1, NOW - 60, "delivered"),
    (Outcome.DUPLICATE, 0, None, HELD),
]


@pytest.mark.parametrize(("answer", "attempts", "first_at", "meaning"), ROWS)
def test_answer_has_its_meaning(answer: Outcome, attempts: int, first_at: float | None, meaning: str) -> None:
    before = Delivery(
        job_id="j",
        destination="pacs",
        sop_instance_uid="1.2",
        outcome="owed",
        status=None,
        reason="",
        attempts=attempts,
        first_at=first_at,
        last_at=first_at,
    )
    receipt = Receipt(destination="pacs", sop_instance_uid="1.2", outcome=answer, status=0, reason="")
    assert _outcome(PARTS, "pacs", receipt, before) == meaning
