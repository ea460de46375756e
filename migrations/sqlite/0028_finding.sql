-- A cursor goes through the list in an order that nothing changes: created changes when an invitation is sent again or its
-- project starts, and first_created then keeps what created was at first. Replicas of the version before do not keep it.
--
-- The folded names are written with new invitations. Where they are NULL, as in rows of the version before, a search folds
-- as SQL can.

-- +goose Up
ALTER TABLE invitations ADD COLUMN first_created TIMESTAMP;
ALTER TABLE invitations ADD COLUMN full_name_folded TEXT;
ALTER TABLE invitations ADD COLUMN native_name_folded TEXT;
CREATE INDEX invitations_first_created ON invitations (COALESCE(first_created, created), uuid);
CREATE INDEX invitations_state_first_created ON invitations (state, COALESCE(first_created, created), uuid);
CREATE INDEX invitations_created_by ON invitations (created_by_uuid, created DESC, uuid);

-- +goose Down
DROP INDEX invitations_created_by;
DROP INDEX invitations_state_first_created;
DROP INDEX invitations_first_created;
ALTER TABLE invitations DROP COLUMN native_name_folded;
ALTER TABLE invitations DROP COLUMN full_name_folded;
ALTER TABLE invitations DROP COLUMN first_created;
