"""`python -m bridge` and the command `bridge`."""

from __future__ import annotations

import gc
import sys


def main() -> None:
    # Nothing that imports leave behind is garbage; looking for it is a tenth of the time of `bridge --help`.
    gc.disable()
    from bridge.cli.app import app
    from bridge.errors import BridgeError, ConfigError

    gc.enable()
    try:
        app()
    except BridgeError as error:
        # A mistake of a user is a sentence with file, line and remedy, never a traceback.
        for one in [error, *(error.others if isinstance(error, ConfigError) else ())]:
            print(one.sentence(), file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
