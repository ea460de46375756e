-- What a token is limited to (a JSON list of scopes; null: nothing), and which service user asked for it, if one did. The
-- kind of a user: a person has '', a service user 'service', who has tokens and never signs in.

-- +goose Up
ALTER TABLE users ADD COLUMN kind TEXT NOT NULL DEFAULT '' CHECK (kind IN ('', 'service'));
ALTER TABLE api_tokens ADD COLUMN scopes TEXT;
ALTER TABLE api_tokens ADD COLUMN issued_by_uuid TEXT REFERENCES users ON DELETE CASCADE;
CREATE INDEX api_tokens_issued ON api_tokens (expires) WHERE issued_by_uuid IS NOT NULL;

-- +goose Down
DROP INDEX api_tokens_issued;
ALTER TABLE api_tokens DROP COLUMN issued_by_uuid;
ALTER TABLE api_tokens DROP COLUMN scopes;
ALTER TABLE users DROP COLUMN kind;
