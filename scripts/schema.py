"""Write config/rules.schema.json and config/site.schema.json, from the models and the vocabulary: for editors.

Draft 7 of JSON Schema, which Taplo and what is built on it understand. It knows the words and the kinds of values;
what only the bridge can know (names of the other file, regular expressions, ranges) is for `bridge check`.
"""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydicom.datadict import dictionary_description, dictionary_VR
from settings import helps

from bridge.config import destinations, grid, inputs, privacy, results, rules, site, sources
from bridge.config.facts import FACTS, HARMLESS, Scope
from bridge.config.vocabulary import COMBINATIONS, OPERATORS, PREFERENCES, REPAIRS, UNITS, Kind, Operand
from bridge.rules.words import DATES, NUMBERS

CONFIG = Path(__file__).resolve().parents[1] / "config"
Schema = dict[str, Any]

COMMON = (
    "AccessionNumber",
    "AcquisitionDate",
    "AcquisitionDateTime",
    "AcquisitionProtocolDescription",
    "AcquisitionType",
    "AdmittingDiagnosesDescription",
    "AnatomicRegionSequence",
    "ContentDate",
    "ContrastBolusAgent",
    "DeviceSerialNumber",
    "DiffusionBValue",
    "EchoNumbers",
    "EchoTrainLength",
    "ExposureTime",
    "FrameOfReferenceUID",
    "ImageComments",
    "ImageOrientationPatient",
    "ImagedNucleus",
    "InstanceCreationDate",
    "InstanceNumber",
    "InstitutionName",
    "InstitutionalDepartmentName",
    "Laterality",
    "MRAcquisitionType",
    "OperatorsName",
    "PatientAge",
    "PatientBirthDate",
    "PatientComments",
    "PatientID",
    "PatientName",
    "PatientSex",
    "PatientSize",
    "PatientWeight",
    "PerformedProcedureStepDescription",
    "PerformingPhysicianName",
    "PresentationIntentType",
    "ProcedureCodeSequence",
    "ProtocolName",
    "RadiopharmaceuticalInformationSequence",
    "ReasonForTheRequestedProcedure",
    "ReconstructionDiameter",
    "ReferringPhysicianName",
    "RequestAttributesSequence",
    "RequestedProcedureDescription",
    "RequestingPhysician",
    "RequestingService",
    "ScanningSequence",
    "SequenceName",
    "SequenceVariant",
    "SeriesDate",
    "SeriesDescription",
    "SeriesInstanceUID",
    "SeriesType",
    "SoftwareVersions",
    "SpecificCharacterSet",
    "SpiralPitchFactor",
    "StationName",
    "StudyDate",
    "StudyDescription",
    "StudyID",
    "StudyInstanceUID",
    "TemporalPositionIdentifier",
    "ViewPosition",
)
"""Keywords that editors offer, beside those of HARMLESS; any other may be written."""

PATH = r"^[A-Z][A-Za-z0-9]*(\.[A-Z][A-Za-z0-9]*)*$"


def rules_schema() -> Schema:
    schema = _of(rules._RulesFile, "rules.toml of a DICOM cloud bridge: what is done with which study.")
    definitions = schema["definitions"]
    # What a rule must have may stand under [defaults].
    definitions["RuleModel"].pop("required")
    for model, key, scope in (
        ("RuleModel", "study", "study"),
        ("DefaultsModel", "study", "study"),
        ("InputModel", "volume", "volume"),
        ("VolumeModel", "where", "volume"),
        ("WaitModel", "series", "volume"),
    ):
        place = definitions[model]["properties"][key]
        conditions = _ref(f"{scope}_conditions")
        if model == "InputModel":
            name: Schema = {"type": "string", "minLength": 1}
            names: Schema = {"type": "array", "items": name, "minItems": 1, "uniqueItems": True}
            conditions = {"anyOf": [conditions, name, names]}
        definitions[model]["properties"][key] = _said(conditions, place["description"])
    for model in ("InputModel", "VolumeModel"):
        properties = definitions[model]["properties"]
        properties["prefer"] |= {
            "items": {"anyOf": [_words(PREFERENCES), _ref("ranking")]},
            "uniqueItems": True,
        }
        properties["repair"] |= {"items": _words(REPAIRS), "uniqueItems": True}
    value: Schema = {"type": ["string", "number"]}
    definitions["ranking"] = {
        "type": "object",
        "patternProperties": {
            PATH: (values := {"type": "array", "items": value, "minItems": 1, "uniqueItems": True})
        },
        "properties": {
            name: _said(values, fact.help) for (scope, name), fact in FACTS.items() if scope is Scope.VOLUME
        },
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 1,
    }
    definitions |= _conditions()
    definitions["volume_conditions"] = {**_table("volume", Scope.VOLUME), "minProperties": 1}
    return schema


def _conditions() -> Schema:
    """Definitions of conditions on a study, and of all that they are made of."""
    definitions = {
        "study_conditions": _table("study", Scope.STUDY),
        "item_conditions": {**_table("item", None), "minProperties": 1},
    }
    for kind in Kind:
        definitions[kind.value] = _condition(kind, "")
    for unit in UNITS:
        definitions[f"number_of_{unit}"] = _condition(Kind.NUMBER, unit)
    definitions["anything"] = {"anyOf": [_ref(kind.value) for kind in Kind]}
    return definitions


def _words(words: Mapping[str, Any]) -> Schema:
    return {
        "enum": list(words),
        "x-taplo": {"docs": {"enumValues": [one.help for one in words.values()]}},
    }


def site_schema() -> Schema:
    schema = _of(
        site._SiteFile,
        "site.toml of a DICOM cloud bridge: what it is, who sends, where results go, who computes.",
    )
    schema["definitions"] |= _conditions()
    told = schema["properties"]["test_patients"]["description"]
    schema["properties"]["test_patients"] = _said(_ref("study_conditions"), told)
    return schema


def _of(model: type[BaseModel], about: str) -> Schema:
    written = model.model_json_schema(ref_template="#/definitions/{model}")
    definitions = {name: _plain(one) for name, one in written.pop("$defs").items()}
    for name, one in definitions.items():
        if "properties" in one:
            _describe(one, _model(name))
    root = _plain(written)
    _describe(root, model)
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        **root,
        "description": about,
        "definitions": definitions,
    }


def _model(name: str) -> type[BaseModel]:
    if name == "DefaultsModel":
        return rules.RuleModel
    modules = (rules, inputs, results, site, sources, destinations, grid, privacy)
    return next(getattr(one, name) for one in modules if hasattr(one, name))


def _describe(schema: Schema, model: type[BaseModel]) -> None:
    """The sentence below each field, where editors show it."""
    told = helps(model)
    for name, place in schema["properties"].items():
        if name in told:
            schema["properties"][name] = _said(place, told[name])


def _said(place: Schema, sentence: str) -> Schema:
    # What stands beside a $ref is not looked at (draft 7).
    return (
        {"allOf": [place], "description": sentence} if "$ref" in place else {**place, "description": sentence}
    )


def _plain(schema: Any) -> Any:
    """Without what pydantic makes up: titles of fields, and a null that no TOML file can hold."""
    if isinstance(schema, list):
        return [_plain(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {}
    for key, value in schema.items():
        if key == "properties":
            plain[key] = {name: _plain(one) for name, one in value.items()}
        elif key == "examples":
            # Those of the models are pieces of TOML.
            plain[key] = [tomllib.loads(f"example = {one}")["example"] for one in value]
        elif not (key == "title" and isinstance(value, str)) and not (key == "default" and value is None):
            plain[key] = _plain(value)
    if "anyOf" in plain:
        plain["anyOf"] = [one for one in plain["anyOf"] if one != {"type": "null"}]
        if len(plain["anyOf"]) == 1:
            plain |= plain.pop("anyOf")[0]
    return plain


def _ref(name: str) -> Schema:
    return {"$ref": f"#/definitions/{name}"}


def _table(name: str, scope: Scope | None) -> Schema:
    properties: dict[str, Schema] = {}
    for combination in COMBINATIONS.values():
        if scope is None and combination.of_instances:
            continue
        inner = _ref(f"{name}_conditions")
        if combination.operand is Operand.TABLES:
            inner = {"type": "array", "items": inner, "minItems": 1}
        properties[combination.name] = _said(inner, f"{combination.help} `{combination.example}`")
    for fact in FACTS.values():
        if fact.scope is scope:
            kind = f"number_of_{fact.unit}" if fact.unit in UNITS else fact.kind.value
            properties[fact.name] = _said(_ref(kind), fact.help)
    facts = {name for _, name in FACTS}
    for keyword in sorted({*COMMON, *HARMLESS} - facts):
        vr = dictionary_VR(keyword)
        properties[keyword] = _said(_ref(_kind(vr).value), f"{dictionary_description(keyword)} (VR {vr})")
    return {
        "type": "object",
        "properties": properties,
        "patternProperties": {PATH: _ref("anything")},
        "additionalProperties": False,
    }


def _kind(vr: str) -> Kind:
    if vr == "SQ":
        return Kind.SEQUENCE
    return Kind.NUMBER if vr in NUMBERS else Kind.DATE if vr in DATES else Kind.TEXT


def _condition(kind: Kind, unit: str) -> Schema:
    name = f"number_of_{unit}" if unit else kind.value
    operators = [one for one in OPERATORS.values() if kind in one.kinds]
    scalar: Schema = {"type": ["string", "number"]}
    if kind is Kind.NUMBER:
        scalar = _number(unit)
    elif kind is Kind.DATE:
        scalar = {"type": "string", "pattern": r"^\d{4}"}
    table: Schema = {
        "type": "object",
        "minProperties": 1,
        "additionalProperties": False,
        "properties": {
            one.name: _said(_operand(one.operand, name, one.unit or unit), f"{one.help} `{one.example}`")
            for one in operators
            if not one.bare
        },
    }
    if kind is Kind.SEQUENCE:
        return table
    return {"anyOf": [scalar, {"type": "array", "items": scalar, "minItems": 1}, table]}


def _operand(operand: Operand, condition: str, unit: str) -> Schema:
    match operand:
        case Operand.NUMBER:
            return _number(unit)
        case Operand.BOOLEAN:
            return {"type": "boolean"}
        case Operand.CONDITION:
            return _ref(condition)
        case Operand.TABLE:
            return _ref("item_conditions")
        case _:
            return {"type": "string", "minLength": 1}


def _number(unit: str) -> Schema:
    if not unit:
        return {"type": "number"}
    words = "|".join(UNITS[unit])
    pattern = rf"^\s*[-+]?[0-9]+(\.[0-9]+)?\s*({words})\s*$"
    return {"anyOf": [{"type": "number"}, {"type": "string", "pattern": pattern}]}


def written() -> dict[Path, str]:
    schemas = {"rules": rules_schema(), "site": site_schema()}
    return {
        CONFIG / f"{name}.schema.json": json.dumps(schema, indent=1, ensure_ascii=False) + "\n"
        for name, schema in schemas.items()
    }


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit(any(not file.exists() or file.read_text() != text for file, text in written().items()))
    for file, text in written().items():
        file.write_text(text)
