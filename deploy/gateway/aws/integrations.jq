# Turns the contract into a document from which API Gateway imports an HTTP API:
#
#   jq -f integrations.jq --arg to https://internal.example openapi.json
#
# Each operation is forwarded to the same path of $to, with API Gateway's request id. There is no authorizer: the server checks
# Authorization itself, and HTTP APIs do not support security schemes of the type apiKey.
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
