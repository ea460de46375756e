-- What the invitee's link holds since the e-mail of an invitation was changed: whoever has the link that was mailed before
-- knows its uuid. Null: its uuid.

-- +goose Up
ALTER TABLE invitations ADD COLUMN link_uuid uuid;
CREATE UNIQUE INDEX invitations_link ON invitations (link_uuid) WHERE link_uuid IS NOT NULL;

-- +goose Down
DROP INDEX invitations_link;
ALTER TABLE invitations DROP COLUMN link_uuid;
