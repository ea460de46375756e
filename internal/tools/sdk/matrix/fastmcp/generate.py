"""Prints the tools that the server has: an error where there are none, or one for a HEAD."""

import asyncio

from fastmcp import Client

import server


async def main() -> None:
    async with Client(server.make("http://127.0.0.1", "")) as client:
        names = [tool.name for tool in await client.list_tools()]
    print("\n".join(names))
    assert "user_invitations_list" in names and not [name for name in names if name.endswith("_count")]


asyncio.run(main())
