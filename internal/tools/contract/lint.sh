#!/bin/sh
# Lints openapi.yaml with Redocly and Spectral; a warning fails too. Run it in the root of the repository.
set -eu

dir=internal/tools/contract
bin=build/contract/node/node_modules/.bin

"$dir/tools.sh"

failed=
# lint NAME COMMAND…: runs a linter. Its output is printed where it fails.
lint() {
  name=$1
  log=build/contract/lint-$name.log
  shift
  "$@" >"$log" 2>&1 || {
    cat "$log" >&2
    failed="$failed $name"
  }
}
export REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true
lint redocly "$bin/redocly" lint --config "$dir/redocly.yaml" openapi.yaml
lint spectral "$bin/spectral" lint --fail-severity warn --ruleset "$dir/spectral.yaml" openapi.yaml
if [ -n "$failed" ]; then
  echo "openapi.yaml: change what these found:$failed" >&2
  exit 1
fi
echo "openapi.yaml: Redocly and Spectral find no errors and no warnings"
