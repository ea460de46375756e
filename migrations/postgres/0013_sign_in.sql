-- Who signed in, and who asked for a code by mail. Secrets are stored as digests, and codes not at all.

-- +goose Up
CREATE TABLE sessions (
    digest    text COLLATE "C" PRIMARY KEY,
    user_uuid uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    created   timestamptz NOT NULL,
    last_used timestamptz NOT NULL,
    client    text NOT NULL
);
CREATE INDEX sessions_user ON sessions (user_uuid);
CREATE INDEX sessions_created ON sessions (created);

CREATE TABLE sign_in_codes (
    uuid         uuid PRIMARY KEY,
    browser      text COLLATE "C" NOT NULL UNIQUE,
    email        text NOT NULL,
    email_folded text COLLATE "C" NOT NULL,
    client       text COLLATE "C" NOT NULL,
    created      timestamptz NOT NULL,
    tries        integer NOT NULL,
    used         boolean NOT NULL
);
CREATE INDEX sign_in_codes_address ON sign_in_codes (email_folded, created);
CREATE INDEX sign_in_codes_client ON sign_in_codes (client, created);
CREATE INDEX sign_in_codes_created ON sign_in_codes (created);

-- +goose Down
DROP TABLE sign_in_codes;
DROP TABLE sessions;
