"""`bridge privacy audit FOLDER --rule R`: what would leave of a study, attribute by attribute. Nothing is sent."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import typer
from pydantic import TypeAdapter

from bridge.cli.index import open_index
from bridge.cli.words import console, plain, table
from bridge.config import Site, load_rules, load_site
from bridge.config.rules import RuleModel
from bridge.dicom.folder import read_folder
from bridge.dicom.instance import Instance
from bridge.errors import BridgeError, ConfigError, Refused
from bridge.export import (
    FORMATS,
    ObjectFormat,
    PixelPolicy,
    PixelReason,
    Profile,
    Pseudonyms,
    Scope,
    deidentify,
    pixel_risk,
)
from bridge.export.audit import Line, lines_of
from bridge.export.pixel_bytes import Region
from bridge.export.risks import mesh_risk
from bridge.flow.stages.heavy import mesh_digest
from bridge.flow.stages.inputs import tolerance_of
from bridge.flow.stages.privacy import policy_of, profile_of, regions_of
from bridge.flow.study.contents import mend_here
from bridge.flow.study.guard import guards_of
from bridge.log import silence_libraries
from bridge.platforms.protocol import Request, RequestedMesh, RequestedVolume, Spec
from bridge.rules import choose, compile_rules
from bridge.rules.choice import Taken
from bridge.rules.explanation import HIDDEN
from bridge.rules.facts import Study
from bridge.store.own import looks_own
from bridge.store.specs import Specs
from bridge.volumes import Volume, candidates_of
from bridge.volumes.masks import masks_of
from bridge.volumes.meshes import MESH_CLASSES

DICOM = "dicom"
MOST_SHOWN = 3
"""Values of an attribute that one line shows."""
NAMES = Pseudonyms(bytes(32), Scope.of_job("audit"))
"""Not those of a job: what an audit shows must not help to recognise what left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited:
    """Under which terms of a rule."""

    profile: Profile
    policy: PixelPolicy
    regions: tuple[Region, ...]

    @classmethod
    def of(cls, rule: RuleModel, site: Site) -> Audited:
        return cls(
            profile=profile_of(rule.privacy, site),
            policy=policy_of(rule.privacy, site),
            regions=regions_of(rule.privacy),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaving:
    """What would leave of one input."""

    input: str
    format: str
    objects: int
    shape: tuple[int, ...]
    spacing_mm: tuple[float, ...]
    lines: tuple[Line, ...]
    """() where no attribute leaves."""
    counts: Mapping[str, int]
    """In how many objects each path stands."""
    refusals: Mapping[str, int]
    """Sentences of what would be refused, and of how many objects."""
    risks: Mapping[PixelReason, int]

    @property
    def stays(self) -> bool:
        return bool(self.refusals) or any(risk.refuses for risk in self.risks)


def audit(config: Path, folder: Path, *, rule: str, format: str, show_values: bool, as_json: bool) -> None:
    """Exit code 1 when the input would be refused.

    Raises ConfigError (PRV-001, PRV-002) for a rule or format that is not there; Refused (PRV-003, PRV-004) for a
    folder without objects, for a study that the rule does not take.
    """
    silence_libraries()
    site = load_site(config)
    file = load_rules(site.rules_file)
    if rule not in file.rules:
        raise ConfigError(
            "PRV-001", f"no rule {rule[:64]!r} in {site.rules_file}", f"one of: {', '.join(file.rules)}"
        )
    if format and format not in FORMATS:
        raise ConfigError("PRV-002", f"no format {format[:64]!r}", f"one of: {', '.join(FORMATS)}")
    taken = list(_taken(site, folder, rule))
    model = file.rules[rule]
    audited = Audited.of(model, site)
    told: list[Leaving] = []
    for match in taken:
        told += _leaving(match.volumes, _formats(site, model, match, format), audited)
        told += _meshes(match.documents, audited)
    if as_json:
        print(json.dumps({"rule": rule, "inputs": [_as_json(one, show_values) for one in told]}, indent=1))
    else:
        for one in told:
            _show(one, show_values)
    if any(one.stays for one in told):
        raise typer.Exit(1)


def _taken(site: Site, folder: Path, name: str) -> Iterator[Taken]:
    held = read_folder(folder, lambda header: looks_own(header.uid("SOPInstanceUID"), header, site.uid_root))
    if not held.instances:
        raise Refused("PRV-003", f"no DICOM object in {folder}", "a folder of DICOM files (PS3.10)")
    (rule,) = (one for one in compile_rules(load_rules(site.rules_file)) if one.name == name)
    studies: defaultdict[str, list[Instance]] = defaultdict(list)
    for instance in held.instances:
        studies[instance.study_instance_uid].append(instance)
    today, tolerance, guards = datetime.now().astimezone().date(), tolerance_of(site), guards_of(site)
    found, reasons = False, set[str]()
    for uid, instances in sorted(studies.items()):
        study = Study(study_instance_uid=uid, instances=tuple(instances), today=today)
        choice = choose(
            rule,
            study,
            candidates_of(study.instances, tolerance),
            partial(mend_here, None, tolerance),
            masks_of(study.instances, tolerance),
            guards=guards,
        )
        reasons.add(choice.explanation.masked().reason)
        for one in choice.matches:
            found = True
            yield one
    if not found:
        raise Refused(
            "PRV-004",
            f"the rule does not take it: {'; '.join(sorted(reasons))}",
            "a study that the rule takes",
            f"`bridge explain {folder} --rule {name}` tells why, condition by condition",
        )


def _formats(site: Site, rule: RuleModel, taken: Taken, asked: str) -> dict[str, str]:
    """Format by input: the one asked for, what the platform orders as far as it is known here, else DICOM, the most
    that can leave.
    """
    ordered: dict[str, str] = {}
    if not asked:
        try:
            ordered = _ordered(site, rule, taken)
        except BridgeError:
            ordered = {}
    return {name: asked or ordered.get(name, DICOM) for name in taken.volumes}


def _ordered(site: Site, rule: RuleModel, taken: Taken) -> dict[str, str]:
    from bridge.assembly import platform_of

    index = open_index(site)
    try:
        known = Specs(index).get(rule.platform, rule.algorithm, rule.version)
    finally:
        index.close()
    if known is None or known.spec is None:
        return {}
    platform = platform_of(rule.platform, site.accounts[rule.platform], site.data)
    order = platform.plan(
        TypeAdapter(Spec).validate_json(known.spec),
        Request(
            volumes=tuple(
                RequestedVolume(
                    input=name,
                    modality=volume.modality,
                    shape=volume.geometry.shape,
                    spacing_mm=volume.geometry.spacing_mm,
                    is_labels=bool(volume.slots),
                    objects=len(volume.instances),
                )
                for name, volume in sorted(taken.volumes.items())
            ),
            meshes=tuple(
                RequestedMesh(input=name, format=MESH_CLASSES[one.sop_class_uid])
                for name, one in sorted(taken.documents.items())
            ),
            values=dict(rule.values),
            declared_version=rule.version,
        ),
    )
    return {one.input: one.format for one in order.files}


def _leaving(
    volumes: Mapping[str, Volume], formats: Mapping[str, str], audited: Audited
) -> Iterator[Leaving]:
    for name, volume in sorted(volumes.items()):
        instances = {plane.instance.number: plane.instance for plane in volume.planes}
        lines: dict[str, list[Line]] = defaultdict(list)
        refusals: Counter[str] = Counter()
        risks: Counter[PixelReason] = Counter()
        for instance in instances.values():
            risks.update(pixel_risk(instance.header, audited.policy))
            if not _has_headers(formats[name]):
                continue
            try:
                file = instance.file.read_bytes()
                for line in _lines(file, audited):
                    lines[line.path].append(line)
            except Refused as refusal:
                refusals[refusal.sentence()] += 1
        yield Leaving(
            input=name,
            format=formats[name],
            objects=len(instances),
            shape=volume.geometry.shape,
            spacing_mm=volume.geometry.spacing_mm,
            lines=tuple(_together(path, found) for path, found in sorted(lines.items())),
            counts={path: len(found) for path, found in lines.items()},
            refusals=refusals,
            risks=risks,
        )


def _meshes(documents: Mapping[str, Instance], audited: Audited) -> Iterator[Leaving]:
    for name, instance in sorted(documents.items()):
        refusals: Counter[str] = Counter()
        try:
            mesh_digest(instance)
        except Refused as refusal:
            refusals[refusal.sentence()] += 1
        yield Leaving(
            input=name,
            format=MESH_CLASSES[instance.sop_class_uid],
            objects=1,
            shape=(),
            spacing_mm=(),
            lines=(),
            counts={},
            refusals=refusals,
            risks=Counter(mesh_risk(instance.header, audited.policy)),
        )


def _has_headers(format: str) -> bool:
    return isinstance(FORMATS.get(format), ObjectFormat)


def _lines(file: bytes, audited: Audited) -> tuple[Line, ...]:
    from io import BytesIO

    from pydicom import dcmread

    return lines_of(dcmread(BytesIO(file)), deidentify(file, audited.profile, NAMES, audited.regions))


def _together(path: str, lines: list[Line]) -> Line:
    def every(of: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(value for line in lines for value in getattr(line, of)))

    return Line(path=path, deeds=every("deeds"), before=every("before"), after=every("after"))


def _shown(values: tuple[str, ...], free: tuple[str, ...], show_values: bool) -> str:
    """`free`: values that tell nothing of a patient."""
    shown = [one if show_values or one in free or not one else HIDDEN for one in values]
    few = list(dict.fromkeys(shown))[:MOST_SHOWN]
    return ", ".join(few) + (f" and {len(values) - MOST_SHOWN} more" if len(values) > MOST_SHOWN else "")


def _show(one: Leaving, show_values: bool) -> None:
    out = console()
    grid = " x ".join(map(str, one.shape)) + " voxels of " + " x ".join(f"{mm:g}" for mm in one.spacing_mm)
    what = f"{one.objects} objects, {grid} mm" if one.shape else "a mesh"
    out.print(f"[bold]{one.input}[/] as {one.format}: {what}")
    for risk, count in one.risks.items():
        word = "[yellow]refused[/]" if risk.refuses else "[yellow]risk[/]"
        out.print(f"  {word} {risk.risk}: {plain(risk.sentence)} ({count} objects)")
    for sentence, count in one.refusals.items():
        out.print(f"  [yellow]refused[/] {plain(sentence)} ({count} objects)")
    if not _has_headers(one.format):
        shape = "voxels, their grid" if one.shape else "the shape"
        out.print(f"  no attribute leaves: {shape} and nothing else")
        return
    rows = [
        (
            f"  {plain(line.path)}",
            str(one.counts[line.path]),
            ", ".join(line.deeds),
            plain(_shown(line.before, (), show_values)),
            plain(_shown(line.after, line.made, show_values)),
        )
        for line in one.lines
    ]
    out.print(table(("  attribute", "objects", "action", "before", "after"), rows))
    if not show_values:
        out.print(f"\n{HIDDEN} may identify a person; --show-values shows it")


def _as_json(one: Leaving, show_values: bool) -> dict[str, Any]:
    return {
        "input": one.input,
        "format": one.format,
        "objects": one.objects,
        "shape": one.shape,
        "spacing_mm": one.spacing_mm,
        "refused": one.stays,
        "refusals": dict(one.refusals),
        "risks": [
            {"risk": risk.risk, "sentence": risk.sentence, "refuses": risk.refuses, "objects": count}
            for risk, count in one.risks.items()
        ],
        "attributes": [
            {
                "path": line.path,
                "objects": one.counts[line.path],
                "actions": line.deeds,
                "before": line.before if show_values else None,
                "after": line.after if show_values else [v for v in line.after if v in line.made],
            }
            for line in one.lines
        ],
    }
