-- The positions of events in the feed, and what became of those that are sent to a webhook. See internal/lifecycle.

-- +goose Up
ALTER TABLE invitation_events ADD COLUMN scope_uuid uuid;    -- null, with the next: the invitation was deleted before this step
ALTER TABLE invitation_events ADD COLUMN customer_uuid uuid;
ALTER TABLE invitation_events ADD COLUMN position bigint;    -- null: not in the feed yet
-- Nobody writes while this step runs: the ids are those of events that are committed.
UPDATE invitation_events SET position = id,
    scope_uuid = (SELECT i.scope_uuid FROM invitations AS i WHERE i.uuid = invitation_events.invitation_uuid),
    customer_uuid = (SELECT i.customer_uuid FROM invitations AS i WHERE i.uuid = invitation_events.invitation_uuid);
CREATE UNIQUE INDEX invitation_events_position ON invitation_events (position) WHERE position IS NOT NULL;
CREATE INDEX invitation_events_unpositioned ON invitation_events (id) WHERE position IS NULL;
CREATE INDEX invitation_events_customer ON invitation_events (customer_uuid, position) WHERE position IS NOT NULL;

-- One row. Whoever gives positions to events or makes deliveries pending locks it first.
CREATE TABLE event_feed (
    id       bigint PRIMARY KEY CHECK (id = 1),
    position bigint NOT NULL -- the last one that was given
);
INSERT INTO event_feed SELECT 1, COALESCE(max(id), 0) FROM invitation_events;

CREATE TABLE event_deliveries (
    position        bigint      PRIMARY KEY, -- of the event; no foreign key: whoever deletes events deletes these
    invitation_uuid uuid        NOT NULL,    -- no foreign key: it outlives the invitation
    state           text        COLLATE "C" NOT NULL
                                CHECK (state IN ('pending', 'sent', 'given_up')),
    failures        integer     NOT NULL,
    first_failed    timestamptz,             -- null: no attempt has failed
    ended           timestamptz              -- null: pending
);
CREATE INDEX event_deliveries_pending ON event_deliveries (invitation_uuid, position) WHERE state = 'pending';
CREATE INDEX event_deliveries_ended ON event_deliveries (ended) WHERE ended IS NOT NULL;

-- +goose Down
DROP TABLE event_deliveries;
DROP TABLE event_feed;
DROP INDEX invitation_events_customer;
DROP INDEX invitation_events_unpositioned;
DROP INDEX invitation_events_position;
ALTER TABLE invitation_events DROP COLUMN position;
ALTER TABLE invitation_events DROP COLUMN customer_uuid;
ALTER TABLE invitation_events DROP COLUMN scope_uuid;
