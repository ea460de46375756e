#!/bin/sh
# See ../main.go. The command line imports with the converter of the application, @usebruno/converters.
from=$(dirname "$0")
. internal/tools/sdk/matrix/typescript/lib.sh

generate_client() { tool bru import openapi --source openapi.yaml --output . --collection-name collection; }
run "$1" @usebruno/cli
