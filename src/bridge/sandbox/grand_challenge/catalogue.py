"""What the sandbox offers: its sockets, its algorithms, and the computation behind each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from uuid import NAMESPACE_URL, uuid5

from bridge.itk import ItkImage

Value = float | int | str | bool
Outputs = Mapping[str, ItkImage | Value]
Compute = Callable[[Mapping[str, ItkImage]], Outputs]


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    name: str
    voxel_value: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Socket:
    """`kind` is the label on the wire, `kind_code` the short form in the platform's error sentences."""

    pk: int
    slug: str
    title: str
    kind: str
    kind_code: str
    super_kind: str
    relative_path: str
    segments: tuple[Segment, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """One permitted set of inputs with its outputs."""

    inputs: tuple[Socket, ...]
    outputs: tuple[Socket, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Algorithm:
    """`image_pk`: the active version of the container; None while no version is ready."""

    pk: str
    slug: str
    title: str
    image_pk: str | None
    interfaces: tuple[Interface, ...]
    compute: Compute


CT_IMAGE = Socket(
    pk=1,
    slug="ct-image",
    title="CT image",
    kind="Image",
    kind_code="IMG",
    super_kind="Image",
    relative_path="images/ct-image",
)
LUNG_SEGMENTATION = Socket(
    pk=2,
    slug="lung-segmentation",
    title="Lung segmentation",
    kind="Segmentation",
    kind_code="SEG",
    super_kind="Image",
    relative_path="images/lung-segmentation",
    segments=(
        Segment(name="Right lung", voxel_value=1),
        Segment(name="Left lung", voxel_value=2),
        Segment(name="Airways", voxel_value=3),
    ),
)
LOW_ATTENUATION_PERCENT = Socket(
    pk=3,
    slug="low-attenuation-percent",
    title="Low attenuation percent",
    kind="Float",
    kind_code="FLT",
    super_kind="Value",
    relative_path="low-attenuation-percent.json",
)
SOCKETS = (CT_IMAGE, LUNG_SEGMENTATION, LOW_ATTENUATION_PERCENT)


def _lungs_and_airways(inputs: Mapping[str, ItkImage]) -> Outputs:
    from .algorithm import lungs_and_airways

    image = inputs[CT_IMAGE.slug]
    found = lungs_and_airways(image)
    return {
        LUNG_SEGMENTATION.slug: replace(image, array=found.labels),
        LOW_ATTENUATION_PERCENT.slug: found.low_attenuation_percent,
    }


def _identity_mask(inputs: Mapping[str, ItkImage]) -> Outputs:
    from .algorithm import soft_tissue

    image = inputs[CT_IMAGE.slug]
    return {LUNG_SEGMENTATION.slug: replace(image, array=soft_tissue(image))}


def _algorithm(slug: str, title: str, outputs: tuple[Socket, ...], compute: Compute) -> Algorithm:
    # Named, not random: a sandbox that starts again offers the same algorithm and the same version.
    return Algorithm(
        pk=str(uuid5(NAMESPACE_URL, f"algorithm/{slug}")),
        slug=slug,
        title=title,
        image_pk=str(uuid5(NAMESPACE_URL, f"algorithm-image/{slug}/1")),
        interfaces=(Interface(inputs=(CT_IMAGE,), outputs=outputs),),
        compute=compute,
    )


ALGORITHMS = (
    _algorithm(
        "lungs-and-airways",
        "Lungs and airways",
        (LUNG_SEGMENTATION, LOW_ATTENUATION_PERCENT),
        _lungs_and_airways,
    ),
    _algorithm("identity-mask", "Identity mask", (LUNG_SEGMENTATION,), _identity_mask),
)
