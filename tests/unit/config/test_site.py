"""site.toml: what it gives, what it assumes, and what it says to the person who got it wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bridge.config import FolderDestination, FolderSource, load_site
from bridge.errors import ConfigError
from said import said

EXAMPLE = Path(__file__).resolve().parents[3] / "config" / "site.toml"

BRIDGE = '[bridge]\nae_title = "B"\ndata = "d"\nrules = "r.toml"\n'
PACS = '[destinations.pacs]\nae_title = "P"\nhost = "pacs"\nport = 104\n'
ACCOUNT = '[accounts.gc]\nplatform = "p"\ntoken_file = "t"\n'


def problems(folder: Path, text: str) -> list[str]:
    """Every sentence about the file, without the file's name."""
    file = folder / "site.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_site(file)
    return [said(one) for one in (caught.value, *caught.value.others)]


def test_the_example_is_a_site() -> None:
    site = load_site(EXAMPLE)
    assert site.ae_title == "BRIDGE"
    assert site.file == EXAMPLE
    assert site.rules_file == EXAMPLE.parent / "rules.toml"
    assert site.sources["ct"].ae_title == "CT1"
    assert site.destinations["pacs"].port == 11113
    assert site.accounts["gc"].token_file == EXAMPLE.parent / "secrets" / "grand-challenge.token"


def test_the_smallest_file_listens_on_this_machine_only(tmp_path: Path) -> None:
    file = tmp_path / "site.toml"
    file.write_text(BRIDGE, encoding="utf-8")
    site = load_site(file)
    assert (site.receive.host, site.receive.port, site.receive.maximum_pdu_bytes) == (
        "127.0.0.1",
        11112,
        131072,
    )
    assert not site.receive.any_calling_ae
    assert (site.log, site.engine.cores, site.engine.poll_s, site.engine.look_s) == ("json", 0, 0.25, 0.3)
    assert not site.sources and not site.destinations and not site.accounts


def test_paths_begin_at_the_folder_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "site.toml").write_text(
        BRIDGE.replace('"d"', '"/var/d"') + ACCOUNT + 'base_url = "https://x/"\nca = "../ca.pem"\n',
        encoding="utf-8",
    )
    monkeypatch.chdir(tmp_path)
    site = load_site(Path("etc/site.toml"))
    assert site.data == Path("/var/d")
    assert site.rules_file == tmp_path / "etc" / "r.toml"
    assert site.accounts["gc"].ca == tmp_path / "etc" / ".." / "ca.pem"


def test_sources_and_destinations_take_from_the_bridge_what_they_leave_out(tmp_path: Path) -> None:
    file = tmp_path / "site.toml"
    file.write_text(
        BRIDGE
        + "[receive]\nquiet_s = 12\n"
        + '[sources.a]\nae_title = " A "\n[sources.b]\nae_title = "BB"\nquiet_s = 7.5\n'
        + PACS
        + PACS.replace("pacs]", "other]")
        + 'calling_ae_title = "OTHER"\n',
        encoding="utf-8",
    )
    site = load_site(file)
    assert {name: source.quiet_s for name, source in site.sources.items()} == {"a": 12.0, "b": 7.5}
    assert site.sources["a"].ae_title == "A"
    titles = {name: destination.calling_ae_title for name, destination in site.destinations.items()}
    assert titles == {"pacs": "B", "other": "OTHER"}


def test_folder_takes_from_the_bridge_what_it_shares_with_a_peer(tmp_path: Path) -> None:
    file = tmp_path / "site.toml"
    file.write_text(
        BRIDGE
        + "series_number_base = 7000\n[receive]\nquiet_s = 12\n"
        + '[sources.in]\nfolder = "in"\n[destinations.out]\nfolder = "out"\n'
        + '[destinations.also]\nfolder = "out"\ncase = "{PatientID}"\n',
        encoding="utf-8",
    )
    site = load_site(file)
    source, out, also = site.sources["in"], site.destinations["out"], site.destinations["also"]
    assert isinstance(source, FolderSource)
    assert isinstance(out, FolderDestination)
    assert isinstance(also, FolderDestination)
    assert (source.folder, source.quiet_s, source.after) == (tmp_path / "in", 12.0, "move")
    assert (out.folder, out.series_number_base, out.ask_back) == (tmp_path / "out", 7000, False)
    assert (out.shows_patients, also.shows_patients) == (False, True)


WRONG = {
    "missing table": ("[receive]\n", ["1: bridge: missing. Add the table [bridge]"]),
    "missing key": (
        BRIDGE + PACS.replace("port = 104\n", ""),
        ["5: destinations.pacs.port: missing. Write port = 104 under [destinations.pacs]"],
    ),
    "misspelt key": (
        BRIDGE + "[receive]\nprot = 104\n",
        ["6: receive.prot: unknown key; expected a key of [receive]. Did you mean port?"],
    ),
    "misspelt key that is needed is one problem": (
        BRIDGE.replace("ae_title", "aetitle"),
        ["2: bridge.aetitle: unknown key; expected a key of [bridge]. Did you mean ae_title?"],
    ),
    "foreign key": (
        BRIDGE + '[sources.ct]\nae_title = "CT"\nmodality = "CT"\n',
        [
            (
                "7: sources.ct.modality: unknown key; expected one of "
                "ae_title, host, quiet_s, inputs_quiet_s, longest_s, then, ask"
            ),
        ],
    ),
    "archive to ask that is no destination": (
        BRIDGE + '[sources.ct]\nae_title = "CT"\nask = "pacs"\n',
        ['7: sources.ct.ask: "pacs" is not among the destinations; expected one of them (none yet)'],
    ),
    "archive to ask that is a folder": (
        BRIDGE + '[sources.ct]\nae_title = "CT"\nask = "out"\n[destinations.out]\nfolder = "o"\n',
        ['7: sources.ct.ask: "out" is a folder; expected a destination that answers C-FIND'],
    ),
    "key of a peer in a folder": (
        BRIDGE + '[sources.in]\nfolder = "i"\nhost = "ct"\n',
        [
            (
                "7: sources.in.host: a key that a folder does not have; expected one of folder, settle_s, "
                "look_s, after, quiet_s, inputs_quiet_s, longest_s, then, ask"
            )
        ],
    ),
    "key of a folder in a peer": (
        BRIDGE + '[sources.ct]\nae_title = "CT"\nafter = "delete"\n',
        [
            (
                "7: sources.ct.after: a key that a DICOM peer does not have; expected one of ae_title, host, "
                "quiet_s, inputs_quiet_s, longest_s, then, ask"
            )
        ],
    ),
    "misspelt key of a folder": (
        BRIDGE + '[destinations.out]\nfolder = "o"\nfils = "plain"\n',
        ["7: destinations.out.fils: unknown key; expected a key of [destinations.out]. Did you mean files?"],
    ),
    "word for a folder that is none": (
        BRIDGE + '[destinations.out]\nfolder = "o"\nfiles = "dcm"\n',
        [
            '7: destinations.out.files: the text "dcm"; expected "plain", "dicom" or "both". Did you mean dicom?'
        ],
    ),
    "name of a case with an unknown word": (
        BRIDGE + '[destinations.out]\nfolder = "o"\ncase = "{PatientId}"\n',
        [
            (
                "7: destinations.out.case: the word {PatientId}; expected one of {study}, {rule}, {job}, "
                "{PatientID}, {PatientName}, {PatientBirthDate}, {StudyDate}, {StudyID}, {StudyDescription}, "
                "{AccessionNumber}, {StudyInstanceUID}. Did you mean PatientID?"
            )
        ],
    ),
    "name of a case for all patients": (
        BRIDGE + '[destinations.out]\nfolder = "o"\ncase = "{rule}_{StudyDate}"\n',
        [
            (
                "7: destinations.out.case: a name that is the same for several patients; expected at least one "
                "of {study}, {job}, {PatientID}, {AccessionNumber}, {StudyInstanceUID}"
            )
        ],
    ),
    "name of a case that is a path": (
        BRIDGE + '[destinations.out]\nfolder = "o"\ncase = "../{study}"\n',
        ["7: destinations.out.case: a brace or a slash; expected the name of one folder, with words in { }"],
    ),
    "marker that is a path": (
        BRIDGE + '[destinations.out]\nfolder = "o"\nmarker = "../x"\n',
        ["7: destinations.out.marker: a path; expected the name of a file in the folder"],
    ),
    "results that would come in again": (
        BRIDGE + '[sources.in]\nfolder = "share"\n[destinations.out]\nfolder = "share/./out"\n',
        [
            (
                "8: destinations.out.folder: a folder that is, holds or lies in that of sources.in; expected a "
                "folder apart. Choose another"
            )
        ],
    ),
    "two sources in one folder": (
        BRIDGE + '[sources.a]\nfolder = "share"\n[sources.b]\nfolder = "x/../share"\n',
        [
            (
                "8: sources.b.folder: a folder that is, holds or lies in that of sources.a; expected a folder "
                "apart. Choose another"
            )
        ],
    ),
    "data directory on the share": (
        BRIDGE + '[destinations.out]\nfolder = "."\n',
        [
            (
                "6: destinations.out.folder: a folder that is, holds or lies in that of bridge.data; expected a "
                "folder apart. Choose another"
            )
        ],
    ),
    "root that is no UID": (
        BRIDGE + 'uid_root = "1.02"\n',
        [
            '5: bridge.uid_root: the text "1.02"; expected a UID: numbers without leading zeros, with dots between them'
        ],
    ),
    "misspelt table": (
        BRIDGE + "[recieve]\nport = 104\n",
        ["5: recieve: unknown key; expected a key of this file. Did you mean receive?"],
    ),
    "text for a number": (
        BRIDGE + '[receive]\nport = "104"\n',
        ['6: receive.port: the text "104"; expected a whole number'],
    ),
    "number for yes or no": (
        BRIDGE + "[receive]\nany_calling_ae = 1\n",
        ["6: receive.any_calling_ae: the number 1; expected true or false"],
    ),
    "port out of range": (
        BRIDGE + "[receive]\nport = 104000\n",
        ["6: receive.port: the number 104000; expected at most 65535"],
    ),
    "long AE title, said once": (
        BRIDGE.replace('"B"', '"HOSPITAL_BRIDGE_1"') + PACS,
        [
            (
                "2: bridge.ae_title: 17 characters; expected an AE title: 1 to 16 printable ASCII characters "
                "without backslash"
            )
        ],
    ),
    "AE title of spaces": (
        BRIDGE.replace('"B"', '"   "'),
        [
            (
                "2: bridge.ae_title: an empty AE title; expected an AE title: 1 to 16 printable ASCII characters "
                "without backslash"
            )
        ],
    ),
    "word that is not offered": (
        BRIDGE.replace("rules =", 'log = "plan"\nrules ='),
        ['4: bridge.log: the text "plan"; expected "json" or "plain". Did you mean plain?'],
    ),
    "address for a host": (
        BRIDGE + PACS.replace('"pacs"', '"dicom://pacs:104"'),
        [
            (
                '7: destinations.pacs.host: the text "dicom://pacs:104"; expected a host name or an IP address. '
                "Leave out http://, port and path"
            )
        ],
    ),
    "http to the outside": (
        BRIDGE + ACCOUNT + 'base_url = "http://platform.example/"\n',
        [
            (
                "8: accounts.gc.base_url: an address that begins with http://; expected https://. "
                "http is for this machine only"
            )
        ],
    ),
    "empty list of pauses": (
        BRIDGE + PACS + "retry_s = []\n",
        ["9: destinations.pacs.retry_s: an empty list; expected at least one entry"],
    ),
    "pause of nothing": (
        BRIDGE + PACS + "retry_s = [10, 0]\n",
        ["9: destinations.pacs.retry_s[1]: the number 0; expected more than 0"],
    ),
    "endless pause": (
        BRIDGE + "[receive]\nquiet_s = inf\n",
        ["6: receive.quiet_s: no finite number; expected a number"],
    ),
    "name with a space": (
        BRIDGE + '[sources."ct 1"]\nae_title = "CT1"\n',
        [
            (
                '5: sources."ct 1": the name "ct 1"; expected letters, digits, - and _, at most 64, '
                "beginning with a letter or digit"
            )
        ],
    ),
    "value for a table": (
        BRIDGE.replace("[bridge]", "receive = 104\n[bridge]"),
        ["1: receive: the number 104; expected a table"],
    ),
    "two sources with one AE title": (
        BRIDGE + '[sources.a]\nae_title = "CT"\n[sources.b]\nae_title = "CT "\n',
        [
            (
                '8: sources.b.ae_title: "CT" is also the AE title of sources.a, with the same host; '
                "expected one source. Remove one, or give them hosts"
            )
        ],
    ),
}


@pytest.mark.parametrize(("text", "expected"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_file_says_line_key_and_what_to_do(tmp_path: Path, text: str, expected: list[str]) -> None:
    assert problems(tmp_path, text) == expected


def test_all_problems_of_a_file_come_at_once_in_the_order_of_its_lines(tmp_path: Path) -> None:
    text = BRIDGE.replace('"B"', "7") + "[engine]\ncores = -1\nturbo = true\n" + PACS.replace("104", "0")
    lines = [int(sentence.split(":")[0]) for sentence in problems(tmp_path, text)]
    assert lines == [2, 6, 7, 11]


SECRETS = {
    "token": ACCOUNT + 'base_url = "https://x/"\ntoken = "hunter2"\n',
    "password of a destination": PACS + 'password = "hunter2"\n',
    "secret among the options": ACCOUNT
    + 'base_url = "https://x/"\n[accounts.gc.options]\nclient_secret = "hunter2"\n',
    "credentials in the address": ACCOUNT + 'base_url = "https://me:hunter2@x/"\n',
    "credentials of the proxy": ACCOUNT + 'base_url = "https://x/"\nproxy = "http://me:hunter2@x:1"\n',
}


@pytest.mark.parametrize("text", SECRETS.values(), ids=SECRETS.keys())
def test_a_secret_in_the_file_is_refused_and_never_repeated(tmp_path: Path, text: str) -> None:
    (sentence,) = problems(tmp_path, BRIDGE + text)
    assert "hunter2" not in sentence
    assert "secret must not stand in this file" in sentence or "user name or password" in sentence


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8000/api/", "http://localhost/", "http://[::1]:1/", "https://x/v1"]
)
def test_http_is_for_loopback_only(tmp_path: Path, url: str) -> None:
    file = tmp_path / "site.toml"
    file.write_text(BRIDGE + ACCOUNT + f'base_url = "{url}"\n', encoding="utf-8")
    assert load_site(file).accounts["gc"].base_url == url


def test_a_command_line_can_name_the_rooms_without_loading_what_is_heavy() -> None:
    code = (
        "import sys, bridge.config, bridge.rules\n"
        "heavy = {'pydantic', 'pydicom', 'numpy', 'tree_sitter'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        f"bridge.config.load_site(__import__('pathlib').Path({str(EXAMPLE)!r}))\n"
        "assert not {'pydicom', 'numpy'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
