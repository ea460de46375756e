-- Triggers, PL/pgSQL and unlogged tables keep a schema from databases that are PostgreSQL spread over machines; see
-- docs/scaling.md.

-- +goose Up
-- The program counts the invitations of each state with the last statement of a transaction. What a replica of the version before
-- writes beside the new ones is not counted until the next sweep repairs the counts.
DROP TRIGGER invitations_count_old ON invitations;
DROP TRIGGER invitations_count_new ON invitations;
DROP TRIGGER invitations_count_new_batch ON invitations;
DROP TRIGGER invitations_count_state ON invitations;
DROP TRIGGER invitations_count_batch ON invitations;
DROP FUNCTION invitation_inserts_counted;
DROP FUNCTION invitation_batch_counted;
DROP FUNCTION invitation_counted;

-- Only repairs update this row.
INSERT INTO invitation_counts (shard) VALUES (-1);

-- The tables of the job queue's library that say which processes live.
ALTER TABLE river_leader SET LOGGED;
ALTER TABLE river_client SET LOGGED;
ALTER TABLE river_client_queue SET LOGGED;

-- +goose Down
ALTER TABLE river_client_queue SET UNLOGGED;
ALTER TABLE river_client SET UNLOGGED;
ALTER TABLE river_leader SET UNLOGGED;

UPDATE invitation_counts SET (project, requested, rejected, pending, accepted, canceled, expired) = (
    SELECT invitation_counts.project + r.project, invitation_counts.requested + r.requested,
           invitation_counts.rejected + r.rejected, invitation_counts.pending + r.pending,
           invitation_counts.accepted + r.accepted, invitation_counts.canceled + r.canceled,
           invitation_counts.expired + r.expired
    FROM invitation_counts AS r WHERE r.shard = -1)
WHERE shard = 0;
DELETE FROM invitation_counts WHERE shard = -1;

-- +goose StatementBegin
CREATE FUNCTION invitation_counted() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    was text := CASE WHEN TG_OP = 'INSERT' THEN '' ELSE OLD.state END;
    now text := CASE WHEN TG_OP = 'DELETE' THEN '' ELSE NEW.state END;
BEGIN
    UPDATE invitation_counts SET
        project   = project   + (now = 'project')::int   - (was = 'project')::int,
        requested = requested + (now = 'requested')::int - (was = 'requested')::int,
        rejected  = rejected  + (now = 'rejected')::int  - (was = 'rejected')::int,
        pending   = pending   + (now = 'pending')::int   - (was = 'pending')::int,
        accepted  = accepted  + (now = 'accepted')::int  - (was = 'accepted')::int,
        canceled  = canceled  + (now = 'canceled')::int  - (was = 'canceled')::int,
        expired   = expired   + (now = 'expired')::int   - (was = 'expired')::int
    WHERE shard = pg_backend_pid() % 32;
    RETURN NULL;
END $$;
-- +goose StatementEnd

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

-- +goose StatementBegin
CREATE FUNCTION invitation_inserts_counted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE invitation_counts SET
        project   = invitation_counts.project   + made.project,
        requested = invitation_counts.requested + made.requested,
        rejected  = invitation_counts.rejected  + made.rejected,
        pending   = invitation_counts.pending   + made.pending,
        accepted  = invitation_counts.accepted  + made.accepted,
        canceled  = invitation_counts.canceled  + made.canceled,
        expired   = invitation_counts.expired   + made.expired
    FROM (
        SELECT count(*) FILTER (WHERE state = 'project')   AS project,
               count(*) FILTER (WHERE state = 'requested') AS requested,
               count(*) FILTER (WHERE state = 'rejected')  AS rejected,
               count(*) FILTER (WHERE state = 'pending')   AS pending,
               count(*) FILTER (WHERE state = 'accepted')  AS accepted,
               count(*) FILTER (WHERE state = 'canceled')  AS canceled,
               count(*) FILTER (WHERE state = 'expired')   AS expired
        FROM are
    ) AS made
    WHERE shard = pg_backend_pid() % 32;
    RETURN NULL;
END $$;
-- +goose StatementEnd

CREATE TRIGGER invitations_count_batch AFTER UPDATE ON invitations
    REFERENCING OLD TABLE AS were NEW TABLE AS are FOR EACH STATEMENT
    WHEN (current_setting('invited.batch', true) = 'on') EXECUTE FUNCTION invitation_batch_counted();

CREATE CONSTRAINT TRIGGER invitations_count_state AFTER UPDATE OF state ON invitations
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (OLD.state <> NEW.state AND current_setting('invited.batch', true) IS DISTINCT FROM 'on')
    EXECUTE FUNCTION invitation_counted();

CREATE TRIGGER invitations_count_new_batch AFTER INSERT ON invitations
    REFERENCING NEW TABLE AS are FOR EACH STATEMENT
    WHEN (current_setting('invited.batch', true) = 'on') EXECUTE FUNCTION invitation_inserts_counted();

CREATE CONSTRAINT TRIGGER invitations_count_new AFTER INSERT ON invitations
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (current_setting('invited.batch', true) IS DISTINCT FROM 'on') EXECUTE FUNCTION invitation_counted();

CREATE CONSTRAINT TRIGGER invitations_count_old AFTER DELETE ON invitations
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION invitation_counted();
