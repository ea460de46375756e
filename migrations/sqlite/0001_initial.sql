-- Times are text of one width in UTC, so that they compare as times; the store sets the format.

-- +goose Up
CREATE TABLE users (
    uuid                  TEXT      PRIMARY KEY,
    username              TEXT      NOT NULL UNIQUE,
    full_name             TEXT      NOT NULL,
    email                 TEXT      NOT NULL,
    email_folded          TEXT      NOT NULL,
    civil_number          TEXT      NOT NULL,
    image                 TEXT      NOT NULL,
    is_staff              BOOLEAN   NOT NULL,
    is_support            BOOLEAN   NOT NULL,
    is_active             BOOLEAN   NOT NULL,
    notifications_enabled BOOLEAN   NOT NULL,
    created               TIMESTAMP NOT NULL
);
CREATE INDEX users_email ON users (email_folded);

CREATE TABLE api_tokens (
    digest                TEXT      PRIMARY KEY,
    user_uuid             TEXT      NOT NULL REFERENCES users ON DELETE CASCADE,
    created               TIMESTAMP NOT NULL,
    expires               TIMESTAMP
);
CREATE INDEX api_tokens_user ON api_tokens (user_uuid);

CREATE TABLE roles (
    uuid                  TEXT      PRIMARY KEY,
    name                  TEXT      NOT NULL UNIQUE,
    description           TEXT      NOT NULL,
    scope_type            TEXT      NOT NULL CHECK (scope_type IN ('customer', 'project', 'offering', 'call', 'proposal')),
    permissions           TEXT, -- JSON list; null: none
    is_active             BOOLEAN   NOT NULL
);

CREATE TABLE scopes (
    uuid                  TEXT      PRIMARY KEY,
    type                  TEXT      NOT NULL CHECK (type IN ('customer', 'project', 'offering', 'call', 'proposal')),
    name                  TEXT      NOT NULL,
    name_folded           TEXT      NOT NULL,
    description           TEXT      NOT NULL,
    description_folded    TEXT      NOT NULL,
    customer_uuid         TEXT      NOT NULL REFERENCES scopes,
    start_date            TIMESTAMP,
    user_email_patterns   TEXT, -- JSON list; null: none
    is_removed            BOOLEAN   NOT NULL,
    created               TIMESTAMP NOT NULL,
    -- A customer belongs to itself, and nothing else does.
    CHECK ((type = 'customer') = (customer_uuid = uuid))
);
CREATE INDEX scopes_natural_key ON scopes (type, name, customer_uuid);
CREATE INDEX scopes_customer ON scopes (customer_uuid);

CREATE TABLE memberships (
    uuid                  TEXT      PRIMARY KEY,
    user_uuid             TEXT      NOT NULL REFERENCES users ON DELETE CASCADE,
    role_uuid             TEXT      NOT NULL REFERENCES roles,
    scope_uuid            TEXT      NOT NULL REFERENCES scopes,
    created_by_uuid       TEXT      REFERENCES users ON DELETE SET NULL,
    created               TIMESTAMP NOT NULL,
    expires               TIMESTAMP,
    revoked               TIMESTAMP
);
CREATE UNIQUE INDEX memberships_active ON memberships (user_uuid, role_uuid, scope_uuid) WHERE revoked IS NULL;
CREATE INDEX memberships_scope ON memberships (scope_uuid, role_uuid) WHERE revoked IS NULL;

CREATE TABLE invitations (
    uuid                  TEXT      PRIMARY KEY,
    state                 TEXT      NOT NULL CHECK (state IN
                              ('project', 'requested', 'rejected', 'pending', 'accepted', 'canceled', 'expired')),
    created               TIMESTAMP NOT NULL,
    delivery              INTEGER   NOT NULL,
    execution_state       TEXT      NOT NULL CHECK (execution_state IN ('Scheduled', 'Processing', 'OK', 'Erred')),
    error_message         TEXT      NOT NULL,
    reminded              BOOLEAN   NOT NULL,
    role_uuid             TEXT      NOT NULL REFERENCES roles,
    scope_uuid            TEXT      NOT NULL REFERENCES scopes,
    customer_uuid         TEXT      NOT NULL REFERENCES scopes,
    created_by_uuid       TEXT      REFERENCES users ON DELETE SET NULL,
    email                 TEXT      NOT NULL,
    email_folded          TEXT      NOT NULL,
    full_name             TEXT      NOT NULL,
    native_name           TEXT      NOT NULL,
    phone_number          TEXT      NOT NULL,
    organization          TEXT      NOT NULL,
    job_title             TEXT      NOT NULL,
    civil_number          TEXT      NOT NULL,
    extra_invitation_text TEXT      NOT NULL
);
-- At most one open invitation for an e-mail, role and scope, whoever races whom.
CREATE UNIQUE INDEX invitations_open ON invitations (email_folded, role_uuid, scope_uuid)
    WHERE state IN ('project', 'requested', 'pending');
CREATE INDEX invitations_created ON invitations (created DESC, uuid);
CREATE INDEX invitations_state ON invitations (state, created DESC, uuid);
CREATE INDEX invitations_customer ON invitations (customer_uuid, created DESC, uuid);
CREATE INDEX invitations_scope ON invitations (scope_uuid, created DESC, uuid);
CREATE INDEX invitations_email ON invitations (email_folded, created DESC, uuid);

-- +goose Down
DROP TABLE invitations;
DROP TABLE memberships;
DROP TABLE scopes;
DROP TABLE roles;
DROP TABLE api_tokens;
DROP TABLE users;
