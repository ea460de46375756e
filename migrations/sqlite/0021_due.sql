-- Time ends requests too, and no longer ends an invitation that waits for its project. Replicas of the version before use the
-- index invitations_ending: a later release drops it.

-- +goose Up
CREATE INDEX invitations_due ON invitations (created) WHERE state IN ('requested', 'pending');

-- +goose Down
DROP INDEX invitations_due;
