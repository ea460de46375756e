#!/bin/sh
# See ../main.go.
set -eu
. internal/tools/sdk/matrix/openapi-generator/lib.sh
. internal/tools/sdk/matrix/openapi-generator/typescript/lib.sh

case $1 in
version) print_node_version ;;
generate) generate typescript-axios --additional-properties=importFileExtension=.js,useSingleRequestParameter=true ;;
compile) compile ;;
play) node "$OUT/dist/play.js" ;;
esac
