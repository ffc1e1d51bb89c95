"""The page: head, verdict, pictures, legend and numbers; the record below them is in `record`."""

from __future__ import annotations

from importlib.resources import files

from bridge.operate.report.collected import Report
from bridge.operate.report.markup import Html, join, tag
from bridge.operate.report.measurements import Column, Group, columns_of
from bridge.operate.report.pictures import Picture, Pictures
from bridge.operate.report.record import record
from bridge.operate.report.segmentation import Rgb, Segment
from bridge.operate.report.shapes import mark
from bridge.operate.report.views import View
from bridge.operate.report.words import STATES, duration, figure
from bridge.store.jobs import JobState

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
"""Nothing may be fetched, so nothing can tell anybody that this page was opened."""

WARNING = "Not verified. Not for diagnosis."


def page(report: Report) -> str:
    """The whole document."""
    facts = report.facts
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("title", f"{facts.job.rule}: {STATES[facts.job.state].text}"),
        tag("style", _file("page.css")),
    )
    body = tag(
        "body",
        _header(report),
        tag("main", _look(report), record(report)),
        _footer(report),
        tag("script", _file("page.js")),
    )
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _file(name: str) -> Html:
    return Html(files(__package__).joinpath(name).read_text(encoding="utf-8"))


def _header(report: Report) -> Html:
    facts = report.facts
    word = STATES[facts.job.state]
    return tag(
        "header",
        tag(
            "div",
            tag("h1", facts.job.rule),
            tag("span", mark(word.tone), word.text, class_=f"verdict {word.tone}"),
            class_="title",
        ),
        tag("p", _lead(report), class_="lead"),
        tag("p", _about(report), class_="about"),
        tag("p", WARNING, class_="warning"),
        [tag("p", trouble, class_="trouble") for trouble in report.troubles],
    )


def _lead(report: Report) -> str:
    job = report.facts.job
    reason = job.reason[:1].upper() + job.reason[1:] + (f" ({job.code})" if job.code else "")
    match job.state:
        case JobState.DONE if not report.facts.results:
            return "The rule makes no results: what came back stays with the job."
        case JobState.DONE:
            names = sorted({delivery.destination for delivery in report.facts.deliveries})
            count = len(report.facts.results)
            text = f"{count} result{'' if count == 1 else 's'} stored at {', '.join(names)}"
            return f"{text}, {_after_last(report)}." if _after_last(report) else f"{text}."
        case JobState.RUNNING | JobState.READY:
            return f"In stage {job.stage}. {reason}" if reason else f"In stage {job.stage}."
        case JobState.HELD:
            return f"A person must decide. {reason}"
        case _:
            return reason or f"It ended in stage {job.stage}."


def _after_last(report: Report) -> str:
    """How long after the last image the end came: what a department waits for."""
    times = {event.event: event.at for event in report.facts.timeline}
    last, done = times.get("study.last-instance"), times.get("job.done")
    return f"{duration(done - last)} after the last image arrived" if last and done else ""


def _about(report: Report) -> str:
    facts = report.facts
    chosen = [
        candidate.label
        for one in (facts.explanation.inputs if facts.explanation else ())
        for candidate in one.candidates
        if candidate.chosen
    ]
    return " · ".join([*chosen, f"{facts.job.algorithm} at {facts.job.account}", f"job {facts.job.id[:8]}"])


def _look(report: Report) -> Html | None:
    """Pictures with what belongs to them; without pictures surfaces and numbers alone."""
    numbers = _numbers(report.groups, report.segments)
    table = tag("section", tag("h2", "Measurements"), numbers) if numbers else None
    if report.pictures is None:
        return join([_surfaces(report), table])
    columns = columns_of(report.groups)
    beside = len(columns) <= 5
    return join(
        [
            tag(
                "section",
                tag(
                    "div",
                    _viewer(report.pictures),
                    tag(
                        "div",
                        _controls(report.pictures, overlaid=bool(report.segments)),
                        _legend(report.segments),
                        numbers if beside else None,
                    ),
                    class_="look",
                ),
            ),
            _surfaces(report),
            None if beside else table,
        ]
    )


def _surfaces(report: Report) -> Html | None:
    """The meshes turning, and from six sides; their legend where that of the segments does not tell it."""
    if not report.views:
        return None
    known = {(segment.label, segment.rgb) for segment in report.segments}
    own = [one for one in report.solids if (one.label, one.rgb) not in known]
    return tag(
        "section",
        tag("h2", "Surfaces"),
        tag(
            "div",
            _turn(report.turn) if report.turn else None,
            [_view(view) for view in report.views],
            class_="views turned" if report.turn else "views",
        ),
        tag(
            "p", WARNING, " To one scale; what lies within a surface is seen through it.", class_="soft foot"
        ),
        tag(
            "ul", [tag("li", _dot(one.rgb), one.label) for one in own], class_="legend", aria_label="Surfaces"
        )
        if own
        else None,
    )


def _turn(picture: str) -> Html:
    return tag(
        "figure",
        tag("img", src=picture, alt="Surfaces turning about the long axis of the body"),
        tag("figcaption", "turning"),
        class_="view turning",
    )


def _view(view: View) -> Html:
    sides = {"left": view.left, "right": view.right, "top": view.top, "bottom": view.bottom}
    return tag(
        "figure",
        tag("img", src=view.picture, alt=f"Surfaces {view.name}, {view.left} on the left, {view.top} on top"),
        [tag("span", letter, class_=f"side {name}", aria_hidden="true") for name, letter in sides.items()],
        tag("figcaption", view.name),
        class_="view",
    )


def _viewer(pictures: Pictures) -> Html:
    width, height = pictures.size_mm
    sides = pictures.sides
    return tag(
        "div",
        [
            _slice(picture, index, pictures, f"aspect-ratio:{width:.3f}/{height:.3f}")
            for index, picture in enumerate(pictures.slices)
        ],
        [
            tag("span", letter, class_=f"side {name}", aria_hidden="true")
            for name, letter in (
                ("left", sides.left),
                ("right", sides.right),
                ("top", sides.top),
                ("bottom", sides.bottom),
            )
        ],
        tag("span", _name(pictures.slices[pictures.begin], pictures), class_="number"),
        class_="viewer",
        role="group",
        aria_label=f"Slices, with the patient's side {sides.left} on the left and {sides.top} on top",
    )


def _slice(picture: Picture, index: int, pictures: Pictures, style: str) -> Html:
    name = _name(picture, pictures)
    classes = ["slice", *(["on"] if index == pictures.begin else ())]
    if index in pictures.montage:
        classes.append("print")
    overlay = tag("img", src=picture.overlay, class_="over", alt="") if picture.overlay else None
    return tag(
        "figure",
        tag("img", src=picture.base, alt=name, decoding="sync"),
        overlay,
        tag("figcaption", name),
        class_=" ".join(classes),
        style=style,
        data_name=name,
    )


def _name(picture: Picture, pictures: Pictures) -> str:
    return f"slice {picture.number} of {pictures.of}"


def _controls(pictures: Pictures, *, overlaid: bool) -> Html:
    last = len(pictures.slices) - 1
    slider = tag(
        "input", type="range", id="at", min=0, max=last, value=pictures.begin, autocomplete="off", step=1
    )
    overlay = tag("input", type="range", id="overlay", min=0, max=100, value=85, autocomplete="off")
    return tag(
        "div",
        tag("label", "Slice", for_="at"),
        tag("span", pictures.sides.first, class_="end"),
        slider,
        tag("span", pictures.sides.last, class_="end"),
        [
            tag("label", "Overlay", for_="overlay"),
            tag("span", "0", class_="end"),
            overlay,
            tag("span", "1", class_="end"),
        ]
        if overlaid
        else None,
        tag("p", _shown(pictures), class_="soft", style="grid-column:1/-1"),
        class_="controls",
    )


def _shown(pictures: Pictures) -> str:
    count = len(pictures.slices)
    which = f"all {count} slices" if count == pictures.of else f"{count} of {pictures.of} slices"
    return f"{which}, {pictures.window.name}"


def _legend(segments: tuple[Segment, ...]) -> Html | None:
    if not segments:
        return None
    return tag(
        "ul",
        [tag("li", _swatch(segment), segment.label) for segment in segments],
        class_="legend",
        aria_label="Segments",
    )


def _swatch(segment: Segment | None) -> Html | None:
    if segment is None:
        return None
    return _dot(segment.rgb)


def _dot(rgb: Rgb) -> Html:
    red, green, blue = rgb
    return tag("span", class_="swatch", style=f"background:rgb({red} {green} {blue})")


def _numbers(groups: tuple[Group, ...], segments: tuple[Segment, ...]) -> Html | None:
    """Rows are segments; columns are figures, grouped under what they are figures of."""
    if not groups:
        return None
    columns = columns_of(groups)
    known = {(segment.sop_instance_uid, segment.number): segment for segment in segments}
    return tag(
        "div",
        tag("table", tag("thead", _column_heads(columns)), tag("tbody", _rows(groups, columns, known))),
        class_="scroll numbers",
    )


def _column_heads(columns: tuple[Column, ...]) -> list[Html]:
    tops: list[tuple[str, str, int]] = []
    for column in columns:
        if tops and tops[-1][:2] == (column.quantity, column.unit):
            tops[-1] = (*tops[-1][:2], tops[-1][2] + 1)
        else:
            tops.append((column.quantity, column.unit, 1))
    upper = [
        tag("th", f"{quantity}, {unit}" if unit else quantity, class_="n", colspan=span, scope="colgroup")
        for quantity, unit, span in tops
    ]
    rows = [tag("tr", tag("th"), upper)]
    if any(column.figure for column in columns):
        lower = [
            tag("th", FIGURES.get(column.figure, column.figure), class_="n", scope="col")
            for column in columns
        ]
        rows.append(tag("tr", tag("th"), lower))
    return rows


FIGURES = {"Mean": "mean", "Standard Deviation": "sd", "Minimum": "min", "Maximum": "max", "Median": "median"}


def _rows(
    groups: tuple[Group, ...], columns: tuple[Column, ...], known: dict[tuple[str, int], Segment]
) -> list[Html]:
    rows = []
    for group in groups:
        segment = known.get(group.segment) if group.segment else None
        cells = [
            tag("td", figure(group.values[column]) if column in group.values else "–", class_="n")
            for column in columns
        ]
        name = segment.label if segment else group.name or "without name"
        rows.append(tag("tr", tag("th", _swatch(segment), name, scope="row"), cells))
    return rows


def _footer(report: Report) -> Html:
    written = report.facts.written_at.strftime("%Y-%m-%d %H:%M %z")
    return tag(
        "footer",
        tag("p", tag("strong", WARNING), " ", f"Written {written} for job {report.facts.job.id}."),
        tag(
            "p",
            "This file holds all that it shows and connects to nothing. It names no patient; its pictures are of one.",
        ),
    )
