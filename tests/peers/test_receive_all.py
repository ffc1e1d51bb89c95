"""Everything real that there is arrives at a real receiver: kept bit for bit, or refused with a stated status.

`pytest tests/peers/test_receive_all.py -s` prints the figures last.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import TypeAdapter
from pydicom import dcmread
from pydicom.filereader import read_file_meta_info
from tests.conftest import data_folder, peer_tool
from tests.peers.namespace import run_in_namespace
from tests.peers.raw_sender import Offer, RawSender, data_set_at, offer
from tests.peers.receive_in_namespace import BRIDGE, CALLING, STORESCP, Facts, Order
from tests.peers.receiving import receiving

pytestmark = [pytest.mark.peer, pytest.mark.slow]

RUN_S = 600
NO_DICOM = frozenset({".md", ".py", ".json", ".nrrd", ".gitattributes"})

UNFILED, MISMATCH, ILLEGAL = 0xC000, 0xA900, 0x0117
REASONS = {
    UNFILED: "no Study or Series Instance UID: nothing to file it under",
    MISMATCH: "the data set does not say the UIDs of the command: a result could not refer to it",
    ILLEGAL: "a SOP Instance UID of 65 characters: no data set could refer to it",
}
REFUSED = {
    "charsets/chrSQEncoding.dcm": UNFILED,
    "charsets/chrSQEncoding1.dcm": UNFILED,
    "compressed/4.201_htj2k_lossless_rgb.dcm": UNFILED,
    "compressed/4.203_htj2k_lossy_rgb.dcm": UNFILED,
    "compressed/4.81_jpegls_near_lossless_16bit.dcm": UNFILED,
    "multiframe/wsi-140-tiles-jpeg.dcm": UNFILED,
    "odd-files/GH220.dcm": UNFILED,
    "odd-files/GH223.dcm": UNFILED,
    "odd-files/GH487.dcm": UNFILED,
    "odd-files/UN_sequence.dcm": UNFILED,
    "odd-files/no_meta_group_length.dcm": UNFILED,
    "odd-files/priv_SQ.dcm": UNFILED,
    "odd-files/made-no-sop-class-in-dataset.dcm": MISMATCH,
    "odd-files/made-no-sop-instance-in-dataset.dcm": MISMATCH,
    "odd-files/made-uid-65-characters.dcm": ILLEGAL,
}
"""By the README of the data and by the standard; whatever is not here must be kept."""

SENT_OTHERWISE = {
    # DCMTK 3.6.7 takes the UIDs of a command from elements of VR UN as hexadecimal digits: it says "31".
    "compressed/4.90_jpeg2000_lossless_CT_explicit_VR-UN.dcm": MISMATCH,
}
"""Kept when it is sent raw, refused as dcmsend sends it."""

Kept = dict[tuple[str, str], str]
"""(transfer syntax, SHA-256 of the data set) -> SOP Instance UID"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """What became of every file that was sent raw."""

    data: Path
    answers: tuple[tuple[Offer, int], ...]
    not_offered: dict[str, str]
    kept: Kept
    echo: int
    seconds: float

    def name(self, file: Path) -> str:
        return file.relative_to(self.data).as_posix()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What dcmsend's report says of one file."""

    file: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    status: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Both:
    """What both receivers got from dcmsend."""

    facts: Facts
    sent: dict[str, dict[str, Sent]]
    kept: dict[str, Kept]
    got_by_storescp: dict[str, tuple[str, str]]
    """By name of the file that was sent: transfer syntax and SHA-256 of the data set."""


@pytest.fixture(scope="module")
def figures() -> Iterator[list[str]]:
    """Lines that are printed when all is over."""
    lines: list[str] = []
    yield lines
    print("\n\n" + "\n".join(lines))


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory, figures: list[str]) -> Raw:
    data = data_folder()
    offers, not_offered = [], {}
    for file in sorted(data.rglob("*")):
        # The published series have no extensions, so it goes by what is no DICOM.
        if not file.is_file() or {file.suffix, file.name} & NO_DICOM or "LICENSES" in file.parts:
            continue
        found = offer(file)
        if isinstance(found, Offer):
            offers.append(found)
        else:
            not_offered[file.relative_to(data).as_posix()] = found
    folder = tmp_path_factory.mktemp("raw") / BRIDGE
    begun = time.monotonic()
    with receiving(folder, calling=CALLING) as port:
        sender = RawSender(port, CALLING, BRIDGE)
        answers = tuple(sender.send(offers))
        seconds = time.monotonic() - begun
        echo = sender.echo()
    kept = held(folder / "instances")
    refused = Counter(status for _, status in answers if status)
    objects = {(one.transfer_syntax_uid, one.data_set) for one, status in answers if not status}
    figures.append(
        f"raw sender: {len(offers) + len(not_offered)} files, {len(offers)} sent in {seconds:.0f} s, "
        f"{len(answers) - refused.total()} answered 0x0000 ({len(objects)} different, {len(kept)} kept), "
        f"{refused.total()} refused, {len(not_offered)} hold nothing to send"
    )
    figures += [
        f"  {count:4} x 0x{status:04X}  {REASONS.get(status, '?')}" for status, count in refused.items()
    ]
    figures += [f"  {count:4} x not sent  {why}" for why, count in Counter(not_offered.values()).items()]
    return Raw(data=data, answers=answers, not_offered=not_offered, kept=kept, echo=echo, seconds=seconds)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, figures: list[str]) -> Both:
    folder = tmp_path_factory.mktemp("dcmsend")
    data = data_folder()
    order = Order(folder=folder, data=data, dcmsend=peer_tool("dcmsend"), storescp=peer_tool("storescp"))
    (folder / "order.json").write_bytes(TypeAdapter(Order).dump_json(order))
    run_in_namespace("receive_in_namespace", folder / "order.json", within_s=RUN_S)
    kept = {BRIDGE: held(folder / BRIDGE / "instances"), STORESCP: held(folder / STORESCP)}
    sent = {called: report(folder / f"{called}.report", data) for called in (BRIDGE, STORESCP)}
    for called in (STORESCP, BRIDGE):
        statuses = Counter(one.status for one in sent[called].values())
        figures.append(
            f"dcmsend -nh to {called}: "
            + ", ".join(
                f"{count} {'not sent' if status is None else f'x 0x{status:04X}'}"
                for status, count in sorted(statuses.items(), key=lambda pair: -pair[1])
            )
            + f"; {len(kept[called])} different objects kept"
        )
    figures.append(f"  {len(kept[BRIDGE].keys() & kept[STORESCP].keys())} of them equal in both, bit for bit")
    facts = TypeAdapter(Facts).validate_json((folder / "facts.json").read_bytes())
    arrived = sorted((folder / STORESCP).iterdir(), key=lambda file: int(file.suffix[1:]))
    answered = [one for one in sent[STORESCP].values() if one.status == 0x0000]
    got = {}
    for file, one in zip(arrived, answered, strict=True):
        # storescp counts its names up, and dcmsend reports in the order in which it sends.
        assert sop_instance_uid(file) == sop_instance_uid(data / one.file)
        got[one.file] = identity(file)
    return Both(facts=facts, sent=sent, kept=kept, got_by_storescp=got)


def held(folder: Path) -> Kept:
    """What lies in a folder of Part 10 files, read without the bridge."""
    return {identity(file): sop_instance_uid(file) for file in folder.rglob("*") if file.is_file()}


def sop_instance_uid(file: Path) -> str:
    """Of the data set; the meta header may say another one."""
    return str(dcmread(file, stop_before_pixels=True).get("SOPInstanceUID"))


def identity(file: Path) -> tuple[str, str]:
    content = file.read_bytes()
    syntax = read_file_meta_info(file).TransferSyntaxUID
    return str(syntax), hashlib.sha256(content[data_set_at(content) :]).hexdigest()


def report(file: Path, data: Path) -> dict[str, Sent]:
    found = {}
    for block in re.split(r"^Number +: ", file.read_text(), flags=re.MULTILINE)[1:]:
        values = dict(re.findall(r"^(\w[\w .]*\w) *: (.*)$", block, re.MULTILINE))
        name = Path(values["Filename"]).relative_to(data).as_posix()
        status = re.match(r"0x[0-9a-f]{4}", values["DIMSE Status"])
        found[name] = Sent(
            file=name,
            sop_instance_uid=values["SOP Instance"].split(" ")[0],
            transfer_syntax_uid=values.get("Network Xfer", "").split(" ")[0],
            status=int(status[0], 16) if status else None,
        )
    return found


def test_every_file_with_a_sop_class_is_answered_success_but_for_those_with_a_reason(raw: Raw) -> None:
    assert {raw.name(one.file): status for one, status in raw.answers if status} == REFUSED
    assert len(raw.answers) > 480


def test_what_was_answered_success_is_kept_bit_for_bit_and_nothing_else_is(raw: Raw) -> None:
    sent = {
        (one.transfer_syntax_uid, hashlib.sha256(one.data_set).hexdigest())
        for one, status in raw.answers
        if status == 0x0000
    }
    assert raw.kept.keys() == sent


def test_every_file_that_is_not_offered_holds_no_object(raw: Raw) -> None:
    assert set(raw.not_offered.values()) <= {"no SOP class", "no data set", "a media directory"}
    assert len(raw.not_offered) < 15


@pytest.mark.long
def test_receiver_still_answers_after_everything(raw: Raw, both: Both) -> None:
    assert raw.echo == both.facts.echo == 0x0000


@pytest.mark.long
def test_dcmsend_hears_success_but_for_what_a_raw_sender_is_refused_too(both: Both) -> None:
    refused = {one.file: one.status for one in both.sent[BRIDGE].values() if one.status}
    assert refused.items() <= (REFUSED | SENT_OTHERWISE).items()


@pytest.mark.long
def test_bridge_keeps_the_bytes_that_storescp_got_in_the_same_transfer_syntax(
    both: Both, figures: list[str]
) -> None:
    comparable, unequal = 0, []
    for name, one in both.sent[BRIDGE].items():
        got = both.got_by_storescp.get(name)
        if got is None or one.status != 0x0000 or one.transfer_syntax_uid != got[0]:
            continue
        comparable += 1
        if got not in both.kept[BRIDGE]:
            unequal.append(name)
    figures.append(f"  {comparable} files went to both in one transfer syntax, {len(unequal)} of them differ")
    assert unequal == []
    assert comparable > 450


@pytest.mark.long
def test_bridge_keeps_nothing_that_dcmsend_did_not_send_it(both: Both) -> None:
    taken = {
        (one.sop_instance_uid, one.transfer_syntax_uid)
        for one in both.sent[STORESCP].values()
        if one.status == 0x0000
    }
    more = {
        (uid, syntax)
        for (syntax, digest), uid in both.kept[BRIDGE].items()
        if (syntax, digest) not in both.kept[STORESCP]
    }
    # storescp accepts fewer syntaxes and no private class: what it has not got cannot be compared with it.
    assert more & taken == set()
