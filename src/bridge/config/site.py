"""`site.toml`: this bridge, who may send, where results go, which platforms compute."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue, Strict

from bridge.config.conditions import conditions_of
from bridge.config.destinations import DestinationSettings, DestinationTable
from bridge.config.fields import (
    AETitle,
    Day,
    FilePath,
    Host,
    Name,
    Pauses,
    Port,
    ProxyUrl,
    Seconds,
    Then,
    UidRoot,
    Url,
)
from bridge.config.grid import GridSettings
from bridge.config.load import Document, raise_first, read_document
from bridge.config.peers import check_folders, check_sources
from bridge.config.privacy import PrivacySettings
from bridge.config.sources import SourceSettings, SourceTable
from bridge.config.validate import Section, validate


class BridgeSettings(Section):
    """`[bridge]`"""

    ae_title: AETitle = Field(examples=['"BRIDGE"'])
    """The name under which senders and PACS know this bridge."""
    data: FilePath = Field(examples=['"data"'])
    """Folder for everything that is kept; on a local disk."""
    rules: FilePath = Field(examples=['"rules.toml"'])
    """The file of rules."""
    log: Literal["json", "plain"] = "json"
    """Lines for machines or for people, on standard error."""
    series_number_base: int = Field(default=9000, ge=1, le=2**31 - 1000)
    """Series numbers of results begin here."""
    uid_root: UidRoot = ""
    """A UID root that is registered for this bridge alone; whatever bears it is a result of ours."""
    same_machine: bool = True
    """Stop sending when the data folder turns up on another machine. Containers without a fixed machine-id: false."""
    opt_out_file: FilePath | None = Field(default=None, examples=['"opt-out.txt"'])
    """A list of patients of whom nothing is sent to a platform, a Patient ID on each line; always read anew."""


class ReceiveSettings(Section):
    """`[receive]`: the DICOM listener."""

    host: Host = "127.0.0.1"
    """This machine only, until the site says otherwise: "0.0.0.0" listens on every network."""
    port: Port = 11112
    """DICOM port."""
    also_called: Annotated[tuple[AETitle, ...], Strict(False)] = Field(default=(), examples=['["BRIDGE_ER"]'])
    """Further AE titles by which senders may call this bridge; rules know them as `called_ae_title`."""
    quiet_s: Seconds = 30.0
    """A study is complete when nothing has arrived for so long."""
    inputs_quiet_s: Seconds = 3.0
    """A rule that starts with `inputs-complete` looks at a series when nothing of it has arrived for so long."""
    longest_s: Seconds = 14400.0
    """A study that is still not complete so long after it opened gets the treatment of `then`."""
    then: Then = "hold"
    """`go-on` with what is there, `hold` for a person, `alert` and wait on."""
    maximum_associations: int = Field(default=25, ge=1, le=1000)
    """Senders at once; one more is rejected."""
    maximum_pdu_bytes: int = Field(default=131072, ge=4096, le=1 << 20)
    """The longest protocol data unit that is announced (PS3.8 D.1)."""
    maximum_instance_bytes: int = Field(default=1 << 32, ge=1 << 20)
    """A larger object is refused with 0xA700; each one that arrives is in memory until it is kept."""
    acse_timeout_s: Seconds = 30.0
    """For the negotiation of an association."""
    dimse_timeout_s: Seconds = 60.0
    """For the rest of a message that has begun."""
    network_timeout_s: Seconds = 60.0
    """How long an association may be silent."""
    any_calling_ae: bool = False
    """Take objects from AE titles that are not among the sources. For test benches."""
    reserve_bytes: int = Field(default=2_000_000_000, ge=0)
    """Free space that is never used up: below it new objects are refused with 0xA700."""


class AccountSettings(Section):
    """`[accounts.NAME]`: a platform that computes, and who we are there."""

    platform: str = Field(min_length=1, examples=['"grand-challenge"'])
    """One of the installed platforms."""
    base_url: Url = Field(examples=['"https://grand-challenge.org/api/v1/"'])
    """Address of its API; https, but for this machine."""
    token_file: FilePath = Field(examples=['"secrets/token"'])
    """Holds nothing but the token, mode 0600; read each time it is used."""
    token_ends: Day = Field(default="", examples=['"2027-01-31"'])
    """The last day of the token, which no platform tells; `bridge check` counts the days that are left."""
    ca: FilePath | None = None
    """PEM file that is trusted instead of the public authorities."""
    proxy: ProxyUrl | None = None
    """Proxy for every connection of this account."""
    timeout_s: Seconds = 60.0
    """For one request."""
    jobs_in_flight: int = Field(default=4, ge=1, le=1000)
    """Jobs at the platform at once."""
    retry_s: Pauses = (5.0, 15.0, 60.0, 300.0, 900.0, 3600.0)
    """Pauses while the platform is away; the last one repeats."""
    describe_again_s: Seconds = 3600.0
    """How long what the platform says of an algorithm counts."""
    deadline_hours: float = Field(default=50.0, gt=0, le=24 * 90)
    """After so long without an answer a person must decide."""
    options: dict[str, JsonValue] = Field(default_factory=dict)
    """What only this platform knows."""


class EngineSettings(Section):
    """`[engine]`: how the work is paced on this machine."""

    cores: int = Field(default=0, ge=0, le=1024)
    """Conversions and encodings at once; 0 = as many as the machine has."""
    child_timeout_s: Seconds = 1800.0
    """Longest conversion or encoding."""
    retry_s: Pauses = (2.0, 10.0, 60.0, 300.0)
    """Before a conversion or encoding that failed is tried again."""
    look_s: Seconds = 0.3
    """Between two looks for studies that have become complete and jobs that are ready."""
    poll_s: Seconds = 0.25
    """Between two looks of a queue for work."""
    stop_s: Seconds = 20.0
    """How long running work may take to end when the bridge is stopped."""


class RetentionSettings(Section):
    """`[retention]`: what may go, and when. Headers, digests, job rows and results stay."""

    pixels_days: float = Field(default=30.0, ge=0, le=3650)
    """Objects and parcels of a study go so long after its last job was delivered; nothing undelivered ever goes."""
    keep_pixels: bool = False
    """Keep them for ever."""
    stages_days: float = Field(default=14.0, ge=0, le=3650)
    """Finished stages leave the engine's file after so long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Everything that site.toml says, defaults filled in and paths absolute."""

    file: Path
    ae_title: str
    data: Path
    rules_file: Path
    log: Literal["json", "plain"]
    series_number_base: int
    uid_root: str
    same_machine: bool
    receive: ReceiveSettings
    sources: Mapping[str, SourceSettings]
    destinations: Mapping[str, DestinationSettings]
    accounts: Mapping[str, AccountSettings]
    engine: EngineSettings
    retention: RetentionSettings
    grid: GridSettings = field(default_factory=GridSettings)
    privacy: PrivacySettings = field(default_factory=PrivacySettings)
    opt_out_file: Path | None = None
    test_patients: Mapping[str, Any] = field(default_factory=dict)
    """As written; `bridge.rules.guards` reads it."""
    document: Document | None = field(default=None, repr=False, compare=False)
    """Where the file says what; None for a site that no file has described."""


class _SiteFile(Section):
    bridge: BridgeSettings
    receive: ReceiveSettings = Field(default_factory=ReceiveSettings)
    sources: dict[Name, SourceTable] = Field(default_factory=dict)
    destinations: dict[Name, DestinationTable] = Field(default_factory=dict)
    accounts: dict[Name, AccountSettings] = Field(default_factory=dict)
    engine: EngineSettings = Field(default_factory=EngineSettings)
    retention: RetentionSettings = Field(default_factory=RetentionSettings)
    grid: GridSettings = Field(default_factory=GridSettings)
    privacy: PrivacySettings = Field(default_factory=PrivacySettings)
    test_patients: dict[str, Any] = Field(default_factory=dict)
    """Conditions on the study, as in a rule: a study that fits all of them is one of a test patient."""


def load_site(path: Path) -> Site:
    """Read site.toml.

    Raises ConfigError: CFG-001 to CFG-009, the first problem of the file with the `others` behind it.
    """
    document = read_document(path)
    file, problems = validate(_SiteFile, document, _with_inherited(document.data))
    if file is not None:
        problems += check_sources(document, file.sources, file.destinations)
        problems += check_folders(document, file.bridge.data, file.sources, file.destinations)
    problems += conditions_of(document, ("test_patients",), document.data.get("test_patients"))
    raise_first(problems)
    assert file is not None
    return Site(
        file=path,
        ae_title=file.bridge.ae_title,
        data=file.bridge.data,
        rules_file=file.bridge.rules,
        log=file.bridge.log,
        series_number_base=file.bridge.series_number_base,
        uid_root=file.bridge.uid_root,
        same_machine=file.bridge.same_machine,
        receive=file.receive,
        sources=file.sources,
        destinations=file.destinations,
        accounts=file.accounts,
        engine=file.engine,
        retention=file.retention,
        grid=file.grid,
        privacy=file.privacy,
        opt_out_file=file.bridge.opt_out_file,
        test_patients=file.test_patients,
        document=document,
    )


def _with_inherited(data: dict[str, Any]) -> dict[str, Any]:
    """The same tables, with what a source and a destination take from the bridge filled in."""

    def fill(tables: str, section: str, keys: dict[str, str]) -> dict[str, Any]:
        entries, source = data.get(tables), data.get(section)
        if not isinstance(entries, dict) or not isinstance(source, dict):
            return {}
        given = {key: source[inherited] for key, inherited in keys.items() if inherited in source}
        filled = {
            name: _filled(one, given) if isinstance(one, dict) else one for name, one in entries.items()
        }
        return {tables: filled}

    return {
        **data,
        **fill(
            "sources", "receive", {key: key for key in ("quiet_s", "inputs_quiet_s", "longest_s", "then")}
        ),
        **fill(
            "destinations",
            "bridge",
            {"calling_ae_title": "ae_title", "series_number_base": "series_number_base"},
        ),
    }


def _filled(one: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """A folder is called by no AE title."""
    return {
        **{key: value for key, value in given.items() if not ("folder" in one and key == "calling_ae_title")},
        **one,
    }
