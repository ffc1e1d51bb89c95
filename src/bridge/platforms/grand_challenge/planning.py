"""The order for an algorithm: one interface whose sockets the rule fills exactly, and the steps that submit it.

    upload:<socket> -> session:<socket>   a volume of ours
    upload:<socket>                       a file of the site's own, or a value for a socket that keeps it as a file
    there:<socket>                        an image that is at the platform already
    count                                 jobs of the algorithm so far
    create                                costs credits

A rule names an image at the platform as a value of an Image socket: `{ image = "…" }`, `{ archive_item = "…" }` or
`{ job = "…", socket = "…" }`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from bridge.errors import ConfigError
from bridge.export.parcel import Json, Order, OrderedCopy, OrderedFile, OrderedValue, Repeat, Step
from bridge.platforms.grand_challenge.fits import (
    JSON_FILE,
    check_file,
    check_value,
    check_volume,
    other_kind,
    takes_image,
)
from bridge.platforms.grand_challenge.names import pk_of
from bridge.platforms.protocol import (
    InputSpec,
    Interface,
    Request,
    Spec,
    There,
)
from bridge.results.output import OutputKind

FORMAT = "mha"
COUNT, CREATE = "count", "create"
OMITTED = "omitted"
"""In an order's details: sockets that were left out, where the platform puts its default in."""
SUFFIXES = {
    "application/json": ".json",
    "text/csv": ".csv",
    "text/plain": ".txt",
    "application/pdf": ".pdf",
    "application/zip": ".zip",
    "model/obj": ".obj",
    "image/png": ".png",
    "image/jpeg": ".jpeg",
    "video/mp4": ".mp4",
}
WAYS = ("image", "archive_item", "job")


def upload_step(socket: str) -> str:
    return f"upload:{socket}"


def session_step(socket: str) -> str:
    return f"session:{socket}"


def there_step(socket: str) -> str:
    return f"there:{socket}"


def file_names(order: Order) -> dict[str, str]:
    """Names of what is sent as files and is no image, by socket: copies, and values that are kept as files."""
    prefix = upload_step("")
    return {
        step.removeprefix(prefix): name for step, name in order.details.items() if step.startswith(prefix)
    }


def value_bytes(file_name: str, value: Json) -> bytes:
    """What stands in that file: a text as it is, anything else as JSON."""
    if isinstance(value, str) and not file_name.endswith(SUFFIXES[JSON_FILE]):
        return value.encode()
    return json.dumps(value, ensure_ascii=False, allow_nan=False).encode()


def plan(spec: Spec, request: Request) -> Order:
    """The order for one interface, which the request's inputs must match exactly: a superset is refused too.

    Raises:
        ConfigError: GC-210, no interface takes this set of inputs; GC-211, a value that its socket does not take;
            GC-214, an image at the platform that is not said in one way; GC-217, a mesh of the study.
        Refused: GC-212, a socket takes something else than what it was given; GC-215, labels that it does not take;
            GC-216, a file of another kind than the socket's.
    """
    if request.meshes:
        raise ConfigError(
            "GC-217",
            f"a mesh of the study for {', '.join(one.input for one in request.meshes)}",
            "volumes, values and files of the site",
            "Take the input out of the rule: meshes of a study are not sent to this platform",
        )
    volumes = {volume.input: volume for volume in request.volumes}
    copies = {file.input: file for file in request.files}
    given = {*volumes, *copies, *request.values, *(one.input for one in request.there)}
    interface = _match(spec, given)
    sockets = {socket.name: socket for socket in interface.inputs}
    there = {one.input: one for one in request.there}
    for name, value in request.values.items():
        if takes_image(sockets[name]):
            there[name] = _there(name, value)
    values = {name: value for name, value in sorted(request.values.items()) if name not in there}
    for name, volume in volumes.items():
        check_volume(sockets[name], volume)
    for name, value in values.items():
        check_value(sockets[name], value)
    for name, one in there.items():
        _check_there(sockets[name], one)
    for name, file in copies.items():
        check_file(sockets[name], file)
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
    as_files = sorted([*copies, *(name for name in values if sockets[name].kind is not OutputKind.VALUE)])
    details = {"pk": spec.details["pk"], "api_url": spec.details["api_url"]}
    if spec.typical_seconds is not None:
        details["typical_s"] = f"{spec.typical_seconds:g}"
    omitted = sorted(set(sockets) - given)
    if omitted:
        details[OMITTED] = " ".join(omitted)
    details |= {there_step(name): _address(there[name]) for name in sorted(there)}
    details |= {upload_step(name): _file_name(sockets[name], is_copy=name in copies) for name in as_files}
    return Order(
        files=files,
        values=tuple(OrderedValue(input=name, value=value) for name, value in values.items()),
        steps=_steps(
            sorted(volumes), as_files, sorted(there), [name for name in values if name not in as_files]
        ),
        details=details,
        copies=tuple(
            OrderedCopy(input=name, file_name=details[upload_step(name)]) for name in sorted(copies)
        ),
    )


def _steps(
    volumes: Iterable[str], as_files: Iterable[str], there: Iterable[str], values: Iterable[str]
) -> tuple[Step, ...]:
    steps: list[Step] = []
    for socket in there:
        steps.append(Step(name=there_step(socket)))
    for socket in as_files:
        steps.append(Step(name=upload_step(socket), sends=(socket,)))
    for socket in volumes:
        steps.append(Step(name=upload_step(socket), sends=(socket,)))
        steps.append(Step(name=session_step(socket), needs=(upload_step(socket),)))
    steps.append(Step(name=COUNT))
    read = (
        *(session_step(socket) for socket in volumes),
        *(upload_step(socket) for socket in as_files),
        *(there_step(socket) for socket in there),
        COUNT,
    )
    steps.append(Step(name=CREATE, needs=read, commits=True, sends=tuple(values), repeat=Repeat.FIND_FIRST))
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


def _file_name(socket: InputSpec, *, is_copy: bool) -> str:
    """A copy ends as its socket wants it; how a value is written follows from its ending, and so from its kind."""
    by_kind = SUFFIXES.get(socket.media_type, "")
    return f"{socket.name}{(socket.suffix or by_kind) if is_copy else by_kind}"


def _check_there(socket: InputSpec, one: There) -> None:
    if not takes_image(socket):
        raise other_kind(socket, "an image at the platform")
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


def _not_one_way(name: str) -> ConfigError:
    return ConfigError(
        "GC-214",
        f"the value for {name} does not say which image at the platform is meant",
        'one of { image = "id" }, { archive_item = "id" } or { job = "id", socket = "its output" }',
    )
