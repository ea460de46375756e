#!/bin/sh
# Builds the program of a commit, once, and prints the path of the binary. Run it in the root of the repository.
#
#   old-program.sh COMMIT
set -eu

commit=$(git rev-parse --verify --quiet "$1^{commit}") || {
  echo "the commit $1 is not in this repository: fetch the whole history (git fetch --unshallow)" >&2
  exit 1
}
program=$PWD/build/upgrade/invited-$commit
if [ ! -x "$program" ]; then
  echo "Building the version $1 (takes a minute or two, once)" >&2
  source=build/upgrade/source
  rm -rf "$source"
  mkdir -p "$source"
  git archive "$commit" | tar -x -C "$source"
  (cd "$source" && "${GO:-go}" build -o "$program" ./cmd/invited)
  rm -rf "$source"
fi
echo "$program"
