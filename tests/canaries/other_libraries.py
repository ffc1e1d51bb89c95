"""The same canaries through three public libraries: run in their own environment, searched in ours.

    python -m tests.canaries.other_libraries          (needs `scripts/oracles.sh anonymizers`)

Each library is asked for what its documents show first, its default. Prints a table of marks that are left.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.canaries import sources, ways
from tests.canaries.search import Searcher

PYTHON = Path(__file__).resolve().parents[2] / ".oracles" / "anonymizers" / "bin" / "python"
NAMES = ("dicognito", "dicom-anonymizer", "deid")
STUDIES = (sources.plain_ct, sources.MADE["CT"], sources.MADE["Enhanced MR"])

PROGRAM = """
import sys, warnings, logging
warnings.simplefilter("ignore"); logging.disable(logging.CRITICAL)
from pathlib import Path
import pydicom
from pydicom import config
config.settings.reading_validation_mode = config.settings.writing_validation_mode = config.IGNORE
name, source, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
if name == "dicognito":
    from dicognito.anonymizer import Anonymizer
    data_set = pydicom.dcmread(source)
    Anonymizer(seed="canaries").anonymize(data_set)
    data_set.save_as(out)
elif name == "dicom-anonymizer":
    from dicomanonymizer.simpledicomanonymizer import anonymize_dicom_file
    anonymize_dicom_file(str(source), str(out))
else:
    from deid.dicom import get_identifiers, replace_identifiers
    (made,) = replace_identifiers([str(source)], ids=get_identifiers([str(source)]), save=False)
    made.save_as(out)
"""


def place_of(where: str) -> str:
    """top, in a sequence, three deep, private, around: what the libraries differ in."""
    if where.startswith("3 deep"):
        return "three deep"
    if "." in where:
        return "one deep"
    return "private" if where.startswith("(") else "top"


def main() -> int:
    if not PYTHON.exists():
        print("needs `scripts/oracles.sh anonymizers`", file=sys.stderr)
        return 3
    print(f"{'study':12} {'':18} {'planted':>8} {'left':>7}  where")
    for make in STUDIES:
        study = make()
        name = study.name
        searcher = Searcher(study.wanted)
        planted = searcher.search(study.files[0]).marks
        print(f"{name:12} {'bridge':18} {len(planted):8,} {ways.as_dicom(study).found:7,}")
        for library in NAMES:
            print(f"{name:12} {library:18} {len(planted):8,} {_left(library, study, searcher)}", flush=True)
    return 0


def _left(library: str, study: sources.Planted, searcher: Searcher) -> str:
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder) / "in.dcm", Path(folder) / "out.dcm"
        source.write_bytes(study.files[0])
        done = subprocess.run(
            [PYTHON, "-c", PROGRAM, library, source, out],
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        if done.returncode:
            return f"{'-':>7}  stopped: {done.stderr.strip().splitlines()[-1][:80]}"
        left = searcher.search(out.read_bytes()).marks
    counts = Counter(place_of(study.marks.planted[mark]) for mark in left)
    return f"{len(left):7,}  " + ", ".join(f"{place} {count:,}" for place, count in counts.most_common())


if __name__ == "__main__":
    sys.exit(main())
