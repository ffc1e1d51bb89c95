"""Room on the disk: the reserve is never touched; and no network below the data directory."""

from __future__ import annotations

import errno
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from bridge.errors import ConfigError
from bridge.store.disk import OVERHEAD_BYTES, Room, network_file_system, refuse_network

RESERVE = 1_000_000


class Disk:
    def __init__(self, monkeypatch: pytest.MonkeyPatch, free: int) -> None:
        self.free = free
        monkeypatch.setattr("bridge.store.disk.shutil.disk_usage", lambda folder: self)


class Alarm:
    def __init__(self) -> None:
        self.heard: list[str] = []

    def begin(self, kind: str, subject: str, reason: str) -> None:
        self.heard.append(f"begin {kind} {subject}")

    def end(self, kind: str, subject: str) -> None:
        self.heard.append(f"end {kind} {subject}")


class Broken(Alarm):
    def begin(self, kind: str, subject: str, reason: str) -> None:
        raise RuntimeError("database or disk is full")


@pytest.mark.parametrize(("spare", "fits"), [(0, True), (-1, False)])
def test_object_fits_only_beside_the_reserve(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, spare: int, fits: bool
) -> None:
    Disk(monkeypatch, RESERVE + 5000 + OVERHEAD_BYTES + spare)
    with Room(tmp_path, RESERVE).take(5000) as answer:
        assert answer is fits


def test_what_is_being_written_counts_as_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    Disk(monkeypatch, RESERVE + 3 * (5000 + OVERHEAD_BYTES))
    room = Room(tmp_path, RESERVE)
    with ExitStack() as stack:
        assert [stack.enter_context(room.take(5000)) for _ in range(4)] == [True, True, True, False]
    with room.take(5000) as again:
        assert again


def test_many_associations_at_once_never_get_more_than_there_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    Disk(monkeypatch, RESERVE + 10 * (5000 + OVERHEAD_BYTES))
    room = Room(tmp_path, RESERVE)
    together, over = threading.Barrier(40), threading.Barrier(40)
    answers: list[bool] = []

    def offer() -> None:
        together.wait(10)
        with room.take(5000) as fits:
            answers.append(fits)
            over.wait(10)

    threads = [threading.Thread(target=offer) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(answers) == [False] * 30 + [True] * 10


def test_alert_begins_and_ends_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    disk, alarm = Disk(monkeypatch, RESERVE), Alarm()
    room = Room(tmp_path, RESERVE, alarm)
    for _ in range(3):
        room.look()
    disk.free = 10 * RESERVE
    for _ in range(3):
        room.look()
    assert alarm.heard == ["begin disk-full data", "end disk-full data"]


def test_alert_does_not_end_because_something_small_fits(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    disk, alarm = Disk(monkeypatch, RESERVE + 500_000), Alarm()
    room = Room(tmp_path, RESERVE, alarm)
    for size_bytes in (400, 900_000, 400, 900_000, 400):
        with room.take(size_bytes):
            pass
    assert alarm.heard == ["end disk-full data", "begin disk-full data"]
    disk.free += 900_000
    with room.take(400) as fits:
        assert fits
    assert alarm.heard[2:] == ["end disk-full data"]


def test_alert_of_a_process_that_died_ends_with_the_first_object_that_fits(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    Disk(monkeypatch, 10 * RESERVE)
    alarm = Alarm()
    Room(tmp_path, RESERVE, alarm).look()
    assert alarm.heard == ["end disk-full data"]


def test_alert_that_cannot_be_written_changes_no_answer(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    Disk(monkeypatch, 0)
    with Room(tmp_path, RESERVE, Broken()).take(1) as fits:
        assert fits is False


@pytest.mark.parametrize(("number", "heard"), [(errno.ENOSPC, 1), (errno.EDQUOT, 1), (errno.EACCES, 0)])
def test_disk_that_says_full_while_it_is_written_raises_the_alert(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, number: int, heard: int
) -> None:
    Disk(monkeypatch, 10 * RESERVE)
    alarm = Alarm()
    room = Room(tmp_path, 0, alarm)
    with pytest.raises(OSError), room.take(1):
        raise OSError(number, "trouble")
    assert alarm.heard.count("begin disk-full data") == heard


MOUNTS = """\
21 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
22 21 0:30 / /srv/pacs\\040data rw,relatime shared:2 master:1 - nfs4 filer:/pacs rw,vers=4.2
23 21 0:31 / /mnt/share rw - cifs //filer/share rw
24 21 0:32 / /mnt/ssh rw - fuse.sshfs user@host:/ rw
25 21 0:33 / /mnt/objects rw - fuse.s3fs s3fs rw
26 21 0:34 / /mnt/ntfs rw - fuseblk /dev/sdb1 rw
27 21 0:35 / /mnt/host rw - 9p hostshare rw
28 21 0:36 / /mnt/container rw - fuse.fuse-overlayfs fuse-overlayfs rw
29 23 254:1 / /mnt/share/local rw - xfs /dev/vdb rw
30 21 0:37 / /mnt/twice rw - nfs filer:/old rw
31 21 254:2 / /mnt/twice rw - btrfs /dev/vdc rw
32 21 0:38 / /mnt/sh rw - ceph mon:/ rw
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/var/lib/bridge", None),
        ("/srv/pacs data/bridge", "nfs4"),
        ("/srv/pacs", None),
        ("/mnt/share", "cifs"),
        ("/mnt/share/bridge/not/there/yet", "cifs"),
        ("/mnt/share/local/bridge", None),
        ("/mnt/shared", None),
        ("/mnt/sh/bridge", "ceph"),
        ("/mnt/ssh", "fuse.sshfs"),
        ("/mnt/objects", "fuse.s3fs"),
        ("/mnt/ntfs", None),
        ("/mnt/host", "9p"),
        ("/mnt/container", None),
        ("/mnt/twice", None),
    ],
)
def test_file_system_is_that_of_the_deepest_and_last_mount(
    tmp_path: Path, folder: str, kind: str | None
) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)
    assert network_file_system(Path(folder), mounts) == kind


def test_link_to_a_network_is_followed(tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)
    link = tmp_path / "data"
    link.symlink_to("/mnt/share/bridge")
    assert network_file_system(link, mounts) == "cifs"


def test_start_is_refused_with_the_reason(tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)
    with pytest.raises(ConfigError, match=r"nfs4.*local disk") as refused:
        refuse_network(Path("/srv/pacs data"), mounts)
    assert refused.value.code == "DSK-001"
    refuse_network(Path("/var/lib/bridge"), mounts)


def test_system_that_cannot_tell_is_let_go(tmp_path: Path) -> None:
    refuse_network(tmp_path, tmp_path / "no-such-file")
