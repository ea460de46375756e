#!/bin/sh
# Records openapi.yaml as the contract that later versions are compared with: copies it to tagged.yaml, adds the changes to
# CHANGELOG.md, and prints the command that tags it. Fails where a change breaks clients and the version does not say so.
# Run it in the root of the repository.
set -eu

dir=internal/tools/contract
version=$(sed -n 's/^  version: *//p' openapi.yaml | tr -d "\"'")
before=$(sed -n 's/^  version: *//p' "$dir/tagged.yaml" | tr -d "\"'")
if [ "$version" = "$before" ]; then
  echo "Version $version is already tagged: raise info.version in openapi.yaml first" >&2
  exit 1
fi
"$dir/diff.sh"
{
  printf '# Changes of the contract\n\n## %s, since %s\n\n' "$version" "$before"
  sed -e '1,/^$/d' -e '/^## /d' build/contract/changelog.md | cat -s
  sed 1d "$dir/CHANGELOG.md" 2>/dev/null || true
} >build/contract/CHANGELOG.md
mv build/contract/CHANGELOG.md "$dir/CHANGELOG.md"
cp openapi.yaml "$dir/tagged.yaml"
echo "Commit $dir, then: git tag contract-v$version"
