"""Plays the steps of the matrix with the client that OpenAPI Generator makes for Python."""

import os
from collections.abc import Callable
from uuid import UUID

from openapi_client import ApiClient, Configuration, InvitationRequest, InvitationState, PatchedInvitationUpdateRequest
from openapi_client import Detail, InvitationListItem, UserInvitationsApi
from openapi_client.exceptions import ApiException, BadRequestException, NotFoundException

UNKNOWN = UUID("00000000-0000-4000-8000-000000000000")
ENDED = [InvitationState.InvitationStateCanceled, InvitationState.InvitationStateExpired]


def variable(name: str) -> str:
    return os.environ["INVITED_TEST_" + name]


def api(token: str, url: str = "URL") -> UserInvitationsApi:
    configuration = Configuration(
        host=variable(url), api_key={"tokenAuth": variable(token)}, api_key_prefix={"tokenAuth": "Token"}
    )
    return UserInvitationsApi(ApiClient(configuration))


def same(got: object, wanted: object) -> None:
    if got != wanted:
        raise AssertionError(f"got {got!r} instead of {wanted!r}")


def only_canceled(rows: list[InvitationListItem]) -> None:
    """Fails where the filter of a list had no effect."""
    same([row.uuid for row in rows], [UUID(variable("CANCELED"))])


def refused(kind: type[ApiException], call: Callable[[], object]) -> object:
    """Returns the decoded body of the error that a call raises."""
    try:
        call()
    except kind as error:
        return error.data
    raise AssertionError("the request was not refused")


owner, invitee = api("OWNER_TOKEN"), api("INVITEE_TOKEN")
made = UNKNOWN


def request(email: str) -> InvitationRequest:
    return InvitationRequest(email=email, role=UUID(variable("ROLE")), scope=variable("SCOPE"))


def list_() -> None:
    only_canceled(owner.user_invitations_list(state=ENDED))


def count() -> None:
    response = owner.user_invitations_count_with_http_info(state=ENDED)
    same((response.headers or {}).get("X-Result-Count"), "1")


def create() -> None:
    global made
    invitation = owner.user_invitations_create(request(variable("INVITEE_EMAIL")))
    made = invitation.uuid
    same(invitation.state, InvitationState.InvitationStatePending)


def details() -> None:
    same(invitee.user_invitations_details_retrieve(made).email, variable("INVITEE_EMAIL"))


def accept() -> None:
    same(invitee.user_invitations_accept(made).detail, "Invitation has been successfully accepted.")


def field_error() -> None:
    body = refused(BadRequestException, lambda: owner.user_invitations_create(request("nonsense")))
    same(body, {"email": ["Enter a valid email address."]})


def rule_error() -> None:
    body = refused(BadRequestException, lambda: owner.user_invitations_cancel(made))
    same(body, ["Only pending or planned invitations can be canceled."])
    edit = PatchedInvitationUpdateRequest(email="ida@university.example")
    body = refused(BadRequestException, lambda: owner.user_invitations_partial_update(made, edit))
    same(body, ["Only pending invitations can be edited."])


def not_found() -> None:
    body = refused(NotFoundException, lambda: owner.user_invitations_details_retrieve(UNKNOWN))
    same(body, Detail(detail="Not found."))


def unknown_field() -> None:
    newer = api("OWNER_TOKEN", "NEWER_URL")
    only_canceled(newer.user_invitations_list(state=ENDED))
    pending = newer.user_invitations_retrieve(UUID(variable("PENDING")))
    same(pending.state, InvitationState.InvitationStatePending)


for step in (list_, count, create, details, accept, field_error, rule_error, not_found, unknown_field):
    name = step.__name__.rstrip("_")
    try:
        step()
        print(f"step {name} ok")
    except Exception as error:
        print(f"step {name} failed: {type(error).__name__}: {' '.join(str(error).split())}")
