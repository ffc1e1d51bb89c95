"""Slices to one file beside dcm2niix and SimpleITK: time and peak memory, cold and in the service's warm child.

Two series: 300 made slices of 512 x 512, and `../shared/data/mr-brain-t1` where it is. Runs are interleaved; what
counts are medians of one run as ratios, for the machine is shared. Every way writes a new file. SimpleITK and dcm2niix
neither digest nor sync; "as in a job" is the bridge doing both. Speed is judged by processor time: all of them work in
one thread on files that are in memory, so it is the wall time of a machine with nothing else to do. Prints its figures
last and exits non-zero when one falls short.

    python bench/convert.py [rounds]
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from bridge.dicom.folder import read_folder
from bridge.dicom.pixels import FileReader
from bridge.export import format_named
from bridge.export.conversion import convert
from bridge.flow.stages.children import Children
from bridge.volumes import Volume, candidates_of
from bridge.volumes.pixels import for_reading

REAL = Path(__file__).resolve().parents[2] / "shared" / "data" / "mr-brain-t1"
SLICES, SIDE = 300, 512
ROUNDS = 5


@dataclass(frozen=True, kw_only=True)
class Run:
    wall_s: float
    cpu_s: float
    peak_mb: float
    """Of the process that worked, its own libraries included."""


@dataclass(frozen=True, kw_only=True)
class Target:
    what: str
    found: float
    limit: float
    at_least: bool = True

    @property
    def is_met(self) -> bool:
        return self.found >= self.limit if self.at_least else self.found <= self.limit

    def __str__(self) -> str:
        word = "at least" if self.at_least else "at most"
        return f"{'met  ' if self.is_met else 'SHORT'} {self.what}: {self.found:.2f} ({word} {self.limit:g})"


class Unread:
    """A sink that leaves out what the others leave out: no digest."""

    sha256, size_bytes = "", 0

    def __init__(self, file: Path) -> None:
        self._file = file.open("wb", buffering=0)

    def write(self, data: bytes | memoryview, /) -> int:
        return self._file.write(data)

    def close(self) -> None:
        self._file.close()


def made(folder: Path) -> Path:
    """300 slices of 16 bits signed with noise of 12 HU: Rescale Intercept -1024, 157 MB."""
    folder.mkdir()
    random = np.random.default_rng(1)
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE // 2
    body = np.where((y / 180) ** 2 + (x / 220) ** 2 < 1, 1064.0, 24.0)
    for k in range(SLICES):
        one = Dataset()
        one.SOPClassUID, one.SOPInstanceUID = CTImageStorage, f"2.25.1{k:03d}"
        one.StudyInstanceUID, one.SeriesInstanceUID = "2.25.2", "2.25.3"
        one.FrameOfReferenceUID, one.Modality = "2.25.4", "CT"
        one.ImageType, one.SeriesNumber, one.InstanceNumber = ["ORIGINAL", "PRIMARY", "AXIAL"], 1, k + 1
        one.ImagePositionPatient, one.ImageOrientationPatient = [-200, -200, k], [1, 0, 0, 0, 1, 0]
        one.PixelSpacing, one.SliceThickness = [0.78, 0.78], 1
        one.Rows, one.Columns, one.SamplesPerPixel = SIDE, SIDE, 1
        one.PhotometricInterpretation, one.PixelRepresentation = "MONOCHROME2", 1
        one.BitsAllocated, one.BitsStored, one.HighBit = 16, 16, 15
        one.RescaleSlope, one.RescaleIntercept = 1, -1024
        noisy = np.rint(body + random.normal(0, 12, body.shape))
        one.PixelData = noisy.astype("<i2").tobytes()
        one["PixelData"].VR = "OW"
        one.file_meta = FileMetaDataset()
        one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        one.save_as(folder / f"{k:03d}.dcm", enforce_file_format=True)
    return folder


def volume_of(folder: Path) -> Volume:
    (candidate,) = candidates_of(read_folder(folder).instances)
    assert candidate.volume is not None, candidate.refusal
    return candidate.volume


def ours(volume: Volume, format_name: str, out: Path) -> tuple[float, float]:
    """Convert as the others do; returns processor time, s, and peak memory, MB."""
    with counted() as spent:
        convert(volume, FileReader(), format_named(format_name), lambda: closing(Unread(out)))
    return spent()


def ours_in_a_job(volume: Volume, format_name: str, out: Path) -> tuple[float, float]:
    from bridge.flow.stages import heavy  # more libraries than a cold conversion needs

    with counted() as spent:
        heavy.convert(volume, format_name, out)
    return spent()


def simple_itk(folder: Path, out: Path, compress: bool) -> tuple[float, float]:
    import SimpleITK

    with counted() as spent:
        reader = SimpleITK.ImageSeriesReader()
        reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
        SimpleITK.WriteImage(reader.Execute(), str(out), useCompression=compress)
    return spent()


@contextmanager
def counted() -> Iterator[Callable[[], tuple[float, float]]]:
    """Processor time and peak memory of this process within the block."""
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak before
    begun = time.process_time()
    yield lambda: (time.process_time() - begun, _peak_mb())


def _peak_mb() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


LAUNCH = """
import os, sys, time
nowhere = [(os.POSIX_SPAWN_OPEN, n, os.devnull, os.O_WRONLY, 0) for n in (1, 2)]
begun = time.perf_counter()
process = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=nowhere)
_, status, usage = os.wait4(process, 0)
print(time.perf_counter() - begun, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def cold(command: list[str]) -> Run:
    """A process from start to end; started by a small one, whose memory would else count as its own."""
    told = subprocess.run(
        [sys.executable, "-S", "-c", LAUNCH, *command], capture_output=True, text=True, check=True
    )
    wall_s, cpu_s, peak_mb = map(float, told.stdout.split())
    return Run(wall_s=wall_s, cpu_s=cpu_s, peak_mb=peak_mb)


def warm(call: Callable[[], tuple[float, float]]) -> Run:
    """A call in a child; the time includes handing over, the processor's the parent's too."""
    begun, own = time.perf_counter(), time.process_time()
    cpu_s, peak_mb = call()
    return Run(wall_s=time.perf_counter() - begun, cpu_s=cpu_s + time.process_time() - own, peak_mb=peak_mb)


def ways(folder: Path, out: Path, children: tuple[Children, Children]) -> dict[str, Callable[[], Run]]:
    """Every way by name; each writes a file in `out`. Headers are read before, as at reception."""
    ourselves, theirs = children
    volume = volume_of(folder)
    again = [sys.executable, __file__]
    found: dict[str, Callable[[], Run]] = {
        "python -c pass, cold": lambda: cold([sys.executable, "-c", "pass"]),
        "SimpleITK, cold": lambda: cold([*again, "--simpleitk", str(folder), str(out / "a.mha")]),
        "bridge mha, cold": lambda: cold([*again, "--bridge", str(folder), str(out / "b.mha")]),
        "SimpleITK, warm": lambda: warm(lambda: theirs.run(simple_itk, folder, out / "c.mha", False)),
        "bridge mha, warm": lambda: warm(
            lambda: ourselves.run(ours, for_reading(volume), "mha", out / "d.mha")
        ),
        "bridge mha, warm, as in a job": lambda: warm(
            lambda: ourselves.run(ours_in_a_job, for_reading(volume), "mha", out / "e.mha")
        ),
        "SimpleITK compressed, warm": lambda: warm(
            lambda: theirs.run(simple_itk, folder, out / "f.mha", True)
        ),
        "bridge mha-compressed, warm": lambda: warm(
            lambda: ourselves.run(ours, for_reading(volume), "mha-compressed", out / "g.mha")
        ),
        "bridge nii.gz, warm": lambda: warm(
            lambda: ourselves.run(ours, for_reading(volume), "nii.gz", out / "h.nii.gz")
        ),
    }
    tool = shutil.which("dcm2niix")
    if tool:
        command = [tool, "-b", "n", "-f", "i", "-o", str(out)]
        found["dcm2niix, cold"] = lambda: cold([*command, "-z", "n", str(folder)])
        found["dcm2niix -z i -1, cold"] = lambda: cold([*command, "-z", "i", "-1", str(folder)])
    return found


def measured(folder: Path, rounds: int) -> dict[str, Run]:
    """Medians of interleaved runs, after one that warms."""
    children = Children(1, timeout_s=120), Children(1, timeout_s=120)
    runs: dict[str, list[Run]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch)
        try:
            every = ways(folder, out, children)
            for number in range(rounds + 1):
                for name, way in every.items():
                    run = way()
                    if number:
                        runs.setdefault(name, []).append(run)
                    for file in out.iterdir():
                        file.unlink()
        finally:
            for one in children:
                one.stop()
    return {
        name: Run(
            wall_s=median(run.wall_s for run in some),
            cpu_s=median(run.cpu_s for run in some),
            peak_mb=median(run.peak_mb for run in some),
        )
        for name, some in runs.items()
    }


def table(title: str, found: dict[str, Run]) -> None:
    print(f"\n{title}")
    print(f"  {'':32s} {'wall s':>8s} {'CPU s':>8s} {'peak MB':>8s} {'x SimpleITK warm':>17s}")
    slow = found["SimpleITK, warm"].wall_s
    for name, run in found.items():
        print(f"  {name:32s} {run.wall_s:8.3f} {run.cpu_s:8.3f} {run.peak_mb:8.0f} {slow / run.wall_s:17.2f}")


def targets(found: dict[str, Run]) -> list[Target]:
    """Those of the 300 slices."""
    ours, theirs = found["bridge mha, warm"], found["SimpleITK, warm"]
    return [
        Target(what="warm, mha, times as fast as SimpleITK warm", found=theirs.cpu_s / ours.cpu_s, limit=5),
        Target(
            what="warm, compressed, times as fast as SimpleITK compressed",
            found=found["SimpleITK compressed, warm"].cpu_s / found["bridge mha-compressed, warm"].cpu_s,
            limit=3,
        ),
        Target(
            what="peak memory against SimpleITK's, warm",
            found=ours.peak_mb / theirs.peak_mb,
            limit=0.2,
            at_least=False,
        ),
    ]


def main() -> int:
    match sys.argv[1:]:
        case ["--simpleitk", folder, out]:
            simple_itk(Path(folder), Path(out), False)
            return 0
        case ["--bridge", folder, out]:
            ours(volume_of(Path(folder)), "mha", Path(out))
            return 0
        case [count]:
            rounds = int(count)
        case _:
            rounds = ROUNDS
    with tempfile.TemporaryDirectory() as scratch:
        found = measured(made(Path(scratch) / "made"), rounds)
        table(f"{SLICES} slices of {SIDE} x {SIDE}, 16 bits, {rounds} rounds", found)
    if REAL.is_dir():
        table("mr-brain-t1, 20 slices of 384 x 274", measured(REAL, rounds))
    every = targets(found)
    speed = found["SimpleITK, warm"].wall_s / found["bridge mha, warm"].wall_s
    print(f"\n      wall time, warm, mha, times as fast as SimpleITK warm: {speed:.2f}")
    if "dcm2niix, cold" in found:
        # Not judged: the bridge converts in children that are warm, and no command does it in a process of its own.
        peer = 0.8 * found["dcm2niix, cold"].wall_s + found["python -c pass, cold"].wall_s
        print(
            f"      cold, against 0.8 dcm2niix and Python's start: {found['bridge mha, cold'].wall_s / peer:.2f}"
        )
    for target in every:
        print(target)
    return 0 if all(target.is_met for target in every) else 1


if __name__ == "__main__":
    sys.exit(main())
