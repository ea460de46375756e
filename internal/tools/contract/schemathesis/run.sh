#!/bin/sh
# Fuzzes the server with Schemathesis, which it installs into build/contract unless it is there: "run.sh [short|full]". The
# short form takes some 3 minutes and repeats the same requests each time. The full form sends many more requests, and other
# requests each time. Needs build/invited and INVITED_TEST_POSTGRES_URL. Run it in the root of the repository.
set -eu

from=internal/tools/contract/schemathesis
to=build/contract/schemathesis
: "${PYTHON:=python3}" "${GO:=go}"

"$PYTHON" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || {
  echo "Python 3.11 or newer with venv and pip is needed for Schemathesis: install python3 and python3-venv, or name one: make schemathesis PYTHON=…" >&2
  exit 1
}
case ${1-short} in
short) form= ;;
full) form=-full ;;
*) echo "usage: run.sh [short|full]" >&2; exit 2 ;;
esac

if ! cmp -s "$from/requirements.txt" "$to/tools/requirements.txt"; then
  echo "Installing $from/requirements.txt into $to/tools, once: takes about half a minute"
  rm -rf "$to/tools"
  "$PYTHON" -m venv "$to/tools"
  "$to/tools/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --requirement "$from/requirements.txt"
  cp "$from/requirements.txt" "$to/tools/requirements.txt" # last, so that a failed installation starts over
fi
exec "$GO" run "./$from" -postgres "${INVITED_TEST_POSTGRES_URL:?the URL of a PostgreSQL server is needed}" $form
