-- A token has an id and a name, by which people list and revoke it: nobody sees the token again. The default is for replicas
-- of the version before, which issue tokens without an id. A column that is added can't have it, so the table is made again.

-- +goose Up
CREATE TABLE tokens (
    digest                TEXT      PRIMARY KEY,
    uuid                  TEXT      NOT NULL DEFAULT (lower(
        hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || '-' ||
        substr('89AB', 1 + (random() & 3), 1) || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6)))),
    user_uuid             TEXT      NOT NULL REFERENCES users ON DELETE CASCADE,
    name                  TEXT      NOT NULL DEFAULT '',
    created               TIMESTAMP NOT NULL,
    expires               TIMESTAMP,
    last_used             TIMESTAMP -- to about a minute; null: not since this migration
);
INSERT INTO tokens (digest, user_uuid, created, expires) SELECT digest, user_uuid, created, expires FROM api_tokens;
DROP TABLE api_tokens;
ALTER TABLE tokens RENAME TO api_tokens;
CREATE INDEX api_tokens_user ON api_tokens (user_uuid);
CREATE UNIQUE INDEX api_tokens_uuid ON api_tokens (uuid);

-- +goose Down
DROP INDEX api_tokens_uuid;
ALTER TABLE api_tokens DROP COLUMN uuid;
ALTER TABLE api_tokens DROP COLUMN name;
ALTER TABLE api_tokens DROP COLUMN last_used;
