"""The platform's objects as its JSON, key for key as recorded from the platform's own server."""

from __future__ import annotations

from typing import Any

from bridge.sandbox.loopback.records import iso

from .catalogue import Algorithm, Interface
from .kinds import is_json
from .objects import MEASURED, SUCCEEDED, Archive, ArchiveItem, Image, Job, Session, SocketValue, Upload
from .platform import Platform
from .sockets import Socket
from .store import Part

Json = dict[str, Any]


class Wire:
    """Writes objects with the addresses of one origin."""

    def __init__(self, platform: Platform, origin: str) -> None:
        self._platform, self.origin = platform, origin

    def api(self, *path: str) -> str:
        return f"{self.origin}/api/v1/{'/'.join(path)}/"

    def socket(self, socket: Socket) -> Json:
        return {
            "title": socket.title,
            "description": "",
            "slug": socket.slug,
            "kind": socket.kind,
            "pk": socket.pk,
            "default_value": socket.default_value,
            "super_kind": socket.super_kind,
            "relative_path": socket.relative_path,
            "overlay_segments": [
                {"name": s.name, "visible": True, "voxel_value": s.voxel_value} for s in socket.segments
            ],
            "look_up_table": None,
        }

    def algorithm(self, algorithm: Algorithm) -> Json:
        """With `interfaces`, or with `inputs` and `outputs` where the algorithm or the platform is old."""
        interfaces = [self._interface(i) for i in algorithm.interfaces]
        is_old = algorithm.is_old or self._platform.behaviour.old_algorithms
        shape = interfaces[0] if is_old else {"interfaces": interfaces}
        return {
            "api_url": self.api("algorithms", algorithm.pk),
            "url": f"{self.origin}/algorithms/{algorithm.slug}/",
            "description": None,
            "pk": algorithm.pk,
            "title": algorithm.title,
            "logo": f"{self.origin}/logos/algorithm/{algorithm.pk}/logo.jpg",
            "slug": algorithm.slug,
            "average_duration": self._platform.average_duration_s(algorithm.pk),
            **shape,
        }

    def _interface(self, interface: Interface) -> Json:
        return {
            "inputs": [self.socket(s) for s in interface.inputs],
            "outputs": [self.socket(s) for s in interface.outputs],
        }

    def upload(self, upload: Upload) -> Json:
        return {
            "pk": upload.pk,
            "created": iso(upload.created_s),
            "filename": upload.filename,
            "key": upload.key,
            "s3_upload_id": upload.s3_upload_id,
            "status": upload.status,
            "api_url": self.api("uploads", upload.pk),
        }

    def part(self, part: Part) -> Json:
        return {
            "ETag": part.etag,
            "PartNumber": part.number,
            "LastModified": f"{iso(part.modified_s)[:19]}Z",
            "Size": part.size_bytes,
        }

    def session(self, session: Session) -> Json:
        left = [pk for pk in session.uploads if pk in self._platform.uploads]
        return {
            "pk": session.pk,
            "creator": session.creator,
            "status": session.status,
            "error_message": session.error_message,
            "image_set": [self.api("cases", "images", pk) for pk in session.images],
            "api_url": self.api("cases", "upload-sessions", session.pk),
            "user_uploads": left,
            "uploads": [self.api("uploads", pk) for pk in left],
        }

    def image(self, image: Image) -> Json:
        depth, height, width = image.shape[:3]
        return {
            "pk": image.pk,
            "name": image.name,
            "files": [
                {
                    "pk": image.file_pk,
                    "image": image.pk,
                    "file": f"{self.origin}/media/{image.key}",
                    "image_type": "MHD",
                }
            ],
            "dicom_image_set": None,
            "width": width,
            "height": height,
            "depth": depth,
            "color_space": image.color_space,
            "modality": None,
            "eye_choice": "NA",
            "stereoscopic_choice": None,
            "field_of_view": None,
            "shape_without_color": [depth, height, width],
            "shape": list(image.shape),
            "voxel_width_mm": image.spacing_mm[0],
            "voxel_height_mm": image.spacing_mm[1],
            "voxel_depth_mm": image.spacing_mm[2],
            "api_url": self.api("cases", "images", image.pk),
            "patient_id": "",
            "patient_name": "",
            "patient_birth_date": None,
            "patient_age": "",
            "patient_sex": "",
            "study_date": None,
            "study_instance_uid": "",
            "series_instance_uid": "",
            "study_description": "",
            "series_description": "",
            "window_center": None,
            "window_width": None,
            "segments": None if image.segments is None else list(image.segments),
        }

    def job(self, job: Job) -> Json:
        algorithm = self._platform.algorithms[job.algorithm]
        is_measured = job.status in MEASURED
        return {
            "pk": job.pk,
            "url": f"{self.origin}/algorithms/{algorithm.slug}/jobs/{job.pk}/",
            "api_url": self.api("algorithms", "jobs", job.pk),
            "algorithm_image": self.api("algorithms", "images", job.algorithm_image),
            "inputs": [self._value(v) for v in _sorted(job.inputs)],
            "outputs": [self._value(v) for v in _sorted(job.outputs if job.status == SUCCEEDED else ())],
            "status": job.status,
            "hanging_protocol": None,
            "optional_hanging_protocols": [],
            "view_content": {},
            "exec_duration": _duration(job.exec_s if is_measured else None),
            "invoke_duration": _duration(job.invoke_s if is_measured else None),
            "algorithm": self.api("algorithms", job.algorithm),
        }

    def posted_job(self, job: Job) -> Json:
        """The shorter answer to a POST: bound inputs only, `interface` as a slug."""
        return {
            "pk": job.pk,
            "inputs": [self._posted_value(v) for v in job.inputs],
            "status": job.status,
        }

    def archive(self, archive: Archive) -> Json:
        return {
            "pk": archive.pk,
            "title": archive.title,
            "logo": f"{self.origin}/logos/archive/{archive.pk}/logo.jpg",
            "description": None,
            "api_url": self.api("archives", archive.pk),
            "url": f"{self.origin}/archives/{archive.slug}/",
        }

    def item(self, item: ArchiveItem) -> Json:
        return {
            "pk": item.pk,
            "title": item.title,
            "archive": self.api("archives", item.archive),
            "values": [self._value(v) for v in _sorted(item.values)],
            "hanging_protocol": None,
            "optional_hanging_protocols": [],
            "view_content": {},
        }

    def posted_item(self, item: ArchiveItem) -> Json:
        """The answer to a change: values as in the answer to a posted job."""
        return {**self.item(item), "values": [self._posted_value(v) for v in item.values]}

    def _posted_value(self, value: SocketValue) -> Json:
        return {
            "interface": value.socket.slug,
            "value": value.value,
            "file": self._file_url(value),
            "image": self._image_url(value),
            "pk": value.pk,
            "image_name": None,
        }

    def _value(self, value: SocketValue) -> Json:
        # The name in new clients and the name in old ones, with equal content.
        socket = self.socket(value.socket)
        names = ("interface",) if self._platform.behaviour.interface_key_only else ("socket", "interface")
        return {
            **dict.fromkeys(names, socket),
            "value": value.value,
            "file": self._file_url(value),
            "image": self._image_url(value),
            "pk": value.pk,
        }

    def _file_url(self, value: SocketValue) -> str | None:
        return f"{self.origin}/media/{value.key}" if value.is_file else None

    def _image_url(self, value: SocketValue) -> str | None:
        return self.api("cases", "images", value.image) if value.image else None


def _sorted(values: tuple[SocketValue, ...]) -> list[SocketValue]:
    # By group of kinds (JSON wherever it is kept, other files, images) and then slug, not by interface.
    def place(value: SocketValue) -> tuple[int, str]:
        group = 2 if value.socket.super_kind == "Image" else 0 if is_json(value.socket) else 1
        return group, value.socket.slug

    return sorted(values, key=place)


def _duration(seconds: float | None) -> str | None:
    """ISO 8601 as Django writes it, "P0DT00H00M41S", with microseconds when there are any."""
    if seconds is None:
        return None
    whole, micro = divmod(round(seconds * 1_000_000), 1_000_000)
    days, rest = divmod(whole, 86400)
    fraction = f".{micro:06d}" if micro else ""
    return f"P{days}DT{rest // 3600:02d}H{rest // 60 % 60:02d}M{rest % 60:02d}{fraction}S"
