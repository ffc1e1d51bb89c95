"""What settings say of results, in the words of the encoders: variants, labels and values."""

from __future__ import annotations

from collections.abc import Mapping

from bridge.config.results import Code, Concept, Measured, ResultsModel, SegmentModel
from bridge.config.site import Site
from bridge.dicom import codes
from bridge.results.meaning import Meaning, TableMeaning, ValueMeaning
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
        corrected_grid=there.mended == "corrected",
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


def _anatomy(segment: SegmentModel) -> codes.Anatomy | None:
    if not segment.code:
        return None
    return codes.Anatomy(
        category=codes.PROPERTY_CATEGORIES[segment.category],
        type=codes.Concept(scheme=segment.scheme, code=segment.code, meaning=segment.meaning or segment.name),
        side=codes.SIDES[segment.side] if segment.side else None,
    )


def values_of(results: ResultsModel) -> tuple[ValueMeaning, ...]:
    return tuple(_value(name, one) for name, one in results.concepts.items())


def tables_of(results: ResultsModel) -> dict[str, TableMeaning]:
    return {
        socket: TableMeaning(
            columns={column: _meaning(one) for column, one in table.columns.items()}, row=table.row.column
        )
        for socket, table in results.tables.items()
    }


def _value(name: str, concept: Concept) -> ValueMeaning:
    return ValueMeaning(
        name=name,
        output=concept.socket or name,
        meaning=_meaning(concept),
        path=tuple(concept.path.split(".")) if concept.path else (),
        segment=concept.segment,
    )


def _meaning(measured: Measured) -> Meaning:
    unit = codes.ucum(measured.unit, measured.unit_meaning) if measured.unit else None
    return Meaning(
        concept=_code(measured),
        unit=unit,
        answers={value: _code(code) for value, code in measured.values.items()},
    )


def _code(code: Code) -> codes.Concept:
    return codes.Concept(scheme=code.scheme, code=code.code, meaning=code.meaning)
