"""`[sources.NAME]`: who sends. A DICOM peer has `ae_title`, a watched folder has `folder`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from bridge.config.fields import AETitle, FilePath, Host, Name, Seconds, Then
from bridge.config.validate import FOLDER, PEER, Section


class _Terms(Section):
    quiet_s: Seconds = 30.0
    """Where it is not given, that of `[receive]`."""
    inputs_quiet_s: Seconds = 3.0
    """Where it is not given, that of `[receive]`."""
    longest_s: Seconds = 14400.0
    """Where it is not given, that of `[receive]`."""
    then: Then = "hold"
    """Where it is not given, that of `[receive]`."""
    ask: Name | None = Field(default=None, examples=['"pacs"'])
    """A destination that is asked by C-FIND which objects the study has; complete is what is here whole."""


class DicomSource(_Terms):
    """A peer that sends by C-STORE."""

    ae_title: AETitle = Field(examples=['"CT1"'])
    """The calling AE title."""
    host: Host | None = None
    """When given, the only address that may use this AE title."""


class FolderSource(_Terms):
    """A folder, on a share or here, into which DICOM files are laid."""

    folder: FilePath = Field(examples=['"/share/in"'])
    """Looked through with its subfolders; it must exist. The name of the source is its `calling_ae_title` in rules."""
    settle_s: Seconds = 5.0
    """A file counts when its size and its time have stood still for so long."""
    look_s: Seconds = 2.0
    """Between two looks."""
    after: Literal["move", "delete", "keep"] = "move"
    """What becomes of a file that was taken: into `done`, deleted, or left. `keep` writes nothing into the folder."""


def shape_of(value: Any) -> str:
    """The tag of a table, or of a model, by the key that only one shape has."""
    has_folder = "folder" in value if isinstance(value, dict) else hasattr(value, "folder")
    return FOLDER if has_folder else PEER


SourceSettings = DicomSource | FolderSource
SourceTable = Annotated[
    Annotated[DicomSource, Tag(PEER)] | Annotated[FolderSource, Tag(FOLDER)], Discriminator(shape_of)
]
"""As it stands in the file."""
