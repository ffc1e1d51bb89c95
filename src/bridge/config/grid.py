"""`[grid]`: how far positions may be from a regular grid and still be one."""

from __future__ import annotations

from pydantic import Field

from bridge.config.validate import Section


class GridSettings(Section):
    """`[grid]`: tolerances; what lies beyond is refused, or mended where a rule says so (docs/volumes.md)."""

    step_mm: float = Field(default=0.01, gt=0, le=0.1)
    """Positions so close are one, and a step may differ so much from the others."""
    step_percent: float = Field(default=1.0, gt=0, le=5)
    """How much of the median step one step may differ, where that is more."""
    lean_deg: float = Field(default=0.1, gt=0, le=1)
    """How far a stack may lean against its normal."""
    drift_pixels: float = Field(default=0.5, gt=0, le=1)
    """How far a lean may shift the last slice against the first; the stricter of the two counts."""
