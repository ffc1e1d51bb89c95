"""`site.toml`: this bridge, who may send, where results go, which platforms compute."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue, Strict

from bridge.config.conditions import conditions_of
from bridge.config.fields import (
    AETitle,
    Day,
    FilePath,
    Host,
    Name,
    Pauses,
    Port,
    ProxyUrl,
    Purpose,
    Seconds,
    Then,
    UidRoot,
    Url,
)
from bridge.config.grid import GridSettings
from bridge.config.load import Document, did_you_mean, raise_first, read_document
from bridge.config.validate import Section, validate
from bridge.errors import ConfigError


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
    quiet_s: Seconds = 30.0
    """A study is complete when nothing has arrived for so long."""
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


class SourceSettings(Section):
    """`[sources.NAME]`: who may send."""

    ae_title: AETitle = Field(examples=['"CT1"'])
    """The calling AE title."""
    host: Host | None = None
    """When given, the only address that may use this AE title."""
    quiet_s: Seconds = 30.0
    """Where it is not given, that of `[receive]`."""
    longest_s: Seconds = 14400.0
    """Where it is not given, that of `[receive]`."""
    then: Then = "hold"
    """Where it is not given, that of `[receive]`."""
    ask: Name | None = Field(default=None, examples=['"pacs"'])
    """A destination that is asked by C-FIND which objects the study has; complete is what is here whole."""


class DestinationSettings(Section):
    """`[destinations.NAME]`: where results go."""

    ae_title: AETitle = Field(examples=['"PACS"'])
    """The called AE title."""
    host: Host = Field(examples=['"pacs.example"'])
    """Name or address."""
    port: Port = Field(examples=["104"])
    """DICOM port."""
    calling_ae_title: AETitle = ""
    """Where it is not given, that of the bridge."""
    connect_timeout_s: Seconds = 10.0
    """For the TCP connection."""
    acse_timeout_s: Seconds = 30.0
    """For the negotiation of an association."""
    dimse_timeout_s: Seconds = 60.0
    """For the answer to one C-STORE."""
    network_timeout_s: Seconds = 60.0
    """How long an association may be silent."""
    retry_s: Pauses = (10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)
    """Pauses before the second, third ... attempt; the last one repeats."""
    give_up_after_days: float = Field(default=7.0, gt=0, le=365)
    """After so long a person must decide."""
    parallel: int = Field(default=1, ge=1, le=16)
    """Associations at once."""
    keepalive_s: Seconds = 30.0
    """A silent connection is probed so often (TCP keepalive)."""
    ask_back: bool = False
    """Ask by C-FIND whether it has what it said it stored; only then a result counts as delivered."""
    ask_back_s: Pauses = (5.0, 30.0, 120.0, 600.0, 3600.0)
    """Pauses before it is asked; after the last one what it does not name is sent again."""
    segmentation: Literal["binary", "labelmap"] = "binary"
    """Masks as Segmentation, or as Label Map Segmentation where that is taken and shown."""
    mended: Literal["images", "corrected"] = "images"
    """Masks of a series that a rule has mended: on its images as they came, or on the corrected grid."""
    empty_frames: bool = False
    """A frame of each segment on every slice, also where nothing is marked: larger, for viewers that want it."""
    series_number_base: int = Field(default=9000, ge=1, le=2**31 - 1000)
    """Series numbers of results begin here; where it is not given, that of the bridge."""
    accepts: Annotated[tuple[Purpose, ...], Strict(False), Field(min_length=1)] = ("clinical", "research")
    """Results of rules of these purposes only."""


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
    opt_out_file: Path | None = None
    test_patients: Mapping[str, Any] = field(default_factory=dict)
    """As written; `bridge.rules.guards` reads it."""
    document: Document | None = field(default=None, repr=False, compare=False)
    """Where the file says what; None for a site that no file has described."""


class _SiteFile(Section):
    bridge: BridgeSettings
    receive: ReceiveSettings = Field(default_factory=ReceiveSettings)
    sources: dict[Name, SourceSettings] = Field(default_factory=dict)
    destinations: dict[Name, DestinationSettings] = Field(default_factory=dict)
    accounts: dict[Name, AccountSettings] = Field(default_factory=dict)
    engine: EngineSettings = Field(default_factory=EngineSettings)
    retention: RetentionSettings = Field(default_factory=RetentionSettings)
    grid: GridSettings = Field(default_factory=GridSettings)
    test_patients: dict[str, Any] = Field(default_factory=dict)
    """Conditions on the study, as in a rule: a study that fits all of them is one of a test patient."""


def load_site(path: Path) -> Site:
    """Read site.toml.

    Raises ConfigError: CFG-001 to CFG-009, the first problem of the file with the `others` behind it.
    """
    document = read_document(path)
    file, problems = validate(_SiteFile, document, _with_inherited(document.data))
    if file is not None:
        problems += _ambiguous_sources(document, file)
        problems += _unknown_to_ask(document, file)
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
        filled = {name: {**given, **one} if isinstance(one, dict) else one for name, one in entries.items()}
        return {tables: filled}

    return {
        **data,
        **fill("sources", "receive", {key: key for key in ("quiet_s", "longest_s", "then")}),
        **fill(
            "destinations",
            "bridge",
            {"calling_ae_title": "ae_title", "series_number_base": "series_number_base"},
        ),
    }


def _unknown_to_ask(document: Document, file: _SiteFile) -> list[ConfigError]:
    problems = []
    for name, source in file.sources.items():
        if source.ask is not None and source.ask not in file.destinations:
            there = ", ".join(sorted(file.destinations)) or "none yet"
            found = f'"{source.ask}" is not among the destinations'
            key = ("sources", name, "ask")
            remedy = did_you_mean(source.ask, file.destinations)
            problems.append(document.error("CFG-008", key, found, f"one of them ({there})", remedy))
    return problems


def _ambiguous_sources(document: Document, file: _SiteFile) -> list[ConfigError]:
    seen: dict[tuple[str, str | None], str] = {}
    problems = []
    for name, source in file.sources.items():
        first = seen.setdefault((source.ae_title, source.host), name)
        if first != name:
            found = f'"{source.ae_title}" is also the AE title of sources.{first}, with the same host'
            key = ("sources", name, "ae_title")
            problems.append(
                document.error("CFG-005", key, found, "one source", "Remove one, or give them hosts")
            )
    return problems
