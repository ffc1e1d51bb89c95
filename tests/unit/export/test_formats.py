from __future__ import annotations

import gzip
import hashlib
import io
import struct
import subprocess
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.conftest import peer_tool
from tests.unit.export.test_mha import OBLIQUE, affine_of, volume_of

from bridge import itk
from bridge.dicom.pixels import FileReader
from bridge.errors import ConfigError, Refused
from bridge.export import FORMATS, Format, format_named
from bridge.export.mha import write_mha
from bridge.export.nifti import write_nifti
from bridge.export.written import Sink
from bridge.volumes import Geometry, read_values
from bridge.volumes.pixels import slices_of

OPEN = sorted(name for name, one in FORMATS.items() if isinstance(one, Format))
DTYPES = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "float32", "float64"]
SINGLE_MM = 1e-4
"""What the single precision of NIfTI-1 leaves of a place within 1 m."""


def written(name: str, geometry: Geometry, values: Any) -> bytes:
    sink = io.BytesIO()
    format_named(name).write(geometry, values, sink)
    return sink.getvalue()


def read_back(folder: Path, name: str, content: bytes) -> itk.ItkImage:
    path = folder / f"a{FORMATS[name].extension}"
    path.write_bytes(content)
    return itk.read_image(path)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", OPEN)
def test_itk_reads_back_the_same_voxels_in_the_same_place(tmp_path: Path, name: str, dtype: str) -> None:
    values = np.arange(24).reshape(2, 3, 4).astype(dtype)
    values[1, 2, 3] = np.array(-1).astype(dtype)
    image = read_back(tmp_path, name, written(name, OBLIQUE, values))
    assert image.array.dtype == dtype
    np.testing.assert_array_equal(image.array, values)
    tolerance = SINGLE_MM if name.startswith("nii") else 1e-12
    np.testing.assert_allclose(affine_of(image), OBLIQUE.affine_lps, atol=tolerance)


@pytest.mark.parametrize("name", OPEN)
@pytest.mark.parametrize("where", ["mr-brain-t1", "ct-head-phantom-philips/S2010"])
def test_real_series_comes_back_whole_whether_from_an_array_or_slice_by_slice(
    shared_data: Path, tmp_path: Path, name: str, where: str
) -> None:
    volume = volume_of(shared_data / where)
    values = read_values(volume, FileReader())
    content = written(name, volume.geometry, values)
    assert written(name, volume.geometry, slices_of(volume, FileReader())) == content
    image = read_back(tmp_path, name, content)
    np.testing.assert_array_equal(image.array, values)
    tolerance = SINGLE_MM if name.startswith("nii") else 1e-9
    corners = np.array([[k, j, i, 1] for k in (0, 1) for j in (0, 1) for i in (0, 1)]) * [*values.shape, 1]
    np.testing.assert_allclose(
        affine_of(image) @ corners.T, volume.geometry.affine_lps @ corners.T, atol=tolerance
    )


@pytest.mark.parametrize("name", OPEN)
def test_size_and_digest_are_those_of_the_bytes(tmp_path: Path, name: str) -> None:
    path, values = tmp_path / "a", np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    with path.open("wb") as file:
        told = FORMATS[name].write(OBLIQUE, values, file)
    content = path.read_bytes()
    assert (told.size_bytes, told.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert written(name, OBLIQUE, values) == content


def test_a_sink_that_digests_is_believed() -> None:
    class Counting(io.BytesIO):
        sha256, size_bytes = "of the sink", 7

    sink: Sink = Counting()
    assert write_mha(OBLIQUE, np.zeros((2, 3, 4), np.int16), sink).sha256 == "of the sink"


@pytest.mark.parametrize("name", OPEN)
@pytest.mark.parametrize(
    ("values", "code"),
    [(np.zeros((2, 3, 4), np.int64), "EXP-002"), (np.zeros((4, 3, 2), np.int16), "EXP-003")],
)
def test_what_does_not_fit_is_refused_before_a_byte_is_written(name: str, values: Any, code: str) -> None:
    sink = io.BytesIO()
    with pytest.raises(Refused) as refusal:
        FORMATS[name].write(OBLIQUE, values, sink)
    assert refusal.value.code == code
    assert sink.getvalue() == b""


def test_nifti_header_by_the_table_of_the_format() -> None:
    values = np.arange(24, dtype=np.uint16).reshape(2, 3, 4)
    head = written("nii", OBLIQUE, values)[:352]

    def field(form: str, at: int) -> tuple[Any, ...]:
        return struct.unpack_from("<" + form, head, at)

    assert field("i", 0) == (348,)
    assert field("8h", 40) == (3, 4, 3, 2, 1, 1, 1, 1)
    assert field("2h", 70) == (512, 16)
    assert field("4f", 76) == pytest.approx((1, 0.3, 0.699987828731537, 2 / 3))
    assert field("3f", 108) == (352, 1, 0)
    assert field("b", 123) == (2,)  # mm
    assert field("2h", 252) == (1, 1)
    assert head[344:] == b"n+1\0\0\0\0\0"
    # x and y of RAS run against those of LPS: origin and steps by hand.
    assert field("4f", 280) == pytest.approx((-0.3, 0, 0, 95.7073796510087))
    assert field("4f", 296) == pytest.approx((0, -0.8 * 0.699987828731537, -0.6 * 2 / 3, -0.3))
    assert field("4f", 312) == pytest.approx((0, -0.6 * 0.699987828731537, 0.8 * 2 / 3, 0), abs=1e-7)
    # No text anywhere: data_type, db_name, descrip, aux_file, intent_name.
    for begin, end in ((4, 38), (148, 252), (328, 344)):
        assert head[begin:end].strip(b"\0") in (b"", b"r")


@pytest.mark.parametrize("flip", [(1, 1, 1), (1, 1, -1), (-1, -1, 1), (1, -1, -1), (-1, 1, -1)])
def test_nifti_quaternion_and_matrix_say_the_same(flip: tuple[int, int, int]) -> None:
    steps = np.array([OBLIQUE.slice_step_lps, OBLIQUE.row_step_lps, OBLIQUE.column_step_lps])
    slice_step, row_step, column_step = (
        tuple(float(one) for one in step * sign) for step, sign in zip(steps, flip, strict=True)
    )
    geometry = Geometry(
        shape=OBLIQUE.shape,
        origin_lps=OBLIQUE.origin_lps,
        slice_step_lps=slice_step,  # type: ignore[arg-type]
        row_step_lps=row_step,  # type: ignore[arg-type]
        column_step_lps=column_step,  # type: ignore[arg-type]
        spacing_mm=OBLIQUE.spacing_mm,
    )
    head = written("nii", geometry, np.zeros(OBLIQUE.shape, np.uint8))
    handed, *spacing = struct.unpack_from("<4f", head, 76)
    b, c, d = struct.unpack_from("<3f", head, 256)
    a = max(0.0, 1 - b * b - c * c - d * d) ** 0.5
    # nifti1.h, "QUATERNION REPRESENTATION OF ROTATION MATRIX"
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    matrix = np.array(struct.unpack_from("<12f", head, 280)).reshape(3, 4)[:, :3]
    np.testing.assert_allclose(rotation * [1, 1, handed] * spacing, matrix, atol=1e-6)


def test_axis_too_long_for_nifti_is_refused() -> None:
    long = Geometry(
        shape=(1, 1, 2**15),
        origin_lps=(0, 0, 0),
        slice_step_lps=(0, 0, 1),
        row_step_lps=(0, 1, 0),
        column_step_lps=(1, 0, 0),
        spacing_mm=(1, 1, 1),
    )
    with pytest.raises(Refused) as refusal:
        write_nifti(long, np.zeros(long.shape, np.uint8), io.BytesIO())
    assert refusal.value.code == "EXP-004"


def test_compressed_formats_hold_the_plain_bytes_and_no_name_or_time() -> None:
    values = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    packed = written("nii.gz", OBLIQUE, values)
    assert gzip.decompress(packed) == written("nii", OBLIQUE, values)
    assert packed[:8] == b"\x1f\x8b\x08\0\0\0\0\0"  # no flag for a name or a comment, no time
    nrrd = written("nrrd-compressed", OBLIQUE, values)
    at = nrrd.index(b"\n\n") + 2
    assert gzip.decompress(nrrd[at:]) == values.tobytes()
    assert nrrd[at : at + 8] == packed[:8]
    mha = written("mha-compressed", OBLIQUE, values)
    at = mha.index(b"LOCAL\n") + 6
    assert zlib.decompress(mha[at:]) == values.tobytes()
    assert f"CompressedDataSize = {len(mha) - at}\n".encode() in mha


def test_nrrd_header_has_fields_only() -> None:
    content = written("nrrd", OBLIQUE, np.zeros(OBLIQUE.shape, np.uint8))
    lines = content[: content.index(b"\n\n")].decode("ascii").splitlines()
    assert lines[0] == "NRRD0004"
    assert [line.split(": ")[0] for line in lines[1:]] == [
        *("type", "dimension", "space", "sizes", "space directions", "kinds", "endian", "encoding"),
        *("space units", "space origin"),
    ]
    assert "space: left-posterior-superior" in lines
    assert "sizes: 4 3 2" in lines


def test_formats_that_carry_headers_are_all_of_dicom() -> None:
    assert sorted(set(FORMATS) - set(OPEN)) == ["dicom", "dicom-multi-frame", "dicom-zip"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("mhd", "Did you mean 'mha'?"),
        ("nifti", "one of dicom, "),
        ("nii-gz", "Did you mean 'nii.gz'?"),
        ("", "mha-compressed, nii, nii.gz, nrrd, nrrd-compressed"),
    ],
)
def test_unknown_format_names_the_known_ones(name: str, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        format_named(name)
    assert said in str(error.value)
    assert error.value.code == "EXP-001"


@pytest.mark.peer
@pytest.mark.parametrize("name", ["nii", "nii.gz"])
def test_dcm2niix_puts_the_same_matrix_into_its_file(shared_data: Path, tmp_path: Path, name: str) -> None:
    """Its rows run upward: the same grid, the second axis counted from the other end."""
    where = shared_data / "mr-brain-t1"
    command = [peer_tool("dcm2niix"), "-z", "n", "-b", "n", "-f", "peer", "-o", str(tmp_path), str(where)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    theirs = (tmp_path / "peer.nii").read_bytes()
    volume = volume_of(where)
    ours = written(name, volume.geometry, slices_of(volume, FileReader()))
    ours = gzip.decompress(ours) if name == "nii.gz" else ours
    assert struct.unpack_from("<8h", ours, 40)[:4] == struct.unpack_from("<8h", theirs, 40)[:4]
    mine, other = (np.array(struct.unpack_from("<12f", one, 280)).reshape(3, 4) for one in (ours, theirs))
    rows = volume.geometry.shape[1]
    np.testing.assert_allclose(mine[:, [0, 2]], other[:, [0, 2]], atol=1e-4)
    np.testing.assert_allclose(mine[:, 1], -other[:, 1], atol=1e-4)
    np.testing.assert_allclose(mine[:, 3], other[:, 3] + (rows - 1) * other[:, 1], atol=1e-4)
    begin = int(struct.unpack_from("<f", theirs, 108)[0])
    voxels = [
        np.frombuffer(one[at:], "<i2").reshape(volume.geometry.shape)
        for one, at in ((ours, 352), (theirs, begin))
    ]
    np.testing.assert_array_equal(voxels[0], voxels[1][:, ::-1])
