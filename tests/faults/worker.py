"""A bridge that kills itself at one exact point: `worker.py SITE_TOML [POINT[@STUDY] [MOST]]`.

SIGKILL, the first time the point is passed: no handler, no flush, no goodbye. With a Study Instance UID, only while
that study is worked on. `MOST`: how often a study may interrupt a stage before it is set aside.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

at_work = threading.local()


def main() -> None:
    from bridge.config import load_rules, load_site
    from bridge.flow import job
    from bridge.flow.stages import prepare
    from bridge.flow.study import intake
    from bridge.log import start_logging
    from bridge.service import Service

    kill_at, most = [*sys.argv[2:], "", ""][:2]
    kill_at, _, study = kill_at.partition("@")
    if int(most or 0):
        intake.MOST_ATTEMPTS = job.CRASHES = int(most)
    if study:
        intake.Intake.decide = of_study(intake.Intake.decide)  # type: ignore[method-assign]
        prepare.convert = of_study(prepare.convert)

    def passing(point: str) -> None:
        if point == kill_at and (not study or study == getattr(at_work, "study", "")):
            os.kill(os.getpid(), signal.SIGKILL)

    site = load_site(Path(sys.argv[1]))
    start_logging()
    service = Service(site, load_rules(site.rules_file), passing=passing)
    service.start()
    service.run()


def of_study(work: Callable[..., Any]) -> Callable[..., Any]:
    """Work whose second argument is the row of a study or of a job; while it lasts, its thread is at that study."""

    def run(first: Any, row: Any, *rest: Any) -> Any:
        at_work.study = row.study_instance_uid
        try:
            return work(first, row, *rest)
        finally:
            at_work.study = ""

    return run


if __name__ == "__main__":
    main()
