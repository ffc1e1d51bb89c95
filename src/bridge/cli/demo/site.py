"""site.toml and rules.toml of the demonstration: short pauses, everything on 127.0.0.1."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

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

[accounts.gc]
platform = "grand-challenge"
base_url = {base_url}
token_file = {token_file}
ca = {ca}
retry_s = [1.0, 2.0, 5.0]
options = {{ poll_first_s = 0.5, poll_s = 0.5 }}
"""

RULES = """\
[rules.lungs]
mode = "live"
platform = "gc"
algorithm = {algorithm}
destinations = ["pacs"]

[rules.lungs.inputs.ct-image]
volume = {volume}
prefer = ["thinnest", "most-instances", "lowest-series-number"]
"""

THIN_CHEST = '{ Modality = "CT", spacing_mm = { max = 2.5 }, length_mm = { min = 200 } }'
ANY_VOLUME = '{ Modality = ["CT", "MR", "PT"] }'


def write_config(out: Path, *, port: int, pacs_port: int, cloud: dict[str, Any], any_volume: bool) -> None:
    """`any_volume`: take whatever volume a user's own study has, not only a thin chest CT."""
    (out / "site.toml").write_text(
        SITE.format(
            port=port,
            pacs_port=pacs_port,
            base_url=json.dumps(cloud["base_url"]),
            token_file=json.dumps(str(Path(cloud["token_file"]).absolute())),
            ca=json.dumps(str(Path(cloud["ca"]).absolute())),
        )
    )
    (out / "rules.toml").write_text(
        RULES.format(
            algorithm=json.dumps(cloud["algorithm"]), volume=ANY_VOLUME if any_volume else THIN_CHEST
        )
    )
