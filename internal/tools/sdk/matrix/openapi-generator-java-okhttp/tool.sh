#!/bin/sh
# See ../main.go.
set -eu
. internal/tools/sdk/matrix/openapi-generator/lib.sh
. internal/tools/sdk/matrix/openapi-generator/java/lib.sh

case $1 in
version) print_version ;;
generate)
  generate java --library okhttp-gson --additional-properties=useSingleRequestParameter=true,enumUnknownDefaultCase=true,disallowAdditionalPropertiesIfNotPresent=false
  ;;
compile) compile ;;
play) play ;;
esac
