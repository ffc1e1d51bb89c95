"""The endpoints that only read: versions, algorithms, sockets, images, jobs."""

from __future__ import annotations

from bridge.sandbox.loopback.server import Response

from .answers import UNAUTHENTICATED, Call, choice, detail, listing, no_match, page_500, pk_of
from .platform import Platform
from .wire import Wire

LATEST_CLIENT, LOWEST_CLIENT = "0.16.1", "0.13.0"


class Reading:
    def __init__(self, platform: Platform, wire: Wire) -> None:
        self._platform, self._wire = platform, wire

    def versions(self, call: Call) -> Response:
        versions = {"latest_version": LATEST_CLIENT, "lowest_supported_version": LOWEST_CLIENT}
        return Response.of_json(200, versions)

    def algorithms(self, call: Call) -> Response:
        slug = call.request.parameters.get("slug")
        known = self._platform.algorithms.values() if call.user and call.user.may_run else ()
        return listing(call, [a for a in known if slug in (None, "", a.slug)], self._wire.algorithm)

    def algorithm(self, call: Call) -> Response:
        algorithm = self._platform.algorithms.get(pk_of(call))
        if algorithm is None or call.user is None or not call.user.may_run:
            raise no_match("Algorithm")
        return Response.of_json(200, self._wire.algorithm(algorithm))

    def algorithm_images(self, call: Call) -> Response:
        # Versions are for editors; a user of the algorithm is not told.
        choice(call, "algorithm", lambda pk: pk in self._platform.algorithms)
        return listing(call, (), lambda _: None)

    def algorithm_image(self, call: Call) -> Response:
        pk_of(call)
        raise no_match("AlgorithmImage")

    def sockets(self, call: Call) -> Response:
        slug = call.request.parameters.get("slug")
        if call.user is None:
            raise detail(401, UNAUTHENTICATED)
        sockets = [s for s in self._platform.sockets.values() if slug in (None, "", s.slug)]
        return listing(call, sockets, self._wire.socket)

    def socket(self, call: Call) -> Response:
        if call.user is None:
            raise detail(401, UNAUTHENTICATED)
        for socket in self._platform.sockets.values():
            if str(socket.pk) == call.arguments[0]:
                return Response.of_json(200, self._wire.socket(socket))
        raise no_match("ComponentInterface")

    def images(self, call: Call) -> Response:
        given = call.request.parameters
        if "job_input" in given or "job_output" in given:
            raise page_500()  # the platform's own defect
        origin = choice(call, "origin", lambda pk: pk in self._platform.sessions)
        archive = choice(call, "archive", lambda pk: pk in self._platform.archives)
        choice(call, "reader_study", lambda _: False)
        images = [
            image
            for image in self._platform.images_of(call.user)
            if origin in (None, image.origin)
            and (archive is None or self._platform.archive_of(image.pk) == archive)
            and given.get("name") in (None, "", image.name)
        ]
        return listing(call, images, self._wire.image)

    def image(self, call: Call) -> Response:
        image = self._platform.images.get(pk_of(call))
        if image is None or not self._platform.may_see(call.user, image):
            raise no_match("Image")
        return Response.of_json(200, self._wire.image(image))

    def jobs(self, call: Call) -> Response:
        algorithm = choice(call, "algorithm_image__algorithm", lambda pk: pk in self._platform.algorithms)
        input_image = choice(call, "input_image", lambda pk: pk in self._platform.images)
        output_image = choice(call, "output_image", lambda pk: pk in self._platform.images)
        jobs = [
            job
            for job in self._platform.jobs_of(call.user)
            if algorithm in (None, job.algorithm)
            and (input_image is None or any(v.image == input_image for v in job.inputs))
            and (output_image is None or any(v.image == output_image for v in job.outputs))
        ]
        return listing(call, jobs, self._wire.job)

    def job(self, call: Call) -> Response:
        job = self._platform.jobs.get(pk_of(call))
        if job is None or call.user is None or job.creator != call.user.pk:
            raise no_match("Job")
        return Response.of_json(200, self._wire.job(job))
