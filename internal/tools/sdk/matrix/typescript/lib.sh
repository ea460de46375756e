# The functions that the tools from npm share. A tool.sh sources this file, defines generate_client, and calls run "$1" PACKAGE.
#
# The packages are those of the lock file beside this file, installed once into build/sdk-matrix/node_modules: every tool's
# folder is below build/sdk-matrix, so that its programs find them.
set -eu
umask 022

shared=internal/tools/sdk/matrix/typescript
modules=$(dirname "$OUT")/node_modules

# tool COMMAND... runs a program of the packages.
tool() {
  command=$1
  shift
  "$modules/.bin/$command" "$@"
}

# install_packages installs the packages, unless they are there.
install_packages() {
  cmp -s "$shared/package-lock.json" "$modules/installed-lock.json" && return
  echo "Installing the packages of $shared/package-lock.json into $modules (700 MB), once: takes about a minute"
  cp "$shared/package.json" "$shared/package-lock.json" "$shared/.npmrc" "$(dirname "$modules")"
  # orval and parts of the others ask for Node.js 22, and work on 20: npm warns.
  (cd "$(dirname "$modules")" && npm ci --no-progress)
  cp "$shared/package-lock.json" "$modules/installed-lock.json" # last, so that a failed installation starts over
}

# run ACTION PACKAGE does an action of the tool in a package, whose generated client is played by play.ts.
run() {
  case $1 in
    version)
      node -e 'process.exit(process.versions.node.split(".")[0] < 20 ? 1 : 0)' 2>/dev/null && npm --version >/dev/null 2>&1 || {
        echo "Node.js 20 or newer with npm is needed: install nodejs and npm" >&2
        exit 75
      }
      sed -n "s|^ *\"$2\": \"\(.*\)\",*|\1|p" "$shared/package.json"
      ;;
    generate)
      install_packages
      rm -rf "$OUT"
      mkdir -p "$OUT"
      cp openapi.yaml "$from"/*.* "$shared"/*.ts "$shared/tsconfig.json" "$OUT"
      (cd "$OUT" && generate_client)
      ;;
    compile)
      tool tsc --project "$OUT"
      # Node.js 20 needs the program as JavaScript, and imports with the names of files.
      tool esbuild "$OUT/play.ts" --bundle --platform=node --format=esm --packages=external --outfile="$OUT/play.mjs" --log-level=warning
      ;;
    play) node "$OUT/play.mjs" ;;
    *) echo "usage: tool.sh version|generate|compile|play" >&2; exit 2 ;;
  esac
}
