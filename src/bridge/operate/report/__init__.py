"""`report.html`: one job on one page that needs nothing else, and can reach nothing else.

`write_report(path, Facts(...))`. Pixels are decoded here: call it where that may be done, in a child process or a
command. Nothing is imported until it is asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bridge.operate.report.facts import Facts, ResultFile, Version
    from bridge.operate.report.write import write_report

__all__ = ["Facts", "ResultFile", "Version", "write_report"]

_HOME = {"Facts": "facts", "ResultFile": "facts", "Version": "facts", "write_report": "write"}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
