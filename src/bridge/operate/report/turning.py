"""Meshes that turn once about the long axis of the body, as one animated picture."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from io import BytesIO
from math import cos, sin, tau

from PIL import Image, features

from bridge.operate.report.solids import Solid
from bridge.operate.report.views import scene_of, seen

SIZE = 320
FRAMES, FRAME_MS = 24, 120
MOST_POINTS = 1_000_000
"""Each is drawn once in each frame: with more the page would be waited for."""
QUALITY = 60
HEAD = (0.0, 0.0, 1.0)


def take_turn(solids: Sequence[Solid]) -> str:
    """A WebP as an address that holds its own data; "" where there is nothing to see, or no codec for it.

    Seen from the front first; then the viewer goes around by the patient's left.
    """
    if not solids or not features.check("webp"):
        return ""
    scene = scene_of(solids, SIZE, most=MOST_POINTS, turns=True)
    angles = (tau * number / FRAMES for number in range(FRAMES))
    first, *others = (Image.fromarray(seen(scene, (-sin(one), cos(one), 0.0), HEAD)) for one in angles)
    file = BytesIO()
    first.save(
        file,
        "WEBP",
        save_all=True,
        append_images=others,
        duration=FRAME_MS,
        loop=0,
        quality=QUALITY,
        method=2,
    )
    return f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"
