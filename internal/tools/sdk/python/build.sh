#!/bin/sh
# Makes the Python SDK, build/sdk/python/waldur_api_client-VERSION-py3-none-any.whl, from openapi.yaml, in the root of
# the repository; "build.sh consumer" also makes a virtual environment where it is installed as its users install it,
# beside HTTPie: build/sdk/python/consumer.
set -eu
umask 022 # what is packed does not depend on who packs it

from=internal/tools/sdk/python
to=build/sdk/python
: "${PYTHON:=python3}"

"$PYTHON" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || {
  echo "Python 3.11 or newer with venv and pip is needed for the Python SDK: install python3 and python3-venv, or name one: make sdk PYTHON=…" >&2
  exit 1
}
mkdir -p "$to"

# environment FOLDER REQUIREMENTS makes a virtual environment with exactly these, unless it is there.
environment() {
  cmp -s "$2" "$1/requirements.txt" && "$1/bin/python" -c '' 2>/dev/null && return
  echo "Installing $2 into $1, once: takes about half a minute"
  rm -rf "$1"
  "$PYTHON" -m venv "$1"
  "$1/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --requirement "$2"
  cp "$2" "$1/requirements.txt" # last: it says that all went well
}

environment "$to/tools" "$from/requirements-build.txt"

version=$(sed -n 's/^  version: *//p' openapi.yaml)
echo "Making the Python SDK $version from openapi.yaml"
rm -rf "$to/source" "$to"/*.whl
mkdir "$to/source"
cp "$from/pyproject.toml" "$from/README.md" "$to/source"
echo "$version" >"$to/source/VERSION"
# The generator calls ruff by name to format what it made, and says nothing of use where all is well.
PATH="$PWD/$to/tools/bin:$PATH" openapi-python-client generate --path openapi.yaml --config "$from/generator.yaml" \
  --meta none --output-path "$to/source/waldur_api_client" --fail-on-warning >"$to/build.log" 2>&1 || { cat "$to/build.log" >&2; exit 1; }
touch "$to/source/waldur_api_client/py.typed"
# The same bytes whenever it is built: a zip has no dates before 1980.
SOURCE_DATE_EPOCH=315532800 "$to/tools/bin/python" -m pip wheel --quiet --disable-pip-version-check --no-index --no-deps \
  --no-build-isolation --wheel-dir "$to" "$to/source" >"$to/build.log" 2>&1 || { cat "$to/build.log" >&2; exit 1; }
ls "$to"/*.whl

if [ "${1-}" = consumer ]; then
  environment "$to/consumer" "$from/requirements-consumer.txt"
  "$to/consumer/bin/python" -m pip install --quiet --disable-pip-version-check --no-index --no-deps --force-reinstall "$to"/*.whl
  # The wheel's own list of what it needs is complete where this finds nothing missing.
  "$to/consumer/bin/python" -m pip check --disable-pip-version-check >"$to/build.log" 2>&1 || { cat "$to/build.log" >&2; exit 1; }
fi
