#!/bin/sh
# Compares openapi.yaml with the last tagged contract (contract-vX.Y.Z or vX.Y.Z), prints the changes, and fails where a
# change breaks clients and the version does not say so. A checkout without tags, such as most CI systems make, has that
# contract in tagged.yaml, which tag.sh writes. "diff.sh OLD NEW" compares two files instead. Run it in the root of the
# repository.
set -eu

oasdiff_version=v1.36.0
oasdiff=build/bin/oasdiff-$oasdiff_version

mkdir -p build/contract
if [ $# -eq 2 ]; then
  old=$1 new=$2 name=$1
else
  new=openapi.yaml
  name=$(git describe --tags --abbrev=0 --match 'contract-v[0-9]*' --match 'v[0-9]*' 2>/dev/null) || name=
  if [ -n "$name" ]; then
    old=build/contract/tagged.yaml
    git show "$name:openapi.yaml" >"$old"
  else
    old=internal/tools/contract/tagged.yaml name=internal/tools/contract/tagged.yaml
  fi
fi

internal/tools/make/install.sh github.com/oasdiff/oasdiff "$oasdiff_version"

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
  echo "The contract has not changed since $name ($old_version)"
fi

# raised OLD NEW: whether version NEW may break clients of OLD. Below 1.0 a higher second number may.
raised() {
  awk -v old="$1" -v new="$2" 'BEGIN {
    split(old, o, "."); split(new, n, ".")
    exit !(n[1] + 0 > o[1] + 0 || (n[1] + 0 == 0 && o[1] + 0 == 0 && n[2] + 0 > o[2] + 0))
  }'
}

# WARN: a change that oasdiff only warns about breaks some client too.
code=0
"$oasdiff" breaking --fail-on WARN "$old" "$new" >build/contract/breaking.txt 2>&1 || code=$?
if [ "$code" -eq 0 ]; then
  echo "No change breaks clients"
elif [ "$code" -ne 1 ]; then
  cat build/contract/breaking.txt >&2
  exit "$code"
elif raised "$old_version" "$new_version"; then
  echo "Some changes break clients, and version $new_version says so"
else
  cat build/contract/breaking.txt >&2
  echo "This breaks clients of $old_version, and version $new_version does not say so: undo it, or raise info.version in openapi.yaml (the first number, or below 1.0 the second)" >&2
  exit 1
fi
