"""`bridge --help` against `python -c pass`: the least of interleaved runs, and the heavy libraries that it loaded.

Prints the ratio last and exits non-zero above 8, or when a library is loaded that a help text does not need.
"""

from __future__ import annotations

import subprocess
import sys
import time

MOST = 8.0
RUNS = 15
HEAVY = frozenset(
    {"numpy", "pydicom", "pynetdicom", "highdicom", "SimpleITK", "httpx", "dbos", "sqlalchemy", "pydantic"}
    | {"rich", "asyncio", "importlib.metadata", "tree_sitter", "PIL"}
)
HELP = "import sys; sys.argv = ['bridge', '--help']; from bridge.__main__ import main"
LISTING = (
    HELP + "\ntry: main()\nexcept SystemExit: pass\n" + "print('\\n'.join(sys.modules), file=sys.stderr)"
)


def loaded() -> set[str]:
    """Heavy libraries in `sys.modules` after `bridge --help`."""
    told = subprocess.run([sys.executable, "-c", LISTING], capture_output=True, text=True, check=True)
    return HEAVY & set(told.stderr.split())


def ratio() -> float:
    """Time of `bridge --help` over that of `python -c pass`, each the least of `RUNS` interleaved runs."""
    least = [float("inf"), float("inf")]
    commands = ([sys.executable, "-c", "pass"], [sys.executable, "-m", "bridge", "--help"])
    for _ in range(RUNS):
        for number, command in enumerate(commands):
            begun = time.perf_counter()
            subprocess.run(command, capture_output=True, check=True)
            least[number] = min(least[number], time.perf_counter() - begun)
    return least[1] / least[0]


def main() -> int:
    heavy = loaded()
    if heavy:
        print(f"loaded by --help: {', '.join(sorted(heavy))}")
    found = ratio()
    print(f"bridge --help takes {found:.1f} x python -c pass (at most {MOST:g})")
    return 0 if found <= MOST and not heavy else 1


if __name__ == "__main__":
    sys.exit(main())
