"""site.toml and rules.toml of the demonstration: short pauses, everything on 127.0.0.1."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bridge.cli.demo.plays import ANY_VOLUME, Play

SITE = """\
[bridge]
ae_title = "BRIDGE"
data = "data"
rules = "rules.toml"
log = "plain"

[receive]
port = {port}
quiet_s = 2.0
reserve_bytes = 0

[sources.pacs]
ae_title = "PACS"

[destinations.pacs]
ae_title = "PACS"
host = "127.0.0.1"
port = {pacs_port}
retry_s = [1.0, 2.0, 5.0]

"""


def write_config(
    out: Path, play: Play, *, port: int, pacs_port: int, cloud: dict[str, Any], any_volume: bool
) -> None:
    """`any_volume`: take whatever volume a user's own study has, not only that of the phantom."""
    files = {name: str(Path(cloud[name]).absolute()) for name in ("token_file", "ca")}
    said = {name: json.dumps(value) for name, value in {**cloud, **files}.items()}
    site = SITE.format(port=port, pacs_port=pacs_port) + play.account.format_map(said)
    (out / "site.toml").write_text(site)
    volume = ANY_VOLUME if any_volume else play.volume
    structures = json.dumps(play.structures)
    (out / "rules.toml").write_text(
        play.rule.format_map({**said, "volume": volume, "structures": structures})
    )
