"""What is true about the series beside the checkout, from their README, which took it from the positions."""

from __future__ import annotations

from dataclasses import dataclass

HEAD, ODD, MULTI = "ct-head-phantom-philips", "ct-small-irregular", "multiframe"
TRUSTED = ("dcm2niix", "SimpleITK")


@dataclass(frozen=True, kw_only=True)
class Truth:
    """One row: a folder or file, and every candidate that must come out of it, in order."""

    where: str
    found: tuple[str, ...]
    """A code, or "volume", for each candidate."""
    slices: int = 0
    """Of each candidate that is a volume or a stack."""
    step_mm: float = 0.0
    pixel_mm: tuple[float, float] = (0.0, 0.0)
    """(between rows, between columns)"""
    first_lps: tuple[float, float, float] | None = None
    last_lps: tuple[float | None, float | None, float | None] | None = None
    sha256: str = ""
    """Of the stored voxels by position, int16 little-endian."""
    numbers: tuple[tuple[str, float], ...] = ()
    """Of the refusal."""
    keys: tuple[str, ...] = ()
    slopes: tuple[float, ...] = ()
    """Of the first slice of each candidate."""
    units: tuple[str, ...] = ()
    same_content: str = ""
    """The series of which this is a twin."""
    peers: tuple[str, ...] = ()
    """Which are known to be right here."""
    wrong: tuple[str, ...] = ()
    """Which peers are known to be wrong here: what they say is shown, and not compared."""
    truth: str = ""
    """What the positions say instead."""


TRUTHS = (
    Truth(
        where="ct-chest-philips",
        found=("volume",),
        slices=64,
        step_mm=5,
        pixel_mm=(0.841797, 0.841797),
        first_lps=(-228.036842, -93.0631599, -439),
        last_lps=(None, None, -124),
        sha256="70354e466588f66a2087540fd94425750eeb85da29ca2561640ecd40aba7899f",
        units=("HU",),
        peers=TRUSTED,
    ),
    Truth(where=f"{HEAD}/S1000", found=("GEO-005",)),
    Truth(
        where=f"{HEAD}/S2010",
        found=("volume",),
        slices=28,
        step_mm=5,
        pixel_mm=(0.451172, 0.451172),
        first_lps=(-115.5, -1.85, 696.21),
        last_lps=(None, None, 831.21),
        sha256="d87c25027d72e7840ddfb59bd04613ca228ee6f0917b675e23c608805769d3f2",
        units=("HU",),
        peers=TRUSTED,
    ),
    Truth(
        where=f"{HEAD}/S2020",
        found=("volume",),
        slices=6,
        step_mm=1,
        last_lps=(None, None, 766.21),
        sha256="ea93356b197688fbfd3a1fc5c135d108b2d21e32c8d5f4983ec20d23d3f70d30",
        peers=TRUSTED,
    ),
    Truth(
        where=f"{HEAD}/S2030",
        found=("volume",),
        slices=6,
        step_mm=1,
        last_lps=(None, None, 766.21),
        sha256="e75ff8afde05baf4a4cc1c622005cf31a8401bc330b38909cc50ee651313dd96",
        peers=TRUSTED,
    ),
    Truth(where=f"{HEAD}/S4010", found=("GEO-003",)),
    Truth(
        where="ct-head-tilt-philips",
        found=("GEO-023",),
        slices=10,
        numbers=(("lean_degrees", 18.50),),
        step_mm=2.370809,
        sha256="43bd92941c7f3382c8700dafe13de2ced5cf36603328e0bed1bb092749da22f6",
        wrong=TRUSTED,
        truth="2.3708 mm along the normal, leaning by 18.5 degrees",
    ),
    Truth(
        where=f"{ODD}/uneven-5-10",
        found=("GEO-024",),
        slices=4,
        first_lps=None,
        last_lps=(None, None, 38.1075),
        numbers=(("step", 3), ("step_mm", 10), ("median_mm", 5)),
        wrong=TRUSTED,
        truth="steps of 5, 5 and 10 mm",
    ),
    Truth(
        where=f"{ODD}/tilt-untagged",
        found=("GEO-023",),
        slices=4,
        numbers=(("lean_degrees", 14.0),),
        step_mm=4.85,
        wrong=TRUSTED,
        truth="4.85 mm along the normal, leaning by 14 degrees",
    ),
    Truth(
        where=f"{ODD}/tilt-untagged-gap",
        found=("GEO-023",),
        slices=4,
        numbers=(("lean_degrees", 15.5), ("step_mm", 1.5), ("median_mm", 0.75)),
        wrong=TRUSTED,
        truth="0.75, 0.75 and 1.5 mm along the normal, leaning by 15.5 degrees",
    ),
    Truth(
        where=f"{ODD}/same-position-4-acquisitions",
        found=("GEO-021",),
        slices=4,
        numbers=(("images", 4), ("positions", 1)),
        wrong=("SimpleITK",),
        truth="one position, four times",
    ),
    Truth(
        where=f"{ODD}/made-duplicate-equal-pixels",
        found=("GEO-021",),
        slices=4,
        numbers=(("images", 4), ("positions", 3)),
        wrong=("SimpleITK",),
        truth="three positions, one image repeated",
    ),
    Truth(
        where=f"{ODD}/made-duplicate-other-pixels",
        found=("GEO-021",),
        slices=4,
        numbers=(("images", 4), ("positions", 3)),
        wrong=("SimpleITK",),
        truth="three positions, two images that contradict each other at one",
    ),
    Truth(
        where="mr-brain-t1",
        found=("volume",),
        slices=20,
        step_mm=0.6666666865,
        pixel_mm=(0.666666686534882, 0.699987828731537),
        first_lps=(-95.7073796510087, -144.416447374611, -22.2602466211107),
        last_lps=(-96.1518745473743, -142.783291796431, -9.70717205141889),
        sha256="73129ea12e3b7457d28a27df45413d9b0823620d83db8c16df57b45198e90a6d",
        peers=TRUSTED,
    ),
    Truth(
        where="mr-dual-echo-philips",
        found=("volume",) * 4,
        slices=30,
        keys=("ImageType", "EchoTime"),
        slopes=(1.23663, 1.23663, 1.534554, 1.534554),
        peers=("dcm2niix",),
        wrong=("SimpleITK",),
        truth="30 positions, four images at each",
    ),
    Truth(
        where="mr-feet-first-ge",
        found=("volume",) * 5,
        slices=10,
        keys=("TemporalPositionIdentifier",),
        peers=("dcm2niix",),
        wrong=("SimpleITK",),
        truth="10 positions 3 mm apart, five images at each",
    ),
    Truth(where="mr-small-irregular/two-orientations", found=("GEO-027", "GEO-027"), slices=2),
    Truth(
        where="mr-small-irregular/non-square-per-slice-rescale",
        found=("GEO-027",),
        slices=4,
        pixel_mm=(4.0, 6.39995861),
        step_mm=0.5,
        slopes=(0.0010346139,),
        truth="a regular grid, with no frame of reference to lay a result on",
    ),
    Truth(
        where="pet-single-slices/ge-jpeg-lossless-GH184.dcm",
        found=("GEO-020",),
        slices=1,
        slopes=(0.234542,),
        units=("BQML",),
    ),
    Truth(
        where="pet-single-slices/ge-jpeg-lossless-GH610.dcm",
        found=("GEO-020",),
        slices=1,
        slopes=(5.94901e-08,),
        units=("PROPCPS",),
    ),
    Truth(
        where="pet-single-slices/tcia-acrin-flt-breast-1.dcm",
        found=("GEO-020",),
        slices=1,
        slopes=(9.12329,),
        units=("BQML",),
    ),
    Truth(
        where="pet-single-slices/tcia-acrin-flt-breast-2.dcm",
        found=("GEO-020",),
        slices=1,
        slopes=(46.2619,),
        units=("BQML",),
    ),
    Truth(
        where=f"{MULTI}/ct-legacy-converted-enhanced",
        found=("volume",),
        slices=28,
        step_mm=5,
        first_lps=(-115.5, -1.85, 696.21),
        sha256="d87c25027d72e7840ddfb59bd04613ca228ee6f0917b675e23c608805769d3f2",
        same_content=f"{HEAD}/S2010",
    ),
    Truth(
        where=f"{MULTI}/ct-legacy-pair-23x38x3/image",
        found=("volume",),
        slices=3,
        step_mm=2.5,
        peers=TRUSTED,
    ),
    Truth(
        where=f"{MULTI}/ct-legacy-pair-23x38x3/multiframe",
        found=("volume",),
        slices=3,
        step_mm=2.5,
        same_content=f"{MULTI}/ct-legacy-pair-23x38x3/image",
    ),
    Truth(
        where=f"{MULTI}/ct-legacy-pair-24x38x3/multiframe",
        found=("volume",),
        slices=3,
        step_mm=2.5,
        same_content=f"{MULTI}/ct-legacy-pair-24x38x3/image",
    ),
    Truth(where=f"{MULTI}/enhanced-ct-supplemental.dcm", found=("GEO-006",)),
    Truth(
        where=f"{MULTI}/enhanced-mr-philips-b0map-64.dcm",
        found=("volume",) * 2,
        slices=32,
        keys=("ImageType",),
        slopes=(0.2442, 1.27985),
    ),
    Truth(
        where=f"{MULTI}/enhanced-mr-philips-fmri-32.dcm",
        found=("GEO-027",) * 4,
        slices=8,
        keys=("TemporalPositionIdentifier",),
        truth="a regular grid, with no frame of reference to lay a result on",
    ),
    Truth(
        where=f"{MULTI}/enhanced-mr-hyperfine-nonsquare.dcm",
        found=("GEO-027",),
        slices=8,
        step_mm=5,
        pixel_mm=(1.61, 1.59),
    ),
    *(
        Truth(where=f"{MULTI}/enhanced-mr-emri_small{kind}.dcm", found=("GEO-010",))
        for kind in ("", "_RLE", "_big_endian", "_jpeg_ls")
    ),
    Truth(where=f"{MULTI}/nm-multiframe-13.dcm", found=("GEO-003",)),
    Truth(where=f"{MULTI}/parametric-map-float.dcm", found=("GEO-003",)),
    Truth(where=f"{MULTI}/rtdose-15-frames.dcm", found=("GEO-003",)),
    Truth(where=f"{MULTI}/sc-rgb-2frames-in-single-frame-class.dcm", found=("GEO-003",)),
    Truth(where=f"{MULTI}/seg-ct-binary-overlap.dcm", found=("GEO-003",)),
    Truth(where=f"{MULTI}/us-multiframe-jpeg.dcm", found=("GEO-003",)),
    Truth(where=f"{MULTI}/wsi-tiny-sm_image.dcm", found=("GEO-003",)),
    Truth(where="odd-files/2026-05-26-oob-monochrome-46341.dcm", found=("GEO-003",)),
    Truth(where="odd-files/GH223.dcm", found=("GEO-002",)),
    Truth(where="non-image/sr-tid1500-highdicom.dcm", found=("GEO-002",)),
    Truth(where="non-image/encapsulated-pdf.dcm", found=("GEO-002",)),
    Truth(where="non-image/rtplan.dcm", found=("GEO-002",)),
    Truth(where="non-image/ecg-waveform.dcm", found=("GEO-002",)),
)

SCATTERED = ("charsets", "compressed", "non-image", "odd-files")
"""Folders of single objects: what came out of them is counted, not asserted one by one."""

REPAIRED = (
    ("ct-head-tilt-philips", ("shear",), 2.370809),
    (f"{ODD}/tilt-untagged", ("shear",), 4.85),
    (f"{ODD}/tilt-untagged-gap", ("shear", "resample-gaps"), 0.75),
    (f"{ODD}/uneven-5-10", ("resample-gaps",), 5.0),
    (f"{ODD}/made-duplicate-equal-pixels", ("drop-duplicates",), 2.5),
)
"""(series, declared repairs, the distance of its slices then)"""
