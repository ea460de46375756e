#!/bin/sh
# Tests the comparison of contracts, checks that the mock answers with the contract's examples, and that Kong can import the
# contract. Run it in the root of the repository.
set -eu

dir=internal/tools/contract
out=build/contract

"$dir/diff_test.sh"
"$dir/tools.sh"

export REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true
"$out/node/node_modules/.bin/redocly" bundle openapi.yaml --dereferenced --output "$out/openapi.json" >"$out/bundle.log" 2>&1 || {
  cat "$out/bundle.log" >&2
  exit 1
}
node "$dir/kong_test.mjs" "$out/node" "$out/openapi.json"

port=$(node -e 'const s = require("node:net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close(); })')
"$dir/mock.sh" "$port" >"$out/mock.log" 2>&1 &
mock=$!
trap 'kill "$mock" 2>/dev/null || true' EXIT
node "$dir/mock_test.mjs" "http://127.0.0.1:$port" "$out/openapi.json" || {
  cat "$out/mock.log" >&2
  exit 1
}
