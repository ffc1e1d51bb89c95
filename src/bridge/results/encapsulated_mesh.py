"""A mesh becomes an Encapsulated STL or OBJ (PS3.3 A.85): the file itself, with patient, study and place around it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.dicom.charsets import plain
from bridge.dicom.codes import ANY_TISSUE, ARTIFICIAL_INTELLIGENCE, MILLIMETER, Anatomy
from bridge.errors import Refused
from bridge.results import envelope
from bridge.results.colours import Rgb
from bridge.results.mesh import Mesh
from bridge.results.mesh_files import MeshFormat, write_stl
from bridge.results.output import MeshFrame, Output
from bridge.results.result import Result, Wrapping
from bridge.results.subject import Subject

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

KIND = "M3D"
_AS = {
    MeshFormat.STL: ("1.2.840.10008.5.1.4.1.1.104.3", "model/stl"),
    MeshFormat.OBJ: ("1.2.840.10008.5.1.4.1.1.104.4", "model/obj"),
}
"""SOP Class and MIME type of files that go in as they are."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Surface:
    """A mesh that was read, and what it shows."""

    output: Output
    data: bytes
    """The file as it came."""
    format: MeshFormat
    mesh: Mesh
    """In LPS mm."""
    label: str
    anatomy: Anatomy
    rgb: Rgb

    @property
    def goes_as_it_is(self) -> bool:
        return self.format in _AS and self.output.frame is MeshFrame.LPS_MM


def encode_surface(surface: Surface, subject: Subject, wrapping: Wrapping, *, instance_number: int) -> Result:
    """The object of one mesh, unverified, in millimetres of the Frame of Reference of its images.

    Binary STL and OBJ in LPS mm go in byte for byte; anything else as the binary STL of its mesh. How long the file is,
    Encapsulated Document Length says: the value itself is padded to an even length.

    Raises:
        Refused: RES-032 a source without frame of reference; RES-040 an illegal value.
    """
    if not subject.volume.frame_of_reference_uid:
        raise Refused(
            "RES-032",
            "a source without Frame of Reference UID",
            "a place in space that a mesh can refer to",
            "Choose another series for this rule",
        )
    name = surface.output.name
    format, data, notes = surface.format, surface.data, list[str]()
    if not surface.goes_as_it_is:
        format, data = MeshFormat.STL, write_stl(surface.mesh)
        notes.append(f"{name}: {_was(surface)} became binary STL; the original stays with the job")
    elif format is MeshFormat.OBJ and b"mtllib" in data:
        notes.append(f"{name}: materials and textures of the OBJ stay with the job")
    sop_class_uid, mime_type = _AS[format]
    data_set = envelope.object_of(wrapping, KIND, sop_class_uid, name, instance_number)
    data_set.Modality = "M3D"
    data_set.FrameOfReferenceUID = subject.volume.frame_of_reference_uid
    data_set.PositionReferenceIndicator = ""
    if "PositionReferenceIndicator" in subject.context:
        data_set["PositionReferenceIndicator"] = subject.context["PositionReferenceIndicator"]
    data_set.AcquisitionDateTime = ""
    # Nothing that leaves the house names a patient, so nothing that comes back can.
    data_set.BurnedInAnnotation = "NO"
    data_set.DocumentTitle = plain(surface.label, 1024)
    is_known = surface.anatomy != ANY_TISSUE
    data_set.ConceptNameCodeSequence = [envelope.code_item(surface.anatomy.type)] if is_known else []
    if is_known and (schemes := envelope.scheme_items(surface.anatomy.type)):
        data_set.CodingSchemeIdentificationSequence = schemes
    _refer(data_set, subject)
    data_set.ContentDescription = plain(f"Surface by {wrapping.algorithm}, {envelope.NOT_VERIFIED}")
    data_set.MeasurementUnitsCodeSequence = [envelope.code_item(MILLIMETER)]
    data_set.ModelModification = "NO"
    data_set.ModelMirroring = "NO"
    data_set.DerivationAlgorithmSequence = [_algorithm(wrapping)]
    data_set.RecommendedDisplayCIELabValue = _lab(surface.rgb)
    data_set.MIMETypeOfEncapsulatedDocument = mime_type
    data_set.EncapsulatedDocument = data + bytes(len(data) % 2)
    data_set.EncapsulatedDocumentLength = len(data)
    return envelope.sealed(data_set, KIND, name, subject.context, wrapping, notes)


def _was(surface: Surface) -> str:
    frame = surface.output.frame
    return (
        surface.format.value
        if frame in (None, MeshFrame.LPS_MM)
        else f"{surface.format.value} in {frame.value}"
    )


def _refer(data_set: Dataset, subject: Subject) -> None:
    """Source Instance Sequence and, because of it, Common Instance Reference (PS3.3 C.12.2)."""
    from pydicom.dataset import Dataset

    series: dict[str, list[Dataset]] = {}
    items = []
    for image in subject.sources():
        item = Dataset()
        item.ReferencedSOPClassUID = image.SOPClassUID
        item.ReferencedSOPInstanceUID = image.SOPInstanceUID
        items.append(item)
        series.setdefault(str(image.SeriesInstanceUID), []).append(item)
    data_set.SourceInstanceSequence = items
    referenced = []
    for uid, some in series.items():
        one = Dataset()
        one.SeriesInstanceUID = uid
        one.ReferencedInstanceSequence = some
        referenced.append(one)
    data_set.ReferencedSeriesSequence = referenced


def _algorithm(wrapping: Wrapping) -> Dataset:
    """Algorithm Identification Macro (PS3.3 10.16)."""
    from pydicom.dataset import Dataset

    item = Dataset()
    item.AlgorithmFamilyCodeSequence = [envelope.code_item(ARTIFICIAL_INTELLIGENCE)]
    item.AlgorithmName = plain(wrapping.algorithm)
    item.AlgorithmVersion = plain(wrapping.algorithm_version)
    return item


def _lab(rgb: Rgb) -> list[int]:
    from highdicom.color import CIELabColor

    return [int(one) for one in CIELabColor.from_rgb(*rgb).value]
