"""What settings say of results, in the words of the encoders: the variant of a destination, the labels of a rule."""

from __future__ import annotations

from collections.abc import Mapping

from bridge.config.rules import SegmentModel
from bridge.config.site import Site
from bridge.dicom.codes import PROPERTY_CATEGORIES, SIDES, Anatomy, Concept
from bridge.results.result import Form, LabelMeaning, Variant


def variant_for(site: Site, destination: str) -> Variant:
    """What a destination wants. One that is not, or no longer, among the settings gets what is usual."""
    there = site.destinations.get(destination)
    if there is None:
        return Variant()
    base = there.series_number_base
    return Variant(
        form=Form(there.segmentation),
        empty_frames=there.empty_frames,
        series_number_base=None if base == site.series_number_base else base,
    )


def labels_of(
    segments: Mapping[str, Mapping[str, SegmentModel]],
) -> dict[str, dict[int, LabelMeaning]]:
    """What a rule says of the label values of each socket."""
    return {
        socket: {
            int(value): LabelMeaning(name=one.name, anatomy=_anatomy(one), rgb=one.rgb)
            for value, one in values.items()
        }
        for socket, values in segments.items()
    }


def _anatomy(segment: SegmentModel) -> Anatomy | None:
    if not segment.code:
        return None
    return Anatomy(
        category=PROPERTY_CATEGORIES[segment.category],
        type=Concept(scheme=segment.scheme, code=segment.code, meaning=segment.meaning or segment.name),
        side=SIDES[segment.side] if segment.side else None,
    )
