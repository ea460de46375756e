#!/bin/sh
# Lints openapi.yaml with Redocly and Spectral; a warning fails too. "lint.sh full" lints with vacuum as well, which is left out
# otherwise because building it takes minutes. Run it in the root of the repository.
set -eu

: "${GO:=go}"
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
linters="Redocly and Spectral"
if [ "${1-}" = full ]; then
  echo "Building vacuum into build/bin: takes some minutes the first time"
  mkdir -p build/bin
  "$GO" -C "$dir/vacuum" build -trimpath -o "$PWD/build/bin/vacuum" github.com/daveshanley/vacuum
  lint vacuum build/bin/vacuum lint --no-update-check --remote=false --no-banner --no-style --details --no-clip \
    --fail-severity warn --ruleset "$dir/vacuum.yaml" openapi.yaml
  linters="Redocly, Spectral and vacuum"
fi
if [ -n "$failed" ]; then
  echo "openapi.yaml: change what these found:$failed" >&2
  exit 1
fi
echo "openapi.yaml: $linters find no errors and no warnings"
