#!/bin/sh
# Builds the Python SDK, build/sdk/python/waldur_api_client-VERSION-py3-none-any.whl, from openapi.yaml. "build.sh consumer"
# also installs it as its users do, beside HTTPie, into the virtual environment build/sdk/python/consumer. Run it in the
# root of the repository.
set -eu
umask 022 # the packed modes do not depend on the user

from=internal/tools/sdk/python
to=build/sdk/python
: "${PYTHON:=python3}"

"$PYTHON" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || {
  echo "Python 3.11 or newer with venv and pip is needed for the Python SDK: install python3 and python3-venv, or name one: make sdk PYTHON=…" >&2
  exit 1
}
mkdir -p "$to"

# environment FOLDER REQUIREMENTS creates a virtual environment with exactly the requirements, unless it is there.
environment() {
  cmp -s "$2" "$1/requirements.txt" && "$1/bin/python" -c '' 2>/dev/null && return
  echo "Installing $2 into $1, once: takes about half a minute"
  rm -rf "$1"
  "$PYTHON" -m venv "$1"
  "$1/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --requirement "$2"
  cp "$2" "$1/requirements.txt" # last, so that a failed installation starts over
}

environment "$to/tools" "$from/requirements-build.txt"

version=$(sed -n 's/^  version: *//p' openapi.yaml)
echo "Building the Python SDK $version from openapi.yaml"
rm -rf "$to/source" "$to"/*.whl
mkdir "$to/source"
cp "$from/pyproject.toml" "$from/README.md" "$to/source"
echo "$version" >"$to/source/VERSION"
# The members of enumerations keep the names that they have in Waldur's SDK, such as PENDING. x-enum-varnames has names that are
# unique in the whole contract, for generators that need it. Only the keys to order by had such names from the start. A table is
# a file to the generator, which it sends and returns as it is.
"$to/tools/bin/python" - >"$to/source/openapi.json" <<'END'
import json, sys
from ruamel.yaml import YAML

contract = YAML(typ="safe").load(open("openapi.yaml", encoding="utf-8"))
for name, schema in contract["components"]["schemas"].items():
    if name != "InvitationOEnum":
        schema.pop("x-enum-varnames", None)


def send_as_files(node):
    for name, value in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        if name == "text/csv":
            value["schema"]["format"] = "binary"
        send_as_files(value)


send_as_files(contract["paths"])
json.dump(contract, sys.stdout)
END
# The generator calls ruff by name to format its output. Its log is only useful where it fails.
PATH="$PWD/$to/tools/bin:$PATH" openapi-python-client generate --path "$to/source/openapi.json" --config "$from/generator.yaml" \
  --meta none --output-path "$to/source/waldur_api_client" --fail-on-warning >"$to/build.log" 2>&1 || { cat "$to/build.log" >&2; exit 1; }
touch "$to/source/waldur_api_client/py.typed"
# A fixed date makes every build the same bytes. A zip file has no dates before 1980.
SOURCE_DATE_EPOCH=315532800 "$to/tools/bin/python" -m pip wheel --quiet --disable-pip-version-check --no-index --no-deps \
  --no-build-isolation --wheel-dir "$to" "$to/source" >"$to/build.log" 2>&1 || { cat "$to/build.log" >&2; exit 1; }
ls "$to"/*.whl

if [ "${1-}" = consumer ]; then
  environment "$to/consumer" "$from/requirements-consumer.txt"
  "$to/consumer/bin/python" -m pip install --quiet --disable-pip-version-check --no-index --no-deps --force-reinstall "$to"/*.whl
  # This finds a dependency that the wheel does not declare.
  "$to/consumer/bin/python" -m pip check --disable-pip-version-check >"$to/build.log" 2>&1 || { cat "$to/build.log" >&2; exit 1; }
fi
