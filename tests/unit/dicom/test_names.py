"""Spellings of one name, and names of two persons. Nobody bears any of them."""

from __future__ import annotations

import pytest

from bridge.dicom.names import are_alike

ALIKE = [
    ("case", "Canary^Yellow", "CANARY^YELLOW"),
    ("order and comma", "Canary^Yellow", "Yellow Canary"),
    ("comma", "Canary^Yellow", "CANARY, YELLOW"),
    ("empty components", "Canary^Yellow", "Canary^Yellow^^^"),
    ("middle name and title", "Canary^Yellow", "Canary^Yellow^Feather^Dr."),
    ("initial", "Canary^Yellow", "Canary^Y"),
    ("cut short by a device", "Canary-Nightingale^Yellow", "Canary-Nighting^Yellow"),
    ("hyphen", "Canary-Nightingale^Eva", "CANARYNIGHTINGALE^EVA"),
    ("umlaut and its transliteration", "Käuzchen^Jörg", "KAEUZCHEN^JOERG"),
    ("umlaut and nothing", "Käuzchen^Jörg", "Kauzchen^Jorg"),
    ("umlaut lost", "Käuzchen^Jörg", "Kuzchen^Jrg"),
    ("umlaut replaced", "Käuzchen^Jörg", "K?uzchen^J?rg"),
    ("umlaut undecodable", "Käuzchen^Jörg", "K\ufffduzchen^J\ufffdrg"),
    ("declared as another charset", "Käuzchen^Jörg", "KÃ¤uzchen^JÃ¶rg"),
    ("one group of three", "Tori^Kiiro=鳥^黄色=とり^きいろ", "鳥^黄色"),
    ("other scripts cannot be compared", "Tori^Kiiro", "鳥^黄色"),
    ("nothing left after a lossy archive", "鳥^黄色", "^"),
]
DIFFERENT = [
    ("given name", "Canary^Yellow", "Canary^Blue"),
    ("family name", "Canary^Yellow", "Robin^Yellow"),
    ("middle names on both sides", "Canary^Yellow^Ann", "Canary^Yellow^Bert"),
    ("Cyrillic", "Канарейка^Жёлтая", "Снегирь^Красный"),
    ("ideographs", "鳥^黄色", "魚^青色"),
    ("with transliteration beside", "Tori^Kiiro=鳥^黄色", "Sakana^Aoiro=魚^青色"),
    ("too few letters to prove anything", "Ä^Ö", "Ü^É"),
]


@pytest.mark.parametrize(("one", "other"), [row[1:] for row in ALIKE], ids=[row[0] for row in ALIKE])
def test_spellings_of_one_name(one: str, other: str) -> None:
    assert are_alike(one, other)
    assert are_alike(other, one)


@pytest.mark.parametrize(("one", "other"), [row[1:] for row in DIFFERENT], ids=[row[0] for row in DIFFERENT])
def test_names_of_two_persons(one: str, other: str) -> None:
    assert not are_alike(one, other)
    assert not are_alike(other, one)
