"""A large input with flat memory: a sparse .mha of 1.5 GB goes into the sandbox's store through the platform's upload.

The sandbox is a process of its own, so what is measured is the client alone. Prints the figures and exits non-zero
when the peak of its resident memory grew by more than 300 MB, or when other bytes arrived than were sent.

    python bench/large_input.py --size-mb 1500
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from bridge.assembly import TokenFile
from bridge.export.parcel import Parcel, ParcelFile
from bridge.platforms import Account, Platform, RemoteJob, Request, RequestedVolume, make

MB = 1_000_000
MOST_GROWTH_MB = 300.0
ALGORITHM, SOCKET = "identity-mask", "ct-image"
ROWS = COLUMNS = 512
PIECE_BYTES = 1 << 20
READY_S = 60


class Folder:
    """A shelf whose names are files of one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def open(self, ref: str) -> BinaryIO:
        return (self.folder / ref).open("rb")


def peak_mb() -> float:
    """The most memory that this process ever had resident (kB on Linux)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MB


def sparse_mha(file: Path, size_mb: int) -> int:
    """A volume of zeros with a few voxels in it, so that no two parts need be alike; holes take no disk. Its slices."""
    slices = max(1, size_mb * MB // (2 * ROWS * COLUMNS))
    header = (
        "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\n"
        "CompressedData = False\nTransformMatrix = 1 0 0 0 1 0 0 0 1\nOffset = 0 0 0\n"
        f"ElementSpacing = 0.7 0.7 0.5\nDimSize = {COLUMNS} {ROWS} {slices}\n"
        "ElementType = MET_SHORT\nElementDataFile = LOCAL\n"
    ).encode()
    with file.open("wb") as out:
        out.write(header)
        for number in range(0, slices, 16):
            out.seek(len(header) + number * 2 * ROWS * COLUMNS)
            out.write(number.to_bytes(4, "little"))
        out.truncate(len(header) + slices * 2 * ROWS * COLUMNS)
    return slices


def sha256_of(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while piece := stream.read(PIECE_BYTES):
            digest.update(piece)
    return digest.hexdigest()


@contextmanager
def sandbox(folder: Path) -> Iterator[dict[str, Any]]:
    """A Grand Challenge in another process; what it says when it is ready."""
    command = [sys.executable, "-m", "bridge", "sandbox", "grand-challenge", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()
            process.wait(READY_S)


async def send(platform: Platform, shelf: Folder, name: str, size: int, key: str) -> None:
    """Everything of a job up to the upload; none is made, so nothing is billed or computed."""
    spec = await platform.describe(ALGORITHM)
    volume = RequestedVolume(
        input=SOCKET, modality="CT", shape=(1, ROWS, COLUMNS), spacing_mm=(0.5, 0.7, 0.7)
    )
    order = platform.plan(spec, Request(volumes=(volume,), values={}))
    file = ParcelFile(input=SOCKET, ref=name, file_name=order.files[0].file_name, size_bytes=size, sha256="")
    parcel = Parcel(order=order, files=(file,), values=order.values)
    step = next(one for one in order.steps if one.name.startswith("upload:"))
    done = await platform.perform(step, RemoteJob(key=key), parcel, shelf)
    assert step.name in done.notes


async def measure(account: Account, folder: Path, size_mb: int) -> tuple[float, float]:
    """Growth of the peak in MB over that of a small upload, and seconds."""
    shelf = Folder(folder)
    platform = make("grand-challenge", account)
    try:
        sparse_mha(folder / "small.mha", 1)
        await send(platform, shelf, "small.mha", (folder / "small.mha").stat().st_size, "0" * 32)
        before, begun = peak_mb(), time.monotonic()
        await send(platform, shelf, "large.mha", (folder / "large.mha").stat().st_size, "1" * 32)
        return peak_mb() - before, time.monotonic() - begun
    finally:
        await platform.close()


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--size-mb", type=int, default=1500, help="size of the input")
    size_mb = asked.parse_args().size_mb
    with tempfile.TemporaryDirectory(prefix="bridge-large-") as name:
        folder = Path(name)
        slices = sparse_mha(folder / "large.mha", size_mb)
        with sandbox(folder / "cloud") as ready:
            account = Account(
                name="gc",
                base_url=ready["base_url"],
                token=TokenFile(Path(ready["token_file"])),
                ca=ready["ca"],
            )
            growth_mb, seconds = asyncio.run(measure(account, folder, size_mb))
        sent = sha256_of(folder / "large.mha")
        arrived = {sha256_of(file) for file in (folder / "cloud").rglob("*") if _is_large(file, size_mb)}
    print(f"{slices} slices, {size_mb} MB in {seconds:.1f} s ({size_mb / seconds:.0f} MB/s)")
    print(f"arrived as sent: {'yes' if arrived == {sent} else 'no'}")
    print(f"peak memory grew by {growth_mb:.0f} MB (at most {MOST_GROWTH_MB:g}), {peak_mb():.0f} MB in all")
    return 0 if growth_mb <= MOST_GROWTH_MB and arrived == {sent} else 1


def _is_large(file: Path, size_mb: int) -> bool:
    return file.is_file() and file.stat().st_size > size_mb * MB // 2


if __name__ == "__main__":
    sys.exit(main())
