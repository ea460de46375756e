-- SQLite counts within each statement already; this is here for the number.

-- +goose Up
SELECT 1;

-- +goose Down
SELECT 1;
