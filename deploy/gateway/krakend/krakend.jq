# Turns the contract into a configuration of KrakenD, with an endpoint for each operation:
#
#   jq -f krakend.jq --argjson hosts '["http://127.0.0.1:8081", "http://127.0.0.1:8082"]' openapi.json
. as $contract
| def resolved: if has("$ref") then .["$ref"] as $r | $contract.components.parameters[$r | ltrimstr("#/components/parameters/")] else . end;
{
  "$schema": "https://www.krakend.io/schema/v3.json",
  version: 3, name: "invited", port: 8080, timeout: "30s",
  extra_config: {router: {forwarded_by_client_ip: false}},
  endpoints: [
    .paths | to_entries[] | .key as $path | .value as $item | $item | to_entries[]
    | select(.key | IN("get", "post", "put", "patch", "delete")) # KrakenD has no endpoints of other methods
    | (.key | ascii_upcase) as $method | .value as $operation
    | ([$item.parameters[]?, $operation.parameters[]?] | map(resolved)) as $parameters
    | {
        endpoint: ("/invitations" + $path), method: $method, output_encoding: "no-op",
        input_headers: (
          ["Accept", "X-Request-ID"]
          + (if $operation.security == [] then [] else ["Authorization"] end)
          + (if $operation.requestBody then ["Content-Type"] else [] end)
          + [$parameters[] | select(.in == "header").name]),
        input_query_strings: [$parameters[] | select(.in == "query").name],
        backend: [{host: $hosts, url_pattern: $path, method: $method, encoding: "no-op"}]
      }
      + if $operation.security == [] and $method == "POST"
        then {extra_config: {"qos/ratelimit/router": {client_max_rate: 1, client_capacity: 20, strategy: "ip"}}}
        elif any($operation.security[]?; . == {}) # reads the database with or without a token
        then {extra_config: {"qos/ratelimit/router": {client_max_rate: 10, client_capacity: 100, strategy: "ip"}}}
        else {} end
  ]
}
