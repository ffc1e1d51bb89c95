"""Decisions depend on what is there, never on the order in which it came or is written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from bridge.rules import Choice, Explanation, Outcome, Rule, choose, job_id
from bridge.volumes.volume import Candidate
from made_studies import refused, rule, rules, study, volume

RULES = """
[rules.thin]
mode = "live"
platform = "gc"
algorithm = "a"
destinations = ["pacs"]
study = { instances = { min = 2 } }
[rules.thin.inputs.ct]
volume = { Modality = "CT", spacing_mm = { max = 2.0 } }
prefer = ["thinnest", "most-instances"]

[rules.pair]
mode = "hold"
platform = "gc"
algorithm = "b"
destinations = ["pacs"]
[rules.pair.inputs.ct]
volume = { Modality = "CT" }
prefer = ["newest", "lowest-series-number"]
[rules.pair.inputs.other]
volume = { Modality = ["PT", "CT"], ConvolutionKernel = { not = "L" } }
prefer = ["thickest"]

[rules.compound]
mode = "live"
platform = "gc"
algorithm = "c"
destinations = ["pacs"]
study = { any = [{ any_instance = { Modality = "CT", ConvolutionKernel = "B" } }, { not = { Modality = "PT" } }] }
[rules.compound.inputs.ct]
prefer = ["newest", "thinnest"]
[rules.compound.inputs.ct.volume]
any = [{ Modality = "CT", ConvolutionKernel = "L" }, { not = { SeriesNumber = { min = 2 } } }]
StudyDate = { within_days = 30 }
every_instance = { ImageType = "AXIAL" }
"""


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Rule, ...]:
    return rules(tmp_path_factory.mktemp("rules"), RULES)


@st.composite
def candidates(draw: st.DrawFn) -> list[Candidate]:
    made = []
    for number in range(draw(st.integers(0, 5))):
        given: dict[str, Any] = {
            "Modality": draw(st.sampled_from(["CT", "PT", None])),
            "ConvolutionKernel": draw(st.sampled_from(["L", "B", None])),
            "SeriesNumber": draw(st.sampled_from([1, 2, 3, None])),
            "SeriesDate": draw(st.sampled_from(["20260101", "20260102", None])),
            "slices": draw(st.integers(1, 3)),
        }
        if draw(st.integers(0, 4)) == 0:
            made.append(refused(number, **given))
        else:
            own = draw(st.integers(0, 6)) == 0
            spacing = draw(st.sampled_from([0.5, 1.0, 1.0004, 2.0, 5.0]))
            made.append(volume(number, spacing=spacing, own=own, **given))
    return made


def decided(choice: Choice) -> tuple[Explanation, dict[str, str]]:
    volumes = choice.volumes or {}
    return choice.explanation, {name: one.series_instance_uid for name, one in volumes.items()}


@settings(max_examples=60, deadline=None)
@given(made=candidates(), random=st.randoms(use_true_random=False))
def test_no_order_changes_the_decision(
    compiled: tuple[Rule, ...], made: list[Candidate], random: Random
) -> None:
    shuffled = [
        replace(one, instances=tuple(random.sample(one.instances, len(one.instances))))
        for one in random.sample(made, len(made))
    ]
    forward = {one.name: decided(choose(one, study(*made), made)) for one in compiled}
    backward = {one.name: decided(choose(one, study(*shuffled), shuffled)) for one in reversed(compiled)}
    assert forward == backward


@settings(max_examples=60, deadline=None)
@given(made=candidates())
def test_a_match_has_every_input_once_and_nothing_that_was_struck_or_refused(
    compiled: tuple[Rule, ...], made: list[Candidate]
) -> None:
    for one in compiled:
        choice = choose(one, study(*made), made)
        assert (choice.volumes is not None) is (choice.explanation.outcome is Outcome.MATCH)
        if choice.volumes is None:
            continue
        assert set(choice.volumes) == {wish.name for wish in one.inputs}
        series = [taken.series_instance_uid for taken in choice.volumes.values()]
        assert len(set(series)) == len(series)
        assert not any(instance.own for taken in choice.volumes.values() for instance in taken.instances)
        for told in choice.explanation.inputs:
            assert told.chosen is not None
            assert all(check.ok for check in told.candidates[told.chosen].checks)


@settings(max_examples=60, deadline=None)
@given(made=candidates())
def test_results_of_our_own_change_no_decision(compiled: tuple[Rule, ...], made: list[Candidate]) -> None:
    ours = volume(99, own=True, slices=2, spacing=0.1)
    for one in compiled:
        before, after = choose(one, study(*made), made), choose(one, study(*made, ours), [*made, ours])
        assert before.explanation.outcome is after.explanation.outcome
        assert decided(before)[1] == decided(after)[1]


@settings(max_examples=40, deadline=None)
@given(made=candidates())
def test_every_explanation_survives_json_and_masking_keeps_its_verdicts(
    compiled: tuple[Rule, ...], made: list[Candidate]
) -> None:
    adapter = TypeAdapter(Explanation)
    for one in compiled:
        told = choose(one, study(*made), made).explanation
        assert adapter.validate_json(adapter.dump_json(told)) == told
        masked = told.masked()
        assert [i.chosen for i in masked.inputs] == [i.chosen for i in told.inputs]
        assert (masked.outcome, masked.reason) == (told.outcome, told.reason)


LEAVES = st.sampled_from(
    [
        'Modality = "CT"',
        'Modality = { not = "PT" }',
        'ConvolutionKernel = "L"',
        "ConvolutionKernel = { present = false }",
        "SeriesNumber = { max = 2 }",
        "spacing_mm = { max = 1 }",
        'any_instance = { ConvolutionKernel = "B" }',
    ]
)
TABLES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda two: f"any = [{{ {two[0]} }}, {{ {two[1]} }}]"),
        st.tuples(inner, inner).map(lambda two: f"all = [{{ {two[0]} }}, {{ {two[1]} }}]"),
        inner.map(lambda one: f"not = {{ {one} }}"),
    ),
    max_leaves=4,
)


@settings(max_examples=80, deadline=None)
@given(first=TABLES, second=TABLES, made=candidates())
def test_the_laws_of_all_any_and_not_hold_for_what_is_unknown_too(
    tmp_path_factory: pytest.TempPathFactory, first: str, second: str, made: list[Candidate]
) -> None:
    """De Morgan, double negation, and that a condition and its opposite never hold both."""
    folder = tmp_path_factory.mktemp("laws")

    def fitting(conditions: str) -> set[str]:
        told = choose(rule(folder, f"{{ {conditions} }}"), study(*made), made).explanation.inputs[0]
        return {
            verdict.series_instance_uid + verdict.label
            for verdict in told.candidates
            if verdict.checks and all(check.ok for check in verdict.checks)
        }

    either = f"any = [{{ {first} }}, {{ {second} }}]"
    neither = f"all = [{{ not = {{ {first} }} }}, {{ not = {{ {second} }} }}]"
    assert fitting(f"not = {{ {either} }}") == fitting(neither)
    assert fitting(f"not = {{ not = {{ {first} }} }}") == fitting(f"all = [{{ {first} }}]")
    assert fitting(either) == fitting(f"any = [{{ {second} }}, {{ {first} }}]")
    assert not fitting(f"all = [{{ {first} }}]") & fitting(f"not = {{ {first} }}")


texts = st.text(max_size=6)


@settings(max_examples=200, deadline=None)
@given(
    first=st.tuples(texts, texts, texts, texts, st.dictionaries(texts, texts, max_size=3)),
    second=st.tuples(texts, texts, texts, texts, st.dictionaries(texts, texts, max_size=3)),
)
def test_two_jobs_share_an_id_only_when_they_are_the_same_work(first: Any, second: Any) -> None:
    def named(work: Any) -> str:
        rule, platform, algorithm, version, inputs = work
        return job_id(
            bytes(16),
            rule=rule,
            platform=platform,
            algorithm=algorithm,
            version=version,
            study_instance_uid="1.2",
            inputs=inputs,
            values={},
        )

    assert (named(first) == named(second)) is (first == second)


def test_rules_do_not_read_the_folder_they_came_from(tmp_path: Path) -> None:
    (one, *_) = rules(tmp_path, RULES)
    (tmp_path / "rules.toml").unlink()
    assert choose(one, study(volume(1)), [volume(1)]).explanation.outcome is Outcome.MATCH
