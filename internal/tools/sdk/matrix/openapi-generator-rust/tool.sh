#!/bin/sh
# See ../main.go.
set -eu
. internal/tools/sdk/matrix/openapi-generator/lib.sh

case $1 in
version)
  needs cargo "Rust and a C compiler are needed for clients in Rust: install cargo"
  needs cc "Rust and a C compiler are needed for clients in Rust: install gcc"
  print_version
  ;;
generate) generate rust --additional-properties=useSingleRequestParameter=true ;;
compile)
  mkdir -p "$OUT/src"
  cp "$from/Cargo.toml" "$from/Cargo.lock" "$OUT"
  cp "$from/main.rs" "$OUT/src"
  cargo build --quiet --locked --manifest-path "$OUT/Cargo.toml"
  ;;
play) "$OUT/target/debug/play" ;;
esac
