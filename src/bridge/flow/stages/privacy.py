"""What of a person may leave with a job: its profile and its names, and the risks of its pixels."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bridge.config.privacy import PrivacyModel
from bridge.config.site import Site
from bridge.dicom.headers import text
from bridge.dicom.instance import Instance
from bridge.dicom.uids import keyed_name
from bridge.export.objects import Terms
from bridge.export.pixel_bytes import Region
from bridge.export.profile import Option, Profile
from bridge.export.pseudonyms import Pseudonyms, Scope
from bridge.export.risks import (
    TEXT_MODALITIES,
    Defacing,
    Device,
    PixelPolicy,
    PixelReason,
    Risk,
    refuse_risky,
    refuse_risky_mesh,
)
from bridge.flow.parts import Parts
from bridge.store.crosswalk import Entry, Person
from bridge.store.jobs import Job
from bridge.volumes import Volume

OPTIONS = {
    "clean-descriptors": Option.CLEAN_DESCRIPTORS,
    "clean-structured-content": Option.CLEAN_STRUCTURED_CONTENT,
    "retain-device": Option.RETAIN_DEVICE_IDENTITY,
    "retain-institution": Option.RETAIN_INSTITUTION_IDENTITY,
    "retain-patient-characteristics": Option.RETAIN_PATIENT_CHARACTERISTICS,
    "retain-uids": Option.RETAIN_UIDS,
}
"""The words of a rule."""
DATES = {"shift": Option.RETAIN_MODIFIED_DATES, "keep": Option.RETAIN_FULL_DATES}
TABLE = "PS3.15 E.1-1 2026c, options 2024b"
DIGEST_DIGITS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaving:
    """Under which terms a job leaves, and whom its names stand for."""

    terms: Terms
    digest: str
    """Of everything that decides what of a person is in the files, but for the names."""


def profile_of(privacy: PrivacyModel, site: Site) -> Profile:
    chosen = {OPTIONS[word] for word in privacy.options}
    if privacy.dates in DATES:
        chosen.add(DATES[privacy.dates])
    return Profile(options=frozenset(chosen), words=frozenset(word.casefold() for word in site.privacy.words))


def policy_of(privacy: PrivacyModel, site: Site) -> PixelPolicy:
    return PixelPolicy(
        allowed=frozenset(Risk(word) for word in privacy.allow),
        modalities=TEXT_MODALITIES | {one.strip().upper() for one in site.privacy.text_modalities},
        devices=tuple(
            Device(manufacturer=one.manufacturer.strip(), model=one.model.strip())
            for one in site.privacy.text_devices
        ),
        has_masks=bool(privacy.mask),
        defacing=Defacing(privacy.defacing),
    )


def regions_of(privacy: PrivacyModel) -> tuple[Region, ...]:
    return tuple(
        Region(row=y, column=x, end_row=y + height, end_column=x + width)
        for x, y, width, height in privacy.mask
    )


def digest_of(privacy: PrivacyModel, site: Site) -> str:
    """Equal for equal settings, in whatever order they are written."""
    told = {
        "table": TABLE,
        "privacy": _sorted(privacy.model_dump()),
        "site": _sorted(site.privacy.model_dump()),
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:DIGEST_DIGITS]


def check_pixels(volumes: Iterable[Volume], policy: PixelPolicy) -> tuple[PixelReason, ...]:
    """The risks that are taken with these volumes, each once.

    Raises Refused: DEI-009, a risk that is not; before anything is written.
    """
    found: dict[Risk, PixelReason] = {}
    for volume in volumes:
        for instance in volume.instances:
            for one in refuse_risky(instance.header, policy):
                found.setdefault(one.risk, one)
    return tuple(found[risk] for risk in Risk if risk in found)


def check_meshes(documents: Iterable[Instance], policy: PixelPolicy) -> tuple[PixelReason, ...]:
    """The same of objects that hold a mesh; no region of a frame answers for their texts."""
    found: dict[Risk, PixelReason] = {}
    for instance in documents:
        for one in refuse_risky_mesh(instance.header, policy):
            found.setdefault(one.risk, one)
    return tuple(found[risk] for risk in Risk if risk in found)


def leaving(
    parts: Parts,
    job: Job,
    privacy: PrivacyModel,
    volumes: Mapping[str, Volume],
    others: Iterable[Instance] = (),
) -> Leaving:
    """The terms of a job; who is meant by its names is written down before anything is made of them.

    Args:
        others: further objects that say whose the job is.
    Raises Damaged: KEY-001, KEY-002, the key of its names is gone.
    """
    every = [*(one for volume in volumes.values() for one in volume.instances), *others]
    whose = sorted({(one.study_instance_uid, person_of(one)) for one in every}, key=_order)
    number, key = parts.crosswalk.naming(job.id)
    names = Pseudonyms(_of_account(key, job.account), _scope(job, privacy, {one for _, one in whose}))
    parts.crosswalk.keep(
        [
            Entry(
                job_id=job.id,
                study=keyed_name(parts.key, "study", uid),
                account=job.account,
                pseudonym=names.patient(),
                outward_study=names.uid(uid),
                naming=number,
                person=person,
                study_instance_uid=uid,
            )
            for uid, person in whose
        ]
    )
    parts.disclosures.about(job.id, [(keyed_name(parts.key, "study", uid), person) for uid, person in whose])
    terms = Terms(profile=profile_of(privacy, parts.site), names=names, regions=regions_of(privacy))
    return Leaving(terms=terms, digest=digest_of(privacy, parts.site))


def person_of(instance: Instance) -> Person:
    issuer, patient = (
        (text(instance.header, word) or "").strip() for word in ("IssuerOfPatientID", "PatientID")
    )
    return Person(issuer=issuer, patient_id=patient)


def _order(whose: tuple[str, Person]) -> tuple[str, str, str]:
    return whose[0], whose[1].issuer, whose[1].patient_id


def _scope(job: Job, privacy: PrivacyModel, known: set[Person]) -> Scope:
    """Names of the job alone, unless the rule wants the same in all of a patient and it is clear who that is."""
    if privacy.longitudinal and len(known) == 1 and (one := known.pop()).patient_id:
        return Scope.of_patient(one.issuer, one.patient_id)
    return Scope.of_job(job.id)


def _of_account(key: bytes, account: str) -> bytes:
    """Two platforms cannot find out that they were sent the same patient."""
    return hmac.new(key, b"names for account " + account.encode(), hashlib.sha256).digest()


def _sorted(told: Any) -> Any:
    """Lists of words are sets; rectangles are not moved within."""
    if isinstance(told, Mapping):
        return {key: _sorted(value) for key, value in told.items()}
    if isinstance(told, (list, tuple)):
        return sorted((_plain(one) for one in told), key=json.dumps)
    return told


def _plain(one: Any) -> Any:
    return list(one) if isinstance(one, tuple) else one
