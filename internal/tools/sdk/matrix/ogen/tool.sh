#!/bin/sh
# See ../main.go. go.mod has the version of ogen, which runs from the module cache.
set -eu

from=$(dirname "$0")
: "${GO:=go}"
case $1 in
version) cd "$from" && "$GO" list -m -f '{{slice .Version 1}}' github.com/ogen-go/ogen ;;
generate)
  rm -rf "$OUT"
  mkdir -p "$OUT"
  cp openapi.yaml "$from"/*.* "$OUT"
  cd "$OUT"
  "$GO" tool ogen --config ogen.yml --target client --package client openapi.yaml
  ;;
compile)
  cd "$OUT"
  "$GO" vet ./...
  "$GO" build -o play .
  ;;
play) "$OUT/play" ;;
*) echo "usage: tool.sh version|generate|compile|play" >&2; exit 2 ;;
esac
