-- The highest position of an event that was deleted because of its age: a reader of the feed who is behind it may miss events.
-- Old events are found by their ids, which are in the order of writing, and need no index.

-- +goose Up
ALTER TABLE event_feed ADD COLUMN deleted BIGINT NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE event_feed DROP COLUMN deleted;
