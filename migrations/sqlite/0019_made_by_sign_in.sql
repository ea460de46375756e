-- Whether a user was made by signing in. Such a user has chosen the username, so that a name alone in the directory file does
-- not mean them.

-- +goose Up
ALTER TABLE users ADD COLUMN made_by_sign_in BOOLEAN NOT NULL DEFAULT false;

-- +goose Down
ALTER TABLE users DROP COLUMN made_by_sign_in;
