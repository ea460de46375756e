-- What happened to invitations, whether or not they are still there: nothing is referred to by a key, and who did it is
-- kept as they were called then. Kinds of event are not checked here, so that a new one is no migration.

-- +goose Up
CREATE TABLE invitation_events (
    id              INTEGER   PRIMARY KEY, -- in the order of writing
    invitation_uuid TEXT      NOT NULL,
    created         TIMESTAMP NOT NULL,
    event_type      TEXT      NOT NULL,
    user_uuid       TEXT,                  -- null: the server itself
    user_username   TEXT      NOT NULL,
    user_full_name  TEXT      NOT NULL,
    from_state      TEXT      NOT NULL,    -- empty: none
    to_state        TEXT      NOT NULL,    -- empty: none
    email           TEXT      NOT NULL,
    role_uuid       TEXT      NOT NULL,
    role_name       TEXT      NOT NULL,
    execution_state TEXT      NOT NULL,
    error_message   TEXT      NOT NULL,
    notice          TEXT      NOT NULL,    -- empty: none
    channel         TEXT      NOT NULL,    -- empty: nothing was sent
    recipient       TEXT      NOT NULL,
    request_id      TEXT      NOT NULL     -- empty: no request
);
CREATE INDEX invitation_events_invitation ON invitation_events (invitation_uuid, id DESC);

-- +goose Down
DROP TABLE invitation_events;
