#!/bin/sh
# See ../main.go.
set -eu
. internal/tools/sdk/matrix/openapi-generator/lib.sh
. internal/tools/sdk/matrix/openapi-generator/typescript/lib.sh

case $1 in
version) print_node_version ;;
generate) generate typescript-fetch --additional-properties=importFileExtension=.js ;;
compile) compile ;;
play) node "$OUT/dist/play.js" ;;
esac
