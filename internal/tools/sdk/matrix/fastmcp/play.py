"""Plays the steps of the matrix with the tools of the server, as a language model calls them."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

from fastmcp import Client
from fastmcp.client.transports import FastMCPTransport
from fastmcp.exceptions import ToolError

import server

Caller = Client[FastMCPTransport]


def given(name: str) -> str:
    return os.environ["INVITED_TEST_" + name]


def caller(url: str, token: str) -> Caller:
    return Client(server.make(given(url), given(token)))


async def call(client: Caller, tool: str, **arguments: Any) -> Any:
    """Returns what a tool returns as structured data."""
    return (await client.call_tool(tool, arguments)).structured_content


async def refused(client: Caller, tool: str, **arguments: Any) -> str:
    """Returns the message of a tool that fails."""
    try:
        await client.call_tool(tool, arguments)
    except ToolError as error:
        return str(error)
    raise AssertionError("the tool worked")


def check(ok: bool, got: object) -> None:
    if not ok:
        raise AssertionError(f"got {got}")


async def step(name: str, take: Callable[[], Awaitable[None]]) -> None:
    try:
        await take()
        print("step", name, "ok")
    except Exception as error:
        print("step", name, "failed:", " ".join(str(error).split()))


async def main() -> None:
    uuid = ""
    draft = {"role": given("ROLE"), "scope": given("SCOPE")}

    async def list_ended(client: Caller) -> None:
        rows = (await call(client, "user_invitations_list", state=["canceled", "expired"]))["result"]
        uuids = [row["uuid"] for row in rows]
        check(given("CANCELED") in uuids and given("PENDING") not in uuids, uuids)

    async with caller("URL", "OWNER_TOKEN") as owner, caller("URL", "INVITEE_TOKEN") as invitee:

        async def count() -> None:
            await call(owner, "user_invitations_count", state=["canceled", "expired"])

        async def create() -> None:
            nonlocal uuid
            made = await call(owner, "user_invitations_create", email=given("INVITEE_EMAIL"), **draft)
            uuid = made["uuid"]
            check(made["state"] == "pending", made)

        async def details() -> None:
            seen = await call(invitee, "user_invitations_details_retrieve", uuid=uuid)
            check(bool(seen["scope_name"]), seen)

        async def accept() -> None:
            accepted = await call(invitee, "user_invitations_accept", uuid=uuid)
            check(accepted == {"detail": "Invitation has been successfully accepted."}, accepted)

        async def field_error() -> None:
            message = await refused(owner, "user_invitations_create", email="nonsense", **draft)
            check('"email": ["Enter a valid email address."]' in message, message)

        async def rule_error() -> None:
            message = await refused(owner, "user_invitations_cancel", uuid=uuid)
            check("Only pending or planned invitations can be canceled." in message, message)
            edit = {"uuid": uuid, "email": "other@university.example"}
            message = await refused(owner, "user_invitations_partial_update", **edit)
            check("Only pending invitations can be edited." in message, message)

        async def not_found() -> None:
            message = await refused(invitee, "user_invitations_details_retrieve", uuid=str(uuid4()))
            check('"detail": "Not found."' in message, message)

        async def unknown_field() -> None:
            async with caller("NEWER_URL", "OWNER_TOKEN") as newer:
                await list_ended(newer)
                await call(newer, "user_invitations_details_retrieve", uuid=given("CANCELED"))

        await step("list", lambda: list_ended(owner))
        await step("count", count)
        await step("create", create)
        await step("details", details)
        await step("accept", accept)
        await step("field_error", field_error)
        await step("rule_error", rule_error)
        await step("not_found", not_found)
        await step("unknown_field", unknown_field)


asyncio.run(main())
