"""Studies made in memory for tests of decisions: headers and grids, no pixels, nobody's names."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset

from bridge.config import load_rules
from bridge.dicom.instance import Instance
from bridge.errors import Refused
from bridge.rules import Rule, Study, compile_rules
from bridge.volumes.volume import Candidate, Geometry, Plane, Volume

CT = "1.2.840.10008.5.1.4.1.1.2"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
TODAY = date(2026, 2, 10)
AXIAL = ["ORIGINAL", "PRIMARY", "AXIAL"]


def header(**attributes: Any) -> Dataset:
    data_set = Dataset()
    for keyword, value in attributes.items():
        setattr(data_set, keyword, value)
    return data_set


def instance(
    series: int | None = 1,
    number: int = 1,
    *,
    uid: str = "",
    sop_class: str = CT,
    own: bool = False,
    **attributes: Any,
) -> Instance:
    """One object; an attribute given as None is left out."""
    series_uid = uid or f"1.2.{series}"
    known = {"Modality": "CT", "Rows": 512, "Columns": 512, "ImageType": AXIAL, "StudyDate": "20260201"}
    given = {"SeriesNumber": series, **known, **attributes}
    return Instance(
        number=number,
        sop_class_uid=sop_class,
        sop_instance_uid=f"{series_uid}.{number}",
        series_instance_uid=series_uid,
        study_instance_uid="1.2",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        file=Path("unread"),
        header=header(**{key: value for key, value in given.items() if value is not None}),
        own=own,
    )


def volume(
    series: int | None = 1, *, spacing: float = 1.0, slices: int = 4, uid: str = "", **attributes: Any
) -> Candidate:
    """A candidate that is a volume of `slices` images, `spacing` mm apart, pixels of 0.7 x 0.8 mm."""
    instances = tuple(instance(series, number, uid=uid, **attributes) for number in range(1, slices + 1))
    first = instances[0]
    geometry = Geometry(
        shape=(slices, 512, 512),
        origin_lps=(0.0, 0.0, 0.0),
        slice_step_lps=(0.0, 0.0, 1.0),
        row_step_lps=(0.0, 1.0, 0.0),
        column_step_lps=(1.0, 0.0, 0.0),
        spacing_mm=(spacing, 0.7, 0.8),
    )
    planes = tuple(
        Plane(instance=one, frame=1, position_lps=(0.0, 0.0, index * spacing), slope=1.0, intercept=0.0)
        for index, one in enumerate(instances)
    )
    made = Volume(
        study_instance_uid="1.2",
        series_instance_uid=first.series_instance_uid,
        frame_of_reference_uid="1.3",
        sop_class_uid=first.sop_class_uid,
        modality="CT",
        units="HU",
        geometry=geometry,
        planes=planes,
    )
    return Candidate(series_instance_uid=first.series_instance_uid, instances=instances, volume=made)


def refused(series: int = 1, *, slices: int = 4, **attributes: Any) -> Candidate:
    """A candidate that the volumes room has turned down."""
    instances = tuple(instance(series, number, **attributes) for number in range(1, slices + 1))
    refusal = Refused("GEO-022", "a slice is missing", numbers={"hole_mm": 10.0, "after": 3})
    return Candidate(
        series_instance_uid=instances[0].series_instance_uid, instances=instances, refusal=refusal
    )


def study(
    *candidates: Candidate,
    calling: tuple[str, ...] = ("CT1",),
    called: tuple[str, ...] = ("BRIDGE_ER",),
    today: date = TODAY,
    source: str = "",
) -> Study:
    every = tuple(one for candidate in candidates for one in candidate.instances)
    return Study(
        study_instance_uid="1.2",
        instances=every,
        today=today,
        calling_ae_titles=calling,
        called_ae_titles=called,
        source=source,
    )


HEAD = '[rules.x]\nmode = "live"\nplatform = "gc"\nalgorithm = "a"\ndestinations = ["pacs"]\n'


def rule(folder: Path, volume: str = '{ Modality = "CT" }', prefer: str = "[]", study: str = "{}") -> Rule:
    """The rule with one input `ct` that these pieces of TOML make."""
    text = f"{HEAD}study = {study}\n[rules.x.inputs.ct]\nvolume = {volume}\nprefer = {prefer}\n"
    return rules(folder, text)[0]


def rules(folder: Path, text: str) -> tuple[Rule, ...]:
    file = folder / "rules.toml"
    file.write_text(text, encoding="utf-8")
    return compile_rules(load_rules(file))
