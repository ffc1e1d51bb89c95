"""What keeps a rule from a study that fits it: the age of the study, a test patient, a patient who has opted out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.config.facts import Scope
from bridge.config.load import raise_first
from bridge.config.opt_out import NOBODY, OptOut
from bridge.dicom.headers import text
from bridge.rules.asked import OfStudy
from bridge.rules.checks import of_study
from bridge.rules.clauses import Clause
from bridge.rules.explanation import Check
from bridge.rules.facts import STUDY_FACTS

if TYPE_CHECKING:
    from bridge.config.site import Site
    from bridge.dicom.instance import Instance
    from bridge.rules.compiled import Rule
    from bridge.rules.facts import Study

TOMORROW = -1
"""A study of tomorrow comes from a clock that is ahead, or from another zone; a later one has no age."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guards:
    """What a site says of its patients, whatever its rules say."""

    test_patients: tuple[Clause, ...] = ()
    """() where the site names none."""
    opt_out: OptOut = NOBODY
    unreadable: str = ""
    """Why nobody can say who is on the list; then what fits is held."""


NO_GUARDS = Guards()


def named_test_patients(site: Site) -> tuple[Clause, ...]:
    """`[test_patients]` of site.toml.

    Raises ConfigError: CFG-010, a word is neither a DICOM keyword nor a fact of a study; CFG-011, an operator does not
    fit. The first problem with the `others` behind it.
    """
    if site.document is None or not site.test_patients:
        return ()
    from bridge.rules.terms import Compiler

    compiler = Compiler(site.document)
    clauses = compiler.table(Scope.STUDY, ("test_patients",), site.test_patients)
    raise_first(compiler.problems)
    return clauses


def against(rule: Rule, study: Study, guards: Guards) -> tuple[tuple[Check, ...], str]:
    """What was looked at, and why the rule takes no notice of the study; "" when nothing keeps it from it.

    The sentence holds no value that may identify a person.
    """
    checks: list[Check] = []
    for check, reason in (_age(rule, study), _test_patient(rule, study, guards), _opted_out(study, guards)):
        if check is not None:
            checks.append(check)
        if reason:
            return tuple(checks), reason
    return tuple(checks), ""


def patients(instances: Iterable[Instance]) -> frozenset[tuple[str, str]]:
    """(Issuer of Patient ID, Patient ID) of every object that has an ID."""
    every = {
        (_text(one, "IssuerOfPatientID"), patient)
        for one in instances
        if (patient := _text(one, "PatientID"))
    }
    return frozenset(every)


def _text(instance: Instance, keyword: str) -> str:
    return (text(instance.header, keyword) or "").strip()


def _age(rule: Rule, study: Study) -> tuple[Check | None, str]:
    limit = rule.max_study_age_days
    if limit is None:
        return None, ""
    ages = [int(age) for age in STUDY_FACTS["age_days"](study)]
    reason = ""
    if not ages:
        reason = "the study has no Study Date that can be read, and the rule wants to know its age"
    elif min(ages) < TOMORROW:
        reason = "the Study Date lies in the future, and the rule wants to know the age of the study"
    elif max(ages) > limit:
        reason = f"the study is older than {limit} day{'s' * (limit != 1)}"
    check = Check(
        keyword="max_study_age_days",
        wanted=f"at most {limit}",
        found=", ".join(map(str, sorted(ages))) or None,
        ok=not reason,
        private=True,
    )
    return check, f"{reason} (max_study_age_days)" if reason else ""


def _test_patient(rule: Rule, study: Study, guards: Guards) -> tuple[Check | None, str]:
    if not guards.test_patients:
        return None, ""
    asked = OfStudy(study=study)
    told = [of_study(clause, asked) for clause in guards.test_patients]
    is_test = not any(shortage for _, shortage in told)
    reason = ""
    if is_test and rule.test_patients == "skip":
        reason = "a test patient, whom the rule skips (test_patients)"
    elif not is_test and rule.test_patients == "only":
        reason = "no test patient, and the rule is for these only (test_patients)"
    check = Check(
        keyword="test_patients",
        wanted=rule.test_patients,
        found="a test patient" if is_test else "no test patient",
        ok=not reason,
        private=False,
    )
    return check, reason


def _opted_out(study: Study, guards: Guards) -> tuple[Check | None, str]:
    if guards.opt_out.names(patients(study.foreign)):
        check = Check(
            keyword="opt_out_file", wanted="not on the list", found="on the list", ok=False, private=False
        )
        return check, OPTED_OUT
    return None, ""


OPTED_OUT = "the patient is on the opt-out list of this site (opt_out_file)"
