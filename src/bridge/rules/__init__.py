"""What should happen to it? Conditions, the choice of inputs, and the reasons for both. Pure: values in, values out.

Nothing is imported until it is asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bridge.rules.choice import Choice, choose
    from bridge.rules.compiled import Rule, RuleInput, compile_rules
    from bridge.rules.explanation import CandidateVerdict, Check, Explanation, InputExplanation, Outcome
    from bridge.rules.facts import Study
    from bridge.rules.guards import Guards
    from bridge.rules.identity import Match, job_id

__all__ = [
    "CandidateVerdict",
    "Check",
    "Choice",
    "Explanation",
    "Guards",
    "InputExplanation",
    "Match",
    "Outcome",
    "Rule",
    "RuleInput",
    "Study",
    "choose",
    "compile_rules",
    "job_id",
]

_MODULES = {
    "choice": {"Choice", "choose"},
    "compiled": {"Rule", "RuleInput", "compile_rules"},
    "explanation": {"CandidateVerdict", "Check", "Explanation", "InputExplanation", "Outcome"},
    "facts": {"Study"},
    "guards": {"Guards"},
    "identity": {"Match", "job_id"},
}


def __getattr__(name: str) -> object:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"bridge.rules.{module}"), name)
    raise AttributeError(name)
