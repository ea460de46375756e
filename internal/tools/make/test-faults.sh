#!/bin/sh
# Runs the fault tests a number of times and prints the table of what was lost: "test-faults.sh RUNS [ARGUMENT of go
# test...]". Run it in the root of the repository, with INVITED_TEST_POSTGRES_URL.
set -eu

: "${GO:=go}"
runs=$1
shift
table=$PWD/build/faults.txt

echo "Killing processes, cutting connections, stopping databases: $runs times, about 4 minutes each"
mkdir -p build
rm -f "$table"
code=0
INVITED_TEST_FAULT_TABLE=$table "$GO" test -run '^TestFault' -count "$runs" -timeout 60m "$@" ./internal/systemtest/... || code=$?
echo
cat "$table"
exit $code
