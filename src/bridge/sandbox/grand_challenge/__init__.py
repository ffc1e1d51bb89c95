"""Grand Challenge on loopback: its API, its object store, and algorithms that really compute.

Faithful to the platform's own server where a client can tell the difference: statuses, bodies, order of checks,
second origin for files. `python -m bridge.sandbox.grand_challenge FOLDER` runs it.

A test decides what goes wrong, through the methods of `Sandbox` (`controls`) or, from another process, below
/sandbox/ of the API's origin (`control` lists the paths):

    sandbox.arm(Fault(method="POST", path="*/algorithms/jobs/", status=504, after=True))  # the job exists
    sandbox.hold("Executing")                                                            # no job gets further
    sandbox.set_status(job, "Cancelled", reason="1 file could not be imported.")
    sandbox.move_clock(86400)                                                            # uploads are swept
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bridge.sandbox.loopback.faults import Fault

    from .sandbox import Sandbox, run
    from .settings import Behaviour, Limits, MaskAs

_HOMES = {
    "Sandbox": ".sandbox",
    "run": ".sandbox",
    "Fault": "bridge.sandbox.loopback.faults",
    "Behaviour": ".settings",
    "Limits": ".settings",
    "MaskAs": ".settings",
}
__all__ = ["Behaviour", "Fault", "Limits", "MaskAs", "Sandbox", "run"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name], __name__), name)
    raise AttributeError(name)
