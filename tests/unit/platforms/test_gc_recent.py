"""Which jobs are young, and which are those of earlier days, though the platform tells no job's age."""

from __future__ import annotations

import re
from email.utils import formatdate
from typing import Any

import httpx
import pytest
from tests.unit.platforms.gc_kit import NOW_S, run, scripted

from bridge.errors import ConfigError
from bridge.platforms import Adoption, Adopts, Breaks, Compares, Newer, Verdict
from bridge.platforms.grand_challenge import GrandChallenge

KEY = "0123456789abcdef" * 2
OTHER = "fedcba9876543210" * 2
API = "https://api.example/api/v1"
HOUR = 3600.0


class Cloud:
    """A platform with jobs, oldest first. A job is (pk, inputs, outputs); an image (name, hours ago or None)."""

    def __init__(self) -> None:
        self.jobs: list[dict[str, Any]] = []
        self.images: dict[str, tuple[str, float | None]] = {}
        self.items: dict[str, list[int]] = {}
        self.asked: list[str] = []

    def add(
        self, pk: str, *inputs: str, out: float | None = None, status: str = "Succeeded", **more: Any
    ) -> None:
        outputs = []
        if out is not None:
            self.images[f"out-{pk}"] = ("out.mha", out)
            outputs = [value(900, "mask", f"out-{pk}")]
        given = [value(int(re.sub(r"\D", "", image) or 0), "ct", image) for image in inputs]
        self.jobs.append(
            {
                "pk": pk,
                "status": status,
                "algorithm": f"{API}/algorithms/a1/",
                "algorithm_image": f"{API}/algorithms/images/v1/",
                "inputs": given,
                "outputs": outputs,
                **more,
            }
        )

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path, params = request.url.path.removeprefix("/api/v1/"), request.url.params
        self.asked.append(f"{path}?{request.url.query.decode()}" if request.url.query else path)
        if path == "algorithms/jobs/":
            found = self.jobs
            if "input_image" in params:
                wanted = f"/{params['input_image']}/"
                found = [
                    job for job in found if any(wanted in v["image"] for v in job["inputs"] if v["image"])
                ]
            start, most = int(params.get("offset", 0)), int(params.get("limit", 100))
            page = found[start : start + most]
            return httpx.Response(200, json={"count": len(found), "next": None, "results": page})
        if path.startswith("algorithms/jobs/"):
            pk = path.split("/")[2]
            return httpx.Response(200, json=next(job for job in self.jobs if job["pk"] == pk))
        if path == "algorithms/":
            return listed([{"pk": "a1", "api_url": f"{API}/algorithms/a1/", "slug": "lobes"}])
        if path == "archives/":
            return listed([{"pk": "r1"}] if params["slug"] == "corona" else [])
        if path == "archives/items/":
            return listed([item(pk, ids) for pk, ids in self.items.items()])
        if path.startswith("archives/items/"):
            pk = path.split("/")[2]
            return httpx.Response(200, json=item(pk, self.items[pk])) if pk in self.items else missing()
        if path.startswith("cases/images/"):
            pk = path.split("/")[2]
            if pk not in self.images:
                return missing()
            file = f"https://api.example/media/images/{pk}/{pk}.mha"
            name = self.images[pk][0]
            return httpx.Response(
                200, json={"pk": pk, "name": name, "files": [{"image_type": "MHD", "file": file}]}
            )
        if path.startswith("/media/"):
            return httpx.Response(302, headers={"Location": f"https://store.example{path}"})
        raise AssertionError(path)

    def storage(self, request: httpx.Request) -> httpx.Response:
        if request.url.host != "store.example":
            return self(request)
        assert request.headers["range"] == "bytes=0-0"
        age = self.images[request.url.path.split("/")[3]][1]
        told = {} if age is None else {"Last-Modified": formatdate(NOW_S - age * HOUR, usegmt=True)}
        return httpx.Response(206, content=b"O", headers=told)

    def platform(self) -> GrandChallenge:
        return scripted(self.storage)

    def newer(self, hours: float) -> tuple[Newer, ...]:
        return run(self.platform().newer(NOW_S - hours * HOUR))

    def earlier(self, **wish: Any) -> Adoption:
        return run(self.platform().earlier("lobes", **wish))


def missing() -> httpx.Response:
    return httpx.Response(404, json={"detail": "No object matches the given query."})


def listed(results: list[Any]) -> httpx.Response:
    return httpx.Response(200, json={"count": len(results), "next": None, "results": results})


def value(number: int, slug: str, image: str) -> dict[str, Any]:
    socket = {"slug": slug, "super_kind": "Image"}
    return {"pk": number, "interface": socket, "image": f"{API}/cases/images/{image}/"}


def item(pk: str, ids: list[int]) -> dict[str, Any]:
    return {"pk": pk, "values": [value(number, "any", f"i{number}") for number in ids]}


def test_jobs_after_a_time_are_told_with_our_key_and_their_age() -> None:
    cloud = Cloud()
    cloud.images = {
        "i1": (f"ct-{OTHER}-1.mha", 30.0),
        "i2": (f"ct-{KEY}-1.mha", 2.0),
        "i3": ("chest.mha", 900.0),
    }
    cloud.add("j0", "i1", out=29.0)
    cloud.add("j1", "i1", out=29.0)
    cloud.add("j2", "i2", status="Executing")
    cloud.add("j3", "i3", out=1.0)
    assert cloud.newer(24.0) == (
        Newer(remote_id="j3", made_at=NOW_S - HOUR),
        Newer(remote_id="j2", made_at=NOW_S - HOUR, key=KEY),
    )


def test_search_ends_at_the_first_job_that_is_surely_older() -> None:
    cloud = Cloud()
    for number in range(200):
        cloud.images[f"i{number}"] = (f"ct-{number:032x}-1.mha", 200.0 - number)
        cloud.add(f"j{number}", f"i{number}", out=200.0 - number)
    assert [one.remote_id for one in cloud.newer(2.5)] == ["j199", "j198"]
    assert len(cloud.asked) < 30


def test_failed_job_on_an_old_image_ends_nothing() -> None:
    """An archive's image is older than the jobs on it, and a failed job has no output that tells its age."""
    cloud = Cloud()
    cloud.images = {"i1": (f"ct-{KEY}-1.mha", 5.0), "i9": ("archived.mha", 9000.0)}
    cloud.add("j1", "i1", status="Queued")
    cloud.add("j2", "i9", status="Failed")
    assert [one.remote_id for one in cloud.newer(24.0)] == ["j2", "j1"]


def test_job_whose_age_nothing_tells_is_among_the_younger_ones() -> None:
    cloud = Cloud()
    cloud.images = {"i1": (f"ct-{KEY}-1.mha", None)}
    cloud.add("j1", "i1", out=None)
    cloud.add("j2", "gone", status="Cancelled")
    assert cloud.newer(1.0) == (
        Newer(remote_id="j2", made_at=NOW_S),
        Newer(remote_id="j1", made_at=NOW_S, key=KEY),
    )


def test_clock_of_storage_that_is_minutes_behind_hides_no_job() -> None:
    cloud = Cloud()
    cloud.images = {"i1": (f"ct-{KEY}-1.mha", 1.05)}
    cloud.add("j1", "i1", out=1.02)
    (only,) = cloud.newer(1.0)
    assert only.made_at == NOW_S - HOUR, "never before the time in question"


def test_job_on_an_image_of_another_job_does_not_bear_its_key() -> None:
    cloud = Cloud()
    cloud.images = {"i1": (f"ct-{KEY}-1.mha", 2.0)}
    cloud.add("j1", "i1", out=1.5)
    cloud.add("j2", "i1", out=1.0)
    assert [(one.remote_id, one.key) for one in cloud.newer(24.0)] == [("j2", ""), ("j1", KEY)]


def test_account_without_jobs() -> None:
    assert Cloud().newer(24.0) == ()


@pytest.fixture
def archive() -> Cloud:
    cloud = Cloud()
    cloud.images = {f"i{n}": ("chest.mha", 9.0) for n in (1, 2, 3)} | {"i4": (f"ct-{KEY}-1.mha", 9.0)}
    # An item holds more than was given to the job: its results among them.
    cloud.items = {"t1": [1, 11], "t2": [2, 12], "t3": [3]}
    cloud.add("j1", "i1", out=8.0)
    cloud.add("j2", "i2", out=8.0, algorithm_image=f"{API}/algorithms/images/v2/")
    cloud.add("j4", "i4", out=7.0)
    return cloud


def test_results_of_earlier_days_find_their_items_and_items_without_a_job_are_said(archive: Cloud) -> None:
    found = archive.earlier(archive="corona")
    assert [(one.job.remote_id, one.item) for one in found.jobs] == [("j1", "t1"), ("j2", "t2")]
    assert found.without == ("t3",)
    first = found.jobs[0]
    assert (first.state.verdict, first.job.pin) == (Verdict.DONE, "v1")
    assert [(one.name, one.id, one.image) for one in first.inputs] == [("ct", "1", "i1")]


def test_items_may_be_named_one_by_one(archive: Cloud) -> None:
    found = archive.earlier(items=("t2", f"{API}/archives/items/t3/"))
    assert ([one.job.remote_id for one in found.jobs], found.without) == (["j2"], ("t3",))


@pytest.mark.parametrize("pin", ["v1", f"{API}/algorithms/images/v1/"])
def test_only_the_wanted_version(archive: Cloud, pin: str) -> None:
    found = archive.earlier(archive="corona", pin=pin)
    assert ([one.job.remote_id for one in found.jobs], found.without) == (["j1"], ("t2", "t3"))


def test_jobs_by_their_images(archive: Cloud) -> None:
    found = archive.earlier(images=("i2", f"{API}/cases/images/i9/"))
    assert ([one.job.remote_id for one in found.jobs], found.without) == (["j2"], ("i9",))


def test_all_jobs_of_the_algorithm_and_our_own_bear_their_key(archive: Cloud) -> None:
    found = archive.earlier()
    assert [(one.job.remote_id, one.job.key) for one in found.jobs] == [("j1", ""), ("j2", ""), ("j4", KEY)]


def test_adopted_job_is_ready_for_its_outputs(archive: Cloud) -> None:
    (job, *_) = archive.earlier().jobs

    assert [output.ref for output in run(archive.platform().outputs(job.job))] == ["image/out-j1"]
    assert run(archive.platform().state(job.job)).verdict is Verdict.DONE


@pytest.mark.parametrize("wish", [{"archive": "none"}, {"items": ("t9",)}])
def test_archive_that_is_not_visible_is_a_config_error(archive: Cloud, wish: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        archive.earlier(**wish)
    assert caught.value.code == "GC-260"


@pytest.mark.parametrize("values", [None, []], ids=["no-items", "item-without-values"])
def test_archive_that_names_no_value_finds_no_job(archive: Cloud, values: list[int] | None) -> None:
    """Every job of the algorithm, other people's images among them, would else be taken for the archive's."""
    archive.items = {} if values is None else {"t1": values}
    assert archive.earlier(archive="corona").jobs == ()
    assert archive.earlier(archive="corona", images=("i1",)).jobs == ()


def test_job_of_values_that_several_items_share_belongs_to_none_of_them(archive: Cloud) -> None:
    """A fixed image in every item: the job says nothing of the patient of any one of them."""
    archive.items = {"t1": [1, 2], "t2": [2, 3]}
    found = archive.earlier(archive="corona")
    assert [(one.job.remote_id, one.item) for one in found.jobs] == [("j1", "t1")]
    assert found.without == ("t2",)


def test_job_belongs_to_the_item_of_exactly_its_inputs_whatever_other_items_hold(archive: Cloud) -> None:
    archive.items = {"t1": [1, 2], "t2": [2], "t3": [1]}
    found = archive.earlier(archive="corona")
    assert [(one.job.remote_id, one.item) for one in found.jobs] == [("j1", "t3"), ("j2", "t2")]
    assert found.without == ("t1",)


def test_items_of_exactly_the_same_values_both_have_the_job(archive: Cloud) -> None:
    archive.items = {"t1": [1], "t2": [1]}
    found = archive.earlier(archive="corona")
    assert [(one.job.remote_id, one.item) for one in found.jobs] == [("j1", "t1"), ("j1", "t2")]
    assert found.without == ()


def test_platform_offers_what_others_may_not() -> None:
    platform = Cloud().platform()
    assert isinstance(platform, Adopts)
    assert isinstance(platform, Compares)
    assert isinstance(platform, Breaks)
