"""Rule files of every shape on studies of every shape: what a decision must never depend on."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.property.test_rules import TABLES, candidates

from bridge.rules import Choice, Outcome, Rule, choose
from bridge.store.not_begun import REPLACED
from bridge.volumes.volume import Candidate
from intake_bench import Bench
from made_objects import ct_slice
from made_studies import SECONDARY_CAPTURE, SEGMENTATION, instance, rules, study, volume

PREFERENCES = [
    '"thinnest"',
    '"most-instances"',
    '"lowest-series-number"',
    '{ ConvolutionKernel = ["L", "B"] }',
]
SOCKETS = ["a", "b", "c"]
ASKED = ["study = { instances = { min = 3 } }\n", 'study = { Modality = "PT" }\n']
DEFINED = ["first", "second", "third"]

prefers = st.lists(st.sampled_from(PREFERENCES), unique=True, max_size=3).map(
    lambda some: f"[{', '.join(some)}]"
)
names = st.lists(st.sampled_from(DEFINED), unique=True, min_size=1, max_size=3)
own = st.tuples(TABLES, prefers).map(lambda two: f"volume = {{ {two[0]} }}\nprefer = {two[1]}\n")
named = names.map(lambda some: "volume = [" + ", ".join(f'"{one}"' for one in some) + "]\n")


@st.composite
def files(draw: st.DrawFn, *, each: bool | None = None, sockets: int = 3, asks_study: bool = True) -> str:
    """`each`: whether its rules have `for_each`, None for either."""
    text = ""
    for name in DEFINED:
        text += f"[volumes.{name}]\nwhere = {{ {draw(TABLES)} }}\nprefer = {draw(prefers)}\n"
    for name in ("x", "y")[: draw(st.integers(1, 2))]:
        inputs = draw(st.lists(st.sampled_from(SOCKETS), unique=True, min_size=1, max_size=sockets))
        head = f'[rules.{name}]\nmode = "live"\nplatform = "gc"\nalgorithm = "x"\ndestinations = ["pacs"]\n'
        if each or (each is None and draw(st.booleans())):
            head += f'for_each = "{draw(st.sampled_from(inputs))}"\n'
        if asks_study and draw(st.booleans()):
            head += draw(st.sampled_from(ASKED))
        text += head + "".join(
            f"[rules.{name}.inputs.{socket}]\n{draw(st.one_of(own, named))}" for socket in inputs
        )
    return text


def compiled(folder: pytest.TempPathFactory, text: str) -> tuple[Rule, ...]:
    return rules(folder.mktemp("file"), text)


def decided(choice: Choice) -> tuple[Any, ...]:
    """Outcome, and of each job by input which images it takes."""
    every = [
        {socket: [one.sop_instance_uid for one in taken.chosen] for socket, taken in match.volumes.items()}
        for match in choice.matches
    ]
    return choice.explanation.outcome, every


def turned_round(text: str) -> str:
    """The same file with its tables in another order."""
    tables = re.split(r"^(?=\[(?:rules|volumes)\.)", text, flags=re.MULTILINE)
    return "".join(reversed([one for one in tables if one]))


relaxed = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@relaxed
@given(text=files(), made=candidates(), random=st.randoms(use_true_random=False))
def test_no_order_of_arrival_or_of_the_file_changes_a_decision(
    tmp_path_factory: pytest.TempPathFactory, text: str, made: list[Candidate], random: Random
) -> None:
    shuffled = [
        replace(one, instances=tuple(random.sample(one.instances, len(one.instances))))
        for one in random.sample(made, len(made))
    ]
    there = {one.name: choose(one, study(*made), made) for one in compiled(tmp_path_factory, text)}
    turned = {
        one.name: choose(one, study(*shuffled), shuffled)
        for one in compiled(tmp_path_factory, turned_round(text))
    }
    assert {name: decided(one) for name, one in there.items()} == {
        name: decided(one) for name, one in turned.items()
    }


@relaxed
@given(text=files(), made=candidates())
def test_deciding_again_says_the_same(
    tmp_path_factory: pytest.TempPathFactory, text: str, made: list[Candidate]
) -> None:
    for one in compiled(tmp_path_factory, text):
        first, second = (choose(one, study(*made), made) for _ in range(2))
        assert first.explanation == second.explanation
        assert [match.explanation for match in first.matches] == [
            match.explanation for match in second.matches
        ]
        assert decided(first) == decided(second)


UNRELATED = [
    lambda: volume(90, own=True, spacing=0.1, slices=9),
    lambda: volume(91, sop_class=SECONDARY_CAPTURE),
    lambda: volume(92, sop_class=SEGMENTATION),
    lambda: volume(93, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]),
    lambda: Candidate(series_instance_uid="1.2.94", instances=(instance(94, Modality="SR", Rows=None),)),
    lambda: volume(95, BurnedInAnnotation="YES"),
]


@relaxed
@given(
    text=files(asks_study=False),
    made=candidates(),
    more=st.lists(st.sampled_from(UNRELATED), min_size=1, max_size=4),
)
def test_objects_that_are_never_an_input_change_no_decision(
    tmp_path_factory: pytest.TempPathFactory, text: str, made: list[Candidate], more: list[Any]
) -> None:
    came = [*made, *(one() for one in more)]
    for one in compiled(tmp_path_factory, text):
        assert decided(choose(one, study(*made), made)) == decided(choose(one, study(*came), came))


@relaxed
@given(text=files(), made=candidates())
def test_every_match_has_exactly_one_volume_per_input(
    tmp_path_factory: pytest.TempPathFactory, text: str, made: list[Candidate]
) -> None:
    for one in compiled(tmp_path_factory, text):
        choice = choose(one, study(*made), made)
        assert bool(choice.matches) is (choice.explanation.outcome is Outcome.MATCH)
        assert one.for_each or len(choice.matches) <= 1
        candidates_of_others = []
        for match in choice.matches:
            assert set(match.volumes) == {wish.name for wish in one.inputs}
            images = [id(taken) for taken in match.volumes.values()]
            assert len(set(images)) == len(images), "one volume is never two inputs"
            assert {told.input for told in match.explanation.inputs} == set(match.volumes)
            for told in match.explanation.inputs:
                assert [place for place, verdict in enumerate(told.candidates) if verdict.chosen] == [
                    told.chosen
                ]
                assert told.chosen is not None
                assert all(check.ok for check in told.candidates[told.chosen].checks)
            candidates_of_others.append({k: id(v) for k, v in match.volumes.items() if k != one.for_each})
        assert all(others == candidates_of_others[0] for others in candidates_of_others)
        if one.for_each:
            every = [id(match.volumes[one.for_each]) for match in choice.matches]
            assert len(set(every)) == len(every), "each volume makes one job"


@relaxed
@given(conditions=TABLES, prefer=prefers, made=candidates())
def test_for_each_takes_what_would_be_taken_if_it_were_alone(
    tmp_path_factory: pytest.TempPathFactory, conditions: str, prefer: str, made: list[Candidate]
) -> None:
    """Said another way: each candidate is shown, alone, to the same rule without `for_each`."""
    head = '[rules.x]\nmode = "live"\nplatform = "gc"\nalgorithm = "x"\ndestinations = ["pacs"]\n'
    body = f"[rules.x.inputs.a]\nvolume = {{ {conditions} }}\nprefer = {prefer}\n"
    (single,) = compiled(tmp_path_factory, head + body)
    (each,) = compiled(tmp_path_factory, f'{head}for_each = "a"\n{body}')
    alone = {id(one.volume) for one in made if choose(single, study(one), [one]).volumes}
    taken = [id(match.volumes["a"]) for match in choose(each, study(*made), made).matches]
    assert set(taken) == alone
    assert len(taken) == len(alone)


EACH = '[rules.lungs]\nfor_each = "ct-image"\n'


def standing(folder: Path, looks: list[list[tuple[int, int]]]) -> set[str]:
    """The jobs that stand when slices of series have come in this order, with a decision after each part."""
    bench = Bench(folder)
    file = folder / "rules.toml"
    file.write_text(file.read_text().replace("[rules.lungs]\n", EACH, 1))
    bench.load_rules()
    for part in looks:
        for series, number in part:
            one = ct_slice(number=number, study="1.2", series=f"1.2.{series}")
            one.SOPInstanceUID = one.file_meta.MediaStorageSOPInstanceUID = f"1.2.{series}.{number}"
            one.SeriesNumber, one.PixelData = series, bytes([series, number]) * 64
            bench.keep(one)
        bench.pass_time(30.0)
        bench.pass_time(30.0)
    bench.index.close()
    return {job.id for job in bench.jobs.all() if job.code != REPLACED}


@pytest.fixture(scope="module")
def all_at_once(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    return standing(tmp_path_factory.mktemp("whole"), [SLICES])


SLICES = [(series, number) for series in (1, 2, 3) for number in range(1, 5)]


@pytest.mark.slow
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(order=st.permutations(SLICES), cuts=st.lists(st.integers(1, len(SLICES) - 1), unique=True, max_size=4))
def test_no_order_of_arrival_and_no_decision_in_between_changes_the_jobs(
    tmp_path_factory: pytest.TempPathFactory,
    all_at_once: set[str],
    order: list[tuple[int, int]],
    cuts: list[int],
) -> None:
    ends = [0, *sorted(cuts), len(order)]
    looks = [list(order[begin:end]) for begin, end in pairwise(ends)]
    jobs = standing(tmp_path_factory.mktemp("parts"), looks)
    assert jobs == all_at_once
    assert len(jobs) == 3
