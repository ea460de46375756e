#!/bin/sh
# See ../main.go.
set -eu
. internal/tools/sdk/matrix/openapi-generator/lib.sh

: "${GO:=go}"
case $1 in
version) print_version ;;
generate)
  generate go --additional-properties=packageName=client,withGoMod=false,disallowAdditionalPropertiesIfNotPresent=false,enumUnknownDefaultCase=true
  ;;
compile)
  rm -rf "$OUT/client/test" # empty tests, which need a module of their own
  cp "$from/go.mod" "$from/main.go" "$OUT"
  cd "$OUT"
  "$GO" vet ./...
  "$GO" build -o play .
  ;;
play) "$OUT/play" ;;
esac
