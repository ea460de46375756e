#!/bin/sh
# Installs axe-core into build/axe, as the lock file says, unless it is there. Run it in the root of the repository.
set -eu

from=internal/tools/axe
to=build/axe

cmp -s "$from/package-lock.json" "$to/installed-lock.json" && exit
npm --version >/dev/null 2>&1 || {
  echo "npm is needed to look for barriers on the pages: install nodejs and npm" >&2
  exit 1
}
echo "Installing the package of $from/package-lock.json into $to, once"
rm -rf "$to"
mkdir -p "$to"
cp "$from/package.json" "$from/package-lock.json" "$from/.npmrc" "$to"
(cd "$to" && npm ci >install.log 2>&1) || {
  cat "$to/install.log" >&2
  exit 1
}
cp "$from/package-lock.json" "$to/installed-lock.json" # last, so that a failed installation starts over
