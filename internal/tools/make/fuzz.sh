#!/bin/sh
# Runs each fuzz target of some packages for a time: "fuzz.sh TIME PACKAGE...". Run it in the root of the repository.
set -eu

: "${GO:=go}"
time=$1
shift

echo "Looking for fuzz targets in $*"
listed=$("$GO" test -list '^Fuzz' "$@") || {
  echo "$listed" >&2
  exit 1
}
# go test lists the targets of a package before the package's own line.
echo "$listed" | awk '
  /^Fuzz/ { names = names " " $1 }
  /^ok/ { n = split(names, each, " "); for (i = 1; i <= n; i++) print $2, each[i]; names = "" }
' | while read -r package target; do
  echo "Fuzzing $package $target for $time"
  "$GO" test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 2s "$package" </dev/null || exit 1
done
