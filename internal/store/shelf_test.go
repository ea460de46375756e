package store_test

import (
	"context"
	"database/sql/driver"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/ngrok/sqlmw"
	"github.com/stretchr/testify/require"

	"invited/internal/directory"
	"invited/internal/store"
	"invited/internal/storetest"
	"invited/internal/token"
)

// tally counts statements.
type tally struct {
	sqlmw.NullInterceptor
	statements atomic.Int64
}

func (c *tally) ConnQueryContext(
	ctx context.Context, conn driver.QueryerContext, query string, args []driver.NamedValue,
) (context.Context, driver.Rows, error) {
	c.statements.Add(1)
	rows, err := conn.QueryContext(ctx, query, args)
	return ctx, rows, err
}

func (c *tally) StmtQueryContext(
	ctx context.Context, statement driver.StmtQueryContext, _ string, args []driver.NamedValue,
) (context.Context, driver.Rows, error) {
	c.statements.Add(1)
	rows, err := statement.QueryContext(ctx, args)
	return ctx, rows, err
}

func (c *tally) wrap(engine driver.Connector) driver.Connector {
	wrapped, err := sqlmw.Driver(only{engine}, c).(driver.DriverContext).OpenConnector("")
	if err != nil {
		panic(err)
	}
	return wrapped
}

// only is a driver for the one database of a connector.
type only struct{ connector driver.Connector }

func (o only) Open(string) (driver.Conn, error)               { return o.connector.Connect(context.Background()) }
func (o only) OpenConnector(string) (driver.Connector, error) { return o.connector, nil }

// Reading the directory takes one statement beside the one that finds out who asks, however much there is.
func TestReadingTheDirectoryTakesOneStatement(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		address, count := e.Fresh(t), &tally{}
		options := store.Options{Clock: storetest.NewClock(time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC)).Now, Driver: count.wrap}
		if path, ok := strings.CutPrefix(address, "sqlite://"); ok {
			options.SQLite = path
		} else {
			options.Postgres = address
		}
		db, err := store.Open(options)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, db.Close()) })
		for _, many := range []int{1, 40} {
			var file strings.Builder
			file.WriteString("users: [{username: ann, full_name: Ann, tokens: [ann-key]}]\nroles:\n")
			for i := range many {
				fmt.Fprintf(&file, "- {name: ROLE.%d, scope_type: project, permissions: [PROJECT.CREATE_PERMISSION]}\n", i)
			}
			file.WriteString("customers:\n")
			for i := range many {
				fmt.Fprintf(&file, "- {name: C%d, projects: [{name: P%d, members: [{user: ann, role: ROLE.%d}]}]}\n", i, i, i)
			}
			parsed, err := directory.Parse(strings.NewReader(file.String()))
			require.NoError(t, err)
			_, err = directory.Apply(t.Context(), db.Directory(), parsed, nil)
			require.NoError(t, err)

			before := count.statements.Load()
			_, ann, _, err := db.Owner(t.Context(), token.Digest("ann-key"))
			require.NoError(t, err)
			require.EqualValues(t, 1, count.statements.Load()-before)
			reader := &directory.Reader{Store: db.Shelf()}
			projects, total, err := reader.Scopes(t.Context(), ann, directory.ScopeQuery{Type: directory.Project}, 1, 300)
			require.NoError(t, err)
			require.Len(t, projects, many)
			require.Equal(t, many, total)
			roles, _, err := reader.Roles(t.Context(), directory.RoleQuery{}, 1, 300)
			require.NoError(t, err)
			require.Len(t, roles, many)
			for name, read := range map[string]func() error{
				"scopes": func() error {
					_, _, err := reader.Scopes(t.Context(), ann, directory.ScopeQuery{Type: directory.Customer, Any: "c"}, 1, 300)
					return err
				},
				"scope": func() error {
					_, err := reader.Scope(t.Context(), ann, directory.Project, projects[0].UUID)
					return err
				},
				"count of scopes": func() error {
					_, err := reader.CountScopes(t.Context(), ann, directory.ScopeQuery{Type: directory.Project})
					return err
				},
				"roles": func() error {
					_, _, err := reader.Roles(t.Context(), directory.RoleQuery{Name: "role"}, 1, 300)
					return err
				},
				"role": func() error {
					_, err := reader.Role(t.Context(), roles[0].UUID)
					return err
				},
				"permissions": func() error {
					found, _, err := reader.Permissions(t.Context(), ann, directory.PermissionQuery{FullName: "ANN"}, 1, 300)
					require.Len(t, found, many)
					return err
				},
				"own": func() error {
					found, err := reader.Own(t.Context(), ann)
					require.Len(t, found, many)
					require.NotEqual(t, uuid.Nil, found[0].Scope.Customer.UUID)
					return err
				},
			} {
				before := count.statements.Load()
				require.NoError(t, read(), name)
				require.EqualValues(t, 1, count.statements.Load()-before, "%s of %d", name, many)
			}
		}
	})
}
