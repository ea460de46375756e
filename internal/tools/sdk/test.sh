#!/bin/sh
# Runs each SDK's test from create to accept on each database, with a server of its own. Needs build/invited, the installed
# SDKs, and INVITED_TEST_POSTGRES_URL. Run it in the root of the repository.
set -eu

INVITED_TEST_VERSION=$(sed -n 's/^  version: *//p' openapi.yaml)
export INVITED_TEST_VERSION
# The requests go to this machine, also where a proxy is configured.
export NO_PROXY='*' no_proxy='*'
: "${GO:=go}"

failed=
try() {
  echo "== $1"
  name=$1
  shift
  "$GO" run ./internal/tools/sdk/withserver -postgres "$INVITED_TEST_POSTGRES_URL" -- "$@" || failed="$failed $name"
}
: "${INVITED_TEST_POSTGRES_URL:?the URL of a PostgreSQL server is needed}"
try Go "$GO" test -count=1 ./internal/tools/sdk/go
try Python build/sdk/python/consumer/bin/python internal/tools/sdk/python/consumer_test.py
try TypeScript node --test build/sdk/typescript/consumer/dist/
test -z "$failed" || { echo "Failed:$failed" >&2; exit 1; }
