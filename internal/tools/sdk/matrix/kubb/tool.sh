#!/bin/sh
# See ../main.go.
from=$(dirname "$0")
. internal/tools/sdk/matrix/typescript/lib.sh

generate_client() { tool kubb generate --config kubb.config.mjs; }
run "$1" @kubb/cli
