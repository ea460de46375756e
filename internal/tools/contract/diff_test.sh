#!/bin/sh
# Tests diff.sh with small contracts. Run it in the root of the repository.
set -eu

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# contract VERSION REQUIRED MORE writes a contract with one operation, whose parameter "page" is required or not, and MORE
# lines of parameters.
contract() {
  cat <<YAML
openapi: 3.0.3
info:
  title: test
  version: $1
paths:
  /things:
    get:
      operationId: things_list
      parameters:
        - {name: page, in: query, required: $2, schema: {type: integer}}
$3
      responses:
        '200': {description: The things.}
YAML
}
more='        - {name: size, in: query, schema: {type: integer}}'

# expect NAME OUTCOME TEXT compares the two contracts, and fails unless diff.sh passes or fails as OUTCOME says and prints TEXT.
expect() {
  outcome=passes
  internal/tools/contract/diff.sh "$dir/old.yaml" "$dir/new.yaml" >"$dir/output.txt" 2>&1 || outcome=fails
  if [ "$outcome" != "$2" ] || ! grep -q "$3" "$dir/output.txt"; then
    echo "$1: diff.sh $outcome, want: $2 and prints \"$3\"; it printed:" >&2
    cat "$dir/output.txt" >&2
    exit 1
  fi
  echo "$1: $outcome"
}

contract 0.1.0 false '' >"$dir/old.yaml"
contract 0.1.0 false '' >"$dir/new.yaml"
expect "no change" passes "has not changed"
contract 0.1.0 false "$more" >"$dir/new.yaml"
expect "a compatible change" passes "new optional"
contract 0.1.0 true '' >"$dir/new.yaml"
expect "a break, and the same version" fails "became required"
contract 0.1.1 true '' >"$dir/new.yaml"
expect "a break, and only the last number raised" fails "does not say so"
contract 0.2.0 true '' >"$dir/new.yaml"
expect "a break below 1.0, and the second number raised" passes "version 0.2.0 says so"
contract 1.0.0 true '' >"$dir/new.yaml"
expect "a break, and 1.0" passes "version 1.0.0 says so"
contract 1.3.0 false '' >"$dir/old.yaml"
contract 1.4.0 true '' >"$dir/new.yaml"
expect "a break after 1.0, and only the second number raised" fails "does not say so"
contract 2.0.0 true '' >"$dir/new.yaml"
expect "a break after 1.0, and the first number raised" passes "version 2.0.0 says so"
echo "not a contract" >"$dir/new.yaml"
expect "no contract at all" fails .
