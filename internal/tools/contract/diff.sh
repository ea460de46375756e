#!/bin/sh
# Compares openapi.yaml with the last contract that was tagged (contract-vX.Y.Z or vX.Y.Z), in the root of the
# repository, prints what changed, and fails where something breaks clients and the version does not say so. A checkout
# without tags, as most of CI's are, has that contract in internal/tools/contract/tagged.yaml, where tag.sh leaves it.
# "diff.sh OLD NEW" compares two files instead.
set -eu

oasdiff_version=v1.36.0
oasdiff=build/bin/oasdiff-$oasdiff_version
: "${GO:=go}"

mkdir -p build/contract
if [ $# -eq 2 ]; then
  old=$1 new=$2 name=$1
else
  new=openapi.yaml
  name=$(git describe --tags --abbrev=0 --match 'contract-v[0-9]*' --match 'v[0-9]*' 2>/dev/null) || name=
  old=internal/tools/contract/tagged.yaml
  if [ -n "$name" ]; then
    old=build/contract/tagged.yaml
    git show "$name:openapi.yaml" >"$old"
  else
    name=$old
  fi
fi

if ! test -x "$oasdiff"; then # under its version, so that a new pin is a new file
  echo "Building oasdiff $oasdiff_version into build/bin, once: takes about 15 s"
  mkdir -p build/bin
  GOFLAGS= GOBIN="$PWD/build/bin" "$GO" install "github.com/oasdiff/oasdiff@$oasdiff_version"
  mv build/bin/oasdiff "$oasdiff"
fi

version() {
  sed -n 's/^  version: *//p' "$1" | tr -d "\"'"
}
old_version=$(version "$old")
new_version=$(version "$new")

"$oasdiff" changelog --format markdown "$old" "$new" >build/contract/changelog.md
if ! grep -q "^No changes detected" build/contract/changelog.md; then
  echo "Changes of the contract since $name ($old_version -> $new_version), also in build/contract/changelog.md:"
  cat build/contract/changelog.md
else
  echo "The contract is as it was in $name ($old_version)"
fi

# raised OLD NEW: whether NEW may break what worked with OLD. Below 1.0 that is for the second number to say.
raised() {
  awk -v old="$1" -v new="$2" 'BEGIN {
    split(old, o, "."); split(new, n, ".")
    exit !(n[1] + 0 > o[1] + 0 || (n[1] + 0 == 0 && o[1] + 0 == 0 && n[2] + 0 > o[2] + 0))
  }'
}

# Also what it only warns of: to some client it is a break.
code=0
"$oasdiff" breaking --fail-on WARN "$old" "$new" >build/contract/breaking.txt 2>&1 || code=$?
if [ "$code" -eq 0 ]; then
  echo "Nothing that worked before is broken"
elif [ "$code" -ne 1 ]; then
  cat build/contract/breaking.txt >&2
  exit "$code"
elif raised "$old_version" "$new_version"; then
  echo "Some of it breaks clients, and version $new_version says so"
else
  cat build/contract/breaking.txt >&2
  echo "This breaks clients of $old_version, and version $new_version does not say so: undo it, or raise info.version in openapi.yaml (the first number, or below 1.0 the second)" >&2
  exit 1
fi
