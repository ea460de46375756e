#!/bin/sh
# Runs each SDK's test from create to accept, on each database, with a server of its own. The one argument is the URL
# of a PostgreSQL server where databases may be made.
set -eu

INVITED_TEST_VERSION=$(sed -n 's/^  version: *//p' openapi.yaml)
export INVITED_TEST_VERSION
# No request leaves this machine, whatever proxy its owner has.
export NO_PROXY='*' no_proxy='*'
: "${GO:=go}"

failed=
try() {
  echo "== $1"
  name=$1
  shift
  "$GO" run ./internal/tools/sdk/withserver -postgres "$postgres" -- "$@" || failed="$failed $name"
}
postgres=${1:?the URL of a PostgreSQL server is needed}
try Go "$GO" test -count=1 ./internal/tools/sdk/go
try Python build/sdk/python/consumer/bin/python internal/tools/sdk/python/consumer_test.py
try TypeScript node --test build/sdk/typescript/consumer/dist/
test -z "$failed" || { echo "Failed:$failed" >&2; exit 1; }
