package harness

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	sqlite "github.com/ncruces/go-sqlite3/driver"
	"github.com/stretchr/testify/require"

	"invited/internal/storetest"
)

// DB returns a pool of connections to the Env's database beside the program's. Statements in it end after 30 s: a broken
// program may hold locks for ever.
func (env *Env) DB() *sql.DB {
	env.T.Helper()
	pool := env.openDB()
	env.T.Cleanup(func() { require.NoError(env.T, pool.Close()) })
	return pool
}

func (env *Env) openDB() *sql.DB {
	env.T.Helper()
	var (
		pool *sql.DB
		err  error
	)
	address := env.Getenv("INVITED_DATABASE_URL")
	if path, isSQLite := strings.CutPrefix(address, "sqlite://"); isSQLite {
		pool, err = sqlite.Open("file:" + path + "?_pragma=busy_timeout(10000)")
	} else {
		var config *pgx.ConnConfig
		config, err = pgx.ParseConfig(address)
		require.NoError(env.T, err)
		config.ConnectTimeout = waitLimit
		// Not a parameter of the connection, which PgBouncer refuses.
		limit := fmt.Sprintf("SET statement_timeout = %d", waitLimit.Milliseconds())
		pool = stdlib.OpenDB(*config, stdlib.OptionAfterConnect(func(ctx context.Context, conn *pgx.Conn) error {
			_, err := conn.Exec(ctx, limit)
			return err
		}))
	}
	require.NoError(env.T, err)
	return pool
}

// DeliveryJobs returns the states of the jobs that deliver invitations, in the order in which they were enqueued.
func (env *Env) DeliveryJobs() []string {
	env.T.Helper()
	pool := env.openDB()
	defer func() { require.NoError(env.T, pool.Close()) }()
	rows, err := pool.QueryContext(env.T.Context(), "SELECT state FROM river_job WHERE kind = 'deliver_invitation' ORDER BY id")
	require.NoError(env.T, err)
	defer func() { require.NoError(env.T, rows.Close()) }()
	states := []string{}
	for rows.Next() {
		var state string
		require.NoError(env.T, rows.Scan(&state))
		states = append(states, state)
	}
	require.NoError(env.T, rows.Err())
	return states
}

// SetReachable makes the Env's PostgreSQL database reachable or not. Making it unreachable ends all connections to it.
func (env *Env) SetReachable(reachable bool) {
	env.T.Helper()
	database, err := url.Parse(env.Getenv("INVITED_DATABASE_URL"))
	require.NoError(env.T, err)
	name := strings.TrimPrefix(database.Path, "/")
	admin, err := sql.Open("pgx", os.Getenv(storetest.PostgresURL))
	require.NoError(env.T, err)
	defer func() { require.NoError(env.T, admin.Close()) }()
	_, err = admin.ExecContext(env.T.Context(), fmt.Sprintf("ALTER DATABASE %s ALLOW_CONNECTIONS %t", name, reachable))
	require.NoError(env.T, err)
	if !reachable {
		_, err = admin.ExecContext(env.T.Context(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
		require.NoError(env.T, err)
	}
}
