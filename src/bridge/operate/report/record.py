"""The record of a job: why the rule matched, when what happened, what left, what came back and where it went."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

from bridge.dicom.statuses import store_status
from bridge.operate.report.collected import Report
from bridge.operate.report.facts import Facts
from bridge.operate.report.markup import Content, Html, join, tag
from bridge.operate.report.shapes import mark
from bridge.operate.report.story import Phase, Row, Story
from bridge.operate.report.words import Tone, duration, outcome, size
from bridge.rules.explanation import CandidateVerdict, Check, Explanation, InputExplanation, Outcome
from bridge.store.jobs import Delivery

DIGEST = 12
"""Characters of a digest that are shown: enough to compare by eye."""

_CLASS = {Phase.SETTLE: "settle"}


def record(report: Report) -> Html:
    facts = report.facts
    return join(
        [
            _why(facts.explanation.masked()) if facts.explanation else None,
            _story(report.story, facts) if report.story else None,
            _left(report),
            _results(facts),
            _versions(report),
        ]
    )


def _section(title: str, *content: Content) -> Html:
    return tag("section", tag("h2", title), *content)


def _why(explanation: Explanation) -> Html:
    matched = explanation.outcome is Outcome.MATCH
    title = f"Why rule {explanation.rule} matched" if matched else f"What rule {explanation.rule} says"
    return _section(
        title,
        tag("p", explanation.reason),
        [tag("h3", "The study"), _checks(explanation.study)] if explanation.study else None,
        [_input(one) for one in explanation.every],
    )


def _input(one: InputExplanation) -> Html:
    by = f" by {one.definition}" if one.definition else ""
    return join(
        [
            tag("h3", f"Input {one.input}{by}: the series of the study"),
            tag("ul", [_candidate(candidate) for candidate in one.candidates], class_="cases"),
        ]
    )


def _candidate(one: CandidateVerdict) -> Html:
    return tag(
        "li",
        mark(Tone.GOOD if one.chosen else Tone.QUIET),
        tag(
            "div",
            tag("span", one.label, class_="name"),
            tag("span", f" {'chosen' if one.chosen else 'not chosen'}: {one.reason}", class_="soft"),
            _checks(one.checks),
        ),
        class_="chosen" if one.chosen else "struck",
    )


def _checks(checks: Sequence[Check]) -> Html | None:
    if not checks:
        return None
    return tag(
        "ul",
        [
            tag(
                "li",
                mark(Tone.GOOD if check.ok else Tone.BAD),
                tag("b", check.keyword),
                None if check.private else tag("span", check.wanted),
                tag("span", _found(check), class_="soft"),
            )
            for check in checks
        ],
        class_="checks",
    )


def _found(check: Check) -> str:
    found = "absent" if check.found is None else f"found {check.found}"
    if check.private and check.found is not None:
        found = "found, not shown here"
    return found if check.ok else f"{found}, does not fit"


def _story(story: Story, facts: Facts) -> Html:
    whole = max(story.end - story.begin, 1e-3)
    zone = facts.written_at.tzinfo
    begin = datetime.fromtimestamp(story.begin, zone)
    return _section(
        "What happened when",
        tag(
            "div",
            [
                tag("span", class_=_class(one.phase), style=f"flex:{one.seconds:.3f} 1 0")
                for one in story.shares
            ],
            class_="shares",
            aria_hidden="true",
        ),
        tag(
            "ul",
            [
                tag(
                    "li",
                    tag("span", class_=f"dot {_class(one.phase)}"),
                    one.phase,
                    " ",
                    tag("b", duration(one.seconds)),
                )
                for one in story.shares
            ],
            class_="phases",
        ),
        tag("ol", [_row(row, story.begin, whole, begin) for row in story.rows], class_="story"),
        tag(
            "p",
            f"Times count from {begin:%Y-%m-%d %H:%M:%S %z}. Hatched: nothing was done, a pause or a stop.",
            class_="soft detail foot",
        ),
    )


def _class(phase: Phase) -> str:
    return _CLASS.get(phase, phase.value)


def _row(row: Row, begin: float, whole: float, start: datetime) -> Html:
    bars = [_bar(row.begin, row.end, begin, whole, "bar idle" if row.gap else f"bar {_class(row.phase)}")]
    if row.pause_until is not None:
        bars.append(_bar(row.end, row.pause_until, begin, whole, "bar idle"))
    text = f"{row.alike} more of the same" if row.alike else row.text
    at = datetime.fromtimestamp(row.end, start.tzinfo)
    return tag(
        "li",
        tag(
            "time",
            f"+{duration(row.end - begin)}",
            datetime=at.isoformat(timespec="milliseconds"),
            title=f"{at:%Y-%m-%d %H:%M:%S}",
        ),
        tag("span", bars, class_="track", aria_hidden="true"),
        tag(
            "span",
            [mark(row.tone), " "] if row.tone is not Tone.QUIET else None,
            text,
            tag("span", row.detail, class_="detail") if row.detail else None,
            class_="text",
        ),
        tag("span", duration(row.end - row.begin), class_="took"),
        class_="alike" if row.alike else None,
    )


def _bar(begin: float, end: float, zero: float, whole: float, classes: str) -> Html:
    left, width = (begin - zero) / whole * 100, (end - begin) / whole * 100
    return tag("span", class_=classes, style=f"left:min({left:.2f}%, 100% - 3px);width:{width:.2f}%")


def _left(report: Report) -> Html:
    parcel, remote = report.facts.parcel, report.remote
    if parcel is None:
        return _section("What left the house", tag("p", "Nothing.", class_="soft"))
    begun = remote is not None and remote.begun
    formats = {wanted.file_name: wanted.format for wanted in parcel.order.files}
    rows = [
        tag(
            "tr",
            tag("th", one.input, scope="row"),
            tag("td", one.file_name),
            tag("td", formats.get(one.file_name, "–")),
            tag("td", size(one.size_bytes), class_="n"),
            tag("td", _digest(one.sha256)),
        )
        for one in parcel.files
    ]
    values = [
        tag("li", f"{one.input} = {json.dumps(one.value, ensure_ascii=False)}") for one in parcel.values
    ]
    return _section(
        "What left the house",
        None if begun else tag("p", "Nothing: this was prepared and not sent.", class_="soft"),
        _table(("input", "file", "format", "size", "SHA-256"), rows, right=(3,)),
        [tag("h3", "Values"), tag("ul", values)] if values else None,
    )


def _results(facts: Facts) -> Html:
    if not facts.results:
        return _section("What came of it", tag("p", "No results were made.", class_="soft"))
    destinations = sorted({delivery.destination for delivery in facts.deliveries})
    by = {(one.sop_instance_uid, one.destination): one for one in facts.deliveries}
    rows = []
    for result in (file.stored for file in facts.results):
        cells = [_delivery(by.get((result.sop_instance_uid, name)), facts) for name in destinations]
        rows.append(
            tag(
                "tr",
                tag("th", " ".join((result.kind, *filter(None, [result.variant]))), scope="row"),
                tag("td", result.output_name),
                tag("td", size(result.size_bytes), class_="n"),
                tag("td", _digest(result.sha256)),
                cells,
            )
        )
    heads = ("result", "output", "size", "SHA-256", *(f"at {name}" for name in destinations))
    return _section("What came of it, and where it went", _table(heads, rows, right=(2,)))


def _delivery(delivery: Delivery | None, facts: Facts) -> Html:
    if delivery is None:
        return tag("td", "–")
    word = outcome(delivery.outcome)
    more = []
    if delivery.status is not None:
        more.append(f"0x{delivery.status:04X}, {store_status(delivery.status).meaning}")
    elif delivery.reason:
        more.append(delivery.reason)
    if delivery.attempts > 1:
        more.append(f"{delivery.attempts} attempts")
    if delivery.last_at is not None:
        more.append(f"{datetime.fromtimestamp(delivery.last_at, facts.written_at.tzinfo):%H:%M:%S}")
    return tag(
        "td",
        tag("span", mark(word.tone), " ", word.text, class_=f"word {word.tone}"),
        tag("span", "; ".join(more), class_="detail"),
    )


def _versions(report: Report) -> Html:
    job, remote = report.facts.job, report.remote
    rows = [
        ("job", job.id),
        ("account", job.account),
        ("algorithm", job.algorithm),
        ("version the rule declares", job.declared_version),
        ("version that computed", remote.pin if remote else ""),
        ("the platform's number", remote.remote_id if remote else ""),
        *((one.name, one.version) for one in report.facts.versions),
    ]
    return _section(
        "Versions",
        tag("dl", [[tag("dt", name), tag("dd", tag("code", value))] for name, value in rows if value]),
    )


def _digest(digest: str) -> Html:
    return tag("code", f"{digest[:DIGEST]}…", title=digest)


def _table(heads: Sequence[str], rows: Sequence[Html], *, right: tuple[int, ...] = ()) -> Html:
    head = [
        tag("th", name, scope="col", class_="n" if place in right else None)
        for place, name in enumerate(heads)
    ]
    return tag("div", tag("table", tag("thead", tag("tr", head)), tag("tbody", rows)), class_="scroll")
