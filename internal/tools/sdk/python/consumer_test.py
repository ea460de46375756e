"""From create to accept with the wheel, as a program of its users would go through it. The server to try it against
is named by INVITED_TEST_ variables, which internal/tools/sdk/withserver sets."""

import os
import unittest
from http import HTTPStatus
from importlib.metadata import version
from uuid import UUID

from waldur_api_client import AuthenticatedClient, Client
from waldur_api_client.api.user_group_invitations import user_group_invitations_create, user_group_invitations_submit_request
from waldur_api_client.api.user_invitations import (
    user_invitations_accept,
    user_invitations_approve,
    user_invitations_cancel,
    user_invitations_check,
    user_invitations_create,
    user_invitations_delete,
    user_invitations_details_retrieve,
    user_invitations_list,
    user_invitations_retrieve,
)
from waldur_api_client.api.user_permission_requests import user_permission_requests_approve, user_permission_requests_list
from waldur_api_client.models import (
    Detail,
    FieldErrors,
    GroupInvitation,
    GroupInvitationRequest,
    Invitation,
    InvitationCheck,
    InvitationOEnum,
    InvitationRequest,
    InvitationState,
    PermissionRequest,
    RemoteProjectUpdateRequestStateEnum,
    SubmitRequestResponse,
    TokenRequest,
    VisibleInvitationDetails,
)


def given(name: str) -> str:
    return os.environ["INVITED_TEST_" + name]


def caller(token: str, prefix: str = "Bearer") -> AuthenticatedClient:
    # A status that the contract does not have is an error of the test.
    return AuthenticatedClient(base_url=given("URL"), token=token, prefix=prefix, raise_on_unexpected_status=True)


class Consumer(unittest.TestCase):
    def setUp(self) -> None:
        self.owner = self.enterContext(caller(given("OWNER_TOKEN")))
        self.invitee = self.enterContext(caller(given("INVITEE_TOKEN"), "Token"))
        self.nobody = self.enterContext(Client(base_url=given("URL"), raise_on_unexpected_status=True))

    def draft(self, email: str) -> InvitationRequest:
        return InvitationRequest(email=email, role=UUID(given("ROLE")), scope=given("SCOPE"), full_name="Ina Ingel")

    def create(self, email: str) -> Invitation:
        created = user_invitations_create.sync_detailed(client=self.owner, body=self.draft(email))
        self.assertEqual(created.status_code, HTTPStatus.CREATED, created.content)
        assert isinstance(created.parsed, Invitation)
        self.assertEqual(created.headers["Location"], created.parsed.url)
        return created.parsed

    def test_create_to_accept(self) -> None:
        made = self.create(given("INVITEE_EMAIL"))
        self.assertEqual(made.state, InvitationState.PENDING)
        self.assertEqual(made.scope_type, "project")
        self.assertEqual(made.role, UUID(given("ROLE")))
        self.assertEqual(made.full_name, "Ina Ingel")
        self.assertIsNone(made.created_by_image)
        self.assertLess(made.created, made.expires)

        # In the list, with filters and an order.
        listed = user_invitations_list.sync_detailed(
            client=self.owner,
            email_exact=given("INVITEE_EMAIL"),
            state=[InvitationState.PENDING, InvitationState.EXPIRED],
            o=[InvitationOEnum.ORDER_BY_CREATED_DESCENDING],
        )
        assert isinstance(listed.parsed, list)
        self.assertEqual([each.uuid for each in listed.parsed], [made.uuid])
        self.assertEqual(listed.headers["X-Result-Count"], "1")
        none = user_invitations_list.sync(client=self.owner, email_exact=given("INVITEE_EMAIL"), state=[InvitationState.CANCELED])
        self.assertEqual(none, [])

        checked = user_invitations_check.sync(made.uuid, client=self.nobody)
        self.assertEqual(checked, InvitationCheck(email=given("INVITEE_EMAIL")))
        seen = user_invitations_details_retrieve.sync(made.uuid, client=self.invitee)
        assert isinstance(seen, VisibleInvitationDetails)
        self.assertEqual((seen.scope_name, seen.role_name), ("Apollo", "PROJECT.ADMIN"))

        accepted = user_invitations_accept.sync_detailed(made.uuid, client=self.invitee)
        self.assertEqual(accepted.status_code, HTTPStatus.OK)
        self.assertEqual(accepted.parsed, Detail("Invitation has been successfully accepted."))
        after = user_invitations_retrieve.sync(made.uuid, client=self.owner)
        assert isinstance(after, Invitation)
        self.assertEqual(after.state, InvitationState.ACCEPTED)

        # Once accepted, an invitation is no longer there for the invitee, and a rule keeps it for the owner.
        again = user_invitations_accept.sync_detailed(made.uuid, client=self.invitee)
        self.assertEqual((again.status_code, again.parsed), (HTTPStatus.NOT_FOUND, Detail("Not found.")))
        canceled = user_invitations_cancel.sync_detailed(made.uuid, client=self.owner)
        self.assertEqual(canceled.status_code, HTTPStatus.BAD_REQUEST)
        self.assertEqual(canceled.parsed, ["Only pending or planned invitations can be canceled."])

    def test_join_by_link(self) -> None:
        stranger = self.enterContext(caller(given("STRANGER_TOKEN"), "Token"))
        link = user_group_invitations_create.sync(
            client=self.owner, body=GroupInvitationRequest(role=UUID(given("ROLE")), scope=given("SCOPE"), custom_text="Welcome")
        )
        assert isinstance(link, GroupInvitation)
        self.assertTrue(link.is_active)
        asked = user_group_invitations_submit_request.sync(link.uuid, client=stranger)
        assert isinstance(asked, SubmitRequestResponse)
        self.assertEqual((asked.auto_approved, asked.project_uuid), (False, None))

        pending = [RemoteProjectUpdateRequestStateEnum.PENDING]
        waiting = user_permission_requests_list.sync(client=self.owner, invitation=link.uuid, state=pending)
        assert isinstance(waiting, list)
        self.assertEqual([each.uuid for each in waiting], [asked.uuid])
        approved = user_permission_requests_approve.sync_detailed(asked.uuid, client=self.owner)
        self.assertEqual(approved.status_code, HTTPStatus.OK)
        mine = user_permission_requests_list.sync(client=stranger)
        assert isinstance(mine, list) and isinstance(mine[0], PermissionRequest)
        self.assertEqual((mine[0].state, mine[0].review_comment), (RemoteProjectUpdateRequestStateEnum.APPROVED, None))
        late = user_permission_requests_approve.sync_detailed(asked.uuid, client=self.owner)
        self.assertEqual((late.status_code, late.parsed), (HTTPStatus.CONFLICT, Detail("Valid states for operation: pending.")))

    def test_error_shapes(self) -> None:
        bad = user_invitations_create.sync_detailed(client=self.owner, body=self.draft("no address"))
        self.assertEqual(bad.status_code, HTTPStatus.BAD_REQUEST)
        assert isinstance(bad.parsed, FieldErrors)
        self.assertEqual(bad.parsed["email"], ["Enter a valid email address."])

        # Either shape, as the JSON that it is.
        unsigned = user_invitations_approve.sync(client=self.nobody, body=TokenRequest("no token"))
        self.assertEqual(unsigned, ["Invalid signature."])
        empty = user_invitations_approve.sync(client=self.nobody, body=TokenRequest(""))
        self.assertEqual(empty, {"token": ["This field may not be blank."]})

        with caller("nobody's") as stranger:
            unknown = user_invitations_list.sync_detailed(client=stranger)
        self.assertEqual((unknown.status_code, unknown.parsed), (HTTPStatus.UNAUTHORIZED, Detail("Invalid token.")))
        self.assertEqual(unknown.headers["WWW-Authenticate"], "Token")
        page = user_invitations_list.sync_detailed(client=self.owner, page=1000)
        self.assertEqual((page.status_code, page.parsed), (HTTPStatus.NOT_FOUND, Detail("Invalid page.")))
        made = self.create("somebody@university.example")
        kept = user_invitations_delete.sync_detailed(made.uuid, client=self.owner)
        self.assertEqual(kept.status_code, HTTPStatus.FORBIDDEN)
        self.assertEqual(kept.parsed, Detail("You do not have permission to perform this action."))

    def test_version_is_the_contract_s(self) -> None:
        self.assertEqual(version("waldur-api-client"), given("VERSION"))


class AsyncConsumer(unittest.IsolatedAsyncioTestCase):
    async def test_list(self) -> None:
        async with caller(given("OWNER_TOKEN")) as owner:
            self.assertIsInstance(await user_invitations_list.asyncio(client=owner), list)


if __name__ == "__main__":
    unittest.main()
