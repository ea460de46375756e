#!/bin/sh
# Installs Redocly, Spectral, Prism and Kong's converter into build/contract/node, as the lock file says, unless they are there. Run it
# in the root of the repository.
set -eu

from=internal/tools/contract
to=build/contract/node

node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' 2>/dev/null &&
  npm --version >/dev/null 2>&1 || {
  echo "Node.js 20.19 or newer with npm is needed to lint and to mock the contract: install nodejs and npm" >&2
  exit 1
}
cmp -s "$from/package-lock.json" "$to/installed-lock.json" && exit
echo "Installing the packages of $from/package-lock.json into $to, once: takes about 30 s"
rm -rf "$to"
mkdir -p "$to"
cp "$from/package.json" "$from/package-lock.json" "$from/.npmrc" "$to"
(cd "$to" && npm ci >install.log 2>&1) || {
  cat "$to/install.log" >&2
  exit 1
}
cp "$from/package-lock.json" "$to/installed-lock.json" # last, so that a failed installation starts over
