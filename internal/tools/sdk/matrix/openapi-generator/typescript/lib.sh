# Functions of the tool.sh of the generators for TypeScript. ../lib.sh comes first.

packages=internal/tools/sdk/matrix/openapi-generator/typescript

print_node_version() {
  node="Node.js 20 or newer with npm is needed for clients in TypeScript: install nodejs and npm"
  needs node "$node"
  needs npm "$node"
  print_version
}

# compile compiles the program in the tool's folder with the client, after it has installed what package-lock.json says.
compile() {
  if ! cmp -s "$packages/package-lock.json" "$OUT/installed-lock.json"; then
    cp "$packages/package.json" "$packages/package-lock.json" "$packages/.npmrc" "$OUT"
    (cd "$OUT" && npm ci --no-progress)
    cp "$packages/package-lock.json" "$OUT/installed-lock.json" # last, so that a failed installation starts over
  fi
  cp "$packages/tsconfig.json" "$packages/steps.ts" "$from/play.ts" "$OUT"
  rm -rf "$OUT/dist"
  (cd "$OUT" && npx --no-install tsc)
}
