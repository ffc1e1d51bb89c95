"""The platform's objects as its JSON, key for key as recorded from the platform's own server."""

from __future__ import annotations

from typing import Any

from .catalogue import Algorithm, Interface, Socket
from .objects import Image, Job, Platform, Session, SocketValue, Upload
from .records import iso
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
            "default_value": None,
            "super_kind": socket.super_kind,
            "relative_path": socket.relative_path,
            "overlay_segments": [
                {"name": s.name, "visible": True, "voxel_value": s.voxel_value} for s in socket.segments
            ],
            "look_up_table": None,
        }

    def algorithm(self, algorithm: Algorithm) -> Json:
        return {
            "api_url": self.api("algorithms", algorithm.pk),
            "url": f"{self.origin}/algorithms/{algorithm.slug}/",
            "description": None,
            "pk": algorithm.pk,
            "title": algorithm.title,
            "logo": f"{self.origin}/logos/algorithm/{algorithm.pk}/logo.jpg",
            "slug": algorithm.slug,
            "average_duration": self._platform.average_duration_s(algorithm.pk),
            "interfaces": [self._interface(i) for i in algorithm.interfaces],
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
        return {
            "pk": job.pk,
            "url": f"{self.origin}/algorithms/{algorithm.slug}/jobs/{job.pk}/",
            "api_url": self.api("algorithms", "jobs", job.pk),
            "algorithm_image": self.api("algorithms", "images", job.algorithm_image),
            "inputs": [self._value(v) for v in _sorted(job.inputs)],
            "outputs": [self._value(v) for v in _sorted(job.outputs)],
            "status": job.status,
            "hanging_protocol": None,
            "optional_hanging_protocols": [],
            "view_content": {},
            "exec_duration": _duration(job.exec_s),
            "invoke_duration": _duration(job.invoke_s),
            "algorithm": self.api("algorithms", job.algorithm),
        }

    def posted_job(self, job: Job) -> Json:
        """The shorter answer to a POST: bound inputs only, `interface` as a slug."""
        return {
            "pk": job.pk,
            "inputs": [
                {
                    "interface": v.socket.slug,
                    "value": v.value,
                    "file": None,
                    "image": self._image_url(v),
                    "pk": v.pk,
                    "image_name": None,
                }
                for v in job.inputs
            ],
            "status": job.status,
        }

    def _value(self, value: SocketValue) -> Json:
        # The name in new clients and the name in old ones, with equal content.
        socket = self.socket(value.socket)
        return {
            "socket": socket,
            "interface": socket,
            "value": value.value,
            "file": None,
            "image": self._image_url(value),
            "pk": value.pk,
        }

    def _image_url(self, value: SocketValue) -> str | None:
        return self.api("cases", "images", value.image) if value.image else None


_KIND_GROUPS = ("Value", "File", "Image")


def _sorted(values: tuple[SocketValue, ...]) -> list[SocketValue]:
    # By group of kinds and then slug, not in the order of the interface.
    return sorted(values, key=lambda v: (_KIND_GROUPS.index(v.socket.super_kind), v.socket.slug))


def _duration(seconds: float | None) -> str | None:
    """ISO 8601 as Django writes it, "P0DT00H00M41S", with microseconds when there are any."""
    if seconds is None:
        return None
    whole, micro = divmod(round(seconds * 1_000_000), 1_000_000)
    days, rest = divmod(whole, 86400)
    fraction = f".{micro:06d}" if micro else ""
    return f"P{days}DT{rest // 3600:02d}H{rest // 60 % 60:02d}M{rest % 60:02d}{fraction}S"
