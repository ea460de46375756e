#!/bin/sh
# Makes what a release has beside the programs: completions, manual pages, and the unit and the copyright of the Debian
# package. "files.sh FOLDER", in the root of the repository.
set -eu

: "${GO:=go}"
out=$1
rm -rf "$out"
mkdir -p "$out/completions" "$out/man"
CGO_ENABLED=0 "$GO" build -o "$out/invited" ./cmd/invited
for shell in bash zsh fish; do
  "$out/invited" completion "$shell" >"$out/completions/invited.$shell"
done
"$out/invited" man --output "$out/man"
rm "$out/invited"
# Debian has manual pages compressed, without the time in them: the same commit gives the same package.
gzip -9n "$out"/man/*
sed 's|/usr/local/bin/invited|/usr/bin/invited|; /^# Copy to/d' deploy/systemd/invited.service >"$out/invited.service"
{
  printf 'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nUpstream-Name: invited\n\n'
  printf 'Files: *\n'
  sed -n 's/^Copyright (c) /Copyright: /p' LICENSE
  printf 'License: Expat\n'
  sed '1,/^Copyright/d' LICENSE | sed '/./,$!d; s/^$/./; s/^/ /'
} >"$out/copyright"
