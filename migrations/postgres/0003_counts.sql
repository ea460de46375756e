-- +goose Up
-- How many invitations are in each state: who sees all of them is told so with every page, and must not wait until a
-- million rows are counted. What a transaction changes is counted as it commits, in a row that few others write to.
CREATE TABLE invitation_counts (
    shard     smallint PRIMARY KEY,
    project   bigint  NOT NULL DEFAULT 0,
    requested bigint  NOT NULL DEFAULT 0,
    rejected  bigint  NOT NULL DEFAULT 0,
    pending   bigint  NOT NULL DEFAULT 0,
    accepted  bigint  NOT NULL DEFAULT 0,
    canceled  bigint  NOT NULL DEFAULT 0,
    expired   bigint  NOT NULL DEFAULT 0
) WITH (fillfactor = 50);
INSERT INTO invitation_counts (shard) SELECT generate_series(0, 31);

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

-- Deferred, so that a count is locked last and for as long as a commit takes: nobody who holds one waits for anything.
CREATE CONSTRAINT TRIGGER invitations_count_new AFTER INSERT OR DELETE ON invitations
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION invitation_counted();
CREATE CONSTRAINT TRIGGER invitations_count_state AFTER UPDATE OF state ON invitations
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (OLD.state <> NEW.state) EXECUTE FUNCTION invitation_counted();

UPDATE invitation_counts SET
    (project, requested, rejected, pending, accepted, canceled, expired) = (
        SELECT count(*) FILTER (WHERE state = 'project'), count(*) FILTER (WHERE state = 'requested'),
               count(*) FILTER (WHERE state = 'rejected'), count(*) FILTER (WHERE state = 'pending'),
               count(*) FILTER (WHERE state = 'accepted'), count(*) FILTER (WHERE state = 'canceled'),
               count(*) FILTER (WHERE state = 'expired')
        FROM invitations)
WHERE shard = 0;

-- What time has ended, or is about to, among what it can end.
CREATE INDEX invitations_ending ON invitations (created) WHERE state IN ('project', 'pending');

-- For texts that an address contains. Where the extension may not be made, such a search reads every address.
-- +goose StatementBegin
DO $$
BEGIN
    CREATE EXTENSION IF NOT EXISTS pg_trgm;
    CREATE INDEX invitations_email_contains ON invitations USING gin (email_folded gin_trgm_ops);
EXCEPTION WHEN insufficient_privilege OR undefined_file OR feature_not_supported OR undefined_object THEN
    RAISE WARNING 'searches for a part of an address will be slow: the extension pg_trgm can''t be made: %', SQLERRM;
END $$;
-- +goose StatementEnd

-- +goose Down
DROP INDEX IF EXISTS invitations_email_contains;
DROP INDEX invitations_ending;
DROP TRIGGER invitations_count_state ON invitations;
DROP TRIGGER invitations_count_new ON invitations;
DROP FUNCTION invitation_counted;
DROP TABLE invitation_counts;
