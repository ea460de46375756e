-- Requests to invite many people, their rows, and the outcome of each row. They are deleted after 30 days.

-- +goose Up
CREATE TABLE bulk_invitations (
    uuid            TEXT      PRIMARY KEY,
    created         TIMESTAMP NOT NULL,
    created_by_uuid TEXT      REFERENCES users ON DELETE SET NULL,
    request_id      TEXT      NOT NULL,
    on_duplicate    TEXT      NOT NULL CHECK (on_duplicate IN ('skip', 'send')),
    total           INTEGER   NOT NULL, -- rows
    size            INTEGER   NOT NULL, -- of the JSON of the rows, in bytes
    counts          TEXT      NOT NULL, -- JSON: the number of rows of each result
    finished        TIMESTAMP,          -- null: rows are left
    is_canceled     BOOLEAN   NOT NULL
);
CREATE INDEX bulk_invitations_created ON bulk_invitations (created DESC, uuid);
CREATE INDEX bulk_invitations_created_by ON bulk_invitations (created_by_uuid, created DESC, uuid);
CREATE INDEX bulk_invitations_unfinished ON bulk_invitations (created) WHERE finished IS NULL;

CREATE TABLE bulk_invitation_rows (
    bulk_invitation_uuid TEXT    NOT NULL REFERENCES bulk_invitations ON DELETE CASCADE,
    position             INTEGER NOT NULL, -- from 0
    content              TEXT    NOT NULL, -- JSON
    result               TEXT,             -- null: not done yet
    invitation_uuid      TEXT,             -- no key: it outlives the invitation
    errors               TEXT,             -- JSON: messages by field; null: none
    PRIMARY KEY (bulk_invitation_uuid, position)
);

-- +goose Down
DROP TABLE bulk_invitation_rows;
DROP TABLE bulk_invitations;
