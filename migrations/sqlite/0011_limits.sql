-- Limits on mail count events. The events of before this step have no mail_to, and count only as addresses that their user
-- has invited.

-- +goose Up
ALTER TABLE invitation_events ADD COLUMN mail_to TEXT; -- null: mails no invitee
CREATE INDEX invitation_events_recipient ON invitation_events (mail_to, created) WHERE mail_to IS NOT NULL;
CREATE INDEX invitation_events_inviter ON invitation_events (user_uuid, created)
    WHERE event_type = 'created' OR event_type = 'updated' AND mail_to IS NOT NULL;

-- +goose Down
DROP INDEX invitation_events_inviter;
DROP INDEX invitation_events_recipient;
ALTER TABLE invitation_events DROP COLUMN mail_to;
