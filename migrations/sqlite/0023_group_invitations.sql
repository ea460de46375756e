-- Standing invitations that anybody with the link can ask to take up, what people asked, and what happened to both.

-- +goose Up
CREATE TABLE group_invitations (
    uuid                         TEXT        PRIMARY KEY,
    version                      INTEGER     NOT NULL, -- counts the changes
    created                      TIMESTAMP   NOT NULL,
    expires                      TIMESTAMP,            -- null: never
    is_active                    BOOLEAN     NOT NULL, -- false: canceled
    is_public                    BOOLEAN     NOT NULL,
    role_uuid                    TEXT        NOT NULL REFERENCES roles,
    scope_uuid                   TEXT        NOT NULL REFERENCES scopes,
    customer_uuid                TEXT        NOT NULL REFERENCES scopes,
    created_by_uuid              TEXT        REFERENCES users ON DELETE SET NULL,
    offered_by_uuid              TEXT        REFERENCES users ON DELETE SET NULL, -- made or edited it last
    auto_create_project          BOOLEAN     NOT NULL,
    project_role_uuid            TEXT        REFERENCES roles,
    project_name_template        TEXT,                 -- null: none
    auto_approve                 BOOLEAN     NOT NULL,
    user_email_patterns          TEXT        NOT NULL, -- JSON list
    user_affiliations            TEXT        NOT NULL, -- JSON list
    user_identity_sources        TEXT        NOT NULL, -- JSON list
    custom_text                  TEXT        NOT NULL,
    allow_multiple_requests      BOOLEAN     NOT NULL,
    allow_custom_project_details BOOLEAN     NOT NULL
);
CREATE INDEX group_invitations_created ON group_invitations (created DESC, uuid);
CREATE INDEX group_invitations_customer ON group_invitations (customer_uuid, created DESC, uuid);
CREATE INDEX group_invitations_scope ON group_invitations (scope_uuid, created DESC, uuid);
CREATE INDEX group_invitations_role ON group_invitations (role_uuid, created DESC, uuid);
-- With a user these are set to null.
CREATE INDEX group_invitations_created_by ON group_invitations (created_by_uuid);
CREATE INDEX group_invitations_offered_by ON group_invitations (offered_by_uuid);

CREATE INDEX group_invitations_public ON group_invitations (created DESC, uuid) WHERE is_public AND is_active;

CREATE TABLE permission_requests (
    uuid                  TEXT        PRIMARY KEY,
    group_invitation_uuid TEXT        NOT NULL REFERENCES group_invitations ON DELETE CASCADE,
    state                 TEXT        NOT NULL
                                      CHECK (state IN ('draft', 'pending', 'approved', 'rejected', 'canceled')),
    created               TIMESTAMP   NOT NULL,
    created_by_uuid       TEXT        NOT NULL REFERENCES users ON DELETE CASCADE,
    reviewed_by_uuid      TEXT        REFERENCES users ON DELETE SET NULL,
    reviewed_at           TIMESTAMP,
    review_comment        TEXT        NOT NULL, -- empty: none
    scope_uuid            TEXT        NOT NULL REFERENCES scopes, -- of the group invitation; copied here for filters
    customer_uuid         TEXT        NOT NULL REFERENCES scopes,
    project_name          TEXT        NOT NULL,
    project_description   TEXT        NOT NULL,
    membership_uuid       TEXT        REFERENCES memberships ON DELETE SET NULL, -- that the approval made
    is_exclusive          BOOLEAN     NOT NULL  -- another one of the same user in the scope may not be pending
);
CREATE UNIQUE INDEX permission_requests_pending ON permission_requests (created_by_uuid, scope_uuid)
    WHERE state = 'pending' AND is_exclusive;
CREATE INDEX permission_requests_created ON permission_requests (created DESC, uuid);
CREATE INDEX permission_requests_state ON permission_requests (state, created DESC, uuid);
CREATE INDEX permission_requests_user ON permission_requests (created_by_uuid, created DESC, uuid);
CREATE INDEX permission_requests_customer ON permission_requests (customer_uuid, created DESC, uuid);
CREATE INDEX permission_requests_scope ON permission_requests (scope_uuid, created DESC, uuid);
-- With a user or a membership these are set to null.
CREATE INDEX permission_requests_reviewed_by ON permission_requests (reviewed_by_uuid);
CREATE INDEX permission_requests_membership ON permission_requests (membership_uuid);

CREATE INDEX permission_requests_invitation ON permission_requests (group_invitation_uuid, created DESC, uuid);
CREATE INDEX permission_requests_customer_state ON permission_requests (customer_uuid, state, created DESC, uuid);
CREATE INDEX permission_requests_invitation_state ON permission_requests (group_invitation_uuid, state, created DESC, uuid);

-- Nothing is referred to by a key: events outlive what they are about.
CREATE TABLE group_invitation_events (
    id                    INTEGER     PRIMARY KEY, -- in the order of writing
    group_invitation_uuid TEXT        NOT NULL,
    permission_request_uuid TEXT,              -- null: about the group invitation itself
    created               TIMESTAMP   NOT NULL,
    event_type            TEXT        NOT NULL,
    user_uuid             TEXT,                -- null: the server itself
    user_username         TEXT        NOT NULL,
    user_full_name        TEXT        NOT NULL,
    from_state            TEXT        NOT NULL, -- of the request; empty: none
    to_state              TEXT        NOT NULL, -- of the request; empty: none
    scope_uuid            TEXT        NOT NULL,
    scope_name            TEXT        NOT NULL,
    role_uuid             TEXT        NOT NULL,
    role_name             TEXT        NOT NULL,
    message               TEXT        NOT NULL,
    comment               TEXT        NOT NULL, -- empty: none
    recipient             TEXT        NOT NULL, -- empty: nothing was sent
    error_message         TEXT        NOT NULL, -- empty: nothing failed
    request_id            TEXT        NOT NULL  -- empty: no request
);
CREATE INDEX group_invitation_events_invitation ON group_invitation_events (group_invitation_uuid, id DESC);
-- Limits count these.
CREATE INDEX group_invitation_events_user ON group_invitation_events (user_uuid, created)
    WHERE event_type = 'created' OR event_type = 'submitted';
CREATE INDEX group_invitation_events_submitted ON group_invitation_events (user_uuid, group_invitation_uuid, created)
    WHERE event_type = 'submitted';
CREATE INDEX group_invitation_events_recipient ON group_invitation_events (recipient, created) WHERE event_type = 'notified';

-- Projects that approvals made, by the group invitation that was approved; null: made by an operator, or taken over by one. In a
-- customer one of a name is enough, however many approvals race for it.
ALTER TABLE scopes ADD COLUMN group_invitation_uuid TEXT; -- no key: it outlives the group invitation
-- Of a made project under a name that its requester controls: the requester; null: the creator fixed the name, or not made so.
ALTER TABLE scopes ADD COLUMN made_for_uuid TEXT; -- no key: without the user the project is for nobody, not for everybody
CREATE UNIQUE INDEX scopes_group_invitation_name ON scopes (customer_uuid, name_folded)
    WHERE group_invitation_uuid IS NOT NULL AND NOT is_removed;
CREATE INDEX scopes_customer_name ON scopes (customer_uuid, type, name_folded);

-- +goose Down
DROP INDEX scopes_customer_name;
DROP INDEX scopes_group_invitation_name;
ALTER TABLE scopes DROP COLUMN made_for_uuid;
ALTER TABLE scopes DROP COLUMN group_invitation_uuid;
DROP TABLE group_invitation_events;
DROP TABLE permission_requests;
DROP TABLE group_invitations;
