"""A picture with words on it, such as scanners add to a study: what a rule must not take for a volume."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

_COLUMNS = (24, 90, 180, 260, 330, 400)


def dose_page(*, slices: int, slice_mm: float) -> npt.NDArray[np.uint8]:
    """The page, (384, 512) uint8, light on dark. It names no person."""
    lines = (
        ("DOSE REPORT (synthetic, not for clinical use)",),
        ("Series", "Type", "Slices", "mm", "kV", "mAs"),
        ("1", "scout", "1", "-", "120", "20"),
        ("2", "helical", str(slices), f"{slice_mm:.1f}", "120", "75"),
        ("Total DLP 168 mGy cm, CTDIvol 5.1 mGy, body phantom of 32 cm",),
    )
    page = Image.new("L", (512, 384), 16)
    pen = ImageDraw.Draw(page)
    font = ImageFont.load_default()
    for row, cells in enumerate(lines):
        for column, cell in zip(_COLUMNS, cells, strict=False):
            pen.text((column, 40 + 40 * row), cell, fill=230, font=font)
    return np.asarray(page, dtype=np.uint8)
