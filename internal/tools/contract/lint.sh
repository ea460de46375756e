#!/bin/sh
# Lints openapi.yaml; a warning fails too. Run it in the root of the repository.
set -eu

internal/tools/contract/tools.sh
export REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true
log=build/contract/lint.log
build/contract/node/node_modules/.bin/redocly lint --config internal/tools/contract/redocly.yaml openapi.yaml >"$log" 2>&1 || {
  cat "$log" >&2
  exit 1
}
echo "openapi.yaml: no errors and no warnings"
