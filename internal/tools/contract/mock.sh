#!/bin/sh
# Serves the examples of openapi.yaml: "mock.sh [PORT]", on port 4010 unless one is given. Run it in the root of the
# repository.
set -eu

internal/tools/contract/tools.sh
port=${1:-4010}
echo "Serving the examples of openapi.yaml at http://127.0.0.1:$port/ (any token is accepted): Ctrl-C ends it"
exec build/contract/node/node_modules/.bin/prism mock --host 127.0.0.1 --port "$port" openapi.yaml
