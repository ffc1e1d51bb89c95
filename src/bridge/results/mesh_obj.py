"""Wavefront OBJ: vertices and faces; texture, normals, groups and materials are not the surface and are passed over."""

from __future__ import annotations

from array import array
from io import BytesIO
from itertools import pairwise

import numpy as np

from bridge.results.mesh import MOST_FACES, Mesh, damaged, made_mesh


def read_obj(data: bytes, name: str) -> Mesh:
    """The mesh of an OBJ file. Faces of more corners are cut into triangles around their first corner.

    Args:
        name: of the output, for messages.
    Raises:
        Damaged: RES-091, a line that cannot be read, too many faces, or what `made_mesh` finds.
    """
    vertices, faces = array("d"), array("q")
    line_number = 0
    try:
        joined = data.replace(b"\\\n", b" ") if b"\\\n" in data else data
        for line in BytesIO(joined):
            line_number += 1
            words = line.split()
            if not words:
                continue
            if words[0] == b"v":
                x, y, z = words[1:4]
                vertices.extend((float(x), float(y), float(z)))
            elif words[0] == b"f":
                there = len(vertices) // 3
                first, *rest = (_index(word, there) for word in words[1:])
                if len(rest) < 2:
                    raise ValueError
                for second, third in pairwise(rest):
                    faces.extend((first, second, third))
                if len(faces) > 3 * MOST_FACES:
                    break
    except (ValueError, OverflowError):
        raise damaged(
            name, f"is an OBJ file with an unreadable line, number {line_number}", {"line": line_number}
        ) from None
    return made_mesh(np.array(vertices).reshape(-1, 3), np.array(faces, np.int64).reshape(-1, 3), name)


def _index(word: bytes, there: int) -> int:
    """Index from 0 of `7`, `7/2`, `7//3` or, counted back from the last vertex, `-1`."""
    one = int(word.split(b"/", 1)[0])
    return one - 1 if one >= 0 else there + one
