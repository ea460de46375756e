-- The end that somebody gave to an invitation, and the end of the membership that its invitee gets. Null: the lifetime of the
-- installation ends the invitation, and the membership has no end.

-- +goose Up
ALTER TABLE invitations ADD COLUMN expires_at timestamptz;
ALTER TABLE invitations ADD COLUMN membership_expires timestamptz;
-- Open invitations that end at a time of their own. Few have one. The others are found by invitations_due.
CREATE INDEX invitations_fixed_end ON invitations ((COALESCE(expires_at, membership_expires)))
    WHERE state IN ('project', 'requested', 'pending') AND COALESCE(expires_at, membership_expires) IS NOT NULL;
-- An index without rows has no statistics: PostgreSQL would take a third of all rows for ended, and read them.
CREATE STATISTICS invitations_fixed_end ON (COALESCE(expires_at, membership_expires)) FROM invitations;

-- +goose Down
DROP STATISTICS invitations_fixed_end;
DROP INDEX invitations_fixed_end;
ALTER TABLE invitations DROP COLUMN membership_expires;
ALTER TABLE invitations DROP COLUMN expires_at;
