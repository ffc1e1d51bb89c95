"""The attributes of patient and study as a table: what becomes of each on its way into a result.

PS3.3 C.7.1.1 Patient, C.7.1.3 Clinical Trial Subject, C.7.2.1 General Study, C.7.2.2 Patient Study, C.7.2.3 Clinical
Trial Study, with two attributes that headers still carry and newer editions dropped (Other Patient IDs, Ethnic Group).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Do(Enum):
    """What happens to an attribute of the source."""

    KEEP = "copied as it is, whatever it is, because archives match by it; empty when absent (Type 2)"
    MEND = "copied when valid, rewritten when its meaning is clear, else empty (Type 2)"
    VALID = "copied when valid, else left out (Type 3, or conditional)"


def _keywords(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_PATIENT = _keywords("""
    ReferencedPatientSequence IssuerOfPatientID TypeOfPatientID IssuerOfPatientIDQualifiersSequence
    SourcePatientGroupIdentificationSequence GroupOfPatientsIdentificationSequence PatientBirthTime
    PatientBirthDateInAlternativeCalendar PatientDeathDateInAlternativeCalendar PatientAlternativeCalendar
    QualityControlSubject StrainDescription StrainNomenclature StrainStockSequence StrainAdditionalInformation
    StrainCodeSequence GeneticModificationsSequence OtherPatientIDs OtherPatientNames OtherPatientIDsSequence
    ReferencedPatientPhotoSequence EthnicGroup EthnicGroupCodeSequence PatientSpeciesDescription
    PatientSpeciesCodeSequence PatientBreedDescription PatientBreedCodeSequence BreedRegistrationSequence
    ResponsiblePerson ResponsiblePersonRole ResponsibleOrganization PatientComments PatientIdentityRemoved
    DeidentificationMethod DeidentificationMethodCodeSequence
""")
_GENERAL_STUDY = _keywords("""
    IssuerOfAccessionNumberSequence ReferringPhysicianIdentificationSequence ConsultingPhysicianName
    ConsultingPhysicianIdentificationSequence StudyDescription ProcedureCodeSequence PhysiciansOfRecord
    PhysiciansOfRecordIdentificationSequence NameOfPhysiciansReadingStudy
    PhysiciansReadingStudyIdentificationSequence ReferencedStudySequence RequestingService
    RequestingServiceCodeSequence ReasonForPerformedProcedureCodeSequence
""")
_PATIENT_STUDY = _keywords("""
    AdmittingDiagnosesDescription AdmittingDiagnosesCodeSequence PatientAge PatientSize PatientSizeCodeSequence
    PatientBodyMassIndex MeasuredAPDimension MeasuredLateralDimension PatientWeight MedicalAlerts Allergies
    Occupation SmokingStatus AdditionalPatientHistory PregnancyStatus LastMenstrualDate PatientSexNeutered
    ReasonForVisit ReasonForVisitCodeSequence AdmissionID IssuerOfAdmissionIDSequence ServiceEpisodeID
    ServiceEpisodeDescription IssuerOfServiceEpisodeIDSequence PatientState
""")
_TRIAL_SUBJECT = _keywords("""
    ClinicalTrialSponsorName ClinicalTrialProtocolID ClinicalTrialProtocolName IssuerOfClinicalTrialProtocolID
    OtherClinicalTrialProtocolIDsSequence ClinicalTrialSiteID ClinicalTrialSiteName IssuerOfClinicalTrialSiteID
    ClinicalTrialSubjectID IssuerOfClinicalTrialSubjectID ClinicalTrialSubjectReadingID
    IssuerOfClinicalTrialSubjectReadingID ClinicalTrialProtocolEthicsCommitteeName
    ClinicalTrialProtocolEthicsCommitteeApprovalNumber
""")
_TRIAL_STUDY = _keywords("""
    ClinicalTrialTimePointID ClinicalTrialTimePointDescription LongitudinalTemporalOffsetFromEvent
    LongitudinalTemporalEventType ClinicalTrialTimePointTypeCodeSequence IssuerOfClinicalTrialTimePointID
    ConsentForClinicalTrialUseSequence
""")

PATIENT_AND_STUDY: dict[str, Do] = {
    "PatientName": Do.KEEP,
    "PatientID": Do.KEEP,
    "PatientBirthDate": Do.MEND,
    "PatientSex": Do.MEND,
    "StudyInstanceUID": Do.KEEP,
    "StudyDate": Do.MEND,
    "StudyTime": Do.MEND,
    "ReferringPhysicianName": Do.KEEP,
    "StudyID": Do.KEEP,
    "AccessionNumber": Do.KEEP,
    **dict.fromkeys((*_PATIENT, *_GENERAL_STUDY, *_PATIENT_STUDY, *_TRIAL_SUBJECT, *_TRIAL_STUDY), Do.VALID),
}

EQUIPMENT = _keywords("Manufacturer ManufacturerModelName DeviceSerialNumber SoftwareVersions")

OF_THE_IMAGE = (*EQUIPMENT, "PositionReferenceIndicator")
"""What results repeat of the source beside patient and study. Its geometry comes with the `Volume`: in a multi-frame
object it is not at the top of the header."""

CODE = (
    ("CodeValue", "LongCodeValue", "URNCodeValue"),
    ("CodingSchemeDesignator", "URNCodeValue"),
    ("CodeMeaning",),
)
_REFERENCE = (("ReferencedSOPClassUID",), ("ReferencedSOPInstanceUID",))
_PERSON = (("PersonIdentificationCodeSequence",), ("InstitutionName", "InstitutionCodeSequence"))
_ENTITY = (("LocalNamespaceEntityID", "UniversalEntityID"),)

ITEM_NEEDS: dict[str, tuple[tuple[str, ...], ...]] = {
    "ReferencedPatientSequence": _REFERENCE,
    "ReferencedStudySequence": _REFERENCE,
    "ReferencedSOPSequence": _REFERENCE,
    "SourcePatientGroupIdentificationSequence": (("PatientID",),),
    "GroupOfPatientsIdentificationSequence": (("PatientID",),),
    "OtherPatientIDsSequence": (("PatientID",), ("TypeOfPatientID",)),
    "StrainStockSequence": (("StrainStockNumber",), ("StrainSourceRegistryCodeSequence",), ("StrainSource",)),
    "GeneticModificationsSequence": (
        ("GeneticModificationsDescription",),
        ("GeneticModificationsNomenclature",),
    ),
    "BreedRegistrationSequence": (("BreedRegistrationNumber",), ("BreedRegistryCodeSequence",)),
    "ReferencedPatientPhotoSequence": (("TypeOfInstances",), ("ReferencedSOPSequence",)),
    "IssuerOfAccessionNumberSequence": _ENTITY,
    "IssuerOfAdmissionIDSequence": _ENTITY,
    "IssuerOfServiceEpisodeIDSequence": _ENTITY,
    "ReferringPhysicianIdentificationSequence": _PERSON,
    "ConsultingPhysicianIdentificationSequence": _PERSON,
    "PhysiciansOfRecordIdentificationSequence": _PERSON,
    "PhysiciansReadingStudyIdentificationSequence": _PERSON,
    "OtherClinicalTrialProtocolIDsSequence": (
        ("ClinicalTrialProtocolID",),
        ("IssuerOfClinicalTrialProtocolID",),
    ),
    "ConsentForClinicalTrialUseSequence": (("ConsentForDistributionFlag",),),
}
"""Of each group of keywords an item needs one with a value, or it is left out. Any other ...CodeSequence: `CODE`."""


@dataclass(frozen=True, slots=True)
class Bond:
    """`fall` are left out unless of every group in `need` one has a value, and all of `beside` are there."""

    fall: tuple[str, ...]
    need: tuple[tuple[str, ...], ...]
    beside: tuple[str, ...] = ()
    when: str = ""
    """Holds only while the first of `fall` has this value; "" for any value, even none."""


_ANIMAL = _keywords("""
    PatientSpeciesDescription PatientSpeciesCodeSequence PatientBreedDescription PatientBreedCodeSequence
    BreedRegistrationSequence PatientSexNeutered
""")
BONDS = (
    Bond(
        ("PatientBirthDateInAlternativeCalendar", "PatientDeathDateInAlternativeCalendar"),
        (("PatientAlternativeCalendar",),),
    ),
    Bond(("UniversalEntityID",), (("UniversalEntityIDType",),)),
    Bond(
        _ANIMAL,
        (("PatientSpeciesDescription", "PatientSpeciesCodeSequence"),),
        (*_ANIMAL[2:], "ResponsiblePerson", "ResponsibleOrganization"),
    ),
    Bond(
        ("PatientIdentityRemoved",),
        (("DeidentificationMethod", "DeidentificationMethodCodeSequence"),),
        when="YES",
    ),
    Bond(
        _TRIAL_SUBJECT,
        (
            ("ClinicalTrialSponsorName",),
            ("ClinicalTrialProtocolID",),
            ("ClinicalTrialSubjectID", "ClinicalTrialSubjectReadingID"),
        ),
    ),
    Bond(
        ("ClinicalTrialProtocolEthicsCommitteeApprovalNumber",),
        (("ClinicalTrialProtocolEthicsCommitteeName",),),
    ),
    Bond(("LongitudinalTemporalOffsetFromEvent",), (("LongitudinalTemporalEventType",),)),
)
TYPE_2_OF_MODULE = (
    (
        "ClinicalTrialProtocolID",
        ("ClinicalTrialProtocolName", "ClinicalTrialSiteID", "ClinicalTrialSiteName"),
    ),
    ("ClinicalTrialTimePointDescription", ("ClinicalTrialTimePointID",)),
    ("LongitudinalTemporalOffsetFromEvent", ("ClinicalTrialTimePointID",)),
    ("ClinicalTrialTimePointTypeCodeSequence", ("ClinicalTrialTimePointID",)),
    ("ConsentForClinicalTrialUseSequence", ("ClinicalTrialTimePointID",)),
)
"""An attribute that is there, and those that its module then wants at least empty."""

MAY_BE_EMPTY = frozenset({"PatientBreedCodeSequence", "BreedRegistrationSequence"})
"""Type 2C sequences; another sequence without items says nothing and is left out."""
