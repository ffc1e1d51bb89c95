"""What did the site ask for? `site.toml` and `rules.toml` become typed settings that know their lines.

Nothing is imported until it is asked for: a command line that only prints its help must not wait for pydantic.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bridge.config.destinations import DestinationSettings, DicomDestination, FolderDestination
    from bridge.config.inputs import InputModel, VolumeModel
    from bridge.config.load import Document, Place
    from bridge.config.results import Concept, ResultsModel
    from bridge.config.rules import RuleModel, RulesFile, check_rules, load_rules, unused_volumes
    from bridge.config.site import (
        AccountSettings,
        EngineSettings,
        ReceiveSettings,
        Site,
        load_site,
    )
    from bridge.config.sources import DicomSource, FolderSource, SourceSettings

__all__ = [
    "AccountSettings",
    "Concept",
    "DestinationSettings",
    "DicomDestination",
    "DicomSource",
    "Document",
    "EngineSettings",
    "FolderDestination",
    "FolderSource",
    "InputModel",
    "Place",
    "ReceiveSettings",
    "ResultsModel",
    "RuleModel",
    "RulesFile",
    "Site",
    "SourceSettings",
    "VolumeModel",
    "check_rules",
    "load_rules",
    "load_site",
    "unused_volumes",
]

_WHERE = {
    "destinations": {"DestinationSettings", "DicomDestination", "FolderDestination"},
    "inputs": {"InputModel", "VolumeModel"},
    "load": {"Document", "Place"},
    "results": {"Concept", "ResultsModel"},
    "rules": {"RuleModel", "RulesFile", "check_rules", "load_rules", "unused_volumes"},
    "sources": {"DicomSource", "FolderSource", "SourceSettings"},
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(name)
    module = next((module for module, names in _WHERE.items() if name in names), "site")
    return getattr(import_module(f"bridge.config.{module}"), name)
