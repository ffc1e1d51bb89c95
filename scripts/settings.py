"""Write the references of two pages: docs/configuration.md from the models, docs/rules.md from the vocabulary."""

from __future__ import annotations

import ast
import inspect
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from bridge.config import destinations, grid, inputs, privacy, results, rules, site, sources, starts
from bridge.config.facts import FACTS, Scope
from bridge.config.validate import fields_of
from bridge.config.vocabulary import COMBINATIONS, OPERATORS, PREFERENCES, REPAIRS

DOCS = Path(__file__).resolve().parents[1] / "docs"
BEGIN, END = "<!-- reference: written by scripts/settings.py -->", "<!-- end of reference -->"

SECTIONS: tuple[tuple[str, type[BaseModel]], ...] = (
    ("site.toml: [bridge]", site.BridgeSettings),
    ("site.toml: [receive]", site.ReceiveSettings),
    ("site.toml: [sources.NAME], a DICOM peer", sources.DicomSource),
    ("site.toml: [sources.NAME], a folder", sources.FolderSource),
    ("site.toml: [destinations.NAME], a DICOM peer", destinations.DicomDestination),
    ("site.toml: [destinations.NAME], a folder", destinations.FolderDestination),
    ("site.toml: [accounts.NAME]", site.AccountSettings),
    ("site.toml: [engine]", site.EngineSettings),
    ("site.toml: [retention]", site.RetentionSettings),
    ("site.toml: [grid]", grid.GridSettings),
    ("site.toml: [privacy]", privacy.PrivacySettings),
    ("site.toml: [privacy], an entry of text_devices", privacy.TextDevice),
    ("rules.toml: [rules.NAME]", rules.RuleModel),
    ("rules.toml: [rules.NAME.waits_for]", starts.WaitModel),
    ("rules.toml: [rules.NAME.privacy]", privacy.PrivacyModel),
    ("rules.toml: [rules.NAME.inputs.SOCKET]", inputs.InputModel),
    ("rules.toml: [volumes.NAME]", inputs.VolumeModel),
    ("rules.toml: [rules.NAME.results]", results.ResultsModel),
    ("rules.toml: [rules.NAME.results.concepts.SOCKET]", results.Concept),
    ("rules.toml: [rules.NAME.results.concepts.SOCKET.values.VALUE]", results.Code),
    ("rules.toml: [rules.NAME.results.tables.SOCKET]", results.TableModel),
    ("rules.toml: [rules.NAME.results.tables.SOCKET.row]", results.RowModel),
    ("rules.toml: [rules.NAME.results.tables.SOCKET.columns.COLUMN]", results.Measured),
    ("rules.toml: [rules.NAME.results.segments.SOCKET.VALUE]", results.SegmentModel),
)


def settings() -> str:
    parts = []
    for title, model in SECTIONS:
        parts.append(f"### {title}\n\n| key | default | what |\n|---|---|---|")
        told = helps(model)
        for name, field in fields_of(model).items():
            parts.append(f"| `{name}` | {_default(field)} | {told.get(name, '')} |")
        parts.append("")
    return "\n".join(parts)


def words() -> str:
    parts = []
    for title, table in (
        ("Operators of a condition", OPERATORS.values()),
        ("Conditions put together", COMBINATIONS.values()),
        ("Facts of a volume", _facts(Scope.VOLUME)),
        ("Facts of a study", _facts(Scope.STUDY)),
        ("Preferences", PREFERENCES.values()),
        ("Repairs", REPAIRS.values()),
    ):
        parts.append(f"### {title}\n\n| name | what |\n|---|---|")
        for row in table:
            example = f", as `{row.example}`" if hasattr(row, "example") else ""
            parts.append(f"| `{row.name}`{example} | {row.help} |")
        if title == "Preferences":
            parts.append('| `{ KEYWORD = ["first", "second"] }` | The value that stands first in the list. |')
        parts.append("")
    return "\n".join(parts)


def _facts(scope: Scope) -> list[Any]:
    return [fact for fact in FACTS.values() if fact.scope is scope]


def _default(field: Any) -> str:
    if field.is_required():
        return "required"
    value = field.default_factory() if field.default_factory else field.default
    if value is PydanticUndefined or value in (None, "", {}, ()) or isinstance(value, BaseModel):
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{list(value) if isinstance(value, tuple) else value}`"


def helps(model: type[BaseModel]) -> dict[str, str]:
    """The docstring below each field, inherited ones too."""
    found = {}
    for one in reversed(model.__mro__[: model.__mro__.index(BaseModel)]):
        body = ast.parse(inspect.getsource(one)).body[0].body  # type: ignore[attr-defined]
        for field, text in pairwise(body):
            if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr):
                found[field.target.id] = " ".join(str(text.value.value).split())  # type: ignore
    return found


PAGES = {DOCS / "configuration.md": settings, DOCS / "rules.md": words}


def rewritten(page: Path, reference: str) -> str:
    head, _, rest = page.read_text().partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n\n{reference}\n{END}{tail}"


if __name__ == "__main__":
    pages = {page: rewritten(page, told()) for page, told in PAGES.items()}
    if "--check" in sys.argv:
        sys.exit(any(page.read_text() != text for page, text in pages.items()))
    for page, text in pages.items():
        page.write_text(text)
