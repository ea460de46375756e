#!/bin/sh
# Tests what is in this folder, the comparison of contracts, that the mock answers with the examples, and that Kong can
# import the contract. Called in the root of the repository.
set -eu

internal/tools/contract/diff_test.sh
internal/tools/contract/tools.sh

export REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true
build/contract/node/node_modules/.bin/redocly bundle openapi.yaml --dereferenced --output build/contract/openapi.json >build/contract/bundle.log 2>&1 ||
  { cat build/contract/bundle.log >&2; exit 1; }
node internal/tools/contract/kong_test.mjs build/contract/node build/contract/openapi.json
port=$(node -e 'const s = require("node:net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close(); })')
internal/tools/contract/mock.sh "$port" >build/contract/mock.log 2>&1 &
mock=$!
trap 'kill "$mock" 2>/dev/null || true' EXIT
node internal/tools/contract/mock_test.mjs "http://127.0.0.1:$port" build/contract/openapi.json || { cat build/contract/mock.log >&2; exit 1; }
