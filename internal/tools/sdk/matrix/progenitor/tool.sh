#!/bin/sh
# See ../main.go. Cargo.lock has the version of progenitor, which is a macro of the client's crate, and go.mod that of the program
# that applies the overlay.
set -eu

from=$(dirname "$0")
: "${GO:=go}"
command -v cargo >/dev/null || {
  echo "Rust 1.88 or newer with Cargo is needed for progenitor: install rustc and cargo" >&2
  exit 75
}
# cargo_quietly COMMAND... runs Cargo, with its results in a folder that stays, since the first compilation takes minutes.
cargo_quietly() { CARGO_TARGET_DIR="$OUT/target" cargo "$@" --quiet --locked --manifest-path "$OUT/Cargo.toml"; }

case $1 in
version) sed -n 's/^progenitor = "=\(.*\)"/\1/p' "$from/Cargo.toml" ;;
generate)
  mkdir -p "$OUT"
  rm -rf "$OUT/src"
  cp -R "$from/Cargo.toml" "$from/Cargo.lock" "$from/src" "$OUT"
  contract=$PWD/openapi.yaml
  (cd "$from" && "$GO" tool openapi-overlay apply overlay.yaml "$contract") >"$OUT/openapi.yaml"
  cargo_quietly build --lib
  ;;
compile) cargo_quietly build --bins ;;
play) "$OUT/target/debug/play" ;;
*) echo "usage: tool.sh version|generate|compile|play" >&2; exit 2 ;;
esac
