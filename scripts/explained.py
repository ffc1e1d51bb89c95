"""Write docs/explain.md: what config/rules.toml says of every series of the test data.

No value of a header is in it that may identify a person. The data lies beside the checkout.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path

from bridge.config import load_rules
from bridge.dicom.equipment import made_by_a_bridge
from bridge.dicom.folder import read_folder
from bridge.dicom.headers import Header, text
from bridge.dicom.instance import Instance
from bridge.rules import Explanation, Rule, Study, choose, compile_rules
from bridge.rules.dates import as_date
from bridge.volumes import candidates_of

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data"
PAGE, RULES = ROOT / "docs" / "explain.md", ROOT / "config" / "rules.toml"
BEGIN, END = "<!-- written by scripts/explained.py -->", "<!-- end -->"

STUDIES = (
    "ct-head-phantom-philips",
    "ct-chest-philips",
    "ct-head-tilt-philips",
    "ct-small-irregular/uneven-5-10",
    "ct-small-irregular/tilt-untagged",
    "ct-small-irregular/tilt-untagged-gap",
    "ct-small-irregular/same-position-4-acquisitions",
    "ct-small-irregular/made-duplicate-equal-pixels",
    "ct-small-irregular/made-duplicate-other-pixels",
    "mr-dual-echo-philips",
    "mr-feet-first-ge",
    "mr-brain-t1",
    "mr-small-irregular/two-orientations",
    "mr-small-irregular/non-square-per-slice-rescale",
    "multiframe/ct-legacy-converted-enhanced",
    "multiframe/ct-legacy-pair-23x38x3",
    "multiframe/ct-legacy-pair-24x38x3",
)
"""Folders that are one study each."""
SINGLE = ("pet-single-slices", "multiframe", "compressed", "non-image", "charsets", "odd-files")
"""Folders of which each file is a study of its own."""


def page() -> str:
    rules = compile_rules(load_rules(RULES))
    parts = []
    for name in STUDIES:
        told = _explained(rules, read_folder(DATA / name, _own).instances)
        parts += [f"### {name}", ""]
        parts += [f"- **{one.rule}** {one.outcome}: {_cell(one.reason)}" for one in told]
        parts += ["", _table(rules, _rows(told)), ""]
    for name in SINGLE:
        grouped: dict[tuple[str, ...], list[str]] = {}
        for file in sorted(path for path in (DATA / name).iterdir() if path.is_file()):
            instances = read_folder(file, _own).instances
            for label, *reasons in _rows(_explained(rules, instances)) if instances else ():
                grouped.setdefault((label.partition(", ")[2], *reasons), []).append(file.name)
        rows = [(*row, ", ".join(map(_times, Counter(files).items()))) for row, files in grouped.items()]
        parts += [f"### {name}: one file at a time", "", _table(rules, rows, "files"), ""]
    return "\n".join(parts)


def _times(counted: tuple[str, int]) -> str:
    name, count = counted
    return f"{name} ({count} volumes)" if count > 1 else name


def _own(header: Header) -> bool:
    return made_by_a_bridge(header.data_set)


def _explained(rules: tuple[Rule, ...], instances: tuple[Instance, ...]) -> list[Explanation]:
    """As on the day of the study: an example of 2007 is not new on any other."""
    days = [as_date(text(one.header, "StudyDate") or "") for one in instances]
    today = max((day for day in days if day is not None), default=date(2026, 1, 1))
    study = Study(study_instance_uid=instances[0].study_instance_uid, instances=instances, today=today)
    candidates = candidates_of(instances)
    return [choose(rule, study, candidates).explanation.masked() for rule in rules]


def _rows(told: list[Explanation]) -> Iterator[tuple[str, ...]]:
    """For each candidate its label, and by rule what became of it."""
    seen = next((one.inputs[0].candidates for one in told if one.inputs), ())
    for index, candidate in enumerate(seen):
        yield (
            candidate.label,
            *(
                _verdict(one, index)
                if one.inputs
                else _cell(one.reason.removeprefix("the study does not fit: "))
                for one in told
            ),
        )


def _verdict(told: Explanation, index: int) -> str:
    verdict = told.inputs[0].candidates[index]
    return f"**{_cell(verdict.reason)}**" if verdict.chosen else _cell(verdict.reason)


def _cell(words: str) -> str:
    return words.replace("\\", "\\\\").replace("|", "\\|")


def _table(rules: tuple[Rule, ...], rows: Iterable[tuple[str, ...]], *more: str) -> str:
    heads = ["series", *(rule.name for rule in rules), *more]
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def rewritten(before: str) -> str:
    head, _, rest = before.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n\n{page()}\n{END}{tail}"


if __name__ == "__main__":
    if not DATA.is_dir():
        sys.exit(f"the test data is not beside the checkout: {DATA}")
    before = PAGE.read_text(encoding="utf-8")
    after = rewritten(before)
    if "--check" in sys.argv:
        sys.exit(before != after)
    PAGE.write_text(after, encoding="utf-8")
