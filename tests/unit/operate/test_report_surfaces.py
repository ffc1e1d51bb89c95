"""Surfaces in the report: which side is which, what is in front, and that nothing of the patient is taken along."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.WebPImagePlugin import WebPImageFile
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian
from tests.unit.operate.report_example import CANARIES, JOB, Example, make_example
from tests.unit.results.shapes import ball, box, mesh, stl

from bridge.operate.report import ResultFile, write_report
from bridge.operate.report.solids import Solid
from bridge.operate.report.turning import FRAMES, take_turn
from bridge.operate.report.views import View, take_views
from bridge.results.mesh import Mesh
from bridge.store.jobs import StoredResult

RED, BLUE, GREEN = (230, 20, 20), (20, 40, 230), (20, 200, 40)
SIDES = {"L": (0, 1), "R": (0, -1), "P": (1, 1), "A": (1, -1), "H": (2, 1), "F": (2, -1)}


def moved(shape: Mesh, *by: float) -> Mesh:
    return mesh(shape.vertices + np.array(by), shape.faces)


def solid(shape: Mesh, rgb: tuple[int, int, int], label: str = "a solid") -> Solid:
    return Solid(label=label, rgb=rgb, mesh=shape)


def pixels(view: View) -> np.ndarray:
    data = base64.b64decode(view.picture.partition(",")[2])
    return np.asarray(Image.open(BytesIO(data)).convert("RGB")).astype(int)


def middle(view: View, rgb: tuple[int, int, int]) -> tuple[float, float]:
    """(row, column) of what is nearest to a pure colour, from the picture's middle."""
    image = pixels(view)
    strong = int(np.argmax(rgb))
    others = [channel for channel in range(3) if channel != strong]
    rows, columns = np.nonzero(image[..., strong] > 60 + image[..., others].max(axis=2))
    assert len(rows) > 20, view.name
    return float(rows.mean() - image.shape[0] / 2), float(columns.mean() - image.shape[1] / 2)


def test_letters_say_where_things_are() -> None:
    at = (5.0, 7.0, 9.0)
    views = take_views([solid(moved(ball(2), *at), RED), solid(moved(ball(2), -at[0], -at[1], -at[2]), BLUE)])
    assert len(views) == 6
    for view in views:
        red, blue = middle(view, RED), middle(view, BLUE)
        for letter, shows in (
            (view.right, red[1] > blue[1]),
            (view.left, red[1] < blue[1]),
            (view.bottom, red[0] > blue[0]),
            (view.top, red[0] < blue[0]),
        ):
            assert shows is (SIDES[letter][1] > 0), (view.name, letter)


@pytest.mark.parametrize(
    ("name", "nearer"),
    [
        ("from the right", (-1, 0, 0)),
        ("from the front", (0, -1, 0)),
        ("from the left", (1, 0, 0)),
        ("from behind", (0, 1, 0)),
        ("from above", (0, 0, 1)),
        ("from below", (0, 0, -1)),
    ],
)
def test_what_is_nearer_hides_what_is_behind(name: str, nearer: tuple[int, int, int]) -> None:
    near = moved(ball(3), *(3.0 * one for one in nearer))
    views = {one.name: one for one in take_views([solid(ball(3), RED), solid(near, GREEN)])}
    image = pixels(views[name])
    centre = image[image.shape[0] // 2, image.shape[1] // 2]
    assert centre[1] > 100 > centre[0], centre


def test_what_lies_within_is_seen_through_its_shell() -> None:
    shell, core = moved(box(size=(10, 10, 10)), -5, -5, -5), ball(3)
    image = pixels(take_views([solid(shell, BLUE), solid(core, RED)])[1])
    centre, edge = image[130, 130], image[130, 40]
    assert centre[0] > 80 and centre[2] > 80, "both are seen"
    assert edge[2] > 150 > 60 > edge[0], "only the shell"


def test_large_faces_have_no_holes() -> None:
    image = pixels(take_views([solid(box(size=(10, 10, 10)), GREEN)])[0])
    assert int(image[30:230, 30:230, 1].min()) > 100


def test_nothing_makes_no_view() -> None:
    assert take_views([]) == ()
    assert take_turn([]) == ""


def test_turning_picture_goes_once_around_by_the_left_of_the_patient() -> None:
    # Apart along a diagonal: half-way between two sides they are further apart than from either.
    left, right = moved(ball(3), 20.0, 20.0, 0.0), moved(ball(3), -20.0, -20.0, 0.0)
    picture = Image.open(
        BytesIO(base64.b64decode(take_turn([solid(left, RED), solid(right, BLUE)]).partition(",")[2]))
    )
    assert isinstance(picture, WebPImageFile)
    assert (picture.n_frames, picture.info["loop"]) == (FRAMES, 0)

    def colours(frame: int) -> tuple[float | None, float | None]:
        """Middle column of red and of blue, from the picture's middle; None where it is not seen."""
        picture.seek(frame)
        image = np.asarray(picture.convert("RGB")).astype(int)
        found = []
        for strong, weak in ((0, 2), (2, 0)):
            columns = np.nonzero(image[..., strong] > 80 + image[..., weak])[1]
            found.append(float(columns.mean() - image.shape[1] / 2) if len(columns) > 20 else None)
        return found[0], found[1]

    for frame, where, sign in (
        (0, "from the front the left is on the right", 1),
        (FRAMES // 4, "from the left the back is on the right", 1),
        (FRAMES // 2, "from behind the left is on the left", -1),
    ):
        red, blue = colours(frame)
        assert red is not None and blue is not None and sign * red > 0 > sign * blue, where
    red, _ = colours(FRAMES // 8)
    assert red is not None and 0.35 < red / picture.width < 0.5, "as wide as it gets, and whole"


def stored(file: Path, data: bytes, **more: str) -> ResultFile:
    ds = Dataset()
    for keyword, value in {**CANARIES, **more}.items():
        setattr(ds, keyword, value)
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID, ds.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.104.3", f"2.25.{len(file.name)}"
    ds.EncapsulatedDocument, ds.EncapsulatedDocumentLength = data + bytes(len(data) % 2), len(data)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.save_as(file, enforce_file_format=True)
    row = StoredResult(
        sop_instance_uid=ds.SOPInstanceUID,
        job_id=JOB,
        kind="M3D",
        output_name=file.stem,
        sop_class_uid=ds.SOPClassUID,
        series_instance_uid="2.25.77",
        file=file.name,
        sha256="",
        size_bytes=len(data),
    )
    return ResultFile(stored=row, path=file)


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Example:
    return make_example(tmp_path_factory.mktemp("example"))


def page_with(example: Example, tmp_path: Path, meshes: Mapping[str, bytes]) -> str:
    results = [stored(tmp_path / f"{name}.dcm", data, DocumentTitle=name) for name, data in meshes.items()]
    write_report(tmp_path / "report.html", example.facts(results=(example.seg, example.sr, *results)))
    return (tmp_path / "report.html").read_text()


def test_page_shows_six_views_with_a_warning_and_names_no_patient(example: Example, tmp_path: Path) -> None:
    text = page_with(example, tmp_path, {"Mandible": stl(ball(2))})
    section = text[text.index("<h2>Surfaces</h2>") :].partition("</section>")[0]
    assert section.count('class="view"') == 6
    assert section.count('class="view turning"') == 1
    assert "Not verified. Not for diagnosis." in section
    assert "Mandible" in section, "no segment tells its colour"
    assert not [one for one in CANARIES.values() if one in text]


def test_mesh_that_cannot_be_read_is_said_and_the_rest_of_the_page_stays(
    example: Example, tmp_path: Path
) -> None:
    text = page_with(example, tmp_path, {"Mandible": b"no mesh at all"})
    assert "<h2>Surfaces</h2>" not in text
    assert "No surfaces are drawn" in text
    assert 'class="viewer"' in text


def test_views_are_no_mirror_images() -> None:
    """Who looks a patient in the face has the patient's right on the left; from below, as slices are shown, too."""
    sides = {one.name: one.left + one.right + one.top for one in take_views([solid(ball(1), RED)])}
    assert sides == {
        "from the right": "PAH",
        "from the front": "RLH",
        "from the left": "APH",
        "from behind": "LRH",
        "from above": "LRA",
        "from below": "RLA",
    }
