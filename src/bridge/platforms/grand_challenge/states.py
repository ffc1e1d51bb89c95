"""Words of a job at Grand Challenge, and how soon to look again."""

from __future__ import annotations

from bridge.platforms.grand_challenge.options import Options
from bridge.platforms.protocol import Phase, Verdict

STATES: dict[str, tuple[Phase, Verdict | None]] = {
    "validating inputs": (Phase.WAITING, None),
    "queued": (Phase.WAITING, None),
    "re-queued": (Phase.WAITING, None),
    "started": (Phase.RUNNING, None),
    "provisioning": (Phase.RUNNING, None),
    "provisioned": (Phase.RUNNING, None),
    "executing": (Phase.RUNNING, None),
    "executing algorithm": (Phase.RUNNING, None),
    "external execution in progress": (Phase.RUNNING, None),
    "executed": (Phase.RUNNING, None),
    "parsing outputs": (Phase.RUNNING, None),
    "succeeded": (Phase.ENDED, Verdict.DONE),
    "failed": (Phase.ENDED, Verdict.FAILED),
    "cancelled": (Phase.ENDED, Verdict.CANCELLED),
}
"""The 14 labels of the server's `components.models`, in lower case."""

VALIDATING = "validating inputs"
FIRST_LOOKS_S = 30.0


def phase_of(label: str) -> tuple[Phase, Verdict | None]:
    """A word that nobody knows is a job that runs: an end is never guessed."""
    return STATES.get(label.strip().casefold(), (Phase.RUNNING, None))


def look_again_s(options: Options, *, age_s: float | None, typical_s: float | None) -> float:
    """Short pauses for a new job, then a tenth of the usual duration within the account's bounds.

    `age_s`: seconds since the job was made; None where that is not known.
    """
    if age_s is not None and 0 <= age_s < FIRST_LOOKS_S:
        return options.poll_first_s
    return min(options.poll_longest_s, max(options.poll_s, (typical_s or 0.0) / 10))


def validation(options: Options, label: str, age_s: float | None) -> tuple[bool, str]:
    """Whether a job that is still validated is given up, and what there is to say of it.

    The platform looks for a free place each minute for two days; it tells neither that nor a hanging check, and
    there is no cancelling. Such a job goes on counting as active.
    """
    if label.strip().casefold() != VALIDATING or age_s is None or age_s < options.validating_warn_s:
        return False, ""
    if age_s < options.validating_longest_s:
        return (
            False,
            f"its inputs are being validated for {age_s / 60:.0f} min; the platform tries for two days",
        )
    return True, (
        f"its inputs were not validated within {age_s / 3600:.0f} h; it still counts as active at the platform, "
        "whose administrators can cancel it"
    )
