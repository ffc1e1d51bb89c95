"""report.html: what it shows, what it must never show, and that it can reach nothing."""

from __future__ import annotations

import base64
import re
import time
from dataclasses import replace
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from highdicom.color import CIELabColor
from PIL import Image
from pydicom import dcmread
from tests.unit.operate.report_example import (
    CANARIES,
    COLOURS,
    COLUMN_MM,
    COLUMNS,
    JOB,
    NAMES,
    NUMBERS,
    ROW_MM,
    ROWS,
    SLICES,
    Example,
    check,
    happened,
    job,
    make_example,
)

from bridge.dicom.pixels import FileReader
from bridge.errors import Damaged, Refused
from bridge.operate.report import Facts, ResultFile, Version, write_report
from bridge.operate.report.measurements import read_groups
from bridge.operate.report.pictures import BUDGET, take_pictures
from bridge.operate.report.segmentation import Overlay, Segment, read_overlay, srgb_of
from bridge.operate.report.words import duration, figure, size
from bridge.rules.explanation import CandidateVerdict, Explanation, InputExplanation, Outcome
from bridge.store.jobs import JobState
from bridge.volumes.volume import Geometry, Volume


class Page(HTMLParser):
    """A page as a browser takes it apart."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self._raw = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._raw = tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:
        self._raw = False

    def handle_data(self, data: str) -> None:
        if not self._raw and data.strip():
            self.words.append(data.strip())

    @property
    def text(self) -> str:
        return " ".join(self.words)

    def of(self, tag: str, class_: str = "") -> list[dict[str, str | None]]:
        return [
            attributes
            for name, attributes in self.elements
            if name == tag and (not class_ or class_ in (attributes.get("class") or "").split())
        ]


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Example:
    return make_example(tmp_path_factory.mktemp("job"))


def written(facts: Facts, folder: Path) -> str:
    write_report(folder / "report.html", facts)
    assert [one.name for one in folder.iterdir()] == ["report.html"]
    return (folder / "report.html").read_text(encoding="utf-8")


def decoded(address: str | None) -> Image.Image:
    assert address is not None
    head, data = address.split(",", 1)
    assert head.startswith("data:image/")
    return Image.open(BytesIO(base64.b64decode(data)))


HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)>\u202e&amp;'


def hostile(example: Example, folder: Path) -> Facts:
    """The same job with text of an attacker wherever text can come from."""
    seg = dcmread(example.seg.path)
    seg.SpecificCharacterSet = "ISO_IR 192"
    seg.SegmentSequence[0].SegmentLabel = HOSTILE
    seg.save_as(folder / "seg")
    sr = dcmread(example.sr.path)
    sr.SpecificCharacterSet = "ISO_IR 192"
    _rename_groups(sr)
    sr.save_as(folder / "sr")
    facts = example.facts()
    assert facts.explanation is not None
    assert facts.parcel is not None
    verdict = CandidateVerdict(
        series_instance_uid="1",
        label=HOSTILE,
        chosen=True,
        reason=HOSTILE,
        checks=(check(HOSTILE, HOSTILE, HOSTILE),),
    )
    return replace(
        facts,
        job=job(
            JobState.FAILED, rule=HOSTILE, account=HOSTILE, algorithm=HOSTILE, code=HOSTILE, reason=HOSTILE
        ),
        explanation=Explanation(
            rule=HOSTILE,
            outcome=Outcome.MATCH,
            reason=HOSTILE,
            study=(check(HOSTILE, HOSTILE, None, ok=False),),
            inputs=(InputExplanation(input=HOSTILE, chosen=0, reason=HOSTILE, candidates=(verdict,)),),
        ),
        timeline=(
            happened(0, HOSTILE, key=HOSTILE),
            happened(
                1, "deliver.answered", destination=HOSTILE, kind=HOSTILE, outcome=HOSTILE, reason=HOSTILE
            ),
        ),
        deliveries=tuple(
            replace(one, destination=HOSTILE, outcome=HOSTILE, status=None, reason=HOSTILE)
            for one in facts.deliveries
        ),
        results=(
            ResultFile(stored=replace(example.seg.stored, output_name=HOSTILE), path=folder / "seg"),
            ResultFile(stored=example.sr.stored, path=folder / "sr"),
        ),
        parcel=replace(
            facts.parcel,
            files=(replace(facts.parcel.files[0], input=HOSTILE, file_name=HOSTILE, sha256=HOSTILE),),
        ),
        versions=(Version(name=HOSTILE, version=HOSTILE),),
    )


def _rename_groups(item: object) -> None:
    for child in getattr(item, "ContentSequence", ()):
        if child.ConceptNameCodeSequence[0].CodeMeaning == "Tracking Identifier":
            child.TextValue = HOSTILE
        if child.ConceptNameCodeSequence[0].CodeMeaning == "Attenuation Coefficient":
            child.ConceptNameCodeSequence[0].CodeMeaning = HOSTILE
        _rename_groups(child)


def test_hostile_text_stays_text(example: Example, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    text = written(hostile(example, tmp_path / "in"), tmp_path / "out")
    page = Page(text)
    assert len(page.of("script")) == 1
    assert all((image["src"] or "").startswith("data:image/") for image in page.of("img"))
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    # Title, heading, lead, label, legend ... all of it there to be read.
    assert page.text.count("<script>alert(1)</script>") >= 15
    assert "\u202e" not in text


def test_no_attribute_of_the_patient_is_on_the_page(example: Example, tmp_path: Path) -> None:
    text = written(example.facts(), tmp_path)
    header = example.volume.planes[0].instance.header
    uids = {
        str(element.value)
        for element in header
        if element.VR == "UI" and "StorageClass" not in element.keyword
    }
    found = [
        *(value for value in CANARIES.values() for value in {value, *value.split("^")}),
        *("1988-06-17", "19880617", "1937-05-21", "03:04:05"),
        *(uid for uid in uids if uid.startswith("1.2.826")),
        example.seg.stored.sop_instance_uid,
    ]
    assert len(found) > 18
    assert [one for one in found if one in text] == []
    assert "PatientID" in text  # that there is such a condition may be known


def test_page_can_fetch_nothing(example: Example, tmp_path: Path) -> None:
    text = written(example.facts(), tmp_path)
    page = Page(text)
    (policy,) = [one["content"] for one in page.of("meta") if one.get("http-equiv")]
    assert policy == (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
    )
    addresses = [
        value or ""
        for _, attributes in page.elements
        for name, value in attributes.items()
        if name in ("src", "href", "action", "srcset")
    ]
    assert addresses and all(one.startswith("data:image/") for one in addresses)
    code = re.sub(r"data:image/[^\"]*", "", text)
    assert not re.search(r"https?:|//[a-z]|url\(|@import|fetch\(|XMLHttp|WebSocket|sendBeacon", code)


def test_overlay_is_the_mask(example: Example) -> None:
    overlay = read_overlay([example.seg.path], example.volume)
    assert [segment.label for segment in overlay.segments] == list(NAMES)
    for plane in range(SLICES):
        assert np.array_equal(overlay.labels(plane), example.mask[plane])


def test_segments_keep_their_colours(example: Example) -> None:
    overlay = read_overlay([example.seg.path], example.volume)
    for segment, colour in zip(overlay.segments, COLOURS, strict=True):
        assert np.abs(np.subtract(segment.rgb, colour)).max() <= 1


@pytest.mark.parametrize(
    "rgb", [(0, 0, 0), (255, 255, 255), (255, 0, 0), (0, 255, 0), (0, 0, 255), (12, 200, 90)]
)
def test_colours_agree_with_those_who_write_them(rgb: tuple[int, int, int]) -> None:
    stored = CIELabColor.from_rgb(*rgb).value
    assert np.abs(np.subtract(srgb_of(*stored), rgb)).max() <= 1


def test_pictures_show_what_is_marked(example: Example, tmp_path: Path) -> None:
    page = Page(written(example.facts(), tmp_path))
    shown = [figure["data-name"] for figure in page.of("figure")]
    # The first slice with a segment is the fourth, and two more are shown before it.
    assert shown == [f"slice {number} of {SLICES}" for number in range(2, SLICES + 1)]
    drawings = [decoded(image["src"]) for image in page.of("img", "over")]
    assert len(drawings) == SLICES - 3
    for drawing, mask in zip(drawings, example.mask[3:], strict=True):
        index = np.asarray(drawing)
        assert np.array_equal(np.where(index > 2, index - 2, index), mask)
        pixels = np.asarray(drawing.convert("RGBA"))
        assert not pixels[mask == 0][:, 3].any()
        assert np.abs(pixels[mask == 1][:, :3].astype(int) - COLOURS[0]).max() <= 1


def test_outline_is_full_and_inside_is_translucent(example: Example, tmp_path: Path) -> None:
    page = Page(written(example.facts(), tmp_path))
    alpha = np.asarray(decoded(page.of("img", "over")[0]["src"]).convert("RGBA"))[..., 3]
    assert set(np.unique(alpha)) == {0, 96, 255}
    assert (alpha[7:18, 7:28] == 96).all()  # within the block of one segment, away from its rim


def test_pixels_that_are_not_square_are_shown_in_proportion(example: Example, tmp_path: Path) -> None:
    page = Page(written(example.facts(), tmp_path))
    width, height = COLUMNS * COLUMN_MM, ROWS * ROW_MM
    assert {figure["style"] for figure in page.of("figure")} == {f"aspect-ratio:{width:.3f}/{height:.3f}"}


ORIENTATIONS = [
    # step of columns, step of rows -> letters left, right, top, bottom
    ("axial", (1, 0, 0), (0, 1, 0), "RLAP"),
    ("axial, prone", (-1, 0, 0), (0, -1, 0), "RLAP"),
    ("axial, mirrored", (-1, 0, 0), (0, 1, 0), "RLAP"),
    ("sagittal", (0, 1, 0), (0, 0, -1), "APHF"),
    ("sagittal, upside down", (0, -1, 0), (0, 0, 1), "APHF"),
    ("coronal", (1, 0, 0), (0, 0, -1), "RLHF"),
    ("axial, quarter turn", (0, 1, 0), (1, 0, 0), "APRL"),
]


@pytest.mark.parametrize(
    ("across", "down", "letters"), [row[1:] for row in ORIENTATIONS], ids=[row[0] for row in ORIENTATIONS]
)
def test_letters_and_pixels_agree(
    example: Example, across: tuple[int, int, int], down: tuple[int, int, int], letters: str
) -> None:
    volume = turned(example.volume, across, down)
    bright = {"R": (0, -1), "L": (0, 1), "A": (1, -1), "P": (1, 1), "F": (2, -1), "H": (2, 1)}
    for letter, (axis, sign) in bright.items():
        if across[axis] == down[axis] == 0:
            continue
        pictures = take_pictures(volume, None, lambda *_, a=axis, s=sign: ramp(volume, a, s))
        sides = pictures.sides
        assert sides.left + sides.right + sides.top + sides.bottom == letters
        pixels = np.asarray(decoded(pictures.slices[0].base)).astype(int)
        edges = {
            sides.left: pixels[:, :5].mean(),
            sides.right: pixels[:, -5:].mean(),
            sides.top: pixels[:5].mean(),
            sides.bottom: pixels[-5:].mean(),
        }
        assert max(edges, key=lambda side: edges[side]) == letter


def turned(volume: Volume, across: tuple[int, int, int], down: tuple[int, int, int]) -> Volume:
    along = np.cross(across, down)
    geometry = Geometry(
        shape=volume.geometry.shape,
        origin_lps=(0.0, 0.0, 0.0),
        slice_step_lps=tuple(float(one) for one in along),
        row_step_lps=tuple(float(one) for one in down),
        column_step_lps=tuple(float(one) for one in across),
        spacing_mm=volume.geometry.spacing_mm,
    )
    return replace(volume, geometry=geometry)


def ramp(volume: Volume, axis: int, sign: int) -> np.ndarray:
    """Stored values that grow towards one side of the patient, by the place of each pixel in space."""
    j, i = np.mgrid[:ROWS, :COLUMNS]
    affine = volume.geometry.affine_lps
    place = j * affine[axis, 1] + i * affine[axis, 2]
    place = sign * (place - place.mean())
    return (500 + 600 * place / np.abs(place).max()).astype(np.int32)


def test_measurements_are_those_of_the_file(example: Example) -> None:
    groups = read_groups([example.sr.path])
    assert [(group.name, tuple(group.values.values())) for group in groups] == [
        (name, pytest.approx(NUMBERS[name])) for name in NAMES
    ]
    assert [(column.quantity, column.figure, column.unit) for column in groups[0].values] == [
        ("Volume", "", "ml"),
        ("Attenuation Coefficient", "Mean", "HU"),
        ("Attenuation Coefficient", "Standard Deviation", "HU"),
    ]
    assert [group.segment for group in groups] == [
        (example.seg.stored.sop_instance_uid, 1),
        (example.seg.stored.sop_instance_uid, 2),
    ]


def test_page_says_what_is_to_be_said(example: Example, tmp_path: Path) -> None:
    text = Page(written(example.facts(), tmp_path)).text
    for words in (
        "2 results stored at pacs, 50 s after the last image arrived.",
        "Not verified. Not for diagnosis.",
        "lung window, −600 / 1500 HU",
        "Volume, ml",
        "1\u202f710",
        "−816.5",
        "Why rule lungs matched",
        "not chosen: spacing_mm 7.5 is above 3.0",
        "found 7.5, does not fit",
        "wait for the rest",
        "40.1 kB",
        "ab12cd34ab12…",
        "threshold = 0.25",
        "0x0000, success",
        "image-23",
        JOB,
    ):
        assert words in text, words


def test_print_shows_nine_slices(example: Example, tmp_path: Path) -> None:
    page = Page(written(example.facts(), tmp_path))
    assert len(page.of("figure", "print")) == 9
    assert len(page.of("figure", "on")) == 1


STATES = [
    (JobState.READY, "busy", "In stage deliver. Gap of 7"),
    (JobState.RUNNING, "busy", "In stage deliver. Gap of 7"),
    (JobState.HELD, "care", "A person must decide. Gap of 7"),
    (JobState.REFUSED, "bad", "Gap of 7 (GEO-021)"),
    (JobState.FAILED, "bad", "Gap of 7 (GEO-021)"),
    (JobState.CANCELLED, "quiet", "Gap of 7 (GEO-021)"),
    (JobState.DONE, "good", "The rule makes no results: what came back stays with the job."),
]


@pytest.mark.parametrize(("state", "tone", "lead"), STATES)
def test_job_without_results_is_explained(
    example: Example, tmp_path: Path, state: JobState, tone: str, lead: str
) -> None:
    facts = example.facts(
        job=job(state, code="GEO-021", reason="gap of 7"),
        results=(),
        deliveries=(),
        parcel=None,
        volume=None,
    )
    page = Page(written(facts, tmp_path))
    (verdict,) = page.of("span", "verdict")
    assert tone in (verdict["class"] or "").split()
    for words in (
        state.value,
        lead,
        "Why rule lungs matched",
        "rule lungs matched",
        "No results were made.",
        "Nothing.",
    ):
        assert words in page.text
    assert not page.of("img")


def test_parcel_that_was_not_sent_did_not_leave(example: Example, tmp_path: Path) -> None:
    assert (
        "Nothing: this was prepared and not sent."
        in Page(written(example.facts(job=job(remote="")), tmp_path)).text
    )


def test_unknown_job_has_a_page_too(example: Example, tmp_path: Path) -> None:
    page = Page(written(example.facts(explanation=None, timeline=()), tmp_path))
    assert "2 results stored at pacs." in page.text


TROUBLES = [
    ("seg", b"no DICOM", "REP-001"),
    ("sr", b"no DICOM", "REP-004"),
]


@pytest.mark.parametrize(("which", "content", "code"), TROUBLES)
def test_unreadable_result_is_said_and_the_rest_is_shown(
    example: Example, tmp_path: Path, which: str, content: bytes, code: str
) -> None:
    broken = tmp_path / "broken"
    broken.write_bytes(content)
    results = tuple(
        replace(one, path=broken if one is getattr(example, which) else one.path)
        for one in (example.seg, example.sr)
    )
    out = tmp_path / "out"
    out.mkdir()
    page = Page(written(example.facts(results=results), out))
    assert code in page.text
    assert len(page.of("figure")) >= SLICES - 1


def test_images_that_are_gone_leave_the_rest(example: Example, tmp_path: Path) -> None:
    gone = replace(
        example.volume,
        planes=tuple(
            replace(plane, instance=replace(plane.instance, file=tmp_path / "gone"))
            for plane in example.volume.planes
        ),
    )
    out = tmp_path / "out"
    out.mkdir()
    page = Page(written(example.facts(volume=gone), out))
    assert "PIX-008" in page.text
    assert "−816.5" in page.text


def test_segmentation_of_another_place_is_not_drawn(example: Example) -> None:
    shifted = replace(
        example.volume,
        planes=tuple(
            replace(plane, position_lps=(plane.position_lps[0] + 0.7, *plane.position_lps[1:]))
            for plane in example.volume.planes
        ),
    )
    with pytest.raises(Refused, match="another grid") as refused:
        read_overlay([example.seg.path], shifted)
    assert refused.value.code == "REP-003"


def test_segmentation_cut_short_is_damaged(example: Example, tmp_path: Path) -> None:
    seg = dcmread(example.seg.path)
    seg.PixelData = seg.PixelData[: len(seg.PixelData) // 2]
    seg.save_as(tmp_path / "short")
    with pytest.raises(Damaged) as damaged:
        read_overlay([tmp_path / "short"], example.volume)
    assert damaged.value.code == "REP-001"


def test_many_segments_stay_within_the_palette(example: Example) -> None:
    names = tuple(
        Segment(sop_instance_uid="1", number=number, label=str(number), rgb=(number % 256, 2, 3))
        for number in range(1, 301)
    )
    pictures = take_pictures(
        example.volume, Painted(segments=names, frames={5: ()}, shape=(ROWS, COLUMNS)), FileReader()
    )
    (drawing,) = [decoded(one.overlay) for one in pictures.slices if one.overlay]
    # 255 fills without outlines; the 256th segment begins again with the first colour.
    assert np.asarray(drawing)[0, :3].tolist() == [1, 255, 1]


class Painted(Overlay):
    __slots__ = ()

    def labels(self, plane: int) -> np.ndarray:
        labels = np.zeros(self.shape, np.uint16)
        labels[0, :3] = [1, 255, 256]
        return labels


@pytest.mark.slow
def test_sixty_noisy_slices_fit_into_a_mail(example: Example) -> None:
    planes = tuple(example.volume.planes[0] for _ in range(140))
    geometry = replace(example.volume.geometry, shape=(140, 512, 512))
    noise = np.random.default_rng(3).integers(0, 1200, (512, 512), dtype=np.int32)
    begun = time.perf_counter()
    pictures = take_pictures(
        replace(example.volume, planes=planes, geometry=geometry), None, lambda *_: noise
    )
    assert time.perf_counter() - begun < 5  # 1 s on an idle core
    assert sum(len(one.base) for one in pictures.slices) <= BUDGET
    assert len(pictures.slices) >= 9


def test_webp_on_request(example: Example) -> None:
    pictures = take_pictures(example.volume, None, FileReader(), webp=True)
    assert {decoded(one.base).format for one in pictures.slices} == {"WEBP"}


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.6, "1 min"),
        (200, "3 min 20 s"),
        (7500, "2 h 5 min"),
        (100800, "1 d 4 h"),
    ],
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "0"),
        (1864.4, "1\u202f864"),
        (-816.25, "−816.2"),
        (37.04, "37.0"),
        (0.125, "0.12"),
        (0.00123, "0.0012"),
        (12, "12"),
    ],
)
def test_figures(number: float, words: str) -> None:
    assert figure(number) == words


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (40123, "40.1 kB"),
        (18_350_412, "18.4 MB"),
        (123_456_789_000, "123 GB"),
    ],
)
def test_sizes(count: int, words: str) -> None:
    assert size(count) == words
