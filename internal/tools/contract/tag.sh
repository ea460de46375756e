#!/bin/sh
# Makes openapi.yaml the contract that later ones are compared with, in the root of the repository: keeps it in
# tagged.yaml, writes what changed into CHANGELOG.md, and says how to tag it. Nothing that breaks clients passes without
# a version that says so.
set -eu

version=$(sed -n 's/^  version: *//p' openapi.yaml | tr -d "\"'")
before=$(sed -n 's/^  version: *//p' internal/tools/contract/tagged.yaml | tr -d "\"'")
if [ "$version" = "$before" ]; then
  echo "Version $version was tagged before: raise info.version in openapi.yaml first" >&2
  exit 1
fi
internal/tools/contract/diff.sh
{
  printf '# Changes of the contract\n\n## %s, since %s\n\n' "$version" "$before"
  sed -e '1,/^$/d' -e '/^## /d' build/contract/changelog.md | cat -s
  sed 1d internal/tools/contract/CHANGELOG.md 2>/dev/null || true
} >build/contract/CHANGELOG.md
mv build/contract/CHANGELOG.md internal/tools/contract/CHANGELOG.md
cp openapi.yaml internal/tools/contract/tagged.yaml
echo "Commit internal/tools/contract, then: git tag contract-v$version"
