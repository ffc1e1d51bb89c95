"""Studies of patients who do not exist, for trials, tests and the demonstration: a thorax CT and a dental CBCT.

`make_study` and `make_jaw_study` build them in memory, `write_study` puts one into files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .jaw_study import JawStudy, make_jaw_study
from .objects import HasObjects, write_study
from .study import PhantomStudy, Truth, make_study

KINDS: Mapping[str, Callable[..., HasObjects]] = {"thorax": make_study, "jaw": make_jaw_study}

__all__ = ["KINDS", "JawStudy", "PhantomStudy", "Truth", "make_jaw_study", "make_study", "write_study"]
