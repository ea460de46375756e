-- When and why the invitee declined an invitation, which is canceled by that; when the invitee of an expired invitation last
-- asked for a new one; and the reason that somebody gave for what they did.

-- +goose Up
ALTER TABLE invitations ADD COLUMN declined_at TIMESTAMP;
ALTER TABLE invitations ADD COLUMN decline_reason TEXT NOT NULL DEFAULT '';
ALTER TABLE invitations ADD COLUMN renewal_asked_at TIMESTAMP;
ALTER TABLE invitation_events ADD COLUMN reason TEXT NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE invitation_events DROP COLUMN reason;
ALTER TABLE invitations DROP COLUMN renewal_asked_at;
ALTER TABLE invitations DROP COLUMN decline_reason;
ALTER TABLE invitations DROP COLUMN declined_at;
