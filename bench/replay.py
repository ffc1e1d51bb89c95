"""Replay of recorded studies through other rules: time, memory, and what a study adds to the index.

    python bench/replay.py [--studies N] [--images N]

The studies are copies of one thorax phantom in four series, entered as reception enters them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import zlib
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa

from bridge.dicom.folder import read_folder
from bridge.dicom.headers import read_file
from bridge.sandbox.phantom import make_study, write_study
from bridge.store.tables import Index, headers, instances, studies

SITE = """\
[bridge]
ae_title = "BRIDGE"
data = "data"
rules = "rules.toml"

[sources.ct]
ae_title = "CT1"

[destinations.pacs]
ae_title = "PACS"
host = "127.0.0.1"
port = 104

[accounts.gc]
platform = "grand-challenge"
base_url = "https://127.0.0.1:1/api/v1/"
token_file = "token"
"""
RULES = """\
[rules.thin]
mode = "live"
platform = "gc"
algorithm = "lungs-and-airways"
destinations = ["pacs"]

[rules.thin.inputs.ct-image]
volume = {{ Modality = "CT", {spacing} }}

[rules.abdomen]
mode = "live"
platform = "gc"
algorithm = "liver"
destinations = ["pacs"]
study = {{ StudyDescription = {{ regex = "(?i)abdomen" }} }}

[rules.abdomen.inputs.ct-image]
volume = {{ Modality = "CT" }}
"""
MOST_S_PER_1000 = 60.0
MOST_MB = 400.0


def fill(folder: Path, count: int, scale: float) -> tuple[int, float]:
    """Make an index of copies of one study. Returns objects in a study, and bytes of the index per object."""
    (folder / "data").mkdir(parents=True)
    (folder / "site.toml").write_text(SITE)
    (folder / "token").write_text("token")
    (folder / "token").chmod(0o600)
    (folder / "rules.toml").write_text(RULES.format(spacing="spacing_mm = { max = 20.0 }"))
    (folder / "new.toml").write_text(RULES.format(spacing="spacing_mm = { min = 20.0 }"))
    key = folder / "data" / "secret.key"
    key.write_bytes(bytes(32))
    key.chmod(0o600)
    write_study(make_study(when=datetime.now(), scale=scale), folder / "sent")  # noqa: DTZ005
    held = read_folder(folder / "sent").instances
    packed = [(one, read_file(one.file)[0]) for one in held]
    index = Index(folder / "data" / "index.sqlite")
    index.open()
    now = time.time()
    with index.write() as connection:
        number = 0
        for study in range(count):
            uid = f"1.2.826.0.1.3680043.8.498.{study}"
            connection.execute(
                sa.insert(studies).values(
                    study_instance_uid=uid,
                    name=f"{study:012x}",
                    state="decided",
                    source="ct",
                    first_at=now,
                    last_at=now,
                    due_at=now,
                    quiet_s=30.0,
                    attempts=0,
                    opened_at=now,
                    waits="",
                    complete="",
                    asked="",
                    released="",
                    doubts="",
                )
            )
            rows, encoded = [], []
            for place, (one, header) in enumerate(packed):
                number += 1
                rows.append(
                    {
                        "number": number,
                        "sop_instance_uid": f"{uid}.{place}",
                        "version": 1,
                        "sop_class_uid": one.sop_class_uid,
                        "series_instance_uid": one.series_instance_uid,
                        "study_instance_uid": uid,
                        "transfer_syntax_uid": one.transfer_syntax_uid,
                        "digest": f"{number:064x}",
                        "size_bytes": 1,
                        "file": f"{number:x}",
                        "calling_ae_title": "CT1",
                        "own": False,
                        "received_at": now,
                        "arrival": 1,
                        "change": "",
                    }
                )
                encoded.append(
                    {"number": number, "syntax": header.syntax, "encoded": zlib.compress(header.encoded, 1)}
                )
            connection.execute(sa.insert(instances), rows)
            connection.execute(sa.insert(headers), encoded)
    index.close()
    size = sum(file.stat().st_size for file in (folder / "data").glob("index.sqlite*"))
    return len(held), size / number


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--studies", type=int, default=10_000)
    asked.add_argument("--scale", type=float, default=0.12, help="of the phantom; 1.0 has 198 objects")
    wanted = asked.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        objects, per_object = fill(folder, wanted.studies, wanted.scale)
        begun = time.perf_counter()
        program = [sys.executable, "-m", "bridge", "replay", "--rules", "new.toml", "--json"]
        child = subprocess.Popen(program, cwd=folder, stdout=subprocess.PIPE)
        assert child.stdout
        told = json.loads(child.stdout.read())
        _, status, usage = os.wait4(child.pid, 0)
        took_s = time.perf_counter() - begun
    assert status == 0, f"replay ended with {status}"
    peak_mb = usage.ru_maxrss / 1024
    assert told["studies"] == wanted.studies, told["studies"]
    assert told["rules"]["thin"]["runs on something else"] == wanted.studies, told["rules"]
    per_1000_s = took_s / wanted.studies * 1000
    print(f"studies                {wanted.studies} of {objects} objects")
    print(f"index                  {per_object / 1000:.2f} kB an object")
    print(f"peak memory            {peak_mb:.0f} MB")
    print(f"replay                 {took_s:.1f} s, {per_1000_s:.1f} s for 1000 studies")
    if per_1000_s > MOST_S_PER_1000 or peak_mb > MOST_MB:
        sys.exit(f"expected at most {MOST_S_PER_1000:.0f} s for 1000 studies and {MOST_MB:.0f} MB")


if __name__ == "__main__":
    main()
