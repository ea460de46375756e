#!/bin/sh
# See ../main.go.
set -eu
. internal/tools/sdk/matrix/openapi-generator/lib.sh

case $1 in
version) print_version ;;
generate) generate kotlin --additional-properties=enumUnknownDefaultCase=true ;;
compile)
  mkdir -p "$OUT/play"
  cp "$from/pom.xml" "$OUT"
  cp "$from/Play.kt" "$OUT/play"
  rm -rf "$OUT/target"
  $maven -f "$OUT/pom.xml" kotlin:compile dependency:build-classpath
  ;;
play) java $quick -cp "$OUT/target/classes:$(cat "$OUT/classpath")" PlayKt ;;
esac
