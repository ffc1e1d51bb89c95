"""A bridge that kills itself at one exact point: `worker.py SITE_TOML [POINT]`.

SIGKILL, the first time the point is passed: no handler, no flush, no goodbye.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path


def main() -> None:
    from bridge.config import load_rules, load_site
    from bridge.log import start_logging
    from bridge.service import Service

    kill_at = sys.argv[2] if len(sys.argv) > 2 else ""

    def passing(point: str) -> None:
        if point == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    site = load_site(Path(sys.argv[1]))
    start_logging()
    service = Service(site, load_rules(site.rules_file), passing=passing)
    service.start()
    service.run()


if __name__ == "__main__":
    main()
