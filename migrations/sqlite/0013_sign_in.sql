-- Who signed in, and who asked for a code by mail. Secrets are stored as digests, and codes not at all.

-- +goose Up
CREATE TABLE sessions (
    digest    TEXT PRIMARY KEY,
    user_uuid TEXT NOT NULL REFERENCES users ON DELETE CASCADE,
    created   TIMESTAMP NOT NULL,
    last_used TIMESTAMP NOT NULL,
    client    TEXT NOT NULL
);
CREATE INDEX sessions_user ON sessions (user_uuid);
CREATE INDEX sessions_created ON sessions (created);

CREATE TABLE sign_in_codes (
    uuid         TEXT PRIMARY KEY,
    browser      TEXT NOT NULL UNIQUE,
    email        TEXT NOT NULL,
    email_folded TEXT NOT NULL,
    client       TEXT NOT NULL,
    created      TIMESTAMP NOT NULL,
    tries        INTEGER NOT NULL,
    used         BOOLEAN NOT NULL
);
CREATE INDEX sign_in_codes_address ON sign_in_codes (email_folded, created);
CREATE INDEX sign_in_codes_client ON sign_in_codes (client, created);
CREATE INDEX sign_in_codes_created ON sign_in_codes (created);

-- +goose Down
DROP TABLE sign_in_codes;
DROP TABLE sessions;
