#!/bin/sh
# See ../main.go. newman runs the requests of the collection as Postman does.
from=$(dirname "$0")
. internal/tools/sdk/matrix/typescript/lib.sh

# The import of Postman itself has the same options, under "Parameter generation" and "Enable optional parameters". By default,
# it fills every parameter with a value such as <uuid>, and a list answers 400.
generate_client() {
  tool openapi2postmanv2 --spec openapi.yaml --output collection.json --options parametersResolution=Example,enableOptionalParameters=false
}
run "$1" openapi-to-postmanv2
