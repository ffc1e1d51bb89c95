"""What can be set on the platform while it runs: its limits, and how it behaves where nobody knows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

WISDOM_TEETH = ("tooth18", "tooth28", "tooth38", "tooth48")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """None is without end.

    in_flight: jobs that wait for inputs or compute; requests_per_minute: at the engine. Beyond either, 429.
    tokens: that are given in all. Lives in seconds.
    """

    in_flight: int | None = None
    requests_per_minute: int | None = None
    tokens: int | None = None
    token_life_s: float = 86_400.0
    upload_url_life_s: float = 3600.0
    download_url_life_s: float = 300.0
    results_life_s: float = 30 * 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """Where the vendor's documents contradict each other or say nothing.

    versions: that live; v1 and v2 have the old route.
    spelling: of keys: as in the quick start, as in the pages on the job body, or texts in place of objects.
    notify: the method that tells of an upload. waiting: the body of a 202.
    missing: structures that are not in the patient; failed: that cannot be made.
    status_word, status_case: how an available file is called. size_off: added to each size that is told.
    gzip: files travel compressed. extra_keys: objects have keys that nobody knows.
    mesh: what is wrong with each mesh. bone_above: what counts as bone.
    anatomy: how structures are found: cut by planes out of any volume, or by the grey levels of the jaw phantom.
    """

    versions: tuple[str, ...] = ("24.06", "v2", "v1")
    spelling: Literal["quickstart", "pages", "flat"] = "quickstart"
    notify: Literal["put", "post", "both"] = "put"
    waiting: Literal["empty", "text", "json"] = "empty"
    missing: tuple[str, ...] = field(default=WISDOM_TEETH)
    failed: tuple[str, ...] = ()
    status_word: Literal["Available", "Success"] = "Available"
    status_case: Literal["as-is", "upper", "lower"] = "as-is"
    size_off: int = 0
    gzip: bool = False
    extra_keys: bool = False
    mesh: Literal["right", "ras", "metres", "shifted", "open", "inside-out", "empty"] = "right"
    bone_above: float = 300.0
    anatomy: Literal["planes", "levels"] = "planes"
