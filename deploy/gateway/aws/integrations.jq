# Makes of the contract what an HTTP API of API Gateway is imported from:
#
#   jq -f integrations.jq --arg to https://internal.example openapi.json
#
# Each operation is sent on to the same path there, with API Gateway's id of the request. No authorizer: the server reads
# Authorization itself, and HTTP APIs know no security scheme of the kind apiKey.
del(.security, .components.securitySchemes, .paths[][]?.security?)
| .paths |= with_entries(.key as $path | .value |= with_entries(
    if .key == "parameters" then . else .key as $method
    | .value["x-amazon-apigateway-integration"] = {
        type: "http_proxy",
        httpMethod: ($method | ascii_upcase),
        uri: ($to + $path),
        connectionType: "INTERNET",
        payloadFormatVersion: "1.0",
        timeoutInMillis: 30000,
        requestParameters: {"overwrite:header.X-Request-ID": "$context.requestId"}
      }
    end))
