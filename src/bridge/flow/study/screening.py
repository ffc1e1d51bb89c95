"""What a rule takes, less what may not leave: volumes whose pixels may show a person, told from their headers.

Before a job is made, and for a question as for a decision. `prepare` looks once more.
"""

from __future__ import annotations

from dataclasses import replace

from bridge.config.privacy import PrivacyModel
from bridge.config.site import Site
from bridge.errors import Refused
from bridge.flow.stages.privacy import check_meshes, check_pixels, policy_of
from bridge.rules import Choice, Outcome, Rule


def screened(site: Site, rule: Rule, choice: Choice) -> Choice:
    """The choice without the jobs whose pixels are refused (DEI-009), and with the risks that the others take."""
    if not choice.matches:
        return choice
    policy = policy_of(rule.privacy or PrivacyModel(), site)
    refused: list[str] = []
    left = []
    told: dict[str, None] = {}
    for one in choice.matches:
        try:
            taken = (
                *check_pixels(one.volumes.values(), policy),
                *check_meshes(one.documents.values(), policy),
            )
        except Refused as refusal:
            refused.append(f"{refusal.code}: {refusal.sentence()}")
            continue
        sentences = tuple(dict.fromkeys(risk.sentence for risk in taken))
        told |= dict.fromkeys(sentences)
        left.append(replace(one, explanation=replace(one.explanation, risks=sentences)))
    explanation = replace(choice.explanation, risks=tuple(told))
    more = f" (and {len(refused) - 1} more)" if len(refused) > 1 else ""
    if refused and not left:
        explanation = replace(explanation, outcome=Outcome.REFUSED, reason=refused[0] + more)
    elif refused:
        reason = f"{explanation.reason}; no job for {len(refused)} of them, {refused[0]}{more}"
        explanation = replace(explanation, reason=reason)
    return replace(choice, explanation=explanation, matches=tuple(left))
