"""The job id: the same work has the same name, whenever and wherever it is asked for again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import JsonValue

    from bridge.rules.explanation import Explanation
    from bridge.volumes.volume import Volume


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A rule whose inputs are all chosen."""

    rule: str
    job_id: str
    volumes: Mapping[str, Volume]
    """By input."""
    explanation: Explanation


def job_id(
    key: bytes,
    *,
    rule: str,
    platform: str,
    algorithm: str,
    version: str,
    study_instance_uid: str,
    inputs: Mapping[str, str],
    values: Mapping[str, JsonValue],
    repairs: Mapping[str, Sequence[str]] | None = None,
    rerun: int = 0,
) -> str:
    """32 lower-case hexadecimal digits: keyed BLAKE2b (RFC 7693) of everything that makes two jobs the same job.

    The Study Instance UID is part of it, so that no result is ever filed under another study; UIDs of series and
    instances are not, so that other codecs, orders of arrival and multi-frame twins are the same job.

    Args:
        key: 16 to 64 bytes that never change for a data folder; without them nobody can guess a study from an id.
        version: of the algorithm, as the rule declares it.
        inputs: content of each chosen volume by the name of the input.
        values: the rule's fixed values by the name of the input.
        repairs: names of those that were needed to make a volume of its images, by the name of the input. An input
            without any leaves no trace: such jobs are named as they were before there were repairs.
        rerun: how often a person has asked for the same work again.
    Raises:
        ValueError: the key is too short or too long, or a value is not finite.
    """
    if not 16 <= len(key) <= 64:
        raise ValueError(f"a key of {len(key)} bytes where 16 to 64 are needed")
    mended = {name: list(done) for name, done in (repairs or {}).items() if done}
    # JSON with sorted keys and a fixed spelling: no two different jobs have the same text.
    named = {
        "rule": rule,
        "platform": platform,
        "algorithm": algorithm,
        "version": version,
        "study_instance_uid": study_instance_uid,
        "inputs": dict(inputs),
        "values": dict(values),
        "rerun": rerun,
        **({"repairs": mended} if mended else {}),
    }
    text = json.dumps(named, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return blake2b(text.encode("ascii"), key=key, digest_size=16, person=b"bridge job id").hexdigest()
