-- Time ends requests too, and no more ends an invitation that waits for its project. A replica of the version before reads the
-- rows that a sweep looks for without an index meanwhile.

-- +goose Up
DROP INDEX invitations_ending;
CREATE INDEX invitations_due ON invitations (created) WHERE state IN ('requested', 'pending');

-- +goose Down
DROP INDEX invitations_due;
CREATE INDEX invitations_ending ON invitations (created) WHERE state IN ('project', 'pending');
