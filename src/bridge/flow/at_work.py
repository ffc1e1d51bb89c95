"""What this process has in its hands. A run of a job begins only when nothing of an older run is at work.

A step that has passed its guard finishes what it does, an upload or a C-STORE, although a person has ended the job
meanwhile. Process memory is enough: what a crash interrupts passes its guard again.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_busy: Counter[str] = Counter()


@contextmanager
def at_work(on: str) -> Iterator[None]:
    """`on`: a job's id, or the name of one of its turns. To be entered before the row is read that admits the work."""
    with _lock:
        _busy[on] += 1
    try:
        yield
    finally:
        with _lock:
            _busy[on] -= 1
            if not _busy[on]:
                del _busy[on]


def is_at_work(on: str) -> bool:
    with _lock:
        return on in _busy
