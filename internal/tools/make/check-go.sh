#!/bin/sh
# Fails with the address of the download where Go is missing or too old. Run it in the root of the repository.
set -eu

: "${GO:=go}"
wanted=$(sed -n 's/^go //p' go.mod)

command -v "$GO" >/dev/null || {
  echo "Go is not installed: get $wanted or newer from https://go.dev/dl/" >&2
  exit 1
}
output=$("$GO" list -m 2>&1) || {
  printf '%s\n' "$output" "Go $wanted or newer is needed: https://go.dev/dl/" >&2
  exit 1
}
