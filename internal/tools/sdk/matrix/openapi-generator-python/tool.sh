#!/bin/sh
# See ../main.go.
set -eu
. internal/tools/sdk/matrix/openapi-generator/lib.sh

: "${PYTHON:=python3}"
python=$OUT/venv/bin/python
case $1 in
version)
  "$PYTHON" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || {
    echo "Python 3.11 or newer with venv and pip is needed for clients in Python: install python3 and python3-venv, or name one: make sdk-matrix PYTHON=…" >&2
    exit 75
  }
  print_version
  ;;
generate) generate python ;;
compile)
  if ! cmp -s "$from/requirements.txt" "$OUT/venv/requirements.txt"; then
    rm -rf "$OUT/venv"
    "$PYTHON" -m venv "$OUT/venv"
    "$python" -m pip install --quiet --disable-pip-version-check --require-hashes --requirement "$from/requirements.txt"
    cp "$from/requirements.txt" "$OUT/venv" # last, so that a failed installation starts over
  fi
  # The client is no part of the strict check, as in the project of a user who has it installed.
  MYPYPATH=$OUT/client "$python" -m mypy --strict --follow-imports=silent --cache-dir "$OUT/mypy" "$from/play.py"
  "$python" -W error -m compileall -q "$OUT/client/openapi_client"
  ;;
play) PYTHONPATH=$OUT/client "$python" -W error "$from/play.py" ;;
esac
