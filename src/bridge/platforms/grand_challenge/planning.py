"""The order for an algorithm: one interface whose sockets the rule fills exactly, and the steps that submit it.

    upload:<socket> -> session:<socket>   a volume of ours
    upload:<socket>                       a value for a socket that keeps it as a file: JSON, or a text
    there:<socket>                        an image that is at the platform already
    count                                 jobs of the algorithm so far
    create                                costs credits

A rule names an image at the platform as a value of an Image socket: `{ image = "…" }`, `{ archive_item = "…" }` or
`{ job = "…", socket = "…" }`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from bridge.errors import ConfigError, Refused
from bridge.export.parcel import Json, Order, OrderedFile, OrderedValue, Repeat, Step
from bridge.platforms.grand_challenge.names import pk_of
from bridge.platforms.grand_challenge.sockets import DICOM_SET
from bridge.platforms.protocol import InputSpec, Interface, Request, RequestedVolume, Spec, There
from bridge.results.output import OutputKind

FORMAT = "mha"
COUNT, CREATE = "count", "create"
OMITTED = "omitted"
"""In an order's details: sockets that were left out, where the platform puts its default in."""
IMAGES = (OutputKind.IMAGE, OutputKind.MASK)
SUFFIXES = {"application/json": ".json", "text/csv": ".csv", "text/plain": ".txt"}
"""Files that a value of a rule can be: JSON of any kind, or a text as it stands."""
JSON_FILE = "application/json"
WAYS = ("image", "archive_item", "job")

VALUE_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "choice": (str,),
    "integer": (int,),
    "float": (int, float),
    "bool": (bool,),
}
"""Kinds whose values have one type; the schema of any other is not told by the API."""


def upload_step(socket: str) -> str:
    return f"upload:{socket}"


def session_step(socket: str) -> str:
    return f"session:{socket}"


def there_step(socket: str) -> str:
    return f"there:{socket}"


def value_file(order: Order, socket: str) -> str:
    """Name of the file that a value is sent as; empty where it is sent as a value."""
    return order.details.get(upload_step(socket), "")


def value_bytes(file_name: str, value: Json) -> bytes:
    """What stands in that file: a text as it is, anything else as JSON."""
    if isinstance(value, str) and not file_name.endswith(SUFFIXES[JSON_FILE]):
        return value.encode()
    return json.dumps(value, ensure_ascii=False, allow_nan=False).encode()


def plan(spec: Spec, request: Request) -> Order:
    """The order for one interface, which the request's inputs must match exactly: a superset is refused too.

    Raises:
        ConfigError: GC-210, no interface takes this set of inputs; GC-211, a value that its socket does not take;
            GC-214, an image at the platform that is not said in one way.
        Refused: GC-212, a socket takes something else than what it was given; GC-215, labels that it does not take.
    """
    volumes = {volume.input: volume for volume in request.volumes}
    given = {*volumes, *request.values, *(one.input for one in request.there)}
    interface = _match(spec, given)
    sockets = {socket.name: socket for socket in interface.inputs}
    there = {one.input: one for one in request.there}
    for name, value in request.values.items():
        if sockets[name].kind in IMAGES:
            there[name] = _there(name, value)
    values = {name: value for name, value in sorted(request.values.items()) if name not in there}
    for name, volume in volumes.items():
        _check_volume(sockets[name], volume)
    for name, value in values.items():
        _check_value(sockets[name], value)
    for name, one in there.items():
        _check_there(sockets[name], one)
    files = tuple(
        OrderedFile(
            input=name,
            format=FORMAT,
            file_name=f"{name}.{FORMAT}",
            as_labels=volumes[name].is_labels,
            labels=tuple(label.value for label in sockets[name].labels) if volumes[name].is_labels else (),
        )
        for name in sorted(volumes)
    )
    as_files = [name for name in values if sockets[name].kind is not OutputKind.VALUE]
    details = {"pk": spec.details["pk"], "api_url": spec.details["api_url"]}
    if spec.typical_seconds is not None:
        details["typical_s"] = f"{spec.typical_seconds:g}"
    omitted = sorted(set(sockets) - given)
    if omitted:
        details[OMITTED] = " ".join(omitted)
    details |= {there_step(name): _address(there[name]) for name in sorted(there)}
    details |= {upload_step(name): f"{name}{SUFFIXES[sockets[name].media_type]}" for name in as_files}
    return Order(
        files=files,
        values=tuple(OrderedValue(input=name, value=value) for name, value in values.items()),
        steps=_steps(sorted(volumes), as_files, sorted(there)),
        details=details,
    )


def _steps(volumes: Iterable[str], as_files: Iterable[str], there: Iterable[str]) -> tuple[Step, ...]:
    steps: list[Step] = []
    for socket in there:
        steps.append(Step(name=there_step(socket)))
    for socket in as_files:
        steps.append(Step(name=upload_step(socket)))
    for socket in volumes:
        steps.append(Step(name=upload_step(socket)))
        steps.append(Step(name=session_step(socket), needs=(upload_step(socket),)))
    steps.append(Step(name=COUNT))
    read = (
        *(session_step(socket) for socket in volumes),
        *(upload_step(socket) for socket in as_files),
        *(there_step(socket) for socket in there),
        COUNT,
    )
    steps.append(Step(name=CREATE, needs=read, commits=True, repeat=Repeat.FIND_FIRST))
    return tuple(steps)


def _match(spec: Spec, given: set[str]) -> Interface:
    for interface in spec.interfaces:
        allowed = {socket.name for socket in interface.inputs}
        needed = {socket.name for socket in interface.inputs if not socket.optional}
        if needed <= given <= allowed:
            return interface
    takes = [", ".join(sorted(socket.name for socket in interface.inputs)) for interface in spec.interfaces]
    raise ConfigError(
        "GC-210",
        f"the rule gives {', '.join(sorted(given)) or 'nothing'} to {spec.algorithm}",
        "exactly " + " or ".join(f"({names})" for names in takes),
        "Name the inputs and values of the rule as the platform names its sockets",
    )


def _check_volume(socket: InputSpec, volume: RequestedVolume) -> None:
    if socket.word.casefold() == DICOM_SET:
        raise Refused(
            "GC-212",
            f"the socket {socket.name} takes a DICOM image set",
            "a socket that takes one image file",
            "Choose another algorithm: the platform does not keep the positions of such a set",
        )
    if socket.kind not in IMAGES:
        raise _other_kind(socket, "a volume")
    if socket.kind is OutputKind.MASK and not volume.is_labels:
        raise Refused("GC-212", f"the socket {socket.name} takes labels and the rule gives a picture")
    taken = {label.value for label in socket.labels}
    strange = sorted(set(volume.labels) - taken - {0}) if taken else [n for n in volume.labels if n > 255]
    if volume.is_labels and strange:
        raise Refused(
            "GC-215",
            f"the socket {socket.name} does not take the labels {', '.join(map(str, strange[:10]))}",
            f"some of {', '.join(map(str, sorted(taken))) or '0 to 255'}, and 0",
            numbers={"strange": len(strange)},
        )


def _check_value(socket: InputSpec, value: Json) -> None:
    is_file = socket.kind is not OutputKind.VALUE
    if is_file and (
        socket.media_type not in SUFFIXES or (socket.media_type != JSON_FILE and not isinstance(value, str))
    ):
        raise _other_kind(socket, "a value")
    if value is None:
        raise ConfigError(
            "GC-211", f"the value for {socket.name} is empty", "a value: null is always refused"
        )
    types = None if is_file and socket.media_type != JSON_FILE else VALUE_TYPES.get(socket.word.casefold())
    # bool is an int in Python and not at the platform.
    if types is not None and (
        not isinstance(value, types) or (isinstance(value, bool) and bool not in types)
    ):
        raise ConfigError(
            "GC-211", f"the value for {socket.name} is a {type(value).__name__}", f"a {socket.word}"
        )
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        raise ConfigError(
            "GC-211", f"the value for {socket.name} is not a finite number", "a value that JSON can hold"
        ) from None


def _there(name: str, value: Json) -> There:
    """The image at the platform that a rule names as a table."""
    words = {**value} if isinstance(value, dict) else {}
    texts = {key: text for key, text in words.items() if isinstance(text, str) and text}
    if set(words) <= {*WAYS, "socket"} and len(texts) == len(words):
        return There(
            input=name,
            image=texts.get("image", ""),
            archive_item=texts.get("archive_item", ""),
            job=texts.get("job", ""),
            socket=texts.get("socket", ""),
        )
    raise _not_one_way(name)


def _check_there(socket: InputSpec, one: There) -> None:
    if socket.kind not in IMAGES:
        raise _other_kind(socket, "an image at the platform")
    if len([way for way in (one.image, one.archive_item, one.job) if way]) != 1 or (
        bool(one.job) != bool(one.socket) and not one.archive_item
    ):
        raise _not_one_way(one.input)


def _address(one: There) -> str:
    """`image/<pk>`, `archive_item/<pk>/<socket>` or `job/<pk>/<socket>`; full addresses may be given for ids."""
    if one.image:
        return f"image/{_pk(one.image)}"
    if one.archive_item:
        return f"archive_item/{_pk(one.archive_item)}/{one.socket}"
    return f"job/{_pk(one.job)}/{one.socket}"


def _pk(given: str) -> str:
    return pk_of(given) if "/" in given else given


def _other_kind(socket: InputSpec, gives: str) -> Refused:
    takes = {OutputKind.IMAGE: "a volume", OutputKind.MASK: "labels", OutputKind.VALUE: "a value"}.get(
        socket.kind, f"a file ({socket.word or socket.media_type or socket.kind})"
    )
    return Refused("GC-212", f"the socket {socket.name} takes {takes} and the rule gives {gives}")


def _not_one_way(name: str) -> ConfigError:
    return ConfigError(
        "GC-214",
        f"the value for {name} does not say which image at the platform is meant",
        'one of { image = "id" }, { archive_item = "id" } or { job = "id", socket = "its output" }',
    )
