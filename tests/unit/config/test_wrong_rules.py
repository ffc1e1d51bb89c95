"""Seventy wrong rule files: each mistake with its line and column, what is wrong, and what to write instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.config import check_rules, load_rules, load_site
from bridge.config.facts import FACTS, Scope
from bridge.config.rules import RuleModel
from bridge.config.vocabulary import OPERATORS, PREFERENCES
from bridge.errors import ConfigError
from bridge.rules import compile_rules

SITE = """\
[bridge]
ae_title = "B"
data = "d"
rules = "rules.toml"
[destinations.pacs]
ae_title = "P"
host = "h"
port = 104
[accounts.gc]
platform = "grand-challenge"
base_url = "https://example.org/api/v1/"
token_file = "t"
"""

RIGHT = """\
[defaults]
mode = "explain"
platform = "gc"
destinations = ["pacs"]

[rules.lungs]
algorithm = "lungs-and-airways"

[rules.lungs.study]
age_days = { max = 30 }
"ProcedureCodeSequence.CodeValue" = "24627-2"
any = [{ Modality = "CT" }, { Manufacturer = "ACME" }]

[rules.lungs.inputs.ct-image]
volume = { Modality = "CT", spacing_mm = { max = 2.0 } }
prefer = ["thinnest"]

[rules.lungs.values]
threshold = 0.5
"""

WORDS = {
    "@volume": ", ".join(fact.name for fact in FACTS.values() if fact.scope is Scope.VOLUME),
    "@study": ", ".join(fact.name for fact in FACTS.values() if fact.scope is Scope.STUDY),
    "@keys": ", ".join(name for name in RuleModel.model_fields if name != "inputs"),
    "@preferences": ", ".join(f'"{name}"' for name in PREFERENCES),
    "@operators": ", ".join(one.name for one in OPERATORS.values() if not one.bare),
}
"""Long lists in the sentences below."""

# mistake: (what stands there in RIGHT, what is written instead, line:column and sentence of every problem)
WRONG = {
    "a key misspelt": (
        "algorithm =",
        "algoritm =",
        [
            (
                "7:1: rules.lungs.algoritm: unknown key; expected a key of [rules.lungs]. Did you mean "
                "algorithm?"
            ),
        ],
    ),
    "a mesh alone": (
        "[rules.lungs.inputs.ct-image]",
        "[rules.lungs.inputs.ct-image]\nmesh = true",
        [
            (
                "14:14: rules.lungs.inputs: masks or meshes alone; expected an image among the inputs: "
                "results refer to it"
            ),
        ],
    ),
    "a mesh that is mended, a mask, and of an earlier study": (
        "[rules.lungs.values]",
        (
            '[rules.lungs.inputs.scan]\nmesh = true\nmask = "study"\nrepair = ["shear"]\nstudy = "prior"\n'
            'volume = { Modality = "M3D" }\n[rules.lungs.values]'
        ),
        [
            (
                f"{line}:1: rules.lungs.inputs.scan.{word}: {word} of an input that takes a mesh; expected a mesh of "
                "the current study, as it is"
            )
            for line, word in ((20, "mask"), (21, "repair"), (22, "study"))
        ],
    ),
    "a table misspelt": (
        "[rules.lungs.values]",
        "[rules.lungs.vaules]",
        [
            ("18:14: rules.lungs.vaules: unknown key; expected a key of [rules.lungs]. Did you mean values?"),
        ],
    ),
    "a table of another file": (
        "[defaults]",
        "[default]",
        [
            "1:2: default: unknown key; expected a key of this file. Did you mean defaults?",
            ('6:8: rules.lungs.destinations: missing. Write destinations = ["pacs"] under [rules.lungs]'),
            '6:8: rules.lungs.mode: missing. Write mode = "explain" under [rules.lungs]',
            '6:8: rules.lungs.platform: missing. Write platform = "gc" under [rules.lungs]',
        ],
    ),
    "the list of rules misspelt": (
        "[rules.",
        "[rule.",
        [
            "6:2: rule: unknown key; expected a key of this file. Did you mean rules?",
        ],
    ),
    "a key of the defaults misspelt": (
        "platform =",
        "plattform =",
        [
            ("3:1: defaults.plattform: unknown key; expected a key of [defaults]. Did you mean platform?"),
        ],
    ),
    "inputs for all rules": (
        "[rules.lungs.inputs.ct-image]",
        "[defaults.inputs.ct-image]",
        [
            ("14:11: defaults.inputs: unknown key; expected one of @keys"),
        ],
    ),
    "a wrong type in the defaults": (
        '["pacs"]',
        '"pacs"',
        [
            '4:1: defaults.destinations: the text "pacs"; expected a list in [ ]',
        ],
    ),
    "an unknown mode": (
        '"explain"',
        '"dry-run"',
        [
            '2:1: defaults.mode: the text "dry-run"; expected "off", "explain", "hold" or "live"',
        ],
    ),
    "an unknown platform": (
        '"gc"',
        '"gcc"',
        [
            (
                '3:1: defaults.platform: "gcc" is not among the accounts of site.toml; expected one of its '
                "accounts (gc). Did you mean gc?"
            ),
        ],
    ),
    "an unknown destination": (
        '["pacs"]',
        '["pacs", "archive"]',
        [
            (
                '4:25: defaults.destinations[1]: "archive" is not among the destinations of site.toml; '
                "expected one of its destinations (pacs). Add [destinations.archive] to @site"
            ),
        ],
    ),
    "a text without quotes": (
        '"lungs-and-airways"',
        "lungs-and-airways",
        [
            (
                '7:13: not valid TOML: invalid value. Text needs quotes: key = "text"; yes and no are written '
                "true and false"
            ),
        ],
    ),
    "a text that is not closed": (
        '"lungs-and-airways"',
        '"lungs-and-airways',
        [
            (
                "7:31: not valid TOML: illegal character '\\n'. Close the text with a quotation mark on the "
                "same line"
            ),
        ],
    ),
    "a list that is not closed": (
        '["thinnest"]',
        '["thinnest"',
        [
            "16:8: not valid TOML: unclosed array. Close the list with ]",
        ],
    ),
    "an inline table over two lines": (
        "spacing_mm = { max = 2.0 } }",
        "spacing_mm = { max = 2.0 },\n",
        [
            (
                "15:56: not valid TOML: invalid initial character for a key part. A table in { } stands on "
                "one line, with no comma at its end"
            ),
        ],
    ),
    "a key twice": (
        'prefer = ["thinnest"]',
        'prefer = ["thinnest"]\nprefer = ["newest"]',
        [
            ("17:20: not valid TOML: cannot overwrite a value. The key is written twice: keep one of them"),
        ],
    ),
    "a table twice": (
        "[rules.lungs.values]",
        "[rules.lungs.study]",
        [
            (
                "18:19: not valid TOML: cannot declare [rules.lungs.study] twice. The table is written twice: "
                "join the two"
            ),
        ],
    ),
    "a table that is not closed": (
        "[rules.lungs.values]",
        "[rules.lungs.values",
        [
            (
                "18:20: not valid TOML: expected ']' at the end of a table declaration. Close the name of the "
                "table with ]"
            ),
        ],
    ),
    "a colon for an equals sign": (
        "threshold = 0.5",
        "threshold: 0.5",
        [
            ("19:10: not valid TOML: expected '=' after a key in a key/value pair. Each line is key = value"),
        ],
    ),
    "a backslash in double quotes": (
        '"24627-2"',
        '{ regex = "\\d+" }',
        [
            (
                "11:50: not valid TOML: unescaped '\\' in a string. Double the backslash, or use single "
                "quotes: 'text'"
            ),
        ],
    ),
    "a rule that has no input": (
        (
            '[rules.lungs.inputs.ct-image]\nvolume = { Modality = "CT", spacing_mm = { max = 2.0 } '
            '}\nprefer = ["thinnest"]\n\n[rules.lungs.values]\nthreshold = 0.5\n'
        ),
        "",
        [
            "6:8: rules.lungs: no input; expected a volume or a fixed value for a socket",
        ],
    ),
    "an input without conditions": (
        'volume = { Modality = "CT", spacing_mm = { max = 2.0 } }\n',
        "",
        [
            (
                '14:21: rules.lungs.inputs.ct-image.volume: missing. Write volume = { Modality = "CT" } under '
                "[rules.lungs.inputs.ct-image]"
            ),
        ],
    ),
    "a socket with a volume and a value": (
        "threshold = 0.5",
        "ct-image = 0.5",
        [
            (
                "19:1: rules.lungs.values.ct-image: the socket has a volume and a fixed value; expected one "
                "of the two"
            ),
        ],
    ),
    "a preference misspelt": (
        '"thinnest"',
        '"thinest"',
        [
            (
                '16:1: rules.lungs.inputs.ct-image.prefer: the preference "thinest"; expected @preferences. '
                "Did you mean thinnest?"
            ),
        ],
    ),
    "a keyword misspelt": (
        "volume = { Modality",
        "volume = { Modalitty",
        [
            (
                "15:12: rules.lungs.inputs.ct-image.volume.Modalitty: no DICOM keyword; expected a keyword or "
                "one of @volume. Did you mean Modality?"
            ),
        ],
    ),
    "a keyword in another case": (
        "volume = { Modality",
        "volume = { modality",
        [
            (
                "15:12: rules.lungs.inputs.ct-image.volume.modality: no DICOM keyword; expected a keyword or "
                "one of @volume. Did you mean Modality?"
            ),
        ],
    ),
    "a name with spaces": (
        "volume = { Modality",
        'volume = { "Slice Thickness"',
        [
            (
                '15:12: rules.lungs.inputs.ct-image.volume."Slice Thickness": no DICOM keyword; expected a '
                "keyword or one of @volume. Did you mean SliceThickness?"
            ),
        ],
    ),
    "a tag": (
        "volume = { Modality =",
        'volume = { "0008,0060" =',
        [
            (
                '15:12: rules.lungs.inputs.ct-image.volume."0008,0060": no DICOM keyword; expected a keyword '
                "or one of @volume. Write its keyword, Modality"
            ),
        ],
    ),
    "a fact misspelt": (
        "spacing_mm",
        "spacing_mn",
        [
            (
                "15:29: rules.lungs.inputs.ct-image.volume.spacing_mn: no DICOM keyword; expected a keyword "
                "or one of @volume. Did you mean spacing_mm?"
            ),
        ],
    ),
    "a fact of a volume asked of the study": (
        "age_days = { max = 30 }",
        "spacing_mm = { max = 30 }",
        [
            (
                "10:1: rules.lungs.study.spacing_mm: a fact that a study does not have; expected a DICOM "
                "keyword or one of @study. Write it under inputs.<socket>.volume"
            ),
        ],
    ),
    "a fact of the study asked of a volume": (
        "spacing_mm = { max = 2.0 }",
        "age_days = { max = 2.0 }",
        [
            (
                "15:29: rules.lungs.inputs.ct-image.volume.age_days: a fact that a volume does not have; "
                "expected a DICOM keyword or one of @volume. Write it under study"
            ),
        ],
    ),
    "an operator misspelt": (
        "{ max = 2.0 }",
        "{ maxx = 2.0 }",
        [
            (
                "15:44: rules.lungs.inputs.ct-image.volume.spacing_mm.maxx: unknown operator; expected one of "
                "@operators. Did you mean max?"
            ),
        ],
    ),
    "an operator of another language": (
        "{ max = 2.0 }",
        "{ lte = 2.0 }",
        [
            (
                "15:44: rules.lungs.inputs.ct-image.volume.spacing_mm.lte: unknown operator; expected one of "
                "@operators. Did you mean max?"
            ),
        ],
    ),
    "one of, in words": (
        'volume = { Modality = "CT"',
        'volume = { Modality = { in = ["CT", "PT"] }',
        [
            (
                "15:25: rules.lungs.inputs.ct-image.volume.Modality.in: unknown operator; expected one of "
                '@operators. That is written without a word: ConvolutionKernel = ["L", "B70f"]'
            ),
        ],
    ),
    "a number for a text": (
        "{ max = 2.0 }",
        '{ max = "thin" }',
        [
            (
                "15:44: rules.lungs.inputs.ct-image.volume.spacing_mm.max: text; expected a number, in mm or "
                "with a unit behind it: mm, cm, m"
            ),
        ],
    ),
    "a unit of another kind": (
        "{ max = 2.0 }",
        '{ max = "2 inch" }',
        [
            (
                "15:44: rules.lungs.inputs.ct-image.volume.spacing_mm.max: text; expected a number, in mm or "
                "with a unit behind it: mm, cm, m"
            ),
        ],
    ),
    "a unit where only PS3.3 knows it": (
        "spacing_mm = { max = 2.0 }",
        'SliceThickness = { max = "2 mm" }',
        [
            (
                "15:48: rules.lungs.inputs.ct-image.volume.SliceThickness.max: text; expected a number. Write "
                "the number alone; its unit is that of the attribute in PS3.3"
            ),
        ],
    ),
    "a range the wrong way round": (
        "{ max = 2.0 }",
        "{ min = 2.5, max = 2.0 }",
        [
            (
                "15:29: rules.lungs.inputs.ct-image.volume.spacing_mm: min 2.5 is above max 2; expected min "
                "below max"
            ),
        ],
    ),
    "a regular expression that is none": (
        '"24627-2"',
        '{ regex = "24627-(2" }',
        [
            (
                '11:39: rules.lungs.study."ProcedureCodeSequence.CodeValue".regex: no regular expression: '
                'missing ), unterminated subpattern at character 7; expected for example "(?i)thin". A '
                "backslash is safest in single quotes"
            ),
        ],
    ),
    "a range of a text": (
        'volume = { Modality = "CT"',
        "volume = { Modality = { min = 2 }",
        [
            (
                "15:25: rules.lungs.inputs.ct-image.volume.Modality.min: min asks for a number; expected an "
                "operator for the texts of Modality: regex, contains, present, not"
            ),
        ],
    ),
    "an empty list of values": (
        'volume = { Modality = "CT"',
        "volume = { Modality = []",
        [
            (
                "15:12: rules.lungs.inputs.ct-image.volume.Modality: an empty list; expected at least one "
                "value"
            ),
        ],
    ),
    "an empty condition": (
        "{ max = 2.0 }",
        "{}",
        [
            (
                "15:29: rules.lungs.inputs.ct-image.volume.spacing_mm: an empty condition; expected one of "
                "@operators"
            ),
        ],
    ),
    "yes for present": (
        "{ max = 2.0 }",
        '{ present = "yes" }',
        [
            ("15:44: rules.lungs.inputs.ct-image.volume.spacing_mm.present: text; expected true or false"),
        ],
    ),
    "a path without quotes": (
        '"ProcedureCodeSequence.CodeValue"',
        "ProcedureCodeSequence.CodeValue",
        [
            (
                "11:23: rules.lungs.study.ProcedureCodeSequence.CodeValue: unknown operator; expected one of "
                '@operators. A path stands in quotes: "ProcedureCodeSequence.CodeValue"'
            ),
        ],
    ),
    "a sequence without a path": (
        '"ProcedureCodeSequence.CodeValue"',
        "ProcedureCodeSequence",
        [
            (
                "11:1: rules.lungs.study.ProcedureCodeSequence: the attribute is a sequence; expected the "
                'path of an attribute in it. For example "ProcedureCodeSequence.CodeValue" = "…"'
            ),
        ],
    ),
    "a path into what is no sequence": (
        '"ProcedureCodeSequence.CodeValue"',
        '"StudyDescription.CodeValue"',
        [
            (
                '11:1: rules.lungs.study."StudyDescription.CodeValue": StudyDescription is no sequence, and '
                "nothing is inside it; expected a sequence before each dot. Write StudyDescription"
            ),
        ],
    ),
    "a wrong word inside a path": (
        '"ProcedureCodeSequence.CodeValue"',
        '"ProcedureCodeSequence.CodeVaule"',
        [
            (
                '11:1: rules.lungs.study."ProcedureCodeSequence.CodeVaule": "CodeVaule" is no DICOM keyword; '
                "expected keywords of PS3.6 with dots between them. Did you mean "
                '"ProcedureCodeSequence.CodeValue"?'
            ),
        ],
    ),
    "a wrong word at the beginning of a path": (
        '"ProcedureCodeSequence.CodeValue"',
        '"ProcedureCodesSequence.CodeValue"',
        [
            (
                '11:1: rules.lungs.study."ProcedureCodesSequence.CodeValue": no DICOM keyword; expected a '
                'keyword or one of @study. Did you mean "ProcedureCodeSequence.CodeValue"?'
            ),
        ],
    ),
    "a part of a name that is none": (
        '"ProcedureCodeSequence.CodeValue"',
        '"PatientName.LastName"',
        [
            (
                '11:1: rules.lungs.study."PatientName.LastName": "LastName" is no part of a person name; '
                "expected one of FamilyName, GivenName, MiddleName, NamePrefix, NameSuffix, Alphabetic, "
                "Ideographic, Phonetic"
            ),
        ],
    ),
    "a part of a name misspelt": (
        '"ProcedureCodeSequence.CodeValue"',
        '"PatientName.FamillyName"',
        [
            (
                '11:1: rules.lungs.study."PatientName.FamillyName": "FamillyName" is no part of a person '
                "name; expected one of FamilyName, GivenName, MiddleName, NamePrefix, NameSuffix, Alphabetic, "
                'Ideographic, Phonetic. Did you mean "PatientName.FamilyName"?'
            ),
        ],
    ),
    "any with a table": (
        '[{ Modality = "CT" }, { Manufacturer = "ACME" }]',
        '{ Modality = "CT", Manufacturer = "ACME" }',
        [
            (
                "12:1: rules.lungs.study.any: a table; expected a list of tables of conditions. As in any = "
                '[{ Modality = "CT" }, { Modality = "MR", MagneticFieldStrength = { min = 3 } }]'
            ),
        ],
    ),
    "any of values": (
        '[{ Modality = "CT" }, { Manufacturer = "ACME" }]',
        '["CT", "PT"]',
        [
            (
                "12:8: rules.lungs.study.any[0]: text; expected a table of conditions. As in any = [{ "
                'Modality = "CT" }, { Modality = "MR", MagneticFieldStrength = { min = 3 } }]'
            ),
            (
                "12:14: rules.lungs.study.any[1]: text; expected a table of conditions. As in any = [{ "
                'Modality = "CT" }, { Modality = "MR", MagneticFieldStrength = { min = 3 } }]'
            ),
        ],
    ),
    "not with a list": (
        "any = [",
        "not = [",
        [
            (
                "12:1: rules.lungs.study.not: a list; expected a table of conditions. As in not = { Modality "
                '= "CT", ScanOptions = "HELICAL MODE" }'
            ),
        ],
    ),
    "any of nothing": (
        '[{ Modality = "CT" }, { Manufacturer = "ACME" }]',
        "[]",
        [
            "12:1: rules.lungs.study.any: an empty list; expected at least one table of conditions",
        ],
    ),
    "a mistake deep inside": (
        'Manufacturer = "ACME"',
        'not = { Manufacterer = "ACME" }',
        [
            (
                "12:39: rules.lungs.study.any[1].not.Manufacterer: no DICOM keyword; expected a keyword or "
                "one of @study. Did you mean Manufacturer?"
            ),
        ],
    ),
    "a relative date on a number": (
        "{ max = 30 }",
        "{ within_days = 30 }",
        [
            (
                "10:14: rules.lungs.study.age_days.within_days: within_days asks for a date; expected an "
                "operator for the numbers of age_days: min, max, present, not"
            ),
        ],
    ),
    "a number for a date": (
        "age_days = { max = 30 }",
        "StudyDate = 20260131",
        [
            (
                "10:1: rules.lungs.study.StudyDate: a number; expected a date, as StudyDate holds. Write it "
                'as DICOM does, in quotes: "20260131", or by its age: StudyDate = { within_days = 30 }'
            ),
        ],
    ),
    "a date of TOML": (
        "age_days = { max = 30 }",
        "StudyDate = 2026-01-31",
        [
            (
                "10:1: rules.lungs.study.StudyDate: a date or time; expected text or a number. Write it as "
                'DICOM does, in quotes: "20260131"'
            ),
        ],
    ),
    "a relative date in other words": (
        "age_days = { max = 30 }",
        "StudyDate = { newer_than = 30 }",
        [
            (
                "10:15: rules.lungs.study.StudyDate.newer_than: unknown operator; expected one of @operators. "
                "Did you mean within_days?"
            ),
        ],
    ),
    "instances within instances": (
        'any = [{ Modality = "CT" }, { Manufacturer = "ACME" }]',
        'any_instance = { any_instance = { Modality = "CT" } }',
        [
            (
                "12:18: rules.lungs.study.any_instance.any_instance: any_instance inside any_instance; "
                "expected conditions on one object"
            ),
        ],
    ),
    "a fact in an item": (
        '"ProcedureCodeSequence.CodeValue" = "24627-2"',
        "ProcedureCodeSequence = { any_item = { age_days = 3 } }",
        [
            (
                "11:40: rules.lungs.study.ProcedureCodeSequence.any_item.age_days: a fact that an item does "
                "not have; expected a DICOM keyword. Write it under study"
            ),
        ],
    ),
    "a wrong condition in the defaults": (
        '["pacs"]\n',
        '["pacs"]\nstudy = { StudyDat = "20260131" }\n',
        [
            (
                "5:11: defaults.study.StudyDat: no DICOM keyword; expected a keyword or one of @study. Did "
                "you mean StudyDate?"
            ),
        ],
    ),
    "a volume that nobody has defined": (
        'volume = { Modality = "CT", spacing_mm = { max = 2.0 } }\nprefer = ["thinnest"]',
        'volume = "thin-ct"\n[volumes.thin-chest]\nwhere = { Modality = "CT" }',
        [
            (
                '15:1: rules.lungs.inputs.ct-image.volume: "thin-ct" is no volume of this file; expected '
                "conditions, or one of its volumes (thin-chest). Did you mean thin-chest?"
            ),
        ],
    ),
    "the second of two volumes misspelt": (
        'volume = { Modality = "CT", spacing_mm = { max = 2.0 } }\nprefer = ["thinnest"]',
        'volume = ["thin", "anny"]\n[volumes.thin]\nwhere = { Rows = 1 }\n[volumes.any]\nwhere = { Rows = 2 }',
        [
            (
                '15:19: rules.lungs.inputs.ct-image.volume[1]: "anny" is no volume of this file; expected '
                "conditions, or one of its volumes (any, thin). Did you mean any?"
            ),
        ],
    ),
    "words of a volume beside its name": (
        'volume = { Modality = "CT", spacing_mm = { max = 2.0 } }\nprefer = ["thinnest"]',
        'volume = "thin"\nprefer = ["thinnest"]\n[volumes.thin]\nwhere = { Rows = 1 }',
        [
            (
                "16:1: rules.lungs.inputs.ct-image.prefer: prefer beside the name of a volume; expected one "
                "place for it. Write it under [volumes.thin]"
            ),
        ],
    ),
    "a volume that is a number": (
        'volume = { Modality = "CT", spacing_mm = { max = 2.0 } }',
        "volume = 3",
        [
            (
                "15:1: rules.lungs.inputs.ct-image.volume: the number 3; expected a table of conditions, the "
                "name of a [volumes.NAME], or a list of such names"
            ),
        ],
    ),
    "a wrong word in a definition, once for all who name it": (
        'volume = { Modality = "CT", spacing_mm = { max = 2.0 } }\nprefer = ["thinnest"]',
        'volume = "thin"\n[rules.lungs.inputs.other]\nvolume = "thin"\n[volumes.thin]\nwhere = { Modalitty = "CT" }',
        [
            (
                "19:11: volumes.thin.where.Modalitty: no DICOM keyword; expected a keyword or one of @volume. "
                "Did you mean Modality?"
            ),
        ],
    ),
    "a definition without conditions": (
        'volume = { Modality = "CT", spacing_mm = { max = 2.0 } }\nprefer = ["thinnest"]',
        'volume = "thin"\n[volumes.thin]\nprefer = ["thinnest"]',
        [
            '16:10: volumes.thin.where: missing. Write where = { Modality = "CT" } under [volumes.thin]',
        ],
    ),
    "a key of a definition misspelt": (
        'volume = { Modality = "CT", spacing_mm = { max = 2.0 } }\nprefer = ["thinnest"]',
        'volume = "thin"\n[volumes.thin]\nwhere = { Rows = 1 }\nrepairs = ["shear"]',
        [
            "18:1: volumes.thin.repairs: unknown key; expected a key of [volumes.thin]. Did you mean repair?",
        ],
    ),
    "a preferred keyword misspelt": (
        '"thinnest"',
        '{ ConvolutionKernal = ["B30f"] }',
        [
            (
                "16:13: rules.lungs.inputs.ct-image.prefer[0].ConvolutionKernal: no DICOM keyword; expected a "
                "keyword or one of @volume. Did you mean ConvolutionKernel?"
            ),
        ],
    ),
    "a preferred value alone": (
        '"thinnest"',
        '{ ConvolutionKernel = "B30f" }',
        [
            (
                "16:11: rules.lungs.inputs.ct-image.prefer[0]: text; expected a list of values, the best "
                'first. As in { ConvolutionKernel = ["B30f", "B31f"] }'
            ),
        ],
    ),
    "two keywords in one preference": (
        '"thinnest"',
        '{ ConvolutionKernel = ["B30f"], KVP = [120] }',
        [
            (
                "16:11: rules.lungs.inputs.ct-image.prefer[0]: a table of 2 keys; expected the name of a "
                "preference, or one keyword and its values, the best first. As in "
                '{ ConvolutionKernel = ["B30f", "B31f"] }'
            ),
        ],
    ),
    "a preferred value of the wrong kind": (
        '"thinnest"',
        '{ SliceThickness = ["thin", 3] }',
        [
            (
                "16:31: rules.lungs.inputs.ct-image.prefer[0].SliceThickness[0]: text; expected a number, as "
                "SliceThickness holds. Remove the quotes"
            ),
        ],
    ),
    "every volume of an input that is not there": (
        'algorithm = "lungs-and-airways"',
        'algorithm = "lungs-and-airways"\nfor_each = "ct-imgae"',
        [
            (
                '8:1: rules.lungs.for_each: "ct-imgae" is no input of lungs; expected one of its inputs (ct-image). '
                "Did you mean ct-image?"
            ),
        ],
    ),
    "every mask": (
        'prefer = ["thinnest"]',
        (
            'prefer = ["thinnest"]\n[rules.lungs.inputs.lobes]\nvolume = { Modality = "SEG" }\nmask = "study"\n'
            '[rules.other]\nalgorithm = "a"\nfor_each = "lobes"\n'
            '[rules.other.inputs.ct]\nvolume = { Modality = "CT" }\n'
            '[rules.other.inputs.lobes]\nvolume = { Modality = "SEG" }\nmask = "study"'
        ),
        [
            (
                "22:1: rules.other.for_each: lobes takes a mask; expected an input that takes an image (ct). "
                "Results refer to the image of each job"
            ),
        ],
    ),
    "every volume without an input": (
        "[rules.lungs.values]",
        (
            '[rules.fixed]\nalgorithm = "a"\nfor_each = "ct"\nstudy = { StudyInstanceUID = "1.2" }\nvalues '
            "= { a = 1 }\n"
            "[rules.lungs.values]"
        ),
        [
            (
                "20:1: rules.fixed.for_each: for_each in a rule without inputs; expected [rules.fixed.inputs.ct], "
                "or no for_each. Only volumes of a study come in any number"
            ),
        ],
    ),
    "a wait that is misspelt": (
        'algorithm = "lungs-and-airways"',
        'algorithm = "a"\nwaits_for = { rul = "lobes" }',
        [
            (
                "8:15: rules.lungs.waits_for.rul: unknown key; expected a key of [rules.lungs.waits_for]. "
                "Did you mean rule?"
            )
        ],
    ),
    "a wait of a list that is misspelt": (
        'algorithm = "lungs-and-airways"',
        'algorithm = "a"\nwaits_for = [{ series = { Modality = "CT" } }, { series = { x = 1 }, then = "hod" }]',
        [
            '8:70: rules.lungs.waits_for[1].then: the text "hod"; expected "hold" or "go-on". Did you mean hold?',
        ],
    ),
    "a wait for a series by a word that does not exist": (
        'algorithm = "lungs-and-airways"',
        'algorithm = "a"\nwaits_for = { series = { Modalty = "CT" } }',
        [
            (
                "8:26: rules.lungs.waits_for.series.Modalty: no DICOM keyword; expected a keyword or one of @volume. "
                "Did you mean Modality?"
            )
        ],
    ),
    "a wait for nothing": (
        'algorithm = "lungs-and-airways"',
        'algorithm = "a"\nwaits_for = { at_most_h = 3 }',
        ["8:1: rules.lungs.waits_for: neither a rule nor a series; expected one of the two: rule, or series"],
    ),
    "a wait for a rule that is not there": (
        'algorithm = "lungs-and-airways"',
        'algorithm = "a"\nwaits_for = { rule = "lobes" }',
        ['8:15: rules.lungs.waits_for.rule: "lobes" is no rule; expected another rule (none yet)'],
    ),
    "rules that wait for each other": (
        "[rules.lungs.values]",
        (
            '[rules.lobes]\nalgorithm = "a"\nwaits_for = { rule = "chest" }\n'
            '[rules.lobes.inputs.ct]\nvolume = { Modality = "CT" }\n'
            '[rules.chest]\nalgorithm = "a"\n'
            '[rules.chest.inputs.ct]\nvolume = { Modality = "CT" }\n'
            '[rules.chest.inputs.lobes]\nvolume = { Modality = "SEG" }\nmask = "lobes"\n[rules.lungs.values]'
        ),
        [
            (
                "20:15: rules.lobes.waits_for.rule: lobes waits for chest, which waits for lobes; expected "
                "a rule that does not depend on this one. Neither would ever start"
            )
        ],
    ),
    "an early start without a bound": (
        'algorithm = "lungs-and-airways"',
        'algorithm = "a"\nstart = "inputs-complete"',
        [
            (
                "16:1: rules.lungs.inputs.ct-image.volume: no lower bound that says when the series is whole, "
                "and start "
                "is inputs-complete; expected a condition on instances, length_mm or slices, equal or at least "
                "a number. "
                'As in { instances = { min = 100 } }, or start = "study-complete"'
            )
        ],
    ),
    "an early start of a definition without a bound": (
        '[rules.lungs]\nalgorithm = "lungs-and-airways"',
        (
            "[volumes.thin]\nwhere = { length_mm = { min = 200 } }\n[volumes.any]\nwhere = { slices = { max = 9 } }\n"
            '[rules.x]\nalgorithm = "a"\nstart = "inputs-complete"\ninputs.ct.volume = ["thin", "any"]\n'
            '[rules.lungs]\nalgorithm = "a"'
        ),
        [
            (
                "9:1: volumes.any.where: no lower bound that says when the series is whole, and start "
                "is inputs-complete; expected a condition on instances, length_mm or slices, equal or at least "
                "a number. "
                'As in { instances = { min = 100 } }, or start = "study-complete"'
            )
        ],
    ),
    "an hour that is none": (
        'algorithm = "lungs-and-airways"',
        'algorithm = "a"\nnot_before = "20:00-24:00"',
        [
            (
                '8:1: rules.lungs.not_before: the text "20:00-24:00"; expected two times of the day with - '
                "between them, "
                'as in "20:00-06:00"'
            )
        ],
    ),
    "urgent, and in the night": (
        'algorithm = "lungs-and-airways"',
        'algorithm = "a"\nurgent = true\nnot_before = "20:00-06:00"',
        [
            (
                "9:1: rules.lungs.not_before: a rule that is urgent and waits for the night; expected one of "
                "urgent and "
                "not_before"
            )
        ],
    ),
    "a priority beyond its range": (
        'algorithm = "lungs-and-airways"',
        'algorithm = "a"\npriority = 11',
        ["8:1: rules.lungs.priority: the number 11; expected at most 10"],
    ),
    "a prior alone": (
        'volume = { Modality = "CT", spacing_mm = { max = 2.0 } }',
        'volume = { Modality = "CT" }\nstudy = "prior"',
        [
            (
                "14:14: rules.lungs.inputs: images of an earlier study alone; expected an image of the current "
                "study among "
                "the inputs: results refer to it"
            )
        ],
    ),
    "days of an input of the current study": (
        'prefer = ["thinnest"]',
        "prior_max_days = 400",
        [
            (
                "16:1: rules.lungs.inputs.ct-image.prior_max_days: prior_max_days of an input of the current study; "
                'expected the key beside study = "prior"'
            )
        ],
    ),
    "days that leave none": (
        'prefer = ["thinnest"]',
        (
            '[rules.lungs.inputs.before]\nvolume = { Modality = "CT" }\nstudy = "prior"\n'
            "prior_min_days = 30\nprior_max_days = 7"
        ),
        [
            (
                "19:1: rules.lungs.inputs.before.prior_min_days: at least 30 and at most 7 days; expected the smaller "
                "number for prior_min_days"
            )
        ],
    ),
    "a study that is neither": (
        'prefer = ["thinnest"]',
        'study = "previous"',
        [
            (
                '16:1: rules.lungs.inputs.ct-image.study: the text "previous"; expected "current" or "prior". '
                "Did you mean prior?"
            )
        ],
    ),
    "every volume of a prior": (
        '[rules.lungs]\nalgorithm = "lungs-and-airways"',
        (
            '[rules.x]\nalgorithm = "a"\nfor_each = "before"\n'
            '[rules.x.inputs.before]\nvolume = { Modality = "CT" }\nstudy = "prior"\n'
            '[rules.x.inputs.now]\nvolume = { Modality = "CT" }\n[rules.lungs]\nalgorithm = "a"'
        ),
        [
            (
                "8:1: rules.x.for_each: before takes a volume of an earlier study; expected an input of the current "
                "study. Results refer to the image of each job"
            )
        ],
    ),
    "a secret": (
        "threshold = 0.5",
        'api_token = "abc"',
        [
            (
                "19:1: rules.lungs.values.api_token: a secret must not stand in this file; expected "
                "token_file = the path of a file that holds it. Move it there with rights 0600, and ask for a "
                "new one if this file was ever copied"
            ),
        ],
    ),
}


def problems(folder: Path, text: str) -> list[str]:
    """Every sentence, without the name of the file."""
    site, file = folder / "site.toml", folder / "rules.toml"
    site.write_text(SITE, encoding="utf-8")
    file.write_text(text, encoding="utf-8")
    try:
        rules = load_rules(file)
        compile_rules(rules)
        every = check_rules(rules, load_site(site))
    except ConfigError as error:
        every = [error, *error.others]
    return [str(one).removeprefix(f"{file}:").replace(str(site), "@site") for one in every]


def test_the_right_file_has_no_problem(tmp_path: Path) -> None:
    assert problems(tmp_path, RIGHT) == []


@pytest.mark.parametrize(("right", "wrong", "expected"), WRONG.values(), ids=WRONG.keys())
def test_a_mistake_says_where_it_is_and_what_to_write(
    tmp_path: Path, right: str, wrong: str, expected: list[str]
) -> None:
    assert right in RIGHT
    for word, meaning in WORDS.items():
        expected = [one.replace(word, meaning) for one in expected]
    assert problems(tmp_path, RIGHT.replace(right, wrong)) == expected
