"""The stage `encode` once more, in a process that knows nothing of the first time.

python -m tests.peers.encode_again SITE_TOML
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Never


def main() -> None:
    from bridge.assembly import build
    from bridge.config import load_site
    from bridge.flow.stages.encode import encode

    def no_queue(*_: object, **__: object) -> Never:
        raise AssertionError("a stage by itself has no queue")

    import sqlalchemy as sa

    from bridge.store.tables import results

    built = build(load_site(Path(sys.argv[1])), enqueue=no_queue)
    try:
        for job in built.parts.jobs.all():
            # Results that were issued are never made again: forget that they were.
            with built.index.write() as connection:
                connection.execute(sa.delete(results).where(results.c.job_id == job.id))
            encode(built.parts, job)
    finally:
        built.close()


if __name__ == "__main__":
    main()
