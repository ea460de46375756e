#!/bin/sh
# See ../main.go.
from=$(dirname "$0")
. internal/tools/sdk/matrix/typescript/lib.sh

generate_client() { tool rtk-query-codegen-openapi rtk.config.cjs; }
run "$1" @rtk-query/codegen-openapi
