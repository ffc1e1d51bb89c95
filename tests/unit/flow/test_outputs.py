"""Files of an answer: each kind is read as what it is used for, and an unreadable one names its output."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from pydicom import dcmread
from tests.unit.operate.report_example import make_example
from tests.unit.results.build import wrapping
from tests.unit.results.test_reports import groups, numbers

from bridge.config.results import ResultsModel
from bridge.dicom.codes import NO_UNITS, Concept
from bridge.errors import BridgeError
from bridge.flow.stages import heavy
from bridge.flow.stages.outputs import part_of
from bridge.flow.stages.wishes import tables_of, values_of
from bridge.itk import IDENTITY, ItkImage, write_image
from bridge.platforms.grand_challenge.sockets import kind_of, media_type
from bridge.results import use
from bridge.results.meaning import Meaning, TableMeaning, ValueMeaning
from bridge.results.output import MeshFrame, Output, OutputKind
from bridge.results.result import Document, HeatMap, HeatMaps, LabelMap, MeshFile, Table
from bridge.results.use import Use
from bridge.sandbox.grand_challenge.computations import everything
from bridge.sandbox.grand_challenge.sockets import SOCKETS, Socket

CONCEPT = Concept(scheme="99SITE", code="X", meaning="x")
ASKED: dict[str, Any] = {
    "heat_maps": HeatMaps.FRACTIONAL,
    "tables": {"it": TableMeaning(columns={"v": Meaning(concept=CONCEPT)})},
    "values": (ValueMeaning(name="it", output="it", meaning=Meaning(concept=CONCEPT, unit=NO_UNITS)),),
}
KINDS: dict[str, tuple[OutputKind, str, str]] = {
    "mask": (OutputKind.MASK, "image/x-metaimage", "Segmentation"),
    "heat map": (OutputKind.IMAGE, "image/x-metaimage", "Heat Map"),
    "value": (OutputKind.VALUE, "application/json", "Float"),
    "json file": (OutputKind.FILE, "application/json", "Anything"),
    "table": (OutputKind.TABLE, "text/csv", "CSV file"),
    "pdf": (OutputKind.FILE, "application/pdf", "PDF file"),
    "picture": (OutputKind.FILE, "image/png", "Thumbnail png"),
    "image": (OutputKind.IMAGE, "image/x-metaimage", "Image"),
    "mesh": (OutputKind.MESH, "model/stl", ""),
}


def output(kind: str) -> Output:
    what, media_type, word = KINDS[kind]
    frame = MeshFrame.LPS_MM if kind == "mesh" else None
    return Output(name="it", kind=what, media_type=media_type, ref="it", word=word, frame=frame)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "it"


def volume(folder: Path) -> Path:
    array = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    image = ItkImage(array=array, spacing_mm=(1, 2, 3), origin_lps=(7, 8, 9), direction=IDENTITY)
    write_image(folder / "it.mha", image)
    return folder / "it.mha"


@pytest.mark.parametrize(("kind", "type_"), [("mask", LabelMap), ("heat map", HeatMap)])
def test_volumes_come_with_their_place(tmp_path: Path, kind: str, type_: type) -> None:
    part = part_of(output(kind), volume(tmp_path), wrapping(**ASKED))
    assert isinstance(part.content, (LabelMap, HeatMap))
    assert isinstance(part.content, type_)
    assert part.content.array.shape == (2, 3, 4)
    # Voxel (k, j, i) lies at (7 + i, 8 + 2 j, 9 + 3 k).
    assert (part.content.affine_lps @ (1, 2, 3, 1)).tolist() == [10, 12, 12, 1]


@pytest.mark.parametrize("kind", ["value", "json file"])
def test_json_is_read(file: Path, kind: str) -> None:
    file.write_text('{"a": [1, null]}')
    assert part_of(output(kind), file, wrapping(**ASKED)).content == {"a": [1, None]}


def test_tables_and_documents_are_read(file: Path) -> None:
    file.write_text("v\n1\n")
    table = part_of(output("table"), file, wrapping(**ASKED)).content
    assert isinstance(table, Table)
    assert (table.columns, table.rows) == (("v",), (("1",),))
    file.write_bytes(b"%PDF-1.7")
    document = part_of(output("pdf"), file, wrapping(**ASKED)).content
    assert isinstance(document, Document)
    assert document.data == b"%PDF-1.7"


def test_meshes_are_read_as_they_came_where_their_frame_is_known(file: Path) -> None:
    file.write_bytes(b"any bytes")
    mesh = part_of(output("mesh"), file, wrapping()).content
    assert isinstance(mesh, MeshFile)
    assert mesh.data == b"any bytes"
    assert part_of(replace(output("mesh"), frame=None), file, wrapping()).content is None
    assert part_of(output("mesh"), file, wrapping(meshes=False)).content is None


@pytest.mark.parametrize("kind", ["heat map", "json file", "table", "picture", "image"])
def test_what_nothing_is_made_of_is_not_even_opened(tmp_path: Path, kind: str) -> None:
    assert part_of(output(kind), tmp_path / "absent", wrapping()).content is None


@pytest.mark.parametrize(
    ("kind", "data", "code"),
    [
        ("mask", b"no image", "ITK-001"),
        ("heat map", b"no image", "ITK-001"),
        ("value", b"{", "HVY-001"),
        ("value", b"\xff\xfe\xfd", "HVY-001"),
        ("value", b"[" * 100_000, "HVY-001"),
        ("json file", b"", "HVY-001"),
        ("table", b"v\n1,2\n", "RES-083"),
    ],
)
def test_an_unreadable_file_names_its_output(file: Path, kind: str, data: bytes, code: str) -> None:
    file.write_bytes(data)
    with pytest.raises(BridgeError) as caught:
        part_of(output(kind), file, wrapping(**ASKED))
    assert caught.value.code == code
    assert "output it" in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "of"),
    [
        ("value", Use.VALUES),
        ("table", Use.TABLE),
        ("mask", Use.MASK),
        ("heat map", Use.HEAT_MAP),
        ("mesh", Use.MESH),
    ],
)
def test_a_file_that_is_too_large_is_refused_before_it_is_read(
    file: Path, monkeypatch: pytest.MonkeyPatch, kind: str, of: Use
) -> None:
    file.write_bytes(b"12345")
    monkeypatch.setitem(use.MOST_BYTES, of, 4)
    with pytest.raises(BridgeError) as caught:
        part_of(output(kind), file, wrapping(**ASKED))
    assert (caught.value.code, caught.value.numbers) == ("HVY-002", {"bytes": 5, "most": 4})


def test_of_a_document_no_more_is_read_than_tells_that_it_is_too_large(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_bytes(b"12345678")
    monkeypatch.setitem(use.MOST_BYTES, Use.DOCUMENT, 4)
    document = part_of(output("pdf"), file, wrapping()).content
    assert isinstance(document, Document)
    assert document.data == b"12345"


def test_settings_become_meanings() -> None:
    code = {"scheme": "SCT", "code": "1", "meaning": "one"}
    model = ResultsModel.model_validate(
        {
            "concepts": {
                "plain": code,
                "nested": {
                    **code,
                    "unit": "ml",
                    "unit_meaning": "milliliter",
                    "socket": "stats",
                    "path": "a.0.b",
                    "segment": "Liver",
                },
            },
            "tables": {
                "t": {"row": {"column": "organ"}, "columns": {"v": {**code, "values": {"yes": code}}}}
            },
        }
    )
    plain, nested = values_of(model)
    one = Concept(scheme="SCT", code="1", meaning="one")
    assert plain == ValueMeaning(name="plain", output="plain", meaning=Meaning(concept=one))
    assert nested == ValueMeaning(
        name="nested",
        output="stats",
        path=("a", "0", "b"),
        segment="Liver",
        meaning=Meaning(concept=one, unit=Concept(scheme="UCUM", code="ml", meaning="milliliter")),
    )
    assert tables_of(model) == {
        "t": TableMeaning(row="organ", columns={"v": Meaning(concept=one, answers={"yes": one})})
    }


def test_whatever_an_algorithm_writes_becomes_what_the_rule_asks_for(tmp_path: Path) -> None:
    """Each kind of file, as the sandbox's algorithms write them, through the work of the child process."""
    volume = make_example(tmp_path).volume
    geometry = volume.geometry
    axes = (geometry.column_step_lps, geometry.row_step_lps, geometry.slice_step_lps)
    array = np.zeros(geometry.shape, np.int16)
    array[3:9, 10:20, 12:30] = -700
    image = ItkImage(
        array=array,
        spacing_mm=geometry.spacing_mm[::-1],
        origin_lps=geometry.origin_lps,
        direction=tuple(np.array(axes).T.ravel().tolist()),
    )
    answers = everything({"ct-image": image})
    outputs = tuple(
        laid(tmp_path, socket, answers[socket.slug]) for socket in SOCKETS if socket.slug in answers
    )
    per_slice = TableMeaning(row="slice", columns={"air voxels": Meaning(concept=CONCEPT, unit=NO_UNITS)})
    air = ValueMeaning(
        name="air",
        output="findings",
        path=("air_volume_ml",),
        meaning=Meaning(concept=CONCEPT, unit=NO_UNITS),
        segment="air mask",
    )
    results = tmp_path / "results"
    results.mkdir()
    wrap = wrapping(
        picture=True,
        heat_maps=HeatMaps.PARAMETRIC_MAP,
        tables={"report-table": per_slice},
        values=(air,),
        private_codes=False,
    )
    made = heavy.encode(volume, outputs, tmp_path, results, wrap)
    assert [(one.stored.kind, one.stored.output_name) for one in made] == [
        ("SEG", "air-mask"),
        ("SR", "air-mask"),
        ("SC", "air-mask"),
        ("SR", "report-table"),
        ("PM", "air-likelihood"),
        ("DOC", "report"),
    ]
    report = dcmread(results / made[1].stored.file)
    # 6 x 10 x 18 voxels of 2.5 x 1.1 x 0.7 mm.
    assert numbers(groups(report)[0])[-1] == ("X", "", "2.079", "1")
    notes = [note for one in made for note in one.notes]
    for kept in ("smoothed-ct", "air-surface", "thumbnail", "bundle", "air-volume-ml", "sentence", "summary"):
        assert any(note.startswith(kept) and "stays with the job" in note for note in notes), kept


def laid(folder: Path, socket: Socket, content: Any) -> Output:
    """The file of an output, and what the platform's part of the bridge says of it."""
    name = socket.relative_path.rpartition("/")[2]
    if isinstance(content, ItkImage):
        name = f"{socket.slug}.mha"
        write_image(folder / name, content)
    elif isinstance(content, bytes):
        (folder / name).write_bytes(content)
    else:
        name = f"{socket.slug}.json"
        (folder / name).write_text(json.dumps(content))
    return Output(
        name=socket.slug,
        kind=kind_of(cast(Any, socket)),
        media_type=media_type(name),
        ref=name,
        word=socket.kind,
        title=socket.title,
    )
