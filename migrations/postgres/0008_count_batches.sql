-- What a sweep changes is counted once for a statement: a hundred updates of one count after the other are most of what it
-- costs. A transaction that sets invited.batch must wait for nobody after it has changed states, for it holds a count.

-- +goose Up
-- +goose StatementBegin
CREATE FUNCTION invitation_batch_counted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE invitation_counts SET
        project   = invitation_counts.project   + changed.project,
        requested = invitation_counts.requested + changed.requested,
        rejected  = invitation_counts.rejected  + changed.rejected,
        pending   = invitation_counts.pending   + changed.pending,
        accepted  = invitation_counts.accepted  + changed.accepted,
        canceled  = invitation_counts.canceled  + changed.canceled,
        expired   = invitation_counts.expired   + changed.expired
    FROM (
        SELECT COALESCE(sum(n) FILTER (WHERE state = 'project'), 0)   AS project,
               COALESCE(sum(n) FILTER (WHERE state = 'requested'), 0) AS requested,
               COALESCE(sum(n) FILTER (WHERE state = 'rejected'), 0)  AS rejected,
               COALESCE(sum(n) FILTER (WHERE state = 'pending'), 0)   AS pending,
               COALESCE(sum(n) FILTER (WHERE state = 'accepted'), 0)  AS accepted,
               COALESCE(sum(n) FILTER (WHERE state = 'canceled'), 0)  AS canceled,
               COALESCE(sum(n) FILTER (WHERE state = 'expired'), 0)   AS expired
        FROM (SELECT state, 1 AS n FROM are UNION ALL SELECT state, -1 FROM were) AS rows
    ) AS changed
    WHERE shard = pg_backend_pid() % 32;
    RETURN NULL;
END $$;
-- +goose StatementEnd

CREATE TRIGGER invitations_count_batch AFTER UPDATE ON invitations
    REFERENCING OLD TABLE AS were NEW TABLE AS are FOR EACH STATEMENT
    WHEN (current_setting('invited.batch', true) = 'on') EXECUTE FUNCTION invitation_batch_counted();
DROP TRIGGER invitations_count_state ON invitations;
CREATE CONSTRAINT TRIGGER invitations_count_state AFTER UPDATE OF state ON invitations
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (OLD.state <> NEW.state AND current_setting('invited.batch', true) IS DISTINCT FROM 'on')
    EXECUTE FUNCTION invitation_counted();

-- +goose Down
DROP TRIGGER invitations_count_state ON invitations;
CREATE CONSTRAINT TRIGGER invitations_count_state AFTER UPDATE OF state ON invitations
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (OLD.state <> NEW.state) EXECUTE FUNCTION invitation_counted();
DROP TRIGGER invitations_count_batch ON invitations;
DROP FUNCTION invitation_batch_counted;
