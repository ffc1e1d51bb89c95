"""Misbehaviour on demand: a control file in the folder of a PACS that any process may replace while it runs."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bridge.errors import ConfigError

CONTROL = "control.json"
OUT_OF_RESOURCES = 0xA700


class Orders(BaseModel):
    """What to do with the next C-STORE requests: first hang up, then refuse, then lose; then all is well again."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    abort: int = Field(default=0, ge=0, description="hang up on this many requests instead of answering")
    refuse: int = Field(default=0, ge=0, description="refuse this many requests")
    status: int = Field(
        default=OUT_OF_RESOURCES,
        ge=1,
        le=0xFFFF,
        description="with this status (PS3.4 B.2.3); 0xBxxx warns and keeps",
    )
    lose: int = Field(default=0, ge=0, description="say that this many were stored, and keep nothing of them")
    delay_s: float = Field(
        default=0.0, ge=0, description="wait this long before any answer, for all requests"
    )


def order(folder: Path, orders: Orders) -> None:
    """Give a running PACS new orders in place of the old, those already carried out included."""
    new = folder / f".{CONTROL}.{os.getpid()}.{threading.get_ident()}"
    new.write_text(orders.model_dump_json())
    # Replaced as a whole, so that the PACS never reads half an order and sees each one as a new file.
    new.replace(folder / CONTROL)


class Desk:
    """Reads the control file before each request and counts down what it asks for."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / CONTROL
        # An order is for the PACS that ran when it was given.
        self._file.unlink(missing_ok=True)
        self._lock = threading.Lock()
        self._read: tuple[int, int, bytes] | None = None
        self._orders = Orders()

    def next(self) -> Orders:
        """Orders for one request: one of `abort`, `refuse` and `lose` is 1 when it is to be treated so, else 0.

        Raises:
            ConfigError: SBX-001, the control file cannot be understood.
        """
        with self._lock:
            self._refresh()
            orders = self._orders
            for what in ("abort", "refuse", "lose"):
                if left := getattr(orders, what):
                    self._orders = orders.model_copy(update={what: left - 1})
                    return orders.model_copy(update={"abort": 0, "refuse": 0, "lose": 0, what: 1})
            return orders

    def _refresh(self) -> None:
        try:
            with self._file.open("rb") as file:
                found, text = os.fstat(file.fileno()), file.read()
        except FileNotFoundError:
            return
        # The text too: a clock of the file system may not move between two orders.
        version = (found.st_ino, found.st_mtime_ns, text)
        if version == self._read:
            return
        try:
            self._orders = Orders.model_validate_json(text)
        except ValidationError as problem:
            keys = sorted({str(part) for error in problem.errors() for part in error["loc"]})
            raise ConfigError(
                "SBX-001",
                f"orders that cannot be understood ({', '.join(keys) or 'no JSON'})",
                f"a JSON object with {', '.join(Orders.model_fields)}",
                file=CONTROL,
            ) from None
        self._read = version
