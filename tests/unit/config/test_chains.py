"""What a rule takes from another: wrong files with their place, and what is meant by a right one."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.config import load_rules
from bridge.config.chains import Source, reference_of, source_of
from bridge.errors import ConfigError
from bridge.rules import compile_rules

RIGHT = """\
[defaults]
mode = "explain"
platform = "gc"
destinations = ["pacs"]
algorithm = "a"

[rules.lobes.inputs.ct]
volume = { Modality = "CT" }

[rules.second.inputs.ct]
volume = { Modality = "CT" }

[rules.second.inputs.lungs]
mask = "lobes"
of = "ct"
volume = { Modality = "SEG" }

[rules.second.values]
level = { from = "lobes", output = "level", of = "ct" }
"""

WRONG = {
    "a value of a rule that is not there": (
        'from = "lobes"',
        'from = "lobe"',
        [
            '19:1: rules.second.values.level: "lobe" is no rule; expected another rule (lobes). Did you mean lobes?'
        ],
    ),
    "a mask of a rule that is not there": (
        'mask = "lobes"',
        'mask = "lobse"',
        [
            (
                '14:1: rules.second.inputs.lungs.mask: "lobse" is no rule; expected "study" or another rule (lobes). '
                "Did you mean lobes?"
            )
        ],
    ),
    "a value of its own answer": (
        'from = "lobes"',
        'from = "second"',
        [
            (
                "19:1: rules.second.values.level: second takes what comes of its own answer; expected a rule whose "
                "answer does not depend on this one. Each answer would make another job, and be billed"
            )
        ],
    ),
    "a circle of a mask and a value": (
        "[rules.second.inputs.ct]",
        '[rules.lobes.values]\nx = { from = "second", output = "y" }\n[rules.second.inputs.ct]',
        [
            (
                "11:1: rules.lobes.values.x: lobes takes what comes of its own answer; expected a rule whose answer "
                "does not depend on this one. Each answer would make another job, and be billed"
            ),
            (
                "16:1: rules.second.inputs.lungs.mask: second takes masks that come of its own answer; expected a rule "
                "whose answer does not depend on this one. Each answer would make another job, and be billed"
            ),
            (
                "21:1: rules.second.values.level: second takes what comes of its own answer; expected a rule whose "
                "answer does not depend on this one. Each answer would make another job, and be billed"
            ),
        ],
    ),
    "a word misspelt in an answer": (
        "output =",
        "ouput =",
        [
            (
                "19:1: rules.second.values.level: a table with `from` that names no answer; expected "
                '{ from = "RULE", output = "NAME" }, and `of` with an input where that matters'
            )
        ],
    ),
    "of an input that is not there": (
        'of = "ct"\nvolume',
        'of = "tc"\nvolume',
        [
            (
                '15:1: rules.second.inputs.lungs.of: "tc" is no input with an image; expected another input of the '
                "rule (ct)"
            )
        ],
    ),
    "of the mask itself": (
        'of = "ct"\nvolume',
        'of = "lungs"\nvolume',
        [
            (
                '15:1: rules.second.inputs.lungs.of: "lungs" is no input with an image; expected another input of the '
                "rule (ct)"
            )
        ],
    ),
    "of a mask of the study": (
        'mask = "lobes"',
        'mask = "study"',
        [
            (
                "15:1: rules.second.inputs.lungs.of: `of` at an input that takes no results of a rule; expected "
                'mask = "RULE" beside it. Of which image the bridge\'s own results were made is known; of others it is '
                "not"
            )
        ],
    ),
}


def problems(folder: Path, text: str) -> list[str]:
    (folder / "rules.toml").write_text(text)
    try:
        compile_rules(load_rules(folder / "rules.toml"))
    except ConfigError as error:
        return [str(one).removeprefix(f"{folder / 'rules.toml'}:") for one in (error, *error.others)]
    return []


@pytest.mark.parametrize(("right", "wrong", "expected"), WRONG.values(), ids=WRONG.keys())
def test_a_mistake_says_where_it_is_and_what_to_write(
    tmp_path: Path, right: str, wrong: str, expected: list[str]
) -> None:
    assert right in RIGHT
    assert problems(tmp_path, RIGHT.replace(right, wrong, 1)) == expected


def test_an_answer_is_no_fixed_value(tmp_path: Path) -> None:
    assert problems(tmp_path, RIGHT) == []
    _, second = compile_rules(load_rules(tmp_path / "rules.toml"))
    assert second.values == {}
    assert second.sources == {"level": Source(rule="lobes", output="level", of="ct")}
    assert [one.of for one in second.inputs] == ["", "ct"]


@pytest.mark.parametrize(
    "value", [3, "from", {"output": "a"}, {"from": "a", "output": 3}, {"from": "a", "output": "b", "as": "c"}]
)
def test_other_values_name_no_answer(value: object) -> None:
    assert source_of(value) is None


def test_what_a_job_keeps_of_an_image_cannot_be_written_in_a_rule(tmp_path: Path) -> None:
    kept = {"from": "lobes", "output": "level", "sha256": "00"}
    assert reference_of(kept) is not None
    assert source_of(kept) is None
    assert problems(tmp_path, RIGHT.replace('of = "ct" }', 'sha256 = "00" }'))
