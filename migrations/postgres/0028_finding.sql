-- A cursor goes through the list in an order that nothing changes: created changes when an invitation is sent again or its
-- project starts, and first_created then keeps what created was at first. Replicas of the version before do not keep it.
--
-- The folded names are written with new invitations. Where they are NULL, as in rows of the version before, a search folds
-- as SQL can.

-- +goose Up
ALTER TABLE invitations
    ADD COLUMN first_created timestamptz,
    ADD COLUMN full_name_folded text COLLATE "C",
    ADD COLUMN native_name_folded text COLLATE "C";
CREATE INDEX invitations_first_created ON invitations (COALESCE(first_created, created), uuid);
CREATE INDEX invitations_state_first_created ON invitations (state, COALESCE(first_created, created), uuid);
CREATE INDEX invitations_created_by ON invitations (created_by_uuid, created DESC, uuid);

-- For texts that a name contains, as invitations_email_contains is for addresses.
-- +goose StatementBegin
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_trgm') THEN
        CREATE INDEX invitations_names_contain ON invitations USING gin (
            (COALESCE(full_name_folded, lower(full_name))) gin_trgm_ops,
            (COALESCE(native_name_folded, lower(native_name))) gin_trgm_ops);
    END IF;
EXCEPTION WHEN undefined_object THEN -- the extension is in a schema that is not searched
    RAISE WARNING 'searches for a part of a name will be slow: %', SQLERRM;
END $$;
-- +goose StatementEnd

-- +goose Down
DROP INDEX IF EXISTS invitations_names_contain;
DROP INDEX invitations_created_by;
DROP INDEX invitations_state_first_created;
DROP INDEX invitations_first_created;
ALTER TABLE invitations DROP COLUMN native_name_folded, DROP COLUMN full_name_folded, DROP COLUMN first_created;
