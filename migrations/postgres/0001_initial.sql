-- Text that is compared or ordered is COLLATE "C": by its bytes, the same on every server and as in SQLite.

-- +goose Up
CREATE TABLE users (
    uuid                  uuid        PRIMARY KEY,
    username              text        COLLATE "C" NOT NULL UNIQUE,
    full_name             text        COLLATE "C" NOT NULL,
    email                 text        NOT NULL,
    email_folded          text        COLLATE "C" NOT NULL,
    civil_number          text        COLLATE "C" NOT NULL,
    image                 text        NOT NULL,
    is_staff              boolean     NOT NULL,
    is_support            boolean     NOT NULL,
    is_active             boolean     NOT NULL,
    notifications_enabled boolean     NOT NULL,
    created               timestamptz NOT NULL
);
CREATE INDEX users_email ON users (email_folded);

CREATE TABLE api_tokens (
    digest    text        COLLATE "C" PRIMARY KEY,
    user_uuid uuid        NOT NULL REFERENCES users ON DELETE CASCADE,
    created   timestamptz NOT NULL,
    expires   timestamptz
);
CREATE INDEX api_tokens_user ON api_tokens (user_uuid);

CREATE TABLE roles (
    uuid        uuid    PRIMARY KEY,
    name        text    COLLATE "C" NOT NULL UNIQUE,
    description text    NOT NULL,
    scope_type  text    NOT NULL CHECK (scope_type IN ('customer', 'project', 'offering', 'call', 'proposal')),
    permissions text, -- JSON list; null: none
    is_active   boolean NOT NULL
);

CREATE TABLE scopes (
    uuid                uuid        PRIMARY KEY,
    type                text        NOT NULL CHECK (type IN ('customer', 'project', 'offering', 'call', 'proposal')),
    name                text        COLLATE "C" NOT NULL,
    name_folded         text        COLLATE "C" NOT NULL,
    description         text        NOT NULL,
    description_folded  text        COLLATE "C" NOT NULL,
    customer_uuid       uuid        NOT NULL REFERENCES scopes,
    start_date          timestamptz,
    user_email_patterns text, -- JSON list; null: none
    is_removed          boolean     NOT NULL,
    created             timestamptz NOT NULL,
    -- A customer belongs to itself, and nothing else does.
    CHECK ((type = 'customer') = (customer_uuid = uuid))
);
CREATE INDEX scopes_natural_key ON scopes (type, name, customer_uuid);
CREATE INDEX scopes_customer ON scopes (customer_uuid);

CREATE TABLE memberships (
    uuid            uuid        PRIMARY KEY,
    user_uuid       uuid        NOT NULL REFERENCES users ON DELETE CASCADE,
    role_uuid       uuid        NOT NULL REFERENCES roles,
    scope_uuid      uuid        NOT NULL REFERENCES scopes,
    created_by_uuid uuid        REFERENCES users ON DELETE SET NULL,
    created         timestamptz NOT NULL,
    expires         timestamptz,
    revoked         timestamptz
);
CREATE UNIQUE INDEX memberships_active ON memberships (user_uuid, role_uuid, scope_uuid) WHERE revoked IS NULL;
CREATE INDEX memberships_scope ON memberships (scope_uuid, role_uuid) WHERE revoked IS NULL;

CREATE TABLE invitations (
    uuid                  uuid        PRIMARY KEY,
    state                 text        COLLATE "C" NOT NULL CHECK (state IN
                              ('project', 'requested', 'rejected', 'pending', 'accepted', 'canceled', 'expired')),
    created               timestamptz NOT NULL,
    delivery              integer     NOT NULL,
    execution_state       text        NOT NULL CHECK (execution_state IN ('Scheduled', 'Processing', 'OK', 'Erred')),
    error_message         text        NOT NULL,
    reminded              boolean     NOT NULL,
    role_uuid             uuid        NOT NULL REFERENCES roles,
    scope_uuid            uuid        NOT NULL REFERENCES scopes,
    customer_uuid         uuid        NOT NULL REFERENCES scopes,
    created_by_uuid       uuid        REFERENCES users ON DELETE SET NULL,
    email                 text        NOT NULL,
    email_folded          text        COLLATE "C" NOT NULL,
    full_name             text        NOT NULL,
    native_name           text        NOT NULL,
    phone_number          text        NOT NULL,
    organization          text        NOT NULL,
    job_title             text        NOT NULL,
    civil_number          text        COLLATE "C" NOT NULL,
    extra_invitation_text text        NOT NULL
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
DROP TABLE invitations, memberships, scopes, roles, api_tokens, users;
