"""Every series beside the checkout against its truth: what was found, which volumes, or the refusal with its numbers.

Two other readers stand beside it where they are known to be right. Prints its figure last and exits non-zero when
any truth does not hold.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from volume_formats import written
from volume_peers import alike, by_dcm2niix, by_simpleitk, differs
from volume_truths import REPAIRED, SCATTERED, TRUTHS, Truth

from bridge.dicom.folder import read_folder
from bridge.dicom.pixels import FileReader
from bridge.volumes import (
    Candidate,
    Repair,
    Stack,
    Volume,
    candidates_of,
    content_of,
    frame_digests,
    mended,
    read_values,
)

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
PEERS = {"dcm2niix": by_dcm2niix, "SimpleITK": by_simpleitk}
READER = FileReader()
ALIKE = 0.99
"""Share of voxels that another shear must give alike: rounding and the rim, where no slice is, may differ."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """What came out of one series, and every truth of it that did not hold."""

    where: str
    images: int
    found: tuple[str, ...]
    held: int
    """Truths that hold."""
    failures: tuple[str, ...]
    peers: tuple[str, ...] = ()


def row_of(truth: Truth, data: Path = DATA, *, peers: bool = True) -> Row:
    """Look at one series, assert its truths, and ask the peers that are right about it."""
    instances = read_folder(data / truth.where).instances
    candidates = candidates_of(instances)
    checks = list(_checks(truth, candidates, data))
    told = []
    for name in truth.peers if peers else ():
        difference = _peer(name, data / truth.where, [one.volume for one in candidates if one.volume])
        checks.append((f"{name}: {difference or 'equal'}", not difference))
        told.append(f"{name} {difference or 'equal'}")
    for volume in [one.volume for one in candidates if one.volume] if peers else ():
        files = list(written(volume))
        checks += [(f"{name}: {difference}", not difference) for name, difference in files]
        told.append(f"{', '.join(name for name, _ in files)}: read back by ITK")
    for name in truth.wrong if peers else ():
        told.append(f"{name} (wrong here) {_says(name, data / truth.where)}")
    return Row(
        where=truth.where,
        images=len(instances),
        found=tuple(map(_told, candidates)),
        held=sum(ok for _, ok in checks),
        failures=tuple(what for what, ok in checks if not ok),
        peers=tuple(told) + ((f"truth: {truth.truth}",) if truth.truth else ()),
    )


def _checks(truth: Truth, candidates: Iterable[Candidate], data: Path) -> Iterator[tuple[str, bool]]:
    candidates = list(candidates)
    found = tuple(one.refusal.code if one.refusal else "volume" for one in candidates)
    yield f"found {', '.join(found)}, not {', '.join(truth.found)}", found == truth.found
    for name, expected in truth.numbers:
        given = [one.refusal.numbers.get(name) for one in candidates if one.refusal]
        yield f"{name} {given}, not {expected:g}", all(_near(one, expected, 1e-3) for one in given)
    sources = [one.volume or one.stack for one in candidates]
    stacks = [one for one in sources if one is not None]
    if truth.slices:
        counts = {len(one.planes) for one in stacks}
        yield f"slices {counts}, not {truth.slices}", counts == {truth.slices}
    if truth.keys:
        keys = {tuple(name for name, _ in one.key) for one in stacks}
        yield f"told apart by {keys}", keys == {truth.keys}
    if truth.slopes:
        slopes = [one.planes[0].slope for one in stacks[: len(truth.slopes)]]
        yield f"slopes {slopes}", all(map(_near, slopes, truth.slopes, [1e-5] * 9))
    if truth.units:
        units = tuple(one.units if isinstance(one, Volume) else one.slices[0].units for one in stacks)
        yield f"units {units}", units == truth.units
    yield from _of_positions(truth, stacks)
    if truth.sha256:
        yield "SHA-256 of the voxels", _sha256(stacks[0]) == truth.sha256
    if truth.same_content:
        (twin,) = candidates_of(read_folder(data / truth.same_content).instances)
        yield "content of the twin", bool(twin.volume) and _content(twin.volume) == _content(stacks[0])


def _of_positions(truth: Truth, stacks: list[Volume | Stack]) -> Iterator[tuple[str, bool]]:
    for one in stacks:
        normal, pixel_mm = _grid(one)
        positions = np.array([plane.position_lps for plane in one.planes])
        steps = np.diff(positions @ normal)
        if truth.step_mm:
            yield (
                f"steps {steps}",
                bool(np.allclose(steps, truth.step_mm, rtol=1e-3 if truth.numbers else 1e-6)),
            )
        if truth.pixel_mm[0]:
            yield f"pixels {pixel_mm}", bool(np.allclose(pixel_mm, truth.pixel_mm, rtol=2e-6))
        for place, expected in ((0, truth.first_lps), (-1, truth.last_lps)):
            pairs = zip(positions[place], expected or (), strict=False)
            if expected:
                yield f"position {place}", all(b is None or abs(a - b) < 1e-4 for a, b in pairs)


def _grid(source: Volume | Stack) -> tuple[NDArray[Any], tuple[float, float]]:
    if isinstance(source, Stack):
        return source.axes[2], source.slices[0].pixel_spacing_mm
    _, rows, columns = source.geometry.spacing_mm
    return np.array(source.geometry.slice_step_lps), (rows, columns)


def _sha256(source: Volume | Stack) -> str:
    digest = hashlib.sha256()
    for plane in source.planes:
        digest.update(READER(plane.instance, plane.frame).astype("<i2").tobytes())
    return digest.hexdigest()


def _content(volume: Any) -> str:
    return content_of(volume, list(frame_digests(volume, READER).values()))


def _peer(name: str, where: Path, volumes: list[Volume]) -> str:
    """How a peer differs; each of our volumes must be one of its grids."""
    try:
        grids = PEERS[name](where)
    except FileNotFoundError:
        return "not on this machine"
    for volume in volumes:
        values = read_values(volume, READER)
        found = [differs(volume, values, grid) for grid in grids]
        if "" not in found:
            return found[0] if found else "nothing"
    return ""


def _says(name: str, where: Path) -> str:
    try:
        grids = PEERS[name](where)
    except (FileNotFoundError, RuntimeError) as error:
        return f"nothing ({type(error).__name__})"
    return "; ".join(
        f"{' x '.join(map(str, one.array.shape))}, {np.linalg.norm(one.affine_lps[:3, 0]):.4g} mm"
        for one in grids
    )


def _near(value: Any, expected: float, relative: float) -> bool:
    return value is not None and abs(float(value) - expected) <= relative * abs(expected)


def _told(candidate: Candidate) -> str:
    if candidate.refusal:
        return f"{candidate.refusal.code} {candidate.refusal.found}"
    assert candidate.volume is not None
    geometry = candidate.volume.geometry
    size = " x ".join(str(length) for length in geometry.shape)
    spacing = " x ".join(f"{length:.6g}" for length in geometry.spacing_mm)
    key = ", ".join(f"{name} {value}" for name, value in candidate.volume.key)
    return f"volume {size}, {spacing} mm{' by ' + key if key else ''}"


def repairs(data: Path = DATA, *, peers: bool = True) -> Iterator[tuple[str, bool]]:
    """What a declared repair makes of an irregular series, and whether masks come back voxel by voxel."""
    for where, words, step_mm in REPAIRED:
        instances = read_folder(data / where).instances
        for one in instances:
            # Some of these series have none, and would be refused for that after the repair.
            one.header.FrameOfReferenceUID = one.header.get("FrameOfReferenceUID") or "2.25.1"
        (candidate,) = candidates_of(instances)
        digests = frame_digests(candidate.stack, READER) if candidate.stack else {}
        volume = mended(candidate, [Repair(word) for word in words], digests).volume
        if volume is None or volume.mending is None:
            yield f"{where}: not mended", False
            continue
        told = ", ".join(volume.mending.notes)
        size = " x ".join(str(length) for length in volume.geometry.shape)
        spacing = volume.geometry.spacing_mm[0]
        holds = _near(spacing, step_mm, 1e-6 if where.endswith("philips") else 1e-3)
        values = read_values(volume.original, READER)
        mask = (values > np.median(values)).astype(np.uint8)
        same = np.array_equal(volume.mending.back(volume.mending.forth(mask)), mask)
        line = f"{where:50} {told}: {size}, {spacing:.6g} mm; masks return: {same}"
        if peers and words == ("shear",):
            # It shears too, by its own measure of the tilt: another hand on the same grid.
            grids = PEERS["dcm2niix"](data / where)
            share = alike(volume.geometry, read_values(volume, READER), grids)
            line, same = f"{line}; {share:.2%} of the voxels as dcm2niix shears", same and share > ALIKE
        yield line, holds and same


def scattered(data: Path) -> Iterator[str]:
    """Folders of single objects: none may end in anything but a volume or a refusal."""
    for folder in SCATTERED:
        candidates = candidates_of(read_folder(data / folder).instances)
        counts = Counter(one.refusal.code if one.refusal else "volume" for one in candidates)
        yield f"{folder:50} {', '.join(f'{code} {count}' for code, count in sorted(counts.items()))}"


def main() -> int:
    if not DATA.is_dir():
        print("no data beside the checkout: ../shared/data")
        return 2
    if shutil.which("dcm2niix") is None:
        print("needs dcm2niix on this machine (`make peers` installs it)")
        return 2
    # Odd files are odd on purpose, and pydicom says so at length.
    warnings.simplefilter("ignore")
    rows = [row_of(truth) for truth in TRUTHS]
    for row in rows:
        mark = "ok" if not row.failures else "WRONG"
        print(f"{row.where:50} {row.images:4} images  {mark}")
        for line in (*row.found, *(f"= {peer}" for peer in row.peers), *(f"! {why}" for why in row.failures)):
            print(f"{'':8}{line}")
    for line in scattered(DATA):
        print(line)
    held, failed = sum(row.held for row in rows), sum(len(row.failures) for row in rows)
    for line, ok in repairs():
        print(f"{'' if ok else 'WRONG '}{line}")
        held, failed = held + ok, failed + (not ok)
    print(f"{held} of {held + failed} truths hold, {len(rows)} series")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
