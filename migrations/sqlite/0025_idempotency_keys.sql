-- The answers to requests with an Idempotency-Key, for a day. A key is stored as a digest, and an answer is encrypted with
-- the key that the client sent.

-- +goose Up
CREATE TABLE idempotency_keys (
    user_uuid TEXT NOT NULL REFERENCES users ON DELETE CASCADE,
    digest    TEXT NOT NULL,
    created   TIMESTAMP NOT NULL,
    size      INTEGER NOT NULL,
    answer    BLOB NOT NULL,
    PRIMARY KEY (user_uuid, digest)
);
CREATE INDEX idempotency_keys_created ON idempotency_keys (created);

-- +goose Down
DROP TABLE idempotency_keys;
