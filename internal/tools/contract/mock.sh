#!/bin/sh
# Serves openapi.yaml with its examples, in the root of the repository, on port 4010 or the one that is named.
set -eu

internal/tools/contract/tools.sh
port=${1:-4010}
echo "Serving the examples of openapi.yaml at http://127.0.0.1:$port/ (any token will do): end it with Ctrl-C"
exec build/contract/node/node_modules/.bin/prism mock --host 127.0.0.1 --port "$port" openapi.yaml
