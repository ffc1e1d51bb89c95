"""Grand Challenge from description to outputs, against a sandbox that misbehaves on demand."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import zipfile
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from tests.contract.platform_benches import chest
from tests.contract.platform_engine import Engine, JobBench, Sink, again, through_json
from tests.unit.platforms.gc_kit import Token

from bridge.errors import BridgeError, Held, Never, Refused, TryLater, Unsure
from bridge.itk import ItkImage, read_image, write_image
from bridge.platforms import Account, RemoteJob, Request, RequestedFile, RequestedVolume, Verdict
from bridge.platforms.grand_challenge import GrandChallenge
from bridge.platforms.http import Http
from bridge.results.output import OutputKind, Presence
from bridge.sandbox.grand_challenge import Fault, Sandbox

T = TypeVar("T")
pytestmark = pytest.mark.slow
HOUR = 3600.0


class House:
    """A sandbox and one account at it."""

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        self.sandbox = sandbox
        self.chest = chest(folder)
        self.account = Account(
            name="gc",
            base_url=sandbox.base_url,
            token=Token(sandbox.token),
            ca=str(sandbox.ca_file),
            timeout_s=10.0,
            options={"poll_first_s": 0.02, "poll_s": 0.05, "retry_s": 0.0},
        )
        self.keys = (f"{number:032x}" for number in range(1, 1000))

    def engine(self, **volumes: bytes) -> Engine:
        bench = JobBench(platform="grand-challenge", account=self.account, volumes=volumes)
        return House._Engine(self, bench, next(self.keys))

    class _Engine(Engine):
        def __init__(self, house: House, bench: JobBench, key: str) -> None:
            super().__init__(bench, key)
            self.house = house

        def platform(self) -> GrandChallenge:
            account = self.house.account
            return GrandChallenge(account, Http(account), self.house.sandbox.now_s)

    def run(self, act: Callable[[GrandChallenge], Awaitable[T]], engine: Engine | None = None) -> T:
        async def whole() -> T:
            platform = (engine or self.engine()).platform()
            try:
                return await act(platform)  # type: ignore[arg-type]
            finally:
                await platform.close()

        return asyncio.run(whole())

    def prepare(
        self,
        algorithm: str,
        values: dict[str, Any] | None = None,
        labels: bool = False,
        files: dict[str, tuple[str, bytes]] | None = None,
        **volumes: bytes,
    ) -> Engine:
        """`files`: media type and content of files of the site's own, by socket."""
        named = {name.replace("_", "-"): data for name, data in volumes.items()}
        copies = files or {}
        engine = self.engine(**named, **{name: data for name, (_, data) in copies.items()})
        request = Request(
            volumes=tuple(
                RequestedVolume(
                    input=name,
                    modality="CT",
                    shape=(16, 48, 48),
                    spacing_mm=(6.0, 6.0, 6.0),
                    is_labels=labels and "mask" in name,
                )
                for name in named
            ),
            values=values or {},
            files=tuple(
                RequestedFile(input=name, media_type=media_type, size_bytes=len(data))
                for name, (media_type, data) in copies.items()
            ),
        )
        self.run(lambda platform: engine.prepare(platform, algorithm, request), engine)
        return engine

    def finish(self, engine: Engine) -> Any:
        async def story(platform: GrandChallenge) -> Any:
            await engine.submit(platform)
            return await engine.wait(platform)

        return self.run(story, engine)

    def outputs(self, engine: Engine) -> dict[str, Any]:
        return self.run(engine.fetch, engine)

    def billed(self) -> int:
        return len(self.sandbox.ledger())

    def try_to(self, engine: Engine, step: str) -> BridgeError:
        """Perform the steps up to one that must fail; what it says."""

        async def story(platform: GrandChallenge) -> BridgeError:
            for one in engine.parcel.order.steps:
                if one.name in engine.job.notes:
                    continue
                try:
                    shelf = _Shelf(engine.bench.volumes)
                    engine.keep(replace(engine.job, begun=(*engine.job.begun, one.name)))
                    engine.keep(await platform.perform(one, engine.job, engine.parcel, shelf))
                except BridgeError as error:
                    assert one.name == step, error.sentence()
                    return error
            raise AssertionError("every step succeeded")

        return self.run(story, engine)


class _Shelf:
    def __init__(self, files: dict[str, bytes]) -> None:
        self._files = files

    def open(self, ref: str) -> Any:
        return io.BytesIO(self._files[ref])


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with Sandbox(tmp_path / "sandbox") as sandbox:
        yield House(sandbox, tmp_path)
        assert not (sandbox.folder / "errors.log").exists()
        assert not [line for line in sandbox.requests("store") if line["token"]]


OPTIONS = {"threshold": -500, "note": "ä"}


def test_image_value_and_file_in_and_outputs_of_every_kind_out(house: House) -> None:
    engine = house.prepare("all-kinds", {"threshold": -400, "options-file": OPTIONS}, ct_image=house.chest)
    assert house.finish(engine).verdict is Verdict.DONE
    got = house.outputs(engine)
    promised = {output.name: output.kind for output in engine.spec.interfaces[0].outputs}
    assert {name: output.kind for name, (output, _) in got.items()} == promised
    assert json.loads(got["findings"][1])["options"] == OPTIONS
    assert got["report"][1].startswith(b"%PDF")
    assert got["thumbnail"][1].startswith(b"\x89PNG")
    assert got["air-surface"][0].kind is OutputKind.MESH
    assert got["bundle"][1].startswith(b"PK")
    assert json.loads(got["is-empty"][1]) is False
    assert {output.word for output, _ in got.values()} >= {"Heat Map", "CSV file", "2D bounding box"}
    assert all(output.presence is Presence.HERE for output, _ in got.values())
    assert house.billed() == 1


def zipped(**members: bytes) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return data.getvalue()


PDF, TABLE = b"%PDF-1.4\n%%EOF\n", b"a,b\n1,2\n"
FILES = {"atlas": ("application/zip", zipped(a=b"1")), "protocol": ("application/pdf", PDF)}


def told(files: dict[str, tuple[str, bytes]]) -> dict[str, Any]:
    return {
        name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for name, (_, data) in files.items()
    }


def test_files_of_the_site_arrive_bit_for_bit_beside_a_volume(house: House) -> None:
    files = {**FILES, "references": ("text/plain", TABLE)}
    engine = house.prepare("other-inputs", files=files, ct_image=house.chest)
    assert house.finish(engine).verdict is Verdict.DONE
    summary = json.loads(house.outputs(engine)["summary"][1])
    assert summary == {"ct-image": {"shape": [16, 48, 48]}, **told(files)}
    assert house.billed() == 1


@pytest.mark.parametrize("is_begun", [True, False], ids=["begun", "row-of-before"])
@pytest.mark.parametrize(("status", "after"), [(504, True), (500, False)], ids=["made", "not-made"])
def test_job_of_files_alone_is_found_by_their_names_when_its_answer_is_lost(
    house: House, status: int, after: bool, is_begun: bool
) -> None:
    engine = house.prepare("other-inputs", files=FILES)
    assert engine.parcel.order.files == ()
    house.sandbox.arm(Fault(method="POST", path="*/algorithms/jobs/", status=status, after=after))
    assert isinstance(house.try_to(engine, "create"), Unsure)
    if not is_begun:
        engine.keep(RemoteJob(key=engine.job.key))
    assert house.finish(engine).verdict is Verdict.DONE
    got = house.outputs(engine)
    assert json.loads(got["summary"][1]) == told(FILES)
    assert got["report"][1].startswith(b"%PDF-")
    assert house.billed() == 1


def test_image_at_the_platform_goes_into_a_socket_of_a_dicom_set_and_a_volume_does_not(
    house: House, tmp_path: Path
) -> None:
    there = house.sandbox.add_image(tmp_path / "chest.mha")
    engine = house.prepare("other-inputs", {"dicom-ct": {"image": there.pk}})
    assert house.finish(engine).verdict is Verdict.DONE
    assert json.loads(house.outputs(engine)["summary"][1]) == {"dicom-ct": {"shape": [16, 48, 48]}}
    with pytest.raises(Refused) as refused:
        house.prepare("other-inputs", dicom_ct=house.chest)
    assert refused.value.code == "GC-212"


@pytest.mark.parametrize("old", ["interface_key_only", "old_algorithms", "parts_as_sent"])
def test_older_servers_are_understood(house: House, old: str) -> None:
    house.sandbox.behave(**{old: True})
    engine = house.prepare("lungs-and-airways", ct_image=house.chest)
    assert house.finish(engine).verdict is Verdict.DONE
    assert set(house.outputs(engine)) == {"lung-segmentation", "low-attenuation-percent"}


def test_old_shape_with_its_default_left_out_and_given(house: House) -> None:
    for values in ({}, {"threshold": -300}):
        engine = house.prepare("air-by-threshold-old", values, ct_image=house.chest)
        assert house.finish(engine).verdict is Verdict.DONE


def as_labels(house: House, data: bytes, folder: Path) -> bytes:
    """Lobes as the tutorial makes masks of them: every label becomes 1, unsigned 8 bit, on the same grid."""
    file = folder / "lobes.mha"
    file.write_bytes(data)
    image = read_image(file)
    write_image(file, replace(image, array=(image.array >= 1).astype(np.uint8)), compress=True)
    return file.read_bytes()


def test_registration_of_four_sockets_with_masks_that_we_send(house: House, tmp_path: Path) -> None:
    lobes = house.prepare("pulmonary-lobe-segmentation", generic_medical_image=house.chest)
    assert house.finish(lobes).verdict is Verdict.DONE
    mask = as_labels(house, house.outputs(lobes)["pulmonary-lobes"][1], tmp_path)
    engine = house.prepare(
        "deep-learning-based-ct-lung-registration",
        labels=True,
        fixed_image=house.chest,
        moving_image=house.chest,
        fixed_mask=mask,
        moving_mask=mask,
    )
    assert {file.input for file in engine.parcel.order.files if file.as_labels} == {
        "fixed-mask",
        "moving-mask",
    }
    assert house.finish(engine).verdict is Verdict.DONE
    assert set(house.outputs(engine)) == {"moved-image", "registration-difference"}
    assert house.billed() == 2


def test_registration_with_masks_and_images_that_are_at_the_platform_already(
    house: House, tmp_path: Path
) -> None:
    file = tmp_path / "mask.mha"
    image = read_image(tmp_path / "chest.mha")
    write_image(file, replace(image, array=(image.array < -400).astype(np.uint8)))
    mask = house.sandbox.add_image(file)
    archive = next(iter(house.sandbox.platform.archives.values())).slug
    item = house.sandbox.add_archive_item(archive, {"fixed-image": tmp_path / "chest.mha"})
    earlier = house.prepare("pulmonary-lobe-segmentation-for-covid-19-ct-scans", ct_image=house.chest)
    house.finish(earlier)
    values = {
        "fixed-image": {"archive_item": item.pk},
        "moving-image": {"job": earlier.job.remote_id, "socket": "pulmonary-lobes-picture"},
        "fixed-mask": {"image": mask.pk},
        "moving-mask": {"image": f"{house.sandbox.base_url}cases/images/{mask.pk}/"},
    }
    uploads = len([line for line in house.sandbox.requests("store") if line["method"] == "PUT"])
    engine = house.prepare("deep-learning-based-ct-lung-registration", values)
    house.finish(engine)
    assert len([line for line in house.sandbox.requests("store") if line["method"] == "PUT"]) == uploads
    assert house.billed() == 2

    again_ = house.prepare("deep-learning-based-ct-lung-registration", values)
    house.finish(again_)
    assert again_.job.remote_id == engine.job.remote_id, "the platform's duplicate is our earlier job"
    assert house.billed() == 2


def test_where_sessions_are_view_only_the_uploads_go_with_the_job(house: House) -> None:
    house.sandbox.behave(sessions_view_only=True)
    engine = house.prepare("identity-mask", ct_image=house.chest)
    assert house.finish(engine).verdict is Verdict.DONE
    assert engine.job.notes["session:ct-image"].get("by_uploads")
    assert house.billed() == 1


@pytest.mark.parametrize("is_begun", [True, False], ids=["begun", "row-of-before"])
@pytest.mark.parametrize("status", [500, 504], ids=["race", "gateway"])
@pytest.mark.parametrize("is_held", [False, True], ids=["imported", "not-imported-yet"])
def test_lost_answer_without_a_session_is_found_by_the_names_of_its_images(
    house: House, status: int, is_held: bool, is_begun: bool
) -> None:
    house.sandbox.behave(sessions_view_only=True)
    if is_held:
        house.sandbox.hold("Validating inputs")
    engine = house.prepare("identity-mask", ct_image=house.chest)
    house.sandbox.arm(Fault(method="POST", path="*/algorithms/jobs/", status=status, after=True))
    error = house.try_to(engine, "create")
    assert isinstance(error, Unsure)
    if not is_begun:
        engine.keep(RemoteJob(key=engine.job.key))
    house.sandbox.release()
    assert house.finish(engine).verdict is Verdict.DONE
    assert house.billed() == 1


def test_answer_that_was_lost_before_the_effect_is_repeated_without_a_session(house: House) -> None:
    house.sandbox.behave(sessions_view_only=True)
    engine = house.prepare("identity-mask", ct_image=house.chest)
    house.sandbox.arm(Fault(method="POST", path="*/algorithms/jobs/", status=504))
    assert isinstance(house.try_to(engine, "create"), Unsure)
    assert house.finish(engine).verdict is Verdict.DONE
    assert house.billed() == 1


@pytest.mark.parametrize("is_view_only", [False, True])
def test_reason_of_a_refused_image_is_told(house: House, is_view_only: bool) -> None:
    house.sandbox.behave(sessions_view_only=is_view_only)
    engine = house.prepare("identity-mask", ct_image=b"this is no image")
    state = house.finish(engine)
    assert (state.verdict, state.raw) == (Verdict.FAILED, "Cancelled")
    assert state.reason.endswith("1 file could not be imported.")


@pytest.mark.parametrize(
    ("limits", "code", "after_s"),
    [
        ({"active_jobs": 0}, "GC-101", 120.0),
        ({"credits": 0}, "GC-102", 7200.0),
    ],
)
def test_full_queue_and_spent_credits_are_waited_for_with_the_same_uploads(
    house: House, limits: dict[str, int], code: str, after_s: float
) -> None:
    house.sandbox.set_limits(**limits)
    engine = house.prepare("identity-mask", ct_image=house.chest)
    error = house.try_to(engine, "create")
    assert isinstance(error, TryLater)
    assert not isinstance(error, Unsure)
    assert (error.code, error.after_s) == (code, after_s)
    puts = len([line for line in house.sandbox.requests("store") if line["method"] == "PUT"])
    house.sandbox.set_limits(active_jobs=16, credits=None)
    assert house.finish(engine).verdict is Verdict.DONE
    assert len([line for line in house.sandbox.requests("store") if line["method"] == "PUT"]) == puts


@pytest.mark.parametrize(
    ("limits", "code", "step"),
    [
        ({"uploads": 0}, "GC-103", "upload:ct-image"),
        ({"upload_bytes": 0}, "GC-105", "upload:ct-image"),
    ],
)
def test_limits_of_uploads_are_waited_for(house: House, limits: dict[str, int], code: str, step: str) -> None:
    house.sandbox.set_limits(active_jobs=0, **limits)
    first = house.prepare("identity-mask", ct_image=house.chest)
    assert house.try_to(first, "create").code == "GC-101", "its upload stays"
    error = house.try_to(house.prepare("identity-mask", ct_image=house.chest), step)
    assert isinstance(error, TryLater)
    assert (error.code, error.after_s) == (code, 900.0)


def test_version_that_is_being_changed_is_waited_for_and_the_new_one_is_told(house: House) -> None:
    first = house.prepare("identity-mask", ct_image=house.chest)
    house.finish(first)
    house.sandbox.new_version("identity-mask", is_ready=False)
    engine = house.prepare("identity-mask", ct_image=house.chest)
    error = house.try_to(engine, "create")
    assert (error.code, isinstance(error, TryLater)) == ("GC-106", True)
    house.sandbox.new_version("identity-mask")
    assert house.finish(engine).pin != first.states[-1].pin


def test_uploads_that_were_swept_while_the_queue_was_full_are_sent_again(house: House) -> None:
    house.sandbox.set_limits(active_jobs=0)
    engine = house.prepare("identity-mask", ct_image=house.chest)
    assert house.try_to(engine, "create").code == "GC-101"
    house.sandbox.move_clock(25 * HOUR)
    house.sandbox.set_limits(active_jobs=16)
    error = house.try_to(engine, "create")
    assert error.numbers == {"restart": "upload:ct-image"}
    assert house.finish(engine).verdict is Verdict.DONE
    assert house.billed() == 1


def test_job_that_stays_in_validation_is_given_up_after_two_days(house: House) -> None:
    house.sandbox.hold("Validating inputs")
    engine = house.prepare("identity-mask", ct_image=house.chest)
    house.run(engine.submit, engine)
    look = lambda: house.run(lambda platform: platform.state(engine.job), engine)  # noqa: E731
    assert look().verdict is None
    house.sandbox.move_clock(1 * HOUR)
    assert "tries for two days" in look().reason
    assert look().look_again_s == 120.0


@pytest.mark.parametrize("label", ["Dreaming", "Provisioning", "Re-Queued", "Queued"])
def test_unknown_and_backward_words_are_followed(house: House, label: str) -> None:
    house.sandbox.hold("Executing")
    engine = house.prepare("identity-mask", ct_image=house.chest)
    house.run(engine.submit, engine)
    house.sandbox.set_status(engine.job.remote_id, label)
    state = house.run(lambda platform: platform.state(engine.job), engine)
    assert (state.raw, state.verdict) == (label, None)
    house.sandbox.let_go(engine.job.remote_id)
    house.sandbox.release()
    assert house.run(engine.wait, engine).verdict is Verdict.DONE


def test_job_that_another_user_s_token_does_not_see_is_never(house: House) -> None:
    engine = house.prepare("identity-mask", ct_image=house.chest)
    house.finish(engine)
    house.account = replace(house.account, token=Token(house.sandbox.add_user()))
    with pytest.raises(Never):
        house.run(lambda platform: platform.state(engine.job), engine)


def test_session_that_another_user_s_token_does_not_see_is_a_matter_for_a_person(house: House) -> None:
    engine = house.prepare("identity-mask", ct_image=house.chest)
    house.sandbox.arm(Fault(method="POST", path="*/algorithms/jobs/", status=504, after=True))
    assert isinstance(house.try_to(engine, "create"), Unsure)
    house.account = replace(house.account, token=Token(house.sandbox.add_user()))
    with pytest.raises(Held):
        house.run(lambda p: p.find(engine.job, engine.spec, engine.parcel.order), engine)
    assert house.billed() == 1


def test_input_that_was_withdrawn_does_not_hide_the_outputs(house: House) -> None:
    engine = house.prepare("identity-mask", ct_image=house.chest)
    house.finish(engine)
    (image,) = [one for one in house.sandbox.platform.images.values() if one.origin]
    house.sandbox.withdraw(image.pk)
    assert (
        house.run(lambda p: p.compare(engine.job, engine.parcel, _Shelf(engine.bench.volumes)), engine) == ()
    )
    assert set(house.outputs(engine)) == {"lung-segmentation"}


def test_copy_that_the_platform_changed_is_held(house: House, tmp_path: Path) -> None:
    engine = house.prepare("identity-mask", ct_image=house.chest)
    house.finish(engine)
    image = read_image(tmp_path / "chest.mha")
    moved = ItkImage(
        array=image.array,
        spacing_mm=image.spacing_mm,
        origin_lps=(image.origin_lps[0] + 3.0, *image.origin_lps[1:]),
        direction=image.direction,
    )
    write_image(tmp_path / "other.mha", moved)
    other = {"ct-image": (tmp_path / "other.mha").read_bytes()}
    with pytest.raises(Held) as caught:
        house.run(lambda p: p.compare(engine.job, engine.parcel, _Shelf(other)), engine)
    assert caught.value.numbers["origin_distance_mm"] == 3.0


@pytest.mark.parametrize(
    "fault",
    [
        Fault(method="PUT", origin="store", lose_part=True),
        Fault(method="PUT", origin="store", drop_headers=("ETag",)),
        Fault(method="PUT", origin="store", reset=True),
        Fault(method="PUT", origin="store", reset=True, after=True),
        Fault(path="*/generate-presigned-urls/", expired_links=True),
        Fault(path="*/complete-multipart-upload/", status=500, after=True),
        Fault(path="*/complete-multipart-upload/", reset=True, after=True),
        Fault(method="POST", path="*/upload-sessions/", status=502, after=True),
        Fault(method="POST", path="*/uploads/", status=503, retry_after_s=0),
        Fault(method="GET", path="*/media/*", expired_links=True),
        Fault(method="GET", origin="store", reset=True),
        Fault(method="GET", path="*/algorithms/jobs/*", status=500),
    ],
    ids=lambda fault: f"{fault.method}-{fault.path.strip('*/')}-{fault.status or 'wire'}",
)
def test_one_fault_on_the_way_changes_nothing_in_the_end(house: House, fault: Fault) -> None:
    house.sandbox.arm(fault)

    async def story(platform: GrandChallenge) -> None:
        await engine.submit(platform)
        await engine.wait(platform)
        assert await engine.fetch(platform)

    engine = house.prepare("identity-mask", ct_image=house.chest)
    house.run(story, engine)
    assert [one["hits"] for one in house.sandbox.faults()] == [1]
    assert house.billed() == 1


def test_truncated_download_is_never_a_result(house: House) -> None:
    engine = house.prepare("identity-mask", ct_image=house.chest)
    house.finish(engine)
    house.sandbox.arm(Fault(method="GET", origin="store", cut_at=50))

    async def story(platform: GrandChallenge) -> None:
        (output,) = await platform.outputs(engine.job)
        with pytest.raises(BridgeError):
            await platform.fetch(engine.job, output, Sink())
        sink = Sink()
        await again(lambda: platform.fetch(engine.job, output, sink))
        assert sink.data

    house.run(story, engine)


def test_results_of_earlier_days_by_their_archive(house: House, tmp_path: Path) -> None:
    archive = next(iter(house.sandbox.platform.archives.values())).slug
    items = [
        house.sandbox.add_archive_item(archive, {"ct-image": tmp_path / "chest.mha"}).pk for _ in range(3)
    ]
    for item in items[:2]:
        engine = house.prepare("identity-mask", {"ct-image": {"archive_item": item}})
        assert house.finish(engine).verdict is Verdict.DONE
    found = house.run(lambda platform: platform.earlier("identity-mask", items=tuple(items)))
    assert [one.item for one in found.jobs] == items[:2]
    assert found.without == (items[2],)
    through_json(found)
