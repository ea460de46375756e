-- Limits on mail count events. Events that are older than this step have no mail_to: they count only as addresses that
-- their users have invited.

-- +goose Up
ALTER TABLE invitation_events ADD COLUMN mail_to text COLLATE "C"; -- null: mails no invitee
CREATE INDEX invitation_events_recipient ON invitation_events (mail_to, created) WHERE mail_to IS NOT NULL;
CREATE INDEX invitation_events_inviter ON invitation_events (user_uuid, created)
    WHERE event_type = 'created' OR event_type = 'updated' AND mail_to IS NOT NULL;

-- The requests that staff users are to be told of. A row lives no longer than its job in the queue, which can't be asked
-- for what its jobs say.
CREATE TABLE request_notices (
    user_uuid       uuid    NOT NULL,
    invitation_uuid uuid    NOT NULL,
    delivery        integer NOT NULL,
    PRIMARY KEY (user_uuid, invitation_uuid)
);

-- When the last mail about requests to a staff user was begun.
CREATE TABLE request_mails (
    user_uuid uuid        PRIMARY KEY,
    begun     timestamptz NOT NULL
);

-- +goose Down
DROP TABLE request_mails;
DROP TABLE request_notices;
DROP INDEX invitation_events_inviter;
DROP INDEX invitation_events_recipient;
ALTER TABLE invitation_events DROP COLUMN mail_to;
