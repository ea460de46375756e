-- What happened to sign-ins, identities and tokens, whether or not the user is still there. Kinds of event are not checked
-- here, so that a new one is no migration.

-- +goose Up
CREATE TABLE sign_in_events (
    id         INTEGER   PRIMARY KEY, -- in the order of writing
    created    TIMESTAMP NOT NULL,
    event_type TEXT      NOT NULL,
    user_uuid  TEXT,                  -- null: nobody here
    username   TEXT      NOT NULL,    -- empty: nobody here
    issuer     TEXT      NOT NULL,    -- empty: no issuer
    subject    TEXT      NOT NULL,    -- empty: no issuer
    client     TEXT      NOT NULL,    -- empty: the operator
    detail     TEXT      NOT NULL,
    request_id TEXT      NOT NULL     -- empty: no request
);
CREATE INDEX sign_in_events_user ON sign_in_events (user_uuid, id DESC);
CREATE INDEX sign_in_events_created ON sign_in_events (created);

-- +goose Down
DROP TABLE sign_in_events;
