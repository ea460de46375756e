-- Whether the inviter was told that nobody can accept the invitation, because the inviter may not invite any more; and who
-- offered it last, by another address or role, or by sending it again after it was canceled or had expired. Null: who
-- created it. There is no reference to users: the uuid of a user who was deleted stays, and admits nobody.

-- +goose Up
ALTER TABLE invitations ADD COLUMN inviter_notified boolean NOT NULL DEFAULT FALSE;
ALTER TABLE invitations ADD COLUMN offered_by_uuid uuid;

-- +goose Down
ALTER TABLE invitations DROP COLUMN offered_by_uuid;
ALTER TABLE invitations DROP COLUMN inviter_notified;
