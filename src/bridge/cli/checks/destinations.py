"""Destinations: name, connection, C-ECHO, each kind of result proposed, C-FIND where it is asked."""

from __future__ import annotations

import socket
import uuid
from collections.abc import Callable
from functools import partial

from bridge.cli.checks.finding import Finding, Look, good, warn, wrong
from bridge.cli.checks.folders import written_folder
from bridge.config import DicomDestination, FolderDestination, RulesFile, Site
from bridge.config.results import ResultsModel

SEGMENTATION, LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7"
PDF, STL = "1.2.840.10008.5.1.4.1.1.104.1", "1.2.840.10008.5.1.4.1.1.104.3"
RESULTS_WAIT = "Check address and AE titles at both ends; results wait until it answers"


def destinations(site: Site, rules: RulesFile | None) -> list[Look]:
    asked = {source.ask for source in site.sources.values()}
    looks: list[Look] = []
    for name, there in site.destinations.items():
        if isinstance(there, FolderDestination):
            looks.append((f"destination {name}", partial(written_folder, site, name)))
        else:
            asks = name in asked or there.ask_back
            looks.append((f"destination {name}", partial(_look, site, rules, name, there, asks=asks)))
    return looks


def _look(
    site: Site, rules: RulesFile | None, name: str, there: DicomDestination, *, asks: bool
) -> list[Finding]:
    from bridge.deliver.store_scu import echo
    from bridge.flow.stages.destinations import address_of

    subject = f"destination {name}"
    where = f"{there.ae_title} at {there.host}:{there.port}"
    try:
        socket.create_connection((there.host, there.port), timeout=there.connect_timeout_s).close()
    except socket.gaierror:
        return [wrong(subject, f"{there.host} is no name that this machine can resolve", RESULTS_WAIT)]
    except OSError as problem:
        return [wrong(subject, f"{where}: no connection ({problem.strerror or 'timed out'})", RESULTS_WAIT)]
    address = address_of(site, name)
    receipt = echo(address)
    if not receipt.stored:
        return [wrong(subject, f"{where}: {receipt.reason}", RESULTS_WAIT)]
    lines = [good(subject, f"{where} answers C-ECHO"), *_kinds(site, rules, name)]
    if asks:
        lines.append(_find(site, name))
    return lines


def _kinds(site: Site, rules: RulesFile | None, name: str) -> list[Finding]:
    """Each kind of result that a rule sends there, proposed as it would be sent."""
    from bridge.deliver.proposal import propose
    from bridge.flow.stages.destinations import address_of

    subject, wanted = f"destination {name}", site.destinations[name].segmentation
    classes = [
        LABEL_MAP if one == SEGMENTATION and wanted == "labelmap" else one
        for one in result_classes(rules, name)
    ]
    if not classes:
        return [good(subject, "no rule sends results there")]
    told = propose(address_of(site, name), classes)
    if told.problem:
        return [wrong(subject, f"what it takes is not known: {told.problem}", RESULTS_WAIT)]
    return [
        good(subject, f"takes {_name_of(one)}") if one in told.accepted else _not_taken(subject, one, name)
        for one in classes
    ]


def _not_taken(subject: str, sop_class_uid: str, name: str) -> Finding:
    # Whether an algorithm writes a PDF or a mesh at all, no rule says.
    level = warn if sop_class_uid in (PDF, STL) else wrong
    return level(
        subject,
        f"does not take {_name_of(sop_class_uid)} in Explicit VR Little Endian",
        f"Allow SOP class {sop_class_uid} there, or {_instead_of(sop_class_uid, name)}",
    )


def _name_of(sop_class_uid: str) -> str:
    from pydicom.uid import UID

    # Newer than the dictionary of the library.
    return "Label Map Segmentation Storage" if sop_class_uid == LABEL_MAP else UID(sop_class_uid).name


def _instead_of(sop_class_uid: str, name: str) -> str:
    if sop_class_uid == LABEL_MAP:
        return f'write segmentation = "binary" in [destinations.{name}]'
    if sop_class_uid == PDF:
        return "write documents = false in [rules.NAME.results] where the algorithm gives none"
    return "switch that kind of result off in [rules.NAME.results]"


def result_classes(rules: RulesFile | None, destination: str) -> tuple[str, ...]:
    """SOP Class UIDs of what the rules can send to a destination; the usual ones when the rules cannot be read."""
    if rules is None:
        return tuple(_MADE)[:2]
    send = [one for one in rules.rules.values() if one.mode != "off" and destination in one.destinations]
    return tuple(uid for uid, is_made in _MADE.items() if any(is_made(one.results) for one in send))


_MADE: dict[str, Callable[[ResultsModel], bool]] = {
    SEGMENTATION: lambda results: results.segmentation or results.heat_map == "fractional",
    "1.2.840.10008.5.1.4.1.1.88.34": lambda results: results.measurement_report,
    "1.2.840.10008.5.1.4.1.1.7": lambda results: results.picture,
    "1.2.840.10008.5.1.4.1.1.30": lambda results: results.heat_map == "parametric-map",
    PDF: lambda results: results.documents,
    # Few algorithms make meshes, and few archives take them: asked where the rule has the word.
    STL: lambda results: results.meshes and "meshes" in results.model_fields_set,
}


def _find(site: Site, name: str) -> Finding:
    from bridge.deliver.query import Silent, instances_of
    from bridge.flow.stages.destinations import address_of

    subject = f"destination {name}"
    told = instances_of(address_of(site, name), f"2.25.{uuid.uuid4().int}")  # a study that nobody has
    if isinstance(told, Silent):
        return wrong(
            subject,
            f"C-FIND: {told.reason}",
            "`ask` and `ask_back` need it: allow queries by this AE title there",
        )
    return good(subject, "answers C-FIND")
