"""A mesh of 360,000 faces to voxels of 0.3 mm, beside VTK's stencil: time, memory, and whether the voxels are the same.

The mesh is a wavy ring as wide as a jaw, the grid 400 x 400 x 400. VTK runs in the environment that
`scripts/oracles.sh vtk` makes, on one thread, with tolerance 0; both read the same STL. Runs are interleaved and timed
without reading the file; figures are medians. Voxels may differ where a centre lies within 0.001 voxel of the surface.
Prints the figure of its target last and exits non-zero when that is missed.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

SIZE, SPACING_MM = 400, 0.3
LOW_MM = -60.0
AROUND, ALONG = 600, 300
ROUNDS = 3
MOST_TIME = 0.5
"""Of VTK."""
NEAR = 1e-3
"""Voxels."""
VTK_PYTHON = Path(__file__).resolve().parents[1] / ".oracles" / "vtk" / "bin" / "python"
STENCIL = f"""
import json, sys, time
from vtkmodules.vtkCommonCore import vtkSMPTools
from vtkmodules.vtkIOGeometry import vtkSTLReader
from vtkmodules.vtkIOImage import vtkMetaImageWriter
from vtkmodules.vtkImagingStencil import vtkImageStencilToImage, vtkPolyDataToImageStencil
vtkSMPTools.Initialize(1)
reader = vtkSTLReader()
reader.SetFileName(sys.argv[1])
reader.Update()
start = time.perf_counter()
stencil = vtkPolyDataToImageStencil()
stencil.SetInputData(reader.GetOutput())
stencil.SetOutputSpacing({SPACING_MM}, {SPACING_MM}, {SPACING_MM})
stencil.SetOutputOrigin({LOW_MM}, {LOW_MM}, {LOW_MM})
stencil.SetOutputWholeExtent(0, {SIZE - 1}, 0, {SIZE - 1}, 0, {SIZE - 1})
stencil.SetTolerance(0)
image = vtkImageStencilToImage()
image.SetInputConnection(stencil.GetOutputPort())
image.SetOutputScalarTypeToUnsignedChar()
image.SetInsideValue(1)
image.Update()
print(json.dumps({{"s": time.perf_counter() - start}}))
writer = vtkMetaImageWriter()
writer.SetInputData(image.GetOutput())
writer.SetFileName(sys.argv[2] + ".mhd")
writer.SetRAWFileName(sys.argv[2])
writer.SetCompression(False)
writer.Write()
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--once", nargs=2, metavar=("STL", "OUT"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.once:
        print(json.dumps(_once(Path(given.once[0]), Path(given.once[1]))))
        return 0
    with tempfile.TemporaryDirectory(prefix="bench-mesh-") as name:
        folder = Path(name)
        file = folder / "ring.stl"
        faces = _write_ring(file)
        ours, theirs = _rounds(file, folder, given.rounds)
        return _report(faces, ours, theirs, _different(file, folder))


def _rounds(file: Path, folder: Path, rounds: int) -> tuple[list[dict[str, float]], list[dict[str, float]]]:
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(_told([sys.executable, __file__, "--once", str(file), str(folder / "ours.npy")]))
        if VTK_PYTHON.exists():
            theirs.append(_told([str(VTK_PYTHON), "-c", STENCIL, str(file), str(folder / "vtk.raw")]))
    return ours, theirs


def _told(command: list[str]) -> dict[str, float]:
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(told.stdout.splitlines()[-1])
    return found


def _report(
    faces: int,
    ours: list[dict[str, float]],
    theirs: list[dict[str, float]],
    different: tuple[int, int, float] | None,
) -> int:
    seconds = statistics.median(one["s"] for one in ours)
    peak = max(one["peak_mb"] for one in ours)
    error = ours[0]["volume_error"]
    print(f"{faces} faces onto {SIZE} x {SIZE} x {SIZE}")
    print(
        f"bridge {seconds:6.2f} s, {peak:.0f} MB at most, libraries and {SIZE**3 / 1e6:.0f} MB of grid included"
    )
    print(f"volume of the voxels against that of the mesh: {100 * error:+.3f} %")
    if different is None:
        print("VTK is not there (`scripts/oracles.sh vtk`): nothing to compare with")
        return 3
    count, voxels, farthest = different
    print(f"VTK    {statistics.median(one['s'] for one in theirs):6.2f} s")
    print(f"{count} of {voxels} voxels differ, the farthest from the surface by {farthest:.2g} voxel")
    ratio = statistics.median(one["s"] / other["s"] for one, other in zip(ours, theirs, strict=True))
    is_same = farthest <= NEAR
    print(
        f"takes {ratio:.2f} of VTK's time (at most {MOST_TIME:g}); voxels are "
        + ("the same" if is_same else "NOT the same")
    )
    return 0 if ratio <= MOST_TIME and is_same and abs(error) <= 0.01 else 1


def _write_ring(file: Path) -> int:
    import numpy as np

    from bridge.results.mesh import Mesh
    from bridge.results.mesh_files import write_stl

    i, j = np.meshgrid(np.arange(AROUND), np.arange(ALONG), indexing="ij")
    u, v = i / AROUND * 2 * np.pi, j / ALONG * 2 * np.pi
    thick = 9 + 2 * np.sin(16 * u) * np.cos(3 * v)
    far = 40 + thick * np.cos(v)
    points = np.stack((far * np.cos(u), 0.9 * far * np.sin(u), 1.4 * thick * np.sin(v)), axis=-1).reshape(
        -1, 3
    )
    a, b = i * ALONG + j, (i + 1) % AROUND * ALONG + j
    c, d = (i + 1) % AROUND * ALONG + (j + 1) % ALONG, i * ALONG + (j + 1) % ALONG
    faces = np.concatenate([np.stack((a, b, c), axis=-1), np.stack((a, c, d), axis=-1)]).reshape(-1, 3)
    file.write_bytes(write_stl(Mesh(vertices=points + np.array([0.013, -0.007, 0.021]), faces=faces)))
    return len(faces)


def _geometry() -> Any:
    from bridge.volumes.volume import Geometry

    return Geometry(
        shape=(SIZE, SIZE, SIZE),
        origin_lps=(LOW_MM, LOW_MM, LOW_MM),
        slice_step_lps=(0.0, 0.0, 1.0),
        row_step_lps=(0.0, 1.0, 0.0),
        column_step_lps=(1.0, 0.0, 0.0),
        spacing_mm=(SPACING_MM, SPACING_MM, SPACING_MM),
    )


def _once(file: Path, out: Path) -> dict[str, float]:
    import numpy as np

    from bridge.results.mesh_checks import check
    from bridge.results.mesh_files import read_mesh
    from bridge.results.voxelise import voxelise

    mesh, _ = read_mesh(file.read_bytes(), "ring")
    start = time.perf_counter()
    found = voxelise(mesh, _geometry())
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    volume = check(mesh).volume_mm3
    assert volume is not None
    whole = np.zeros((SIZE, SIZE, SIZE), np.uint8)
    whole[found.place] = found.inside
    np.save(out, whole)
    return {"s": seconds, "peak_mb": peak, "volume_error": found.count * SPACING_MM**3 / volume - 1}


def _different(file: Path, folder: Path) -> tuple[int, int, float] | None:
    """How many voxels differ from VTK's, of how many, and how far the worst centre is from the surface, in voxels."""
    import numpy as np

    from bridge.results.mesh_checks import to_index
    from bridge.results.mesh_files import read_mesh

    raw = folder / "vtk.raw"
    if not raw.exists():
        return None
    ours, theirs = np.load(folder / "ours.npy"), np.fromfile(raw, np.uint8).reshape(SIZE, SIZE, SIZE)
    places = np.argwhere(ours != theirs)
    mesh, _ = read_mesh(file.read_bytes(), "ring")
    corners = to_index(mesh.vertices, _geometry())[mesh.faces]
    farthest = max((_distance(place, corners) for place in places[:500].astype(float)), default=0.0)
    return len(places), int(ours.sum()), farthest


def _distance(point: Any, corners: Any) -> float:
    """To the nearest face whose plane the point projects into, or the nearest edge."""
    import numpy as np

    near = corners[(np.abs(corners - point).max(axis=2) < 2).any(axis=1)]
    if not len(near):
        return float("inf")
    a, b, c = near[:, 0], near[:, 1], near[:, 2]
    normal = np.cross(b - a, c - a)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    height = np.einsum("ij,ij->i", point - a, normal)
    foot = point - height[:, None] * normal
    inside = np.ones(len(near), bool)
    best = np.full(len(near), np.inf)
    for p, q in ((a, b), (b, c), (c, a)):
        inside &= np.einsum("ij,ij->i", np.cross(q - p, foot - p), normal) >= 0
        share = np.einsum("ij,ij->i", point - p, q - p) / np.einsum("ij,ij->i", q - p, q - p)
        at = p + np.clip(share, 0, 1)[:, None] * (q - p)
        best = np.minimum(best, np.linalg.norm(point - at, axis=1))
    return float(np.where(inside, np.abs(height), best).min())


if __name__ == "__main__":
    sys.exit(main())
