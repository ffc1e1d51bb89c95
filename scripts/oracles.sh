#!/usr/bin/env bash
# Other people's clients and data below .oracles/, each client in an environment of its own, for tests that need them.
# Quick when they are there. Ends with 3 and says why when one cannot be installed. An argument names another one.
set -euo pipefail
cd "$(dirname "$0")/.."

oracle() { # NAME REQUIREMENT...
  local folder=.oracles/$1 requirement=${*:2}
  [ "$(cat "$folder/.ready" 2>/dev/null)" = "$requirement" ] && return
  echo "setting up $folder with $requirement (once)"
  rm -rf "$folder"
  "${PYTHON:-python3}" -m venv "$folder" || {
    echo "needs the venv module of Python for $folder" >&2
    exit 3
  }
  "$folder/bin/pip" install --quiet --disable-pip-version-check --retries 1 --timeout 15 "${@:2}" || {
    echo "$requirement could not be installed into $folder: is there a network and a package index?" >&2
    exit 3
  }
  echo "$requirement" > "$folder/.ready"
}

debian() { # PACKAGE: its files, unpacked and not installed
  local folder=.oracles/$1
  [ -e "$folder/.ready" ] && return
  if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
    echo "$1 is a package of Debian: needs apt-get and dpkg-deb" >&2
    exit 3
  fi
  echo "fetching $1 into $folder (once)"
  rm -rf "$folder"
  mkdir -p "$folder"
  # The list of packages may be missing or old; without root it stays as it is.
  (cd "$folder" && { apt-get download -qq "$1" || { apt-get update -qq && apt-get download -qq "$1"; }; }) >/dev/null 2>&1 || {
    echo "$1 could not be fetched: is there a network and a mirror of Debian?" >&2
    exit 3
  }
  dpkg-deb -x "$folder"/*.deb "$folder"
  rm "$folder"/*.deb
  touch "$folder/.ready"
}

mkdir -p .oracles
echo '*' > .oracles/.gitignore
# Two test runs at once would set it up over each other.
exec 9> .oracles/.lock
if command -v flock >/dev/null; then flock 9; fi
case "${1:-gcapi}" in
  # Pins httpx 0.23, which is why it never shares an environment with this project.
  gcapi) oracle gcapi gcapi==0.16.1 ;;
  # 100 MB, for `make bench-mesh` alone.
  vtk) oracle vtk vtk==9.7.2 ;;
  # For `make canaries` alone.
  anonymizers) oracle anonymizers dicognito==0.19.0 dicom-anonymizer==2.1.0 deid==0.4.13 ;;
  # A real head for `make interop` alone, 19 MB.
  head) debian invesalius-examples ;;
  *) echo "no oracle $1" >&2 && exit 2 ;;
esac
