#!/bin/sh
# See ../main.go.
from=$(dirname "$0")
. internal/tools/sdk/matrix/typescript/lib.sh

generate_client() { tool openapi-typescript openapi.yaml --output client.ts; }
run "$1" openapi-typescript
