-- +goose Up
-- PostgreSQL loses two indexes of the queue that nothing uses; SQLite's queue has none such.
SELECT 1;

-- +goose Down
SELECT 1;
