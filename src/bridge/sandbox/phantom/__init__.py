"""A synthetic thorax CT study: a patient who does not exist, for trials, tests and the demonstration.

`make_study` builds it in memory, `write_study` puts it into files.
"""

from __future__ import annotations

from .study import PhantomStudy, Truth, make_study, write_study

__all__ = ["PhantomStudy", "Truth", "make_study", "write_study"]
