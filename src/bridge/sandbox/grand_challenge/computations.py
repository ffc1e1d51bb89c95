"""The computation behind each algorithm of the catalogue; the same answer on every run.

Only `lungs` looks for anatomy. The others exist to fill their sockets with files that a reader can check.
"""

from __future__ import annotations

import hashlib
import io
import json
import struct
import zipfile
import zlib
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from bridge.errors import Refused
from bridge.itk import Array, ItkImage, median

from . import sockets as s
from .algorithm import LEFT_LUNG, RIGHT_LUNG, lungs_and_airways, soft_tissue
from .catalogue import Contents

THUMBNAIL_ROWS = 64
OBJ_CORNERS = ((0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1), (1, 1, 1), (0, 1, 1))
OBJ_FACES = ((1, 4, 3, 2), (5, 6, 7, 8), (1, 2, 6, 5), (2, 3, 7, 6), (3, 4, 8, 7), (4, 1, 5, 8))


def lungs(inputs: Contents) -> Contents:
    image = inputs[s.CT_IMAGE.slug]
    found = lungs_and_airways(image)
    return {
        s.LUNG_SEGMENTATION.slug: replace(image, array=found.labels),
        s.LOW_ATTENUATION_PERCENT.slug: found.low_attenuation_percent,
    }


def identity_mask(inputs: Contents) -> Contents:
    image = inputs[s.CT_IMAGE.slug]
    return {s.LUNG_SEGMENTATION.slug: replace(image, array=soft_tissue(image))}


def air(inputs: Contents) -> Contents:
    """Air below the threshold (an option file may hold another as {"threshold": n}) and what can be said of it."""
    image = inputs[s.CT_IMAGE.slug]
    options = json.loads(inputs.get(s.OPTIONS.slug, b"{}"))
    chosen = options.get("threshold") if isinstance(options, dict) else None
    threshold = chosen if chosen is not None else inputs.get(s.THRESHOLD.slug, s.THRESHOLD.default_value)
    mask = image.array <= threshold
    volume_ml = round(np.count_nonzero(mask) * float(np.prod(image.spacing_mm)) / 1000.0, 3)
    rows = [(k, int(np.count_nonzero(level))) for k, level in enumerate(mask)]
    table = "slice,air voxels\n" + "".join(f"{k},{n}\n" for k, n in rows)
    findings = {"threshold": threshold, "air_volume_ml": volume_ml, "options": options}
    return {
        s.AIR_MASK.slug: replace(image, array=mask.astype(np.uint8)),
        s.AIR_VOLUME.slug: volume_ml,
        s.FINDINGS.slug: json.dumps(findings).encode(),
        s.REPORT_TABLE.slug: table.encode(),
    }


def everything(inputs: Contents) -> Contents:
    image: ItkImage = inputs[s.CT_IMAGE.slug]
    of_air = dict(air(inputs))
    mask = of_air[s.AIR_MASK.slug].array.astype(bool)
    volume_ml = of_air[s.AIR_VOLUME.slug]
    picture = _png(_thumbnail(image.array))
    table = of_air[s.REPORT_TABLE.slug]
    return {
        **of_air,
        s.HEAT_MAP.slug: replace(image, array=_likelihood(image.array)),
        s.SMOOTHED.slug: replace(image, array=median(image.array, (0, 1, 1))),
        s.SUMMARY.slug: {"air": {"ml": volume_ml}, "per_slice": [int(n) for n in mask.sum(axis=(1, 2))]},
        s.IS_EMPTY.slug: not bool(mask.any()),
        s.SENTENCE.slug: f"{volume_ml} ml of air",
        s.SLICES.slug: int(image.array.shape[0]),
        s.BOX.slug: _box(mask),
        s.REPORT_PDF.slug: _pdf(f"{volume_ml} ml of air"),
        s.SURFACE.slug: _cuboid(image, mask),
        s.THUMBNAIL.slug: picture,
        s.ARCHIVE_FILE.slug: _zip({"thumbnail.png": picture, "report.csv": table}),
    }


def other_inputs(inputs: Contents) -> Contents:
    """What arrived: size and digest of each file, the shape of each image."""
    told = {
        name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        if isinstance(content, bytes)
        else {"shape": list(content.array.shape)}
        for name, content in inputs.items()
    }
    return {s.SUMMARY.slug: told, s.REPORT_PDF.slug: _pdf(f"{len(told)} inputs")}


def registration(inputs: Contents) -> Contents:
    """The moving image, moved by whole voxels so that the middles of the two masks meet, on the fixed grid."""
    fixed, moving = inputs[s.FIXED_IMAGE.slug], inputs[s.MOVING_IMAGE.slug]
    places = [_middle(inputs[mask.slug], of) for mask, of in ((s.FIXED_MASK, fixed), (s.MOVING_MASK, moving))]
    shift = np.round(places[1] - places[0]).astype(int)
    moved = np.full(fixed.array.shape, moving.array.min(), dtype=moving.array.dtype)
    here, there = [], []
    for size, size_there, by in zip(fixed.array.shape, moving.array.shape, shift, strict=True):
        first, last = max(0, -by), min(size, size_there - by)
        here.append(slice(first, max(first, last)))
        there.append(slice(first + by, max(first, last) + by))
    moved[tuple(here)] = moving.array[tuple(there)]
    difference = moved.astype(np.float32) - fixed.array.astype(np.float32)
    return {
        s.MOVED_IMAGE.slug: replace(fixed, array=moved),
        s.DIFFERENCE.slug: replace(fixed, array=difference),
    }


def lobes(inputs: Contents) -> Contents:
    """Each lung cut into parts of equal height, with the lobes' labels, and the middle slice as a picture."""
    image: ItkImage = (
        inputs[s.GENERIC_IMAGE.slug] if s.GENERIC_IMAGE.slug in inputs else inputs[s.CT_IMAGE.slug]
    )
    found = lungs_and_airways(image).labels
    labels = np.zeros_like(found)
    for lung, parts in ((LEFT_LUNG, (2, 1)), (RIGHT_LUNG, (4, 5, 3))):
        levels = np.flatnonzero((found == lung).any(axis=(1, 2)))
        for part, some in zip(parts, np.array_split(levels, len(parts)), strict=True):
            labels[some] = np.where(found[some] == lung, np.uint8(part), labels[some])
    middle = slice(image.array.shape[0] // 2, image.array.shape[0] // 2 + 1)
    return {
        s.LOBES.slug: replace(image, array=labels),
        s.LOBES_PICTURE.slug: replace(image, array=image.array[middle]),
    }


def _middle(mask: ItkImage, image: ItkImage) -> NDArray[np.float64]:
    if mask.array.shape != image.array.shape:
        raise Refused("SBX-012", "a mask has another shape than its image", "one grid for both")
    if not mask.array.any():
        raise Refused("SBX-013", "a mask is empty", "lungs in both masks")
    return np.asarray(np.argwhere(mask.array).mean(axis=0), dtype=np.float64)


def _likelihood(hu: Array) -> NDArray[np.float32]:
    return np.asarray(np.clip(hu.astype(np.float32) / -1000.0, 0.0, 1.0), dtype=np.float32)


def _box(mask: Array) -> dict[str, object]:
    """The box of all air in the row-column plane, as the platform's schema wants it."""
    rows, columns = (np.flatnonzero(mask.any(axis=axes)) for axes in ((0, 2), (0, 1)))
    top, bottom = (float(rows[0]), float(rows[-1])) if rows.size else (0.0, 0.0)
    left, right = (float(columns[0]), float(columns[-1])) if columns.size else (0.0, 0.0)
    corners = [[left, top, 0.5], [right, top, 0.5], [right, bottom, 0.5], [left, bottom, 0.5]]
    return {
        "name": "Air",
        "type": "2D bounding box",
        "corners": corners,
        "version": {"major": 1, "minor": 0},
    }


def _cuboid(image: ItkImage, mask: Array) -> bytes:
    """The box of all air as a closed surface of six faces, in LPS millimetres."""
    found = np.argwhere(mask)
    low, high = (found.min(axis=0), found.max(axis=0)) if found.size else (np.zeros(3), np.zeros(3))
    matrix = np.asarray(image.direction).reshape(3, 3) * np.asarray(image.spacing_mm)
    lines = []
    for corner in OBJ_CORNERS:
        index = np.where(corner, high + 0.5, low - 0.5)
        x, y, z = np.asarray(image.origin_lps) + matrix @ index[::-1]
        lines.append(f"v {x:.3f} {y:.3f} {z:.3f}\n")
    lines += [f"f {a} {b} {c} {d}\n" for a, b, c, d in OBJ_FACES]
    return "".join(lines).encode()


def _thumbnail(hu: Array) -> NDArray[np.uint8]:
    middle = hu[hu.shape[0] // 2]
    step = max(1, max(middle.shape) // THUMBNAIL_ROWS)
    grey = np.clip((middle[::step, ::step].astype(np.float32) + 1000.0) / 1400.0, 0.0, 1.0)
    return np.asarray(grey * 255, dtype=np.uint8)


def _png(grey: NDArray[np.uint8]) -> bytes:
    """An 8-bit grey PNG (ISO/IEC 15948): signature, IHDR, one IDAT, IEND."""
    rows, columns = grey.shape

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    lines = b"".join(b"\0" + row.tobytes() for row in grey)
    header = struct.pack(">IIBBBBB", columns, rows, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(lines))
        + chunk(b"IEND", b"")
    )


def _pdf(text: str) -> bytes:
    """One page with one line of text (ISO 32000-1), written with its cross-reference table."""
    drawing = f"BT /F1 18 Tf 72 720 Td ({text}) Tj ET".encode()
    fonts = b"<< /Font << /F1 5 0 R >> >>"
    objects = (
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources %s >>" % fonts,
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(drawing), drawing),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    )
    out, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, start=1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(objects) + 1
    return out + (
        b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n"
        % (size, table, size, len(out))
    )


def _zip(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, content in files.items():
            # A fixed time, so that equal contents are equal bytes.
            bundle.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content)
    return out.getvalue()
