"""What a rule says that values mean, as the encoders want to hear it."""

from __future__ import annotations

from bridge.config.rules import Code, Concept, Measured, ResultsModel
from bridge.dicom import codes
from bridge.results.meaning import Meaning, TableMeaning, ValueMeaning


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
