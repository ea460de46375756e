-- The inviter was told that nobody can accept the invitation, because the inviter may not invite any more.

-- +goose Up
ALTER TABLE invitations ADD COLUMN inviter_told BOOLEAN NOT NULL DEFAULT FALSE;

-- +goose Down
ALTER TABLE invitations DROP COLUMN inviter_told;
