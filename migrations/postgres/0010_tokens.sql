-- A token has an id and a name, by which people list and revoke it: nobody sees the token again. The default is for replicas
-- of the version before, which issue tokens without an id.

-- +goose Up
ALTER TABLE api_tokens
    ADD COLUMN uuid      uuid NOT NULL DEFAULT gen_random_uuid(),
    ADD COLUMN name      text NOT NULL DEFAULT '',
    ADD COLUMN last_used timestamptz; -- to about a minute; null: not since this migration
CREATE UNIQUE INDEX api_tokens_uuid ON api_tokens (uuid);

-- +goose Down
DROP INDEX api_tokens_uuid;
ALTER TABLE api_tokens DROP COLUMN uuid, DROP COLUMN name, DROP COLUMN last_used;
