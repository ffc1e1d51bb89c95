"""What can be set on the platform while it runs: its limits, and how it behaves where versions differ."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

DAY_S = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Per user. The platform's own defaults, except for credits, which have no end here unless given.

    credits: for a rolling month, None without end; every job counts, however it ended.
    upload_bytes: completed and pending together, asked when URLs are signed.
    image_tasks, image_tasks_active: post-processing tasks that are allowed, and that are running now.
    """

    active_jobs: int = 16
    credits: int | None = None
    credits_per_job: int = 20
    credits_window_s: float = 30 * DAY_S
    uploads: int = 2000
    upload_bytes: int = 128 << 30
    upload_life_s: float = DAY_S
    image_tasks: int = 16
    image_tasks_active: int = 0


class MaskAs(StrEnum):
    """How a Segmentation output leaves the algorithm: as computed, or wrong in one way."""

    COMPUTED = "computed"
    OTHER_GRID = "other-grid"
    OTHER_DIRECTION = "other-direction"
    EMPTY = "empty"
    UNDECLARED = "undeclared"
    INT16 = "int16"


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """Differences between versions of the platform and between good and bad days.

    old_algorithms: every algorithm in the shape before 2025-03, `inputs` and `outputs`.
    interface_key_only: socket values without the key `socket`, as before 2025-12-19.
    json_hangs: an invalid JSON file leaves its job in "Validating inputs" for ever, as in 2025-11.
    parts_as_sent: the list of parts reaches the store unsorted, which refuses it, as before 2025-12.
    sessions_view_only: POST to upload sessions is 405.
    platform_full: jobs wait in "Validating inputs" for a place, two days at most.
    mask_as: what becomes of Segmentation outputs.
    """

    old_algorithms: bool = False
    interface_key_only: bool = False
    json_hangs: bool = False
    parts_as_sent: bool = False
    sessions_view_only: bool = False
    platform_full: bool = False
    mask_as: MaskAs = MaskAs.COMPUTED
