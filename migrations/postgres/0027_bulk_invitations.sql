-- Requests to invite many people, their rows, and the outcome of each row. They are deleted after 30 days.

-- +goose Up
CREATE TABLE bulk_invitations (
    uuid            uuid        PRIMARY KEY,
    created         timestamptz NOT NULL,
    created_by_uuid uuid        REFERENCES users ON DELETE SET NULL,
    request_id      text        NOT NULL,
    on_duplicate    text        NOT NULL CHECK (on_duplicate IN ('skip', 'send')),
    total           integer     NOT NULL, -- rows
    size            integer     NOT NULL, -- of the JSON of the rows, in bytes
    counts          text        NOT NULL, -- JSON: the number of rows of each result
    finished        timestamptz,          -- null: rows are left
    is_canceled     boolean     NOT NULL
);
CREATE INDEX bulk_invitations_created ON bulk_invitations (created DESC, uuid);
CREATE INDEX bulk_invitations_created_by ON bulk_invitations (created_by_uuid, created DESC, uuid);
CREATE INDEX bulk_invitations_unfinished ON bulk_invitations (created) WHERE finished IS NULL;

CREATE TABLE bulk_invitation_rows (
    bulk_invitation_uuid uuid    NOT NULL REFERENCES bulk_invitations ON DELETE CASCADE,
    position             bigint  NOT NULL, -- from 0
    content              text    NOT NULL, -- JSON
    result               text    COLLATE "C", -- null: not done yet
    invitation_uuid      uuid,             -- no key: it outlives the invitation
    errors               text,             -- JSON: messages by field; null: none
    PRIMARY KEY (bulk_invitation_uuid, position)
);

-- What a transaction inserts that sets invited.batch is counted once for a statement: see migration 8.
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

CREATE TRIGGER invitations_count_new_batch AFTER INSERT ON invitations
    REFERENCING NEW TABLE AS are FOR EACH STATEMENT
    WHEN (current_setting('invited.batch', true) = 'on') EXECUTE FUNCTION invitation_inserts_counted();
DROP TRIGGER invitations_count_new ON invitations;
CREATE CONSTRAINT TRIGGER invitations_count_new AFTER INSERT ON invitations
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (current_setting('invited.batch', true) IS DISTINCT FROM 'on') EXECUTE FUNCTION invitation_counted();
CREATE CONSTRAINT TRIGGER invitations_count_old AFTER DELETE ON invitations
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION invitation_counted();

-- +goose Down
DROP TRIGGER invitations_count_old ON invitations;
DROP TRIGGER invitations_count_new ON invitations;
CREATE CONSTRAINT TRIGGER invitations_count_new AFTER INSERT OR DELETE ON invitations
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION invitation_counted();
DROP TRIGGER invitations_count_new_batch ON invitations;
DROP FUNCTION invitation_inserts_counted;
DROP TABLE bulk_invitation_rows;
DROP TABLE bulk_invitations;
