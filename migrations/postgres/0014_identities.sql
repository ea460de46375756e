-- Who signs in with an account elsewhere: an issuer's person belongs to one user, and a user has one person of an issuer at
-- most. sessions.issuer is the issuer that a session began with, or empty.

-- +goose Up
CREATE TABLE identities (
    issuer      text COLLATE "C" NOT NULL,
    subject     text COLLATE "C" NOT NULL,
    user_uuid   uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    created     timestamptz NOT NULL,
    last_used   timestamptz NOT NULL,
    gives_staff boolean NOT NULL,
    PRIMARY KEY (issuer, subject)
);
CREATE UNIQUE INDEX identities_user ON identities (user_uuid, issuer);
ALTER TABLE sessions ADD COLUMN issuer text COLLATE "C" NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE sessions DROP COLUMN issuer;
DROP TABLE identities;
