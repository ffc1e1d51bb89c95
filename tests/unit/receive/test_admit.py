"""What a refused peer is told apart by, and that the section for it is TOML whatever it calls itself."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.receive.admit import Why, admit
from bridge.receive.listening import Listening, Peer


def test_section_reads_as_a_person_would_write_it() -> None:
    assert admit("CT1", "10.0.0.7") == '[sources.ct1]\nae_title = "CT1"\nhost = "10.0.0.7"'


@given(calling=st.text(max_size=20), host=st.text(max_size=20))
def test_section_is_toml_in_ascii_for_any_title(calling: str, host: str) -> None:
    section = admit(calling, host, ["peer", "ct1"])
    assert section.isascii() and section.replace("\n", "").isprintable()
    ((name, source),) = tomllib.loads(section)["sources"].items()
    assert name not in ("peer", "ct1")
    legible = "".join("?" if 0xD800 <= ord(c) < 0xE000 else c for c in calling.strip())
    assert source["ae_title"] == legible


@pytest.mark.parametrize(
    ("calling", "name"),
    [
        ("CT 1/OR", "ct-1-or"),
        ('"]\nport = 1', "port-1"),
        ("***", "peer"),
        ("ÄÖ", "peer"),
    ],
)
def test_name_of_the_section_is_one_that_site_toml_takes(calling: str, name: str) -> None:
    assert admit(calling, "h").splitlines()[0] == f"[sources.{name}]"


LISTENING = Listening(
    ae_title="BRIDGE",
    host="127.0.0.1",
    port=0,
    peers=(
        Peer(name="any", ae_title="CT1", quiet_s=1.0),
        Peer(name="fixed", ae_title="CT2", quiet_s=2.0, host="127.0.0.1"),
        Peer(name="gone", ae_title="CT3", quiet_s=3.0, host="no-such-host.invalid"),
    ),
    any_calling_ae=False,
    quiet_s=9.0,
    maximum_associations=1,
    maximum_pdu_bytes=4096,
    maximum_instance_bytes=1,
    acse_timeout_s=1.0,
    dimse_timeout_s=1.0,
    network_timeout_s=1.0,
)


@pytest.mark.parametrize(
    ("calling", "address", "name"),
    [
        ("CT1", "192.0.2.1", "any"),
        ("CT2", "127.0.0.1", "fixed"),
        ("CT2", "192.0.2.1", None),
        ("CT3", "127.0.0.1", None),
        ("ct1", "127.0.0.1", None),
    ],
)
def test_peer_is_known_by_title_and_host(calling: str, address: str, name: str | None) -> None:
    peer = LISTENING.peer(calling, address)
    assert (peer.name if peer else None) == name


@pytest.mark.parametrize(
    ("calling", "called", "why"),
    [
        ("CT1", "BRIDGE", None),
        ("CT9", "BRIDGE", Why.CALLING),
        ("CT1", "OTHER", Why.CALLED),
        ("CT9", "OTHER", Why.CALLED),
    ],
)
def test_reason_is_that_of_the_title_that_is_wrong(calling: str, called: str, why: Why | None) -> None:
    assert LISTENING.why_not(calling, called) == why
