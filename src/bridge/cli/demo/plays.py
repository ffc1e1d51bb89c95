"""What the demonstration plays: a platform's sandbox, a phantom, a rule. One entry for each platform."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bridge.cli.demo.figures import Wanted
from bridge.errors import ConfigError
from bridge.results.structures import label_of

LUNGS = """\
[rules.lungs]
mode = "live"
platform = "gc"
algorithm = {algorithm}
destinations = ["pacs"]

[rules.lungs.inputs.ct-image]
volume = {volume}
prefer = ["thinnest", "most-instances", "lowest-series-number"]
"""
JAW = """\
[rules.jaw]
mode = "live"
platform = "vpe"
algorithm = {algorithm}
version = {version}
destinations = ["pacs"]

[rules.jaw.inputs.cbct]
volume = {volume}
prefer = ["thinnest", "most-instances", "lowest-series-number"]

[rules.jaw.values]
inputs = {{ cbct = {{ extension = ".nrrd" }} }}
options = {{ mandible = {{ makeManifold = true, smoothingIterations = 0 }} }}
outputs = {{ meshes = [{{ structures = {structures} }}] }}
"""
GRAND_CHALLENGE = """\
[accounts.gc]
platform = "grand-challenge"
base_url = {base_url}
token_file = {token_file}
ca = {ca}
retry_s = [1.0, 2.0, 5.0]
options = {{ poll_first_s = 0.5, poll_s = 0.5 }}
"""
ENGINE = """\
[accounts.vpe]
platform = "virtual-patient-engine"
base_url = {base_url}
token_file = {token_file}
ca = {ca}
retry_s = [1.0, 2.0, 5.0]
options = {{ client_id = {client_id}, token_url = {token_url}, poll_s = 0.5 }}
"""
ANY_VOLUME = '{ Modality = ["CT", "MR", "PT"] }'
TEETH = tuple(f"tooth{quadrant}{number}" for quadrant in (1, 2, 3, 4) for number in range(1, 9))


@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    platform: str
    phantom: str
    """A kind of phantom; what it is, for people, is `what`."""
    what: str
    account: str
    """TOML, with what the sandbox says when it is ready."""
    rule: str
    """TOML, with `volume`, `structures`, and what the sandbox says."""
    volume: str
    """The condition that takes the phantom's volume and no other."""
    sent: str
    """The step after which the platform has all that it needs."""
    computing: Mapping[str, str]
    """What a note of the platform's state says while it computes."""
    is_bill: Callable[[Mapping[str, Any]], bool]
    """Whether a line of the sandbox's ledger is a job that would be paid for."""
    wanted: Callable[[Any], Wanted]
    """What the phantom should give."""
    structures: tuple[str, ...] = ()
    for_phantom: tuple[str, ...] = ()
    """Words for the sandbox that only its phantom needs."""
    drawn: Mapping[str, Any] = field(default_factory=dict)
    """Words for the phantom."""
    compute_s: float = 5.0


def _jaw_wanted(volumes_ml: Mapping[str, float]) -> Wanted:
    """A mesh for each structure; a report of those, and one of the third molars that are not there."""
    known = {label_of(name): ml for name, ml in volumes_ml.items()}
    return Wanted(srs=2, meshes=len(known), volumes_ml=known)


PLAYS: Mapping[str, Play] = {
    play.platform: play
    for play in (
        Play(
            platform="grand-challenge",
            phantom="thorax",
            what="a thorax of nobody",
            account=GRAND_CHALLENGE,
            rule=LUNGS,
            volume='{ Modality = "CT", spacing_mm = { max = 2.5 }, length_mm = { min = 200 } }',
            sent="create",
            computing={"state": "Executing"},
            is_bill=bool,
            wanted=lambda _: Wanted(),
        ),
        Play(
            platform="virtual-patient-engine",
            phantom="jaw",
            what="the jaws of nobody",
            account=ENGINE,
            rule=JAW,
            volume='{ Modality = "CT", spacing_mm = { max = 0.6 } }',
            sent="notify:cbct",
            computing={"state": "processing"},
            is_bill=lambda line: line["event"] == "started",
            wanted=lambda jaw: _jaw_wanted(jaw.volumes_ml),
            structures=("mandible", "maxillary", "right_nerve", "left_nerve", *TEETH),
            for_phantom=("--jaw-phantom",),
        ),
    )
}


def play_of(platform: str) -> Play:
    """Raises ConfigError: DMO-012, no demonstration of that platform."""
    if platform not in PLAYS:
        raise ConfigError("DMO-012", f'"{platform}" has no demonstration', "one of " + ", ".join(PLAYS))
    return PLAYS[platform]
