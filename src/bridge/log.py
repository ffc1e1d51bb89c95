"""Events with keys, one line each, and never a value of a patient attribute.

`event(log, "job.delivered", job=..., destination=..., instances=3)` is the only way the project logs. Keys are from
a closed vocabulary of identifiers and numbers of ours; third-party loggers (pydicom, pynetdicom, highdicom, httpx
print values, names and signed URLs) are cut off at the root.
"""

from __future__ import annotations

import json
import logging
import sys
import time
import warnings
from typing import TextIO

Value = str | int | float | bool | None

QUIET = ("pydicom", "pynetdicom", "highdicom", "httpx", "httpcore", "PIL", "sqlalchemy", "alembic")
"""Loggers whose records quote what they were given: they go nowhere."""


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Value] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        line.update(getattr(record, "keys", {}))
        if record.exc_info and record.exc_info[0]:
            # The text of a foreign exception may quote a name; its class and place may not.
            line["error"] = record.exc_info[0].__name__
            line["at"] = _place(record.exc_info[2])
        return json.dumps(line, ensure_ascii=False, default=lambda value: type(value).__name__)


class _Plain(_Json):
    def format(self, record: logging.LogRecord) -> str:
        line = json.loads(super().format(record))
        head = f"{line.pop('time')[11:19]} {line.pop('level'):<7} {line.pop('event')}"
        return " ".join([head, *(f"{key}={_on_one_line(value)}" for key, value in line.items())])


def _on_one_line(value: Value) -> str:
    # An AE title is a stranger's text: it must not be able to begin a line of its own.
    text = str(value)
    return text if text.isprintable() else repr(text)


def _place(trace: object) -> str:
    place = ""
    while trace is not None:
        code = trace.tb_frame.f_code  # type: ignore[attr-defined]
        place = f"{code.co_filename.rsplit('/', 1)[-1]}:{trace.tb_lineno}"  # type: ignore[attr-defined]
        trace = trace.tb_next  # type: ignore[attr-defined]
    return place


class _Ours(logging.Filter):
    """Only records of our own loggers: a library that logs through the root is cut off as well."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.name == "bridge" or record.name.startswith("bridge.")


def start_logging(stream: TextIO | None = None, *, level: str = "INFO", plain: bool = False) -> None:
    """Send our events to `stream` (standard error when None) and everybody else's nowhere."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_Plain() if plain else _Json())
    handler.addFilter(_Ours())
    root = logging.getLogger("bridge")
    root.handlers[:] = [handler]
    root.setLevel(level)
    root.propagate = False
    silence_libraries()


def silence_libraries() -> None:
    """Route warnings and loggers that print values of attributes away. Also for child processes."""
    warnings.simplefilter("ignore")
    logging.captureWarnings(False)
    for name in QUIET:
        logger = logging.getLogger(name)
        logger.handlers[:] = [logging.NullHandler()]
        logger.propagate = False
        logger.setLevel(logging.CRITICAL + 1)
    # The engine names workflows and steps, never values, but its tracebacks quote exceptions of ours and others.
    engine = logging.getLogger("dbos")
    engine.handlers[:] = [logging.NullHandler()]
    engine.propagate = False


def event(
    logger: logging.Logger, name: str, /, *, level: int = logging.INFO, failed: bool = False, **keys: Value
) -> None:
    """Log one event. `failed` adds the class and place of the exception in flight, never its text."""
    logger.log(level, "%s", name, extra={"keys": keys}, exc_info=failed)
