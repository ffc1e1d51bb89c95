#!/usr/bin/env bash
# Other people's clients, each in an environment of its own below .oracles/, for the tests that compare with them.
# Quick when they are there. Ends with 3 and says why when one cannot be installed.
set -euo pipefail
cd "$(dirname "$0")/.."

oracle() { # NAME REQUIREMENT
  local folder=.oracles/$1 requirement=$2
  [ "$(cat "$folder/.ready" 2>/dev/null)" = "$requirement" ] && return
  echo "setting up $folder with $requirement (once)"
  rm -rf "$folder"
  "${PYTHON:-python3}" -m venv "$folder" || {
    echo "needs the venv module of Python for $folder" >&2
    exit 3
  }
  "$folder/bin/pip" install --quiet --disable-pip-version-check --retries 1 --timeout 15 "$requirement" || {
    echo "$requirement could not be installed into $folder: is there a network and a package index?" >&2
    exit 3
  }
  echo "$requirement" > "$folder/.ready"
}

mkdir -p .oracles
echo '*' > .oracles/.gitignore
# Two test runs at once would set it up over each other.
exec 9> .oracles/.lock
if command -v flock >/dev/null; then flock 9; fi
# Pins httpx 0.23, which is why it never shares an environment with this project.
oracle gcapi gcapi==0.16.1
