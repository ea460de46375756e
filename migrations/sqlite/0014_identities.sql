-- Who signs in with an account elsewhere: an issuer's person belongs to one user, and a user has one person of an issuer at
-- most. sessions.issuer is the issuer that a session began with, or empty.

-- +goose Up
CREATE TABLE identities (
    issuer      TEXT NOT NULL,
    subject     TEXT NOT NULL,
    user_uuid   TEXT NOT NULL REFERENCES users ON DELETE CASCADE,
    created     TIMESTAMP NOT NULL,
    last_used   TIMESTAMP NOT NULL,
    gives_staff BOOLEAN NOT NULL,
    PRIMARY KEY (issuer, subject)
);
CREATE UNIQUE INDEX identities_user ON identities (user_uuid, issuer);
ALTER TABLE sessions ADD COLUMN issuer TEXT NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE sessions DROP COLUMN issuer;
DROP TABLE identities;
