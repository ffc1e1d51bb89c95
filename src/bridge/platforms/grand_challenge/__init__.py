"""Grand Challenge (grand-challenge.org): algorithms by slug, one job per case, paid by credits.

`api` is the wire, `answers` what its answers mean, `platform` the mapping to the ten operations. Facts and their
sources: the server's own code, github.com/DIAGNijmegen/rse-grand-challenge, of 2025-12-19.
"""

from __future__ import annotations

from bridge.platforms.grand_challenge.platform import GrandChallenge

__all__ = ["GrandChallenge"]
