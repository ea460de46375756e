package database

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestStatementsAreNamed(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][2]string{
		`SELECT * FROM "invitations" WHERE uuid = $1`:                                   {"select", "invitations"},
		"INSERT INTO `river_job` (`args`) VALUES (?)":                                   {"insert", "river_job"},
		`UPDATE "invitations" SET "state"=$1`:                                           {"update", "invitations"},
		`delete from sessions where digest = ?`:                                         {"delete", "sessions"},
		"WITH due AS (SELECT uuid FROM invitations) SELECT * FROM due":                  {"with", "invitations"},
		"-- name: JobGetAvailable :many\nWITH locked AS (\nSELECT *\nFROM\n  river_job": {"with", "river_job"},
		"-- only a comment":      {"other", ""},
		"begin":                  {"begin", ""},
		"commit":                 {"commit", ""},
		"SAVEPOINT unit_of_work": {"savepoint", ""},
		"RELEASE SAVEPOINT unit": {"savepoint", ""},
		"SET jit = off":          {"other", ""},
		"":                       {"other", ""},
	} {
		require.Equal(t, want, [2]string{operationOf(text), Statement{text: text}.Table()}, text)
	}
}
