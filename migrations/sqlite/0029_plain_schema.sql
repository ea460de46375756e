-- The program counts the invitations of each state with the last statement of a transaction, as on PostgreSQL.

-- +goose Up
DROP TRIGGER invitations_count_state;
DROP TRIGGER invitations_count_old;
DROP TRIGGER invitations_count_new;

-- Only repairs update this row.
INSERT INTO invitation_counts (shard) VALUES (-1);

-- +goose Down
UPDATE invitation_counts SET (project, requested, rejected, pending, accepted, canceled, expired) = (
    SELECT sum(project), sum(requested), sum(rejected), sum(pending), sum(accepted), sum(canceled), sum(expired)
    FROM invitation_counts)
WHERE shard = 0;
DELETE FROM invitation_counts WHERE shard = -1;

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
