"""A small PACS on 127.0.0.1 for trials, tests and the demonstration: it keeps everything and refuses on demand.

`SmallPacs` receives (C-ECHO, C-STORE, C-FIND), `send` pushes files to a peer as a modality would, `order` tells a
running one to refuse, hang up or dawdle. `python -m bridge.sandbox.pacs --folder D` runs it alone.
"""

from __future__ import annotations

from .archive import Attempt, read_attempts
from .command import run
from .orders import Orders, order
from .send import send
from .server import SmallPacs

__all__ = ["Attempt", "Orders", "SmallPacs", "order", "read_attempts", "run", "send"]
