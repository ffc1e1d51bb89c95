#!/usr/bin/env bash
# Make the environment: environment.sh PYTHON FOLDER
set -euo pipefail
python=$1 venv=$2

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
  echo "needs Python 3.11 or newer. On Debian or Ubuntu:  sudo apt-get install -y make python3 python3-venv" >&2
  exit 1
fi
if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
  echo "needs the venv module of Python. On Debian or Ubuntu:  sudo apt-get install -y make python3 python3-venv" >&2
  exit 1
fi
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
echo "setting up $venv (once; a minute or two)"
"$venv/bin/pip" install --quiet --upgrade 'pip>=25.1'
"$venv/bin/pip" install --quiet --editable '.[sandbox]'
touch "$venv/.ready"
