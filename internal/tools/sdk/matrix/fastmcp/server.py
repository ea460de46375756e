"""The server that FastMCP makes from the contract, as its users write it."""

from pathlib import Path

import httpx2
import yaml
from fastmcp import FastMCP
from fastmcp.server.providers.openapi import MCPType, RouteMap


def make(url: str, token: str) -> FastMCP:
    contract = yaml.safe_load((Path(__file__).parent / "openapi.yaml").read_text())
    http = httpx2.AsyncClient(base_url=url, headers={"Authorization": f"Token {token}"})
    # The response to a HEAD has no body, and a tool returns nothing else.
    no_head = RouteMap(methods=["HEAD"], mcp_type=MCPType.EXCLUDE)
    # With validation, a tool fails where a later server has a value that is new in an enumeration.
    return FastMCP.from_openapi(contract, client=http, name="invited", route_maps=[no_head], validate_output=False)
