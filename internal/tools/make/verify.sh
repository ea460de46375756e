#!/bin/sh
# Fails where gen/ differs from what is committed, go.mod is not tidy, or Go code is not formatted. Run it in the root of
# the repository, after go generate.
set -eu

: "${GO:=go}"

echo "Comparing gen/ with the committed code"
git --no-pager diff --exit-code --stat -- gen || {
  echo "gen/ was out of date: commit the output of make generate" >&2
  exit 1
}
untracked=$(git ls-files --others --exclude-standard -- gen)
test -z "$untracked" || {
  echo "not committed in gen/: $untracked" >&2
  exit 1
}

echo "Checking go.mod and go.sum"
"$GO" mod tidy -diff || {
  echo "go.mod or go.sum is out of date: run go mod tidy" >&2
  exit 1
}

echo "Checking the formatting"
unformatted=$("$("$GO" env GOROOT)/bin/gofmt" -l .)
test -z "$unformatted" || {
  echo "not formatted: run gofmt -w $unformatted" >&2
  exit 1
}
