#!/bin/sh
# Builds the TypeScript SDK, build/sdk/typescript/waldur-js-client-VERSION.tgz, from openapi.yaml. "build.sh consumer" also
# installs it as its users do, beside TypeScript, into build/sdk/typescript/consumer. Run it in the root of the repository.
set -eu
umask 022 # the packed modes do not depend on the user

from=$PWD/internal/tools/sdk/typescript
to=build/sdk/typescript

node -e 'process.exit(process.versions.node.split(".")[0] < 20 ? 1 : 0)' 2>/dev/null && npm --version >/dev/null 2>&1 || {
  echo "Node.js 20 or newer with npm is needed for the TypeScript SDK: install nodejs and npm" >&2
  exit 1
}
mkdir -p "$to"

# quietly COMMAND... prints the command's output only where it fails.
quietly() {
  "$@" >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
}
log=$PWD/$to/build.log

# installed FOLDER MANIFESTS installs the packages of the lock file in MANIFESTS into FOLDER, unless they are there.
installed() {
  cmp -s "$2/package-lock.json" "$1/installed-lock.json" && cp "$2/package.json" "$1" && return
  echo "Installing the packages of ${2#"$PWD/"}/package-lock.json into $1, once: takes about 10 s"
  rm -rf "$1"
  mkdir "$1"
  cp "$2/package.json" "$2/package-lock.json" "$from/.npmrc" "$1"
  (cd "$1" && quietly npm ci)
  cp "$2/package-lock.json" "$1/installed-lock.json" # last, so that a failed installation starts over
}

version=$(sed -n 's/^  version: *//p' openapi.yaml)
installed "$to/source" "$from"
echo "Building the TypeScript SDK $version from openapi.yaml"
rm -f "$to"/*.tgz
rm -rf "$to/source/src" "$to/source/dist"
cp openapi.yaml "$from/README.md" "$from/openapi-ts.config.mjs" "$from/tsconfig.json" "$to/source"
(
  cd "$to/source"
  quietly npm pkg set "version=$version"
  quietly npx --no-install openapi-ts --file openapi-ts.config.mjs
  quietly npx --no-install tsc
  quietly npm pack --pack-destination ..
)
ls "$to"/*.tgz

if [ "${1-}" = consumer ]; then
  installed "$to/consumer" "$from/test"
  cp "$from/test/tsconfig.json" "$from"/test/*.ts "$to/consumer"
  # Without the lock file, which would change with every build.
  (cd "$to/consumer" && quietly npm install --no-save --offline ../*.tgz && quietly npx --no-install tsc)
fi
