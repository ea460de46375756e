package database_test

import (
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"invited/internal/database"
)

func TestDiagnose(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		d, err := e.db.Diagnose(t.Context())
		require.NoError(t, err)
		require.Empty(t, d.Damage)
		if !e.postgres {
			require.Regexp(t, `^SQLite 3\.`, d.Version)
			require.Nil(t, d.Postgres)
			return
		}
		require.Regexp(t, `^PostgreSQL [1-9]`, d.Version)
		require.True(t, d.Postgres.MayCreate)
		require.Zero(t, d.Postgres.Foreign)
		require.False(t, d.Postgres.IsRemote)
		require.Equal(t, 20, d.Postgres.Pools)
		require.Positive(t, d.Postgres.Connections)
		require.Greater(t, d.Postgres.MaxConnections, d.Postgres.Reserved)
		require.False(t, d.Postgres.HasTrigrams)
		e.exec("CREATE EXTENSION pg_trgm")
		d, err = e.db.Diagnose(t.Context())
		require.NoError(t, err)
		require.True(t, d.Postgres.HasTrigrams)
	})
}

// A role without rights can look at the server all the same.
func TestDiagnoseWithoutRights(t *testing.T) {
	onPostgres(t, func(t *testing.T, e *env) {
		role := "diagnosed_" + strings.ToLower(strings.ReplaceAll(t.Name(), "/", "_")) + fmt.Sprint(os.Getpid())
		_, err := e.outside.ExecContext(t.Context(), "CREATE ROLE "+role)
		require.NoError(t, err)
		t.Cleanup(func() {
			_, err := outside(t, e.url).Exec("DROP ROLE " + role)
			require.NoError(t, err)
		})
		address, err := url.Parse(e.url)
		require.NoError(t, err)
		query := address.Query()
		query.Set("options", "-c role="+role)
		address.RawQuery = strings.ReplaceAll(query.Encode(), "+", "%20")
		e.exec("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
		d, err := open(t, address.String(), database.Options{}).Diagnose(t.Context())
		require.NoError(t, err)
		require.Equal(t, 2, d.Postgres.Foreign)
		require.False(t, d.Postgres.MayCreate)
		require.False(t, d.Postgres.IsSuperuser)
		require.Positive(t, d.Postgres.Connections)
	})
}

func TestDiagnoseDamage(t *testing.T) {
	onSQLite(t, func(t *testing.T, e *env) {
		for i := range int64(500) {
			e.insert(newNote(i, strings.Repeat("text ", 100)+fmt.Sprint(i)))
		}
		path := strings.TrimPrefix(e.url, "sqlite://")
		copied := path + ".damaged"
		require.NoError(t, e.db.Backup(t.Context(), copied))
		content, err := os.ReadFile(copied)
		require.NoError(t, err)
		for i := len(content) / 2; i < len(content)*3/4; i++ {
			content[i] ^= 0x55
		}
		require.NoError(t, os.WriteFile(copied, content, 0o600))
		d, err := open(t, "sqlite://"+copied, database.Options{}).Diagnose(t.Context())
		require.NoError(t, err)
		require.NotEmpty(t, d.Damage)
	})
}
