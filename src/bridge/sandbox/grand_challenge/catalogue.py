"""What the sandbox offers: its algorithms, the sets of inputs that each takes, and the computation behind it.

Two are the sandbox's own: `lungs-and-airways` and `identity-mask`. Three stand in for algorithms that the
platform's tutorials use, with their names and sockets, so that the same rules run here and there; what they
compute is simple. `air-by-threshold` has several interfaces, `all-kinds` gives an output of every kind,
`other-inputs` takes what is no volume, and `air-by-threshold-old` has the shape from before 2025-03.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from . import sockets as s
from .sockets import Socket

Content = Any
"""An `ItkImage`, the bytes of a file, or a JSON value; the socket's super kind says which."""

Contents = Mapping[str, Content]
Compute = Callable[[Contents], Contents]


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """One permitted set of inputs with its outputs."""

    inputs: tuple[Socket, ...]
    outputs: tuple[Socket, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Algorithm:
    """`image_pk`: the active version of the container; None while no version is ready.

    is_old: shown with `inputs` and `outputs`; inputs that have a default value may be left out.
    """

    pk: str
    slug: str
    title: str
    image_pk: str | None
    interfaces: tuple[Interface, ...]
    compute: Compute
    is_old: bool = False

    def interface_for(self, given: frozenset[str]) -> Interface | None:
        """The interface that takes exactly these sockets."""
        return next((i for i in self.interfaces if self._takes(i, given)), None)

    def _takes(self, interface: Interface, given: frozenset[str]) -> bool:
        every = frozenset(socket.slug for socket in interface.inputs)
        if not self.is_old:
            return given == every
        optional = {socket.slug for socket in interface.inputs if socket.default_value is not None}
        return every - optional <= given <= every


def _later(module: str, name: str) -> Compute:
    # Image libraries are loaded by the first job, not by the first import.
    def compute(inputs: Contents) -> Contents:
        found: Compute = getattr(import_module(f".{module}", __package__), name)
        return found(inputs)

    return compute


def _algorithm(
    slug: str,
    title: str,
    compute: str,
    *interfaces: tuple[tuple[Socket, ...], tuple[Socket, ...]],
    old: bool = False,
) -> Algorithm:
    # Named, not random: a sandbox that starts again offers the same algorithm and the same version.
    return Algorithm(
        pk=str(uuid5(NAMESPACE_URL, f"algorithm/{slug}")),
        slug=slug,
        title=title,
        image_pk=str(uuid5(NAMESPACE_URL, f"algorithm-image/{slug}/1")),
        interfaces=tuple(Interface(inputs=inputs, outputs=outputs) for inputs, outputs in interfaces),
        compute=_later("computations", compute),
        is_old=old,
    )


_AIR = (s.AIR_MASK, s.AIR_VOLUME, s.FINDINGS, s.REPORT_TABLE)
_EVERYTHING = (
    *_AIR,
    s.HEAT_MAP,
    s.SMOOTHED,
    s.SUMMARY,
    s.IS_EMPTY,
    s.SENTENCE,
    s.SLICES,
    s.BOX,
    s.REPORT_PDF,
    s.SURFACE,
    s.THUMBNAIL,
    s.ARCHIVE_FILE,
)
_REGISTRATION = (s.FIXED_IMAGE, s.MOVING_IMAGE, s.FIXED_MASK, s.MOVING_MASK)

ALGORITHMS = (
    _algorithm(
        "lungs-and-airways",
        "Lungs and airways",
        "lungs",
        ((s.CT_IMAGE,), (s.LUNG_SEGMENTATION, s.LOW_ATTENUATION_PERCENT)),
    ),
    _algorithm("identity-mask", "Identity mask", "identity_mask", ((s.CT_IMAGE,), (s.LUNG_SEGMENTATION,))),
    _algorithm(
        "air-by-threshold",
        "Air by threshold",
        "air",
        ((s.CT_IMAGE,), _AIR),
        ((s.CT_IMAGE, s.THRESHOLD, s.OPTIONS), _AIR),
    ),
    _algorithm("all-kinds", "All kinds", "everything", ((s.CT_IMAGE, s.THRESHOLD, s.OPTIONS), _EVERYTHING)),
    _algorithm(
        "deep-learning-based-ct-lung-registration",
        "CT lung registration (stand-in)",
        "registration",
        (_REGISTRATION, (s.MOVED_IMAGE, s.DIFFERENCE)),
    ),
    _algorithm(
        "pulmonary-lobe-segmentation",
        "Pulmonary lobe segmentation (stand-in)",
        "lobes",
        ((s.GENERIC_IMAGE,), (s.LOBES,)),
    ),
    _algorithm(
        "pulmonary-lobe-segmentation-for-covid-19-ct-scans",
        "Pulmonary lobe segmentation, several outputs (stand-in)",
        "lobes",
        ((s.CT_IMAGE,), (s.LOBES, s.LOBES_PICTURE)),
    ),
    _algorithm(
        "other-inputs",
        "Other inputs",
        "other_inputs",
        ((s.CT_IMAGE, s.ATLAS, s.PROTOCOL, s.REFERENCES), (s.SUMMARY,)),
        ((s.ATLAS, s.PROTOCOL), (s.SUMMARY, s.REPORT_PDF)),
        ((s.DICOM_CT,), (s.SUMMARY,)),
    ),
    _algorithm(
        "air-by-threshold-old",
        "Air by threshold, old shape",
        "air",
        ((s.CT_IMAGE, s.THRESHOLD), (s.AIR_MASK, s.AIR_VOLUME)),
        old=True,
    ),
)
