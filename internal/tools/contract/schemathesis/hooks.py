"""Checks of this project, in addition to those of Schemathesis."""

import re
from uuid import uuid4

import schemathesis

ENDS = {
    "expires": r"Enter a time from \S+Z to \S+Z\.|Enter a time that is not after membership_expires\.|"
    r"Enter a time: without one, the invitation would have ended already\.",
    "membership_expires": r"Enter a time at or after \S+Z\.|Enter a time before the year 10000 in UTC, or null for no end\.|"
    r"Enter a time that is not before expires, or change expires too\.",
}

EDITS = ENDS | {
    None: r"Only pending invitations can be edited\.",
    "role": r"Object with uuid=\S+ does not exist\.|Cannot change role type from \w+ to \w+\. Role must remain within the same scope type\.",
    "email": r"Pending invitation already exists for this email and role\.",
    "non_field_errors": r"Role and scope should belong to the same content type\.",
}

# White space around values is removed, and what is left of a text may be nothing.
BLANK = r"(Item \d+: )?This field may not be blank\."

# What a link offers stays once somebody has asked.
ASKED = r"|People have asked by this invitation already, .*"

GROUPS = {
    "user_affiliations": BLANK,
    "user_identity_sources": BLANK,
    "role": r"Object with uuid=\S+ does not exist\.|Public invitations can only use project-level roles, .*" + ASKED,
    "scope": r"Can't restore object from url: .*" + ASKED,
    "project_role": r"Object with uuid=\S+ does not exist\.|project_role is required when .*" + ASKED,
    "is_public": r"Only staff users can create public invitations\.",
    "auto_create_project": r"Public invitations must have auto_create_project enabled\." + ASKED,
    "project_name_template": BLANK + r"|Invalid placeholders in template: .*|This field may not contain invisible characters\.",
    "user_email_patterns": BLANK + r"|(Invalid regex|Potentially dangerous) patterns.*",
    "expires": r"Enter a time (in the future\.|before the year 10000 in UTC, .*)",
    "non_field_errors": r"Role and scope should belong to the same content type\.|Only active invitations can be edited\.",
}

REQUESTS = {
    None: r"Only pending invitation can be requested\.|User already has (this role in the|role within this) scope\.|"
    r"Permission request already exists for this scope\.|You are not allowed to accept this invitation\. .*|"
    r"Role is not (active|valid for this scope)\.|The organization has a project of this name already, .*|The project's name would (be longer|have invisible) .*",
    "project_name": r"This field may not contain invisible characters\.",
}

# Reasons why the server rejects a request of the right shape, by operation and key of the response; a list has no key. The
# patterns are whole sentences, so that a field which the contract allows and the server rejects is still found.
REFUSALS = {
    "user_invitations_list": {
        "scope": r"This is not the URL of a scope\.",
        "cursor": r"This is no cursor of this list: .*",
        "page": r"A cursor takes the place of a page: leave one of them out\.",
        "o": r"A list with a cursor can be ordered by created and -created alone: .*",
    },
    "user_invitations_check_duplicates": {"scope": r"Can't restore object from url: .*"},
    "user_invitations_bulk_action": {
        "filter": r"scope: This is not the URL of a scope\.",
        "expected": r"This field is required\.",
        "uuids": r"With an Idempotency-Key, one request acts on at most 100 invitations\. Nothing was changed\.",
        "non_field_errors": r"Give either uuids or filter\.",
    },
    "user_invitations_update": EDITS,
    "user_invitations_partial_update": EDITS,
    "user_invitations_create": ENDS | {
        "role": r"Object with uuid=\S+ does not exist\.",
        "scope": r"Can't restore object from url: .*",
        "civil_number": r"This field may not contain white space or invisible characters\.",
        "email": r"Pending invitation already exists for this email and role\.",
        "non_field_errors": r"Role and scope should belong to the same content type\.",
    },
    "user_invitations_bulk_create": {
        "non_field_errors": r"Line \d+: .*|The table (is empty: it needs|has no rows below) .*|This is the file of a spreadsheet program\. .*|"
        r"The characters of the table can't be read\. .*",
        None: r"\d+ (bulk invitations of yours are not done yet|rows of your bulk invitations of the last 30 days are kept).*",
    },
    "user_invitations_accept": {None: r"User has already the same role in this scope\."},
    "user_invitations_cancel": {None: r"Only pending or planned invitations can be canceled\."},
    "user_invitations_send": {
        None: r"Only pending, expired and canceled invitations can be resent\.|The role would end before anybody could accept: .*",
        "email": r"Pending invitation already exists for this email and role\.",
    },
    "user_invitations_approve": {None: r"Invalid (signature|payload|user UUID|invitation UUID)\."},
    "user_invitations_reject": {None: r"Invalid (signature|payload|user UUID|invitation UUID)\."},
    "user_invitations_approve_request": {None: r"Only requested invitations can be approved or rejected\."},
    "user_invitations_reject_request": {None: r"Only requested invitations can be approved or rejected\."},
    "user_group_invitations_list": {"scope": r"This is not the URL of a scope\."},
    "user_group_invitations_create": GROUPS,
    "user_group_invitations_update": GROUPS,
    "user_group_invitations_partial_update": GROUPS,
    "user_group_invitations_destroy": {None: r"Only canceled invitation can be deleted\."},
    "user_group_invitations_cancel": {None: r"Only pending invitation can be canceled\."},
    "user_group_invitations_submit_request": REQUESTS,
    "user_group_invitations_request": REQUESTS,
    "user_permission_requests_list": {"scope": r"This is not the URL of a scope\."},
    "user_permission_requests_approve": REQUESTS | {"comment": BLANK},
    "user_permission_requests_reject": {"comment": BLANK},
    "user_permission_requests_cancel_request": {None: r"Only pending or draft requests can be canceled\."},
    "api_auth_token_exchange": {"code": r"This code does not work any more\. Sign in again\."},
    "api_auth_create": {"code": r"This code does not work any more\. Sign in again\."},
}


def operation_of(case):
    return case.operation.definition.raw["operationId"]


def declared(case):
    """Whether the request has the method of its operation, and not one that the path does not have."""
    return case.method.upper() == case.operation.method.upper()


@schemathesis.hook
def before_call(ctx, case, kwargs):
    """Gives each request with a key a key of its own. With one key two requests are one: short keys would meet all the time."""
    headers = case.headers or {}
    if re.fullmatch(r'"?[!#-\[\]-~]{1,255}"?', str(headers.get("Idempotency-Key", ""))):
        headers["Idempotency-Key"] = str(uuid4())


@schemathesis.check
def OnlyDeclaredRefusals(ctx, response, case):
    """The server rejects data of the right shape only for the reasons of REFUSALS."""
    positive = case.meta is not None and case.meta.generation.mode.is_positive
    if response.status_code != 400 or not positive or not declared(case) or case.method.upper() == "HEAD":
        return
    body = response.json()
    messages = [(None, each) for each in body] if isinstance(body, list) else [(k, each) for k, v in body.items() for each in v]
    for key, message in messages:
        pattern = REFUSALS.get(operation_of(case), {}).get(key)
        if pattern is None or not re.fullmatch(pattern, message, re.DOTALL):
            raise AssertionError(f"data of the right shape was rejected for an unknown reason: {key}: {message}")


def seen_uuid(text):
    """The uuid as 32 hexadecimal digits, which the server accepts too, or None where the text is not a uuid."""
    digits = str(text).replace("-", "").lower()
    return digits if re.fullmatch("[0-9a-f]{32}", digits) else None


@schemathesis.check
class InvitationsLast:
    """A created invitation exists until it is deleted, and not longer."""

    def __init__(self):
        self.created, self.ended, self.deleted = set(), set(), set()

    def after_response(self, ctx, response, case):
        operation = operation_of(case)
        if not declared(case) or not operation.startswith("user_invitations_"):
            return
        if operation == "user_invitations_create":
            if response.status_code == 201:
                self.created.add(seen_uuid(response.json()["uuid"]))
            return
        if operation == "user_invitations_bulk_action":
            if response.status_code == 200:
                report = response.json()
                for each in report["results"]:
                    self.note_action(report["action"], seen_uuid(each["uuid"]), each["result"])
            return
        if operation.startswith("user_invitations_bulk_"):  # its uuid is that of a bulk invitation
            return
        uuid = seen_uuid((case.path_parameters or {}).get("uuid", ""))
        if uuid is None or operation == "user_invitations_events_list":  # events outlive the invitation, and a page number may be too high
            return
        if 200 <= response.status_code < 300:
            if uuid in self.deleted:
                raise AssertionError("the invitation was deleted, and the server still returns it")
            if operation in ("user_invitations_delete", "user_invitations_destroy"):
                self.deleted.add(uuid)
            elif operation in (
                "user_invitations_accept", "user_invitations_cancel",
                "user_invitations_update", "user_invitations_partial_update",  # the e-mail address may differ now: see check
            ):
                self.ended.add(uuid)
            elif operation == "user_invitations_send":
                self.ended.discard(uuid)
        elif response.status_code == 404 and uuid in self.created - self.deleted:
            # An invitation with a civil number is for one user: accept is 404 for all others. So is what only its addressee does, or
            # nobody before it has expired.
            if operation == "user_invitations_check" and uuid in self.ended or operation in (
                "user_invitations_accept", "user_invitations_decline", "user_invitations_undo_decline", "user_invitations_ask_again",
            ):
                return
            raise AssertionError("the invitation was created and not deleted, and the server does not find it")

    def note_action(self, action, uuid, result):
        if result == "done":
            if uuid in self.deleted:
                raise AssertionError("the invitation was deleted, and the server still finds it")
            {"send": self.ended.discard, "cancel": self.ended.add, "delete": self.deleted.add}[action](uuid)


@schemathesis.check
class Worked:
    """Each of these operations succeeded at least once: a run in which everything is rejected proves nothing."""

    def __init__(self, operations=()):
        self.missing = set(operations)

    def after_response(self, ctx, response, case):
        if 200 <= response.status_code < 300 and declared(case):
            self.missing.discard(operation_of(case))

    def after_run(self, ctx):
        if self.missing:
            raise AssertionError("never succeeded: " + ", ".join(sorted(self.missing)))
