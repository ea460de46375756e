#!/bin/sh
# See ../main.go.
from=$(dirname "$0")
. internal/tools/sdk/matrix/typescript/lib.sh

generate_client() { tool swagger-typescript-api generate --path openapi.yaml --output . --name client.ts; }
run "$1" swagger-typescript-api
