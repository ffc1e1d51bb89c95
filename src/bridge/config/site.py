"""`site.toml`: this bridge, who may send, where results go, which platforms compute."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, JsonValue

from bridge.config.fields import AETitle, FilePath, Host, Name, Pauses, Port, ProxyUrl, Seconds, Url
from bridge.config.load import Document, raise_first, read_document
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


class ReceiveSettings(Section):
    """`[receive]`: the DICOM listener."""

    host: Host = "127.0.0.1"
    """This machine only, until the site says otherwise: "0.0.0.0" listens on every network."""
    port: Port = 11112
    """DICOM port."""
    quiet_s: Seconds = 30.0
    """A study is complete when nothing has arrived for so long."""
    maximum_associations: int = Field(default=25, ge=1, le=1000)
    """Senders at once; one more is rejected."""
    maximum_pdu_bytes: int = Field(default=131072, ge=4096, le=1 << 20)
    """The longest protocol data unit that is announced (PS3.8 D.1)."""
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


class AccountSettings(Section):
    """`[accounts.NAME]`: a platform that computes, and who we are there."""

    platform: str = Field(min_length=1, examples=['"grand-challenge"'])
    """One of the installed platforms."""
    base_url: Url = Field(examples=['"https://grand-challenge.org/api/v1/"'])
    """Address of its API; https, but for this machine."""
    token_file: FilePath = Field(examples=['"secrets/token"'])
    """Holds nothing but the token, mode 0600; read each time it is used."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Everything that site.toml says, defaults filled in and paths absolute."""

    file: Path
    ae_title: str
    data: Path
    rules_file: Path
    log: Literal["json", "plain"]
    series_number_base: int
    receive: ReceiveSettings
    sources: Mapping[str, SourceSettings]
    destinations: Mapping[str, DestinationSettings]
    accounts: Mapping[str, AccountSettings]
    engine: EngineSettings


class _SiteFile(Section):
    bridge: BridgeSettings
    receive: ReceiveSettings = Field(default_factory=ReceiveSettings)
    sources: dict[Name, SourceSettings] = Field(default_factory=dict)
    destinations: dict[Name, DestinationSettings] = Field(default_factory=dict)
    accounts: dict[Name, AccountSettings] = Field(default_factory=dict)
    engine: EngineSettings = Field(default_factory=EngineSettings)


def load_site(path: Path) -> Site:
    """Read site.toml.

    Raises ConfigError: CFG-001 to CFG-007, the first problem of the file with the `others` behind it.
    """
    document = read_document(path)
    file, problems = validate(_SiteFile, document, _with_inherited(document.data))
    if file is not None:
        problems += _ambiguous_sources(document, file)
    raise_first(problems)
    assert file is not None
    return Site(
        file=path,
        ae_title=file.bridge.ae_title,
        data=file.bridge.data,
        rules_file=file.bridge.rules,
        log=file.bridge.log,
        series_number_base=file.bridge.series_number_base,
        receive=file.receive,
        sources=file.sources,
        destinations=file.destinations,
        accounts=file.accounts,
        engine=file.engine,
    )


def _with_inherited(data: dict[str, Any]) -> dict[str, Any]:
    """The same tables, with what a source and a destination take from the bridge filled in."""

    def fill(tables: str, key: str, section: str, inherited: str) -> dict[str, Any]:
        entries, source = data.get(tables), data.get(section)
        if not isinstance(entries, dict) or not isinstance(source, dict) or inherited not in source:
            return {}
        value = source[inherited]
        filled = {
            name: {key: value, **one} if isinstance(one, dict) else one for name, one in entries.items()
        }
        return {tables: filled}

    return {
        **data,
        **fill("sources", "quiet_s", "receive", "quiet_s"),
        **fill("destinations", "calling_ae_title", "bridge", "ae_title"),
    }


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
