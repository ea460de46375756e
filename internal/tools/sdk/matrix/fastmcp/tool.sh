#!/bin/sh
# See ../main.go. requirements.txt has the version of FastMCP. FastMCP makes tools when its server starts, so that "generate"
# lists the tools.
set -eu

from=$(dirname "$0")
: "${PYTHON:=python3}"
venv=$(dirname "$OUT")/fastmcp-venv
case $1 in
version)
  "$PYTHON" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || {
    echo "Python 3.11 or newer with venv and pip is needed for FastMCP: install python3 and python3-venv" >&2
    exit 75
  }
  sed -n 's/^fastmcp==\([^ ]*\).*/\1/p' "$from/requirements.txt"
  ;;
generate)
  if ! cmp -s "$from/requirements.txt" "$venv/requirements.txt"; then
    rm -rf "$venv"
    "$PYTHON" -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --requirement "$from/requirements.txt"
    cp "$from/requirements.txt" "$venv" # last, so that a failed installation starts over
  fi
  rm -rf "$OUT"
  mkdir -p "$OUT"
  cp openapi.yaml "$from"/*.py "$OUT"
  "$venv/bin/python" "$OUT/generate.py"
  ;;
compile) cd "$OUT" && "$venv/bin/mypy" --strict --no-error-summary ./*.py ;;
play) "$venv/bin/python" "$OUT/play.py" ;;
*) echo "usage: tool.sh version|generate|compile|play" >&2; exit 2 ;;
esac
