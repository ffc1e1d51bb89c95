"""`privacy` of a rule and `[privacy]` of a site: strict unless asked, and mistakes with their line."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.config import load_rules, load_site
from bridge.config.privacy import PrivacyModel
from bridge.errors import ConfigError

RULES = """\
[defaults]
mode = "live"
platform = "gc"
destinations = ["pacs"]
privacy = { dates = "shift", options = ["retain-device"], defacing = "refuse" }

[rules.lungs]
algorithm = "a"
[rules.lungs.inputs.ct]
volume = { Modality = "CT" }

[rules.liver]
algorithm = "b"
[rules.liver.privacy]
@
[rules.liver.inputs.ct]
volume = { Modality = "CT" }
"""
SITE = """\
[bridge]
ae_title = "B"
data = "d"
rules = "rules.toml"
[privacy]
@
"""


def rules(folder: Path, line: str) -> dict[str, PrivacyModel]:
    (folder / "rules.toml").write_text(RULES.replace("@", line))
    return {name: rule.privacy for name, rule in load_rules(folder / "rules.toml").rules.items()}


def test_nothing_said_is_the_strictest() -> None:
    silent = PrivacyModel()
    assert (silent.options, silent.dates, silent.longitudinal) == ((), "remove", False)
    assert (silent.allow, silent.mask) == ((), ())


def test_a_rule_inherits_each_word_that_it_does_not_say(tmp_path: Path) -> None:
    told = rules(tmp_path, "dates = 'keep'\nallow = ['ultrasound']\nmask = [[1, 2, 30, 40]]")
    assert told["lungs"] == PrivacyModel(dates="shift", options=("retain-device",), defacing="refuse")
    assert told["liver"] == PrivacyModel(
        dates="keep",
        options=("retain-device",),
        defacing="refuse",
        allow=("ultrasound",),
        mask=((1, 2, 30, 40),),
    )


@pytest.mark.parametrize(
    ("line", "key", "found"),
    [
        ("dates = 'move'", "dates", "move"),
        ("options = ['retain-everything']", "options[0]", "retain-everything"),
        ("options = ['retain-uids', 'retain-uids']", "options", "twice"),
        ("allow = ['screenshots']", "allow[0]", "screenshots"),
        ("mask = [[1, 2, 3]]", "mask", "3 numbers"),
        ("mask = [[1, 2, 0, 4]]", "mask", "[1, 2, 0, 4]"),
        ("longitudinal = 'yes'", "longitudinal", "yes"),
        ("defacing = 'blur'", "defacing", "blur"),
        ("date = 'keep'", "date", "date"),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, line: str, key: str, found: str) -> None:
    with pytest.raises(ConfigError) as error:
        rules(tmp_path, line)
    assert (error.value.line, error.value.key) == (15, f"rules.liver.privacy.{key}")
    assert found in error.value.sentence()


def test_a_site_names_its_devices_and_words(tmp_path: Path) -> None:
    line = "text_modalities = ['NM']\nwords = ['lungprotocol']\ntext_devices = [{ manufacturer = 'ACME' }]"
    (tmp_path / "site.toml").write_text(SITE.replace("@", line))
    told = load_site(tmp_path / "site.toml").privacy
    assert (told.text_modalities, told.words) == (("NM",), ("lungprotocol",))
    assert [(one.manufacturer, one.model) for one in told.text_devices] == [("ACME", "")]


def test_a_device_without_a_manufacturer_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text(SITE.replace("@", "text_devices = [{ model = 'Screen 5' }]"))
    with pytest.raises(ConfigError) as error:
        load_site(tmp_path / "site.toml")
    assert (error.value.line, error.value.key) == (6, "privacy.text_devices[0].manufacturer")
