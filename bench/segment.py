"""A mask of 300 x 512 x 512 to DICOM SEG, beside plain highdicom: time, memory and size with 5 and 100 segments.

Both run warm, each in a process of its own: libraries are imported and a small mask was encoded before. Plain highdicom
is what its manual shows: read the sources, build the `Segmentation`, save it. Runs are interleaved; the figures are
medians, and what counts are ratios of one run. Prints the figure of its target last and exits non-zero when that is
missed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

SLICES, ROWS, COLUMNS = 300, 512, 512
COUNTS = (5, 100)
ROUNDS = 5
MOST_TIME = 0.5
"""Of plain highdicom, for five segments."""
MOST_MEMORY_MB = 150.0
"""Above the labels, for five segments."""
STUDY, SERIES, FRAME = "2.25.1", "2.25.2", "2.25.3"
CT = "1.2.840.10008.5.1.4.1.1.2"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--once", nargs=3, metavar=("WAY", "SEGMENTS", "FOLDER"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.once:
        way, segments, folder = given.once
        print(json.dumps(_once(way, int(segments), Path(folder))))
        return 0
    with tempfile.TemporaryDirectory(prefix="bench-segment-") as name:
        folder = Path(name)
        _write_sources(folder)
        return _report(_rounds(folder, given.rounds))


def _rounds(folder: Path, rounds: int) -> dict[tuple[str, int], list[dict[str, float]]]:
    found: dict[tuple[str, int], list[dict[str, float]]] = {}
    for _ in range(rounds):
        for count in COUNTS:
            for way in ("plain", "bridge"):
                told = subprocess.run(
                    [sys.executable, __file__, "--once", way, str(count), str(folder)],
                    capture_output=True,
                    text=True,
                    check=True,
                )
                found.setdefault((way, count), []).append(json.loads(told.stdout.splitlines()[-1]))
    return found


def _report(found: dict[tuple[str, int], list[dict[str, float]]]) -> int:
    def median(way: str, count: int, what: str) -> float:
        return statistics.median(one[what] for one in found[way, count])

    print(f"{'segments':>8} {'':>7} {'s':>7} {'peak MB':>8} {'MB':>7}")
    ratios = {}
    for count in COUNTS:
        for way in ("plain", "bridge"):
            s, peak, size = (median(way, count, what) for what in ("s", "peak_mb", "mb"))
            print(f"{count:>8} {way:>7} {s:7.2f} {peak:8.0f} {size:7.1f}")
        pairs = zip(found["bridge", count], found["plain", count], strict=True)
        ratios[count] = statistics.median(ours["s"] / plain["s"] for ours, plain in pairs)
        print(f"{count:>8} {'ratio':>7} {ratios[count]:7.2f}")
    labels_mb = SLICES * ROWS * COLUMNS / 1e6
    print(f"peak is above the labels, which are {labels_mb:.0f} MB")
    few = COUNTS[0]
    memory = median("bridge", few, "peak_mb")
    print(
        f"{SLICES} x {few} takes {ratios[few]:.2f} of plain highdicom's time (at most {MOST_TIME:g}) "
        f"and {memory:.0f} MB above the labels (at most {MOST_MEMORY_MB:g})"
    )
    return 0 if ratios[few] <= MOST_TIME and memory <= MOST_MEMORY_MB else 1


def _write_sources(folder: Path) -> None:
    """An axial CT as files; its pixels are of no account but for being read."""
    import numpy as np
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    pixels = np.random.default_rng(1).integers(0, 2000, (ROWS, COLUMNS), dtype=np.uint16).tobytes()
    for number in range(SLICES):
        one = Dataset()
        one.SOPClassUID, one.SOPInstanceUID = CT, f"2.25.4.{number + 1}"
        one.StudyInstanceUID, one.SeriesInstanceUID, one.FrameOfReferenceUID = STUDY, SERIES, FRAME
        one.Modality, one.PositionReferenceIndicator, one.InstanceNumber = "CT", "", number + 1
        one.PatientName, one.PatientID, one.PatientBirthDate, one.PatientSex = "Bench^Mark", "B-1", "", ""
        one.StudyDate, one.StudyTime, one.StudyID, one.AccessionNumber = "20260101", "120000", "1", ""
        one.ReferringPhysicianName, one.Manufacturer = "", "maker"
        one.ImagePositionPatient = [-180.0, -180.0, float(number)]
        one.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        one.PixelSpacing, one.SliceThickness = [0.7, 0.7], 1.0
        one.Rows, one.Columns, one.SamplesPerPixel = ROWS, COLUMNS, 1
        one.PhotometricInterpretation = "MONOCHROME2"
        one.BitsAllocated, one.BitsStored, one.HighBit, one.PixelRepresentation = 16, 12, 11, 0
        one.RescaleIntercept, one.RescaleSlope = -1024, 1
        one.add_new("PixelData", "OW", pixels)
        one.file_meta = FileMetaDataset()
        one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        one.save_as(folder / f"{number:03}.dcm", enforce_file_format=True)


def _labels(segments: int, slices: int = SLICES) -> Any:
    """(slices, rows, columns) uint8: columns of 5 segments through most slices, or 100 blocks through a fifth each."""
    import numpy as np

    labels = np.zeros((slices, ROWS, COLUMNS), np.uint8)
    side = 10 if segments > 10 else 5
    for index in range(segments):
        j, i = divmod(index, side)
        length = slices // 5 if segments > 10 else round(slices * 0.87)
        start = (index * 37) % (slices - length + 1)
        height, width = ROWS // 10, COLUMNS // side
        labels[
            start : start + length, j * height + 4 : (j + 1) * height - 4, i * width + 4 : (i + 1) * width - 4
        ] = index + 1
    return labels


def _once(way: str, segments: int, folder: Path) -> dict[str, float]:
    warnings.simplefilter("ignore")
    files = sorted(folder.glob("*.dcm"))
    program = {"plain": _Plain, "bridge": _Bridge}[way]()
    program.prepare(files)
    program.run(_labels(segments, 5), segments, 5, folder / "warm")
    labels = _labels(segments)
    out = folder / f"{way}.{segments}"
    _forget_peak()
    before = _memory_mb("VmRSS")
    begun = time.perf_counter()
    program.run(labels, segments, SLICES, out)
    took = time.perf_counter() - begun
    size = out.stat().st_size / 1e6
    peak = _memory_mb("VmHWM") - before
    out.unlink()
    return {"s": took, "peak_mb": peak, "mb": size}


class _Plain:
    def prepare(self, files: list[Path]) -> None:
        import highdicom  # noqa: F401 - both ways are warm

        self._files = files

    def run(self, labels: Any, segments: int, slices: int, out: Path) -> None:
        import highdicom as hd
        from pydicom import dcmread
        from pydicom.sr.codedict import codes

        algorithm = hd.AlgorithmIdentificationSequence("bench", codes.DCM.ArtificialIntelligence, "1")
        built = hd.seg.Segmentation(
            source_images=[dcmread(file) for file in self._files[:slices]],
            pixel_array=labels,
            segmentation_type="BINARY",
            segment_descriptions=[
                hd.seg.SegmentDescription(
                    number,
                    f"segment {number}",
                    codes.SCT.Tissue,
                    codes.SCT.Tissue,
                    "AUTOMATIC",
                    algorithm_identification=algorithm,
                    tracking_uid=hd.UID(),
                    tracking_id=f"segment {number}",
                )
                for number in range(1, segments + 1)
            ],
            series_instance_uid=hd.UID(),
            series_number=1,
            sop_instance_uid=hd.UID(),
            instance_number=1,
            manufacturer="bench",
            manufacturer_model_name="bench",
            software_versions="1",
            device_serial_number="1",
        )
        built.save_as(out)


class _Bridge:
    def prepare(self, files: list[Path]) -> None:
        from bridge.dicom.headers import read_file, text
        from bridge.dicom.instance import Instance
        from bridge.volumes import candidates_of

        instances = []
        for number, file in enumerate(files, start=1):
            header, syntax = read_file(file)
            instances.append(
                Instance(
                    number=number,
                    sop_class_uid=CT,
                    sop_instance_uid=text(header.data_set, "SOPInstanceUID") or "",
                    series_instance_uid=SERIES,
                    study_instance_uid=STUDY,
                    transfer_syntax_uid=syntax,
                    file=file,
                    header=header.data_set,
                )
            )
        self._volumes = {
            slices: candidates_of(instances[:slices])[0].volume for slices in {5, len(instances)}
        }

    def run(self, labels: Any, segments: int, slices: int, out: Path) -> None:
        from bridge.flow.stages.shelf import FileSink
        from bridge.results.encoders import encode
        from bridge.results.output import Label, Output, OutputKind
        from bridge.results.result import Answer, LabelMap, Part, Source, Wrapping

        volume = self._volumes[slices]
        assert volume is not None
        output = Output(name="bench", kind=OutputKind.MASK, media_type="image/x-mha", ref="bench")
        names = tuple(Label(value=number, name=f"segment {number}") for number in range(1, segments + 1))
        mask = LabelMap(array=labels, affine_lps=volume.geometry.affine_lps, labels=names)
        wrapping = Wrapping(
            job="bench",
            key=b"k" * 32,
            at=datetime(2026, 1, 1, tzinfo=UTC),
            algorithm="bench",
            algorithm_version="1",
            rule="bench",
            bridge_version="1",
            device_uid="2.25.9",
            measurement_report=False,
        )
        # No numbers of the image are in a SEG; the labels stand in for them.
        source = Source(volume=volume, values=labels)
        (made,) = encode(Answer(parts=(Part(output=output, content=mask),)), source, wrapping)
        with FileSink(out) as sink:
            sink.write(made.data)


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def _memory_mb(name: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return float(line.split()[1]) / 1024
    raise OSError(f"no {name} in /proc/{os.getpid()}/status")


if __name__ == "__main__":
    sys.exit(main())
