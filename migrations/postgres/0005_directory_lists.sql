-- What the lists of the directory are filtered and ordered by. Migration 6 fills in the folded texts.

-- +goose Up
ALTER TABLE users ADD COLUMN full_name_folded text COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE roles ADD COLUMN name_folded text COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE roles ADD COLUMN description_folded text COLLATE "C" NOT NULL DEFAULT '';
CREATE INDEX scopes_name_folded ON scopes (type, name_folded, uuid);
CREATE INDEX scopes_removed ON scopes (uuid) WHERE is_removed;
CREATE INDEX scopes_created ON scopes (type, created, uuid);
CREATE INDEX memberships_created ON memberships (created DESC, uuid) WHERE revoked IS NULL;
CREATE INDEX memberships_role ON memberships (role_uuid) WHERE revoked IS NULL;

-- +goose Down
DROP INDEX memberships_role;
DROP INDEX memberships_created;
DROP INDEX scopes_created;
DROP INDEX scopes_removed;
DROP INDEX scopes_name_folded;
ALTER TABLE roles DROP COLUMN description_folded;
ALTER TABLE roles DROP COLUMN name_folded;
ALTER TABLE users DROP COLUMN full_name_folded;
