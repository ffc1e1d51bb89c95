"""`bridge serve`."""

from __future__ import annotations

from pathlib import Path

from bridge.config import load_rules, load_site
from bridge.log import start_logging


def serve(config: Path) -> None:
    site = load_site(config)
    rules = load_rules(site.rules_file)
    start_logging(plain=site.log == "plain")
    # Now, and not at the top: a mistake in a file is told at once, without waiting for the DICOM libraries.
    from bridge.service import Service

    service = Service(site, rules)
    service.start()
    service.run()
