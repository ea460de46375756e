-- Who signs in for a front end gets a one-time code, which the front end exchanges for a token that ends as a session does.

-- +goose Up
CREATE TABLE sign_in_tickets (
    digest    TEXT PRIMARY KEY,
    user_uuid TEXT NOT NULL REFERENCES users ON DELETE CASCADE,
    created   TIMESTAMP NOT NULL
);
CREATE INDEX sign_in_tickets_created ON sign_in_tickets (created);
ALTER TABLE api_tokens ADD COLUMN signed_in BOOLEAN NOT NULL DEFAULT false;
CREATE INDEX api_tokens_signed_in ON api_tokens (expires) WHERE signed_in;

-- +goose Down
DROP INDEX api_tokens_signed_in;
ALTER TABLE api_tokens DROP COLUMN signed_in;
DROP TABLE sign_in_tickets;
