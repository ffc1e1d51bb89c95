"""`bridge demo`: the whole way on this machine, with a crash in the middle."""

from __future__ import annotations

from bridge.cli.demo.story import demo

__all__ = ["demo"]
