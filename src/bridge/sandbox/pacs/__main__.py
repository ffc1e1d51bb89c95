"""`python -m bridge.sandbox.pacs`."""

from __future__ import annotations

from .command import main, run

__all__ = ["run"]

if __name__ == "__main__":
    main()
