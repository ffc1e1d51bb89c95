"""One way to each platform of the registry: its sandbox, an account in site.toml, and a rule that sends a volume.

A new platform adds one function and one line in `PLATFORMS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

SITE = """\
[bridge]
ae_title = "BRIDGE"
data = "data"
rules = "rules.toml"

[receive]
reserve_bytes = 0

[destinations.pacs]
ae_title = "PACS"
host = "127.0.0.1"
port = 1

[accounts.cloud]
platform = "{platform}"
base_url = "{base_url}"
token_file = "{token_file}"
ca = "{ca}"
retry_s = [0.01]
options = {{ {options} }}
"""
RULE = """\
[rules.send]
mode = "live"
platform = "cloud"
algorithm = "{algorithm}"
destinations = ["pacs"]
{more}
"""
MASKED = """
[rules.send.privacy]
allow = ["{risk}"]
mask = [[0, 0, 8, 1]]
"""
"""Behind a rule: what it takes of pixels that would be refused, without their first row."""


UNDOCUMENTED = frozenset({"mha"})
"""Formats that a platform may take, and its sandbox, which keeps to the documents, does not."""


@dataclass(frozen=True, kw_only=True)
class Way:
    """A platform that runs. `formats`: what a rule asks for, by the name that the table of results shows."""

    platform: str
    site: str
    formats: dict[str, str]
    """TOML of a rule with the placeholder {modality}."""
    of_masks: str = ""
    """The same for a volume with a segmentation, where the platform takes labels."""
    of_meshes: str = ""
    """The same for a volume with scans, where the platform takes meshes of a study."""

    def write(self, folder: Path, rule: str, modality: str) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "rules.toml").write_text(rule.replace("{modality}", modality))
        (folder / "site.toml").write_text(self.site)
        return folder / "site.toml"


@contextmanager
def grand_challenge(folder: Path) -> Iterator[Way]:
    from bridge.sandbox.grand_challenge import Sandbox

    volume = '[rules.send.inputs.generic-medical-image]\nvolume = { Modality = "{modality}" }\n'
    masks = "".join(
        f"[rules.send.inputs.{kind}-image]\n"
        f'volume = {{ Modality = "CT", length_mm = {{ {count} }} }}\n'
        f"[rules.send.inputs.{kind}-mask]\n"
        f'volume = {{ Modality = "SEG", length_mm = {{ {count} }} }}\nmask = "study"\n'
        for kind, count in (("fixed", "min = 5.5"), ("moving", "max = 5.4"))
    )
    with Sandbox(folder) as sandbox:
        yield Way(
            platform="grand-challenge",
            site=SITE.format(
                platform="grand-challenge",
                base_url=sandbox.base_url,
                token_file=sandbox.token_file,
                ca=sandbox.ca_file,
                options="poll_first_s = 0.05, poll_s = 0.05",
            ),
            formats={"mha": RULE.format(algorithm="pulmonary-lobe-segmentation", more=volume)},
            of_masks=RULE.format(algorithm="deep-learning-based-ct-lung-registration", more=masks),
        )


@contextmanager
def virtual_patient_engine(folder: Path) -> Iterator[Way]:
    from bridge.platforms.virtual_patient_engine.planning import FORMATS
    from bridge.sandbox.virtual_patient_engine import Sandbox

    scans = "".join(
        f"[rules.send.inputs.{name}]\nmesh = true\n"
        f'volume = {{ SOPClassUID = "1.2.840.10008.5.1.4.1.1.104.{kind}", InstanceNumber = {number} }}\n'
        for name, kind, number in (("ios_upper", 3, 1), ("ios_lower", 4, 1), ("facial", 3, 0))
    )
    with Sandbox(folder) as sandbox:
        yield Way(
            platform="virtual-patient-engine",
            site=SITE.format(
                platform="virtual-patient-engine",
                base_url=sandbox.base_url,
                token_file=sandbox.token_file,
                ca=sandbox.ca_file,
                options=f'client_id = "{sandbox.client_id}", token_url = "{sandbox.token_url}", poll_s = 0.05, '
                # The bytes that the engine of de-identification cleans, not those that a codec makes anew.
                'dicom_syntax = "as-it-is"',
            ),
            of_meshes=RULE.format(
                algorithm="virtual-patient",
                more='version = "24.06"\n[rules.send.inputs.cbct]\nvolume = { Modality = "CT" }\n'
                f'{scans}[rules.send.values]\ninputs = {{ cbct = {{ extension = ".nrrd" }} }}\n'
                'outputs = { meshes = [{ structures = ["mandible"] }] }\n',
            ),
            formats={
                name: RULE.format(
                    algorithm="virtual-patient",
                    more='version = "24.06"\n'
                    '[rules.send.inputs.cbct]\nvolume = { Modality = "{modality}" }\n'
                    f'[rules.send.values]\ninputs = {{ cbct = {{ extension = "{extension}" }} }}\n'
                    'outputs = { meshes = [{ structures = ["mandible"] }] }\n',
                )
                for extension, name in FORMATS.items()
                if name not in UNDOCUMENTED
            },
        )


PLATFORMS: dict[str, Callable[[Path], AbstractContextManager[Way]]] = {
    "grand-challenge": grand_challenge,
    "virtual-patient-engine": virtual_patient_engine,
}
