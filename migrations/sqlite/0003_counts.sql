-- +goose Up
-- How many invitations are in each state: who sees all of them is told so with every page, and must not wait until a
-- million rows are counted.
CREATE TABLE invitation_counts (
    shard     SMALLINT PRIMARY KEY, -- one here: there is one writer at a time
    project   BIGINT  NOT NULL DEFAULT 0,
    requested BIGINT  NOT NULL DEFAULT 0,
    rejected  BIGINT  NOT NULL DEFAULT 0,
    pending   BIGINT  NOT NULL DEFAULT 0,
    accepted  BIGINT  NOT NULL DEFAULT 0,
    canceled  BIGINT  NOT NULL DEFAULT 0,
    expired   BIGINT  NOT NULL DEFAULT 0
);
INSERT INTO invitation_counts
SELECT 0, count(*) FILTER (WHERE state = 'project'), count(*) FILTER (WHERE state = 'requested'),
       count(*) FILTER (WHERE state = 'rejected'), count(*) FILTER (WHERE state = 'pending'),
       count(*) FILTER (WHERE state = 'accepted'), count(*) FILTER (WHERE state = 'canceled'),
       count(*) FILTER (WHERE state = 'expired')
FROM invitations;

-- +goose StatementBegin
CREATE TRIGGER invitations_count_new AFTER INSERT ON invitations
BEGIN
    UPDATE invitation_counts SET
        project   = project   + (NEW.state = 'project'),
        requested = requested + (NEW.state = 'requested'),
        rejected  = rejected  + (NEW.state = 'rejected'),
        pending   = pending   + (NEW.state = 'pending'),
        accepted  = accepted  + (NEW.state = 'accepted'),
        canceled  = canceled  + (NEW.state = 'canceled'),
        expired   = expired   + (NEW.state = 'expired');
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER invitations_count_old AFTER DELETE ON invitations
BEGIN
    UPDATE invitation_counts SET
        project   = project   - (OLD.state = 'project'),
        requested = requested - (OLD.state = 'requested'),
        rejected  = rejected  - (OLD.state = 'rejected'),
        pending   = pending   - (OLD.state = 'pending'),
        accepted  = accepted  - (OLD.state = 'accepted'),
        canceled  = canceled  - (OLD.state = 'canceled'),
        expired   = expired   - (OLD.state = 'expired');
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER invitations_count_state AFTER UPDATE OF state ON invitations WHEN OLD.state <> NEW.state
BEGIN
    UPDATE invitation_counts SET
        project   = project   + (NEW.state = 'project')   - (OLD.state = 'project'),
        requested = requested + (NEW.state = 'requested') - (OLD.state = 'requested'),
        rejected  = rejected  + (NEW.state = 'rejected')  - (OLD.state = 'rejected'),
        pending   = pending   + (NEW.state = 'pending')   - (OLD.state = 'pending'),
        accepted  = accepted  + (NEW.state = 'accepted')  - (OLD.state = 'accepted'),
        canceled  = canceled  + (NEW.state = 'canceled')  - (OLD.state = 'canceled'),
        expired   = expired   + (NEW.state = 'expired')   - (OLD.state = 'expired');
END;
-- +goose StatementEnd

-- What time has ended, or is about to, among what it can end.
CREATE INDEX invitations_ending ON invitations (created) WHERE state IN ('project', 'pending');

-- +goose Down
DROP INDEX invitations_ending;
DROP TRIGGER invitations_count_state;
DROP TRIGGER invitations_count_old;
DROP TRIGGER invitations_count_new;
DROP TABLE invitation_counts;
