"""`[rules.NAME.results]`: what is made of the answer, and what its values and labels mean."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from bridge.config.fields import Text
from bridge.config.validate import Section, bad, describe


class Code(Section):
    """A coded concept (PS3.3 8.8)."""

    scheme: Annotated[str, Field(min_length=1, max_length=16)] = Field(examples=['"SCT"'])
    """Coding Scheme Designator."""
    code: Annotated[str, Field(min_length=1, max_length=16)] = Field(examples=['"118565006"'])
    """Code Value."""
    meaning: Annotated[str, Field(min_length=1, max_length=64)] = Field(examples=['"Volume"'])
    """Code Meaning."""


class Measured(Code):
    """What a value means: a code for the measurement and one for its unit, or for each answer."""

    unit: Annotated[str, Field(max_length=16)] = Field(default="", examples=['"ml"'])
    """UCUM; `"1"` for a plain number. A number without a unit stays with the job."""
    unit_meaning: Annotated[str, Field(max_length=64)] = Field(default="", examples=['"milliliter"'])
    """In words."""
    values: dict[Text, Code] = Field(default_factory=dict)
    """The coded answer for a text, a whole number, `true` or `false`. Without one, true and false are Yes and No."""

    @model_validator(mode="after")
    def _unit_in_words(self) -> Self:
        if bool(self.unit) != bool(self.unit_meaning):
            raise bad("one of unit and unit_meaning", "both or none")
        return self


class Concept(Measured):
    """What a value that came back means, and where it stands."""

    socket: str = ""
    """The socket that holds the value, where this table has another name."""
    path: str = Field(default="", examples=['"stats.volume_ml"'])
    """Where in a JSON structure the value stands: keys, and numbers of list entries from 0, with dots between."""
    segment: str = Field(default="", examples=['"Left lung"'])
    """Name of the segment that the value is about. It then stands with the measurements of that segment."""


class RowModel(Section):
    """What a row of a table is about."""

    column: str = ""
    """The column that names the structure of each row. Empty: the table has one row."""


class TableModel(Section):
    """`[rules.NAME.results.tables.SOCKET]`: which columns of a CSV table become values of the report."""

    row: RowModel = Field(default_factory=RowModel)
    """What a row is about. A row that names a segment stands with the measurements of that segment."""
    columns: dict[Text, Measured] = Field(min_length=1)
    """What the columns mean, by name. Other columns stay with the job."""


def _label_value(value: str) -> str:
    if not (re.fullmatch("[1-9][0-9]{0,4}", value) and int(value) <= 65535):
        raise bad(f'the label value "{value[:40]}"', "a whole number from 1 to 65535")
    return value


def _colour(value: str) -> str:
    if value and not re.fullmatch("#[0-9a-fA-F]{6}", value):
        raise bad(describe(value), 'red, green and blue, for example "#56b4e9"')
    return value


LabelValue = Annotated[str, AfterValidator(_label_value)]


class SegmentModel(Section):
    """What a label value of a mask is. Without a code, one that follows from the name."""

    name: Text = Field(examples=['"Right lung"'])
    """Segment Label, in place of the algorithm's name."""
    scheme: Text = "SCT"
    """Coding Scheme Designator of `code`."""
    code: Annotated[str, Field(max_length=16)] = ""
    """Code Value of the segmented property type (PS3.3 C.8.20.2)."""
    meaning: Annotated[str, Field(max_length=64)] = ""
    """Code Meaning; where it is not given, the name."""
    category: Literal[
        "anatomical-structure",
        "tissue",
        "abnormal-structure",
        "physical-object",
        "body-substance",
        "substance",
        "function",
    ] = "anatomical-structure"
    """Of the code (CID 7150)."""
    side: Literal["", "left", "right"] = ""
    """Of the code, where it is one of a pair."""
    colour: Annotated[str, AfterValidator(_colour)] = Field(default="", examples=['"#56b4e9"'])
    """Recommended display colour."""

    @property
    def rgb(self) -> tuple[int, int, int] | None:
        if not self.colour:
            return None
        red, green, blue = bytes.fromhex(self.colour[1:])
        return red, green, blue

    @model_validator(mode="after")
    def _code_first(self) -> SegmentModel:
        usual = type(self).model_fields
        about = [
            name
            for name in ("scheme", "meaning", "category", "side")
            if getattr(self, name) != usual[name].default
        ]
        if about and not self.code:
            raise bad(f"{' and '.join(about)} without code", "the code that it is about")
        return self


class ResultsModel(Section):
    """`[rules.NAME.results]`: what is made of the answer."""

    segmentation: bool = True
    """Masks become DICOM SEG."""
    measurement_report: bool = True
    """Volumes and values become a structured report (TID 1500)."""
    picture: bool = False
    """Masks become pictures too, for viewers that show no SEG: at most 20 slices in one Secondary Capture."""
    heat_map: Literal["off", "parametric-map", "fractional"] = "off"
    """What a heat map becomes: a Parametric Map, a fractional SEG of probabilities, or nothing: it stays with the job.
    Its unit is that of its concept, else no units; a fractional SEG wants 0 to 1, or percent."""
    documents: bool = True
    """PDF files become Encapsulated PDF."""
    meshes: bool = True
    """Meshes become Encapsulated STL or OBJ and, with `segmentation` and `measurement_report`, those as well."""
    concepts: dict[Text, Concept] = Field(default_factory=dict)
    """What the value of a socket means. A value without a concept stays with the job."""
    tables: dict[Text, TableModel] = Field(default_factory=dict)
    """What the columns of a CSV table mean, by socket. Any other table stays with the job."""
    segments: dict[Text, dict[LabelValue, SegmentModel]] = Field(default_factory=dict)
    """What the label values of a mask are, by socket: for those that the platform does not name, or names badly."""
    private_codes: bool = False
    """Write values without a concept too, under a private code (99BRIDGE) that follows from the socket."""
