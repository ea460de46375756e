package store_test

import (
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	sqlite "github.com/ncruces/go-sqlite3/driver"
	"github.com/stretchr/testify/require"

	"invited/internal/directory"
	"invited/internal/directory/dirfile"
	"invited/internal/invitation"
	"invited/internal/store"
	"invited/internal/storetest"
)

// The directory of every env.
var (
	customerID   = uuid.MustParse("c0000000-0000-4000-8000-000000000001")
	projectID    = uuid.MustParse("c0000000-0000-4000-8000-000000000002")
	adminRoleID  = uuid.MustParse("c0000000-0000-4000-8000-000000000003")
	oliviaID     = uuid.MustParse("c0000000-0000-4000-8000-000000000004")
	memberRoleID = uuid.MustParse("c0000000-0000-4000-8000-000000000005")
)

var directoryFile = fmt.Sprintf(`
roles:
- {name: PROJECT.ADMIN, uuid: %s, scope_type: project}
- {name: PROJECT.MEMBER, uuid: %s, scope_type: project}
users: [{username: olivia, uuid: %s, email: olivia@acme.example, tokens: [olivia-key]}]
customers: [{name: Acme, uuid: %s, projects: [{name: Apollo, uuid: %s}]}]
`, adminRoleID, memberRoleID, oliviaID, customerID, projectID)

// env is a database with two roles, a user, a customer and a project.
type env struct {
	t        *testing.T
	url      string
	postgres bool
	db       *store.Store
	outside  *sql.DB // a pool that the store does not know of
}

// onEachEngine runs a test on a fresh database of each engine.
func onEachEngine(t *testing.T, test func(t *testing.T, e *env)) {
	t.Helper()
	t.Parallel()
	storetest.Each(t, func(t *testing.T, engine storetest.Engine) {
		e := &env{t: t, url: engine.Fresh(t), postgres: engine.Name == "postgres"}
		e.db, e.outside = storetest.Open(t, e.url, nil), outside(t, e.url)
		applyFile(t, e.db, directoryFile)
		test(t, e)
	})
}

// applyFile writes a directory file into a database.
func applyFile(t *testing.T, db *store.Store, text string) {
	t.Helper()
	file, err := dirfile.Decode(strings.NewReader(text))
	require.NoError(t, err)
	_, err = dirfile.Apply(t.Context(), db.FileStore(), file, nil)
	require.NoError(t, err)
}

// newInvitation returns a pending invitation that can be inserted.
func (e *env) newInvitation(email string) invitation.Invitation {
	return invitation.Invitation{
		UUID: uuid.New(), StoredState: invitation.Pending, Created: time.Now(), ExecutionState: invitation.Scheduled,
		RoleUUID: adminRoleID, ScopeUUID: projectID, CustomerUUID: customerID, CreatedByUUID: &oliviaID,
		Email: email, EmailFolded: directory.FoldEmail(email),
	}
}

// newMembership returns a membership of olivia in the project.
func (e *env) newMembership() *directory.Membership {
	return &directory.Membership{
		UUID: uuid.New(), UserUUID: oliviaID, RoleUUID: adminRoleID, ScopeUUID: projectID, Created: time.Now(),
	}
}

// newEvent returns an event of an invitation.
func newEvent(id uuid.UUID, kind invitation.EventType) *invitation.Event {
	return &invitation.Event{InvitationUUID: id, Type: kind}
}

// change writes changes.
func (e *env) change(changes ...invitation.Change) error {
	return e.db.Invitations().Change(e.t.Context(), func(invitation.Tx) ([]invitation.Change, error) { return changes, nil })
}

// read runs f outside of any transaction.
func (e *env) read(f func(tx invitation.Tx)) {
	e.t.Helper()
	require.NoError(e.t, e.db.Invitations().Read(e.t.Context(), func(tx invitation.Tx) error {
		f(tx)
		return nil
	}))
}

// insert writes a new invitation.
func (e *env) insert(i invitation.Invitation) uuid.UUID {
	e.t.Helper()
	require.NoError(e.t, e.change(invitation.Change{After: &i}))
	return i.UUID
}

// find reads an invitation; fault.KindNotFound where the invitation is missing.
func (e *env) find(id uuid.UUID) (found invitation.Invitation, err error) {
	e.t.Helper()
	err = e.db.Invitations().Read(e.t.Context(), func(tx invitation.Tx) (err error) {
		found, err = tx.Find(id)
		return err
	})
	return found, err
}

// mustFind reads an invitation that exists.
func (e *env) mustFind(id uuid.UUID) invitation.Invitation {
	e.t.Helper()
	found, err := e.find(id)
	require.NoError(e.t, err)
	return found
}

// events returns the types of the events of an invitation, the newest first.
func (e *env) events(id uuid.UUID) []invitation.EventType {
	e.t.Helper()
	types := []invitation.EventType{}
	e.read(func(tx invitation.Tx) {
		found, total, err := tx.ListEvents(id, directory.Window{Limit: 100})
		require.NoError(e.t, err)
		require.Len(e.t, found, total)
		for _, each := range found {
			require.Equal(e.t, id, each.InvitationUUID)
			types = append(types, each.Type)
		}
	})
	return types
}

// lastEvent returns the newest event of an invitation.
func (e *env) lastEvent(id uuid.UUID) (last invitation.Event) {
	e.t.Helper()
	e.read(func(tx invitation.Tx) {
		found, _, err := tx.ListEvents(id, directory.Window{Limit: 1})
		require.NoError(e.t, err)
		require.Len(e.t, found, 1)
		last = found[0]
	})
	return last
}

// count returns the number that a query finds, by a connection that the store does not know of.
func (e *env) count(query string) (rows int) {
	e.t.Helper()
	require.NoError(e.t, e.outside.QueryRow(query).Scan(&rows), query)
	return rows
}

// texts returns the only column of a query's rows, by a connection that the store does not know of.
func (e *env) texts(query string) (all []string) {
	e.t.Helper()
	rows, err := e.outside.Query(query)
	require.NoError(e.t, err)
	defer func() { require.NoError(e.t, rows.Close()) }()
	for rows.Next() {
		var each string
		require.NoError(e.t, rows.Scan(&each))
		all = append(all, each)
	}
	require.NoError(e.t, rows.Err())
	return all
}

// contents returns the number of rows of every table that a Change writes to.
func (e *env) contents() map[string]int {
	e.t.Helper()
	rows := map[string]int{}
	for _, table := range []string{"invitations", "invitation_events", "river_job", "memberships", "users"} {
		rows[table] = e.count("SELECT count(*) FROM " + table)
	}
	return rows
}

// exec runs SQL on a connection of the store itself, which has the store's settings.
func (e *env) exec(query string, args ...any) error {
	_, err := e.db.QueuePool().ExecContext(e.t.Context(), fmt.Sprintf(query, args...))
	return err
}

// copyRow writes a copy of a row with another uuid and with the changes.
func (e *env) copyRow(table string, id uuid.UUID, changes map[string]string) error {
	e.t.Helper()
	query := "SELECT name FROM pragma_table_info('" + table + "')"
	if e.postgres {
		query = "SELECT column_name FROM information_schema.columns WHERE table_name = '" + table + "'"
	}
	columns := e.texts(query)
	values := slices.Clone(columns)
	for i, column := range columns {
		if changed, ok := changes[column]; ok {
			values[i] = "'" + changed + "'"
		}
		if column == "uuid" {
			values[i] = "'" + uuid.NewString() + "'"
		}
	}
	return e.exec("INSERT INTO %s (%s) SELECT %s FROM %s WHERE uuid = '%s'",
		table, strings.Join(columns, ", "), strings.Join(values, ", "), table, id)
}

// outside returns a connection pool that the store does not know of.
func outside(t *testing.T, address string) *sql.DB {
	t.Helper()
	var (
		pool *sql.DB
		err  error
	)
	if path, ok := strings.CutPrefix(address, "sqlite://"); ok {
		pool, err = sqlite.Open("file:" + path + "?_pragma=busy_timeout(10000)")
	} else {
		pool, err = sql.Open("pgx", address)
	}
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, pool.Close()) })
	return pool
}

// everything is the visibility of staff.
var everything = directory.Visibility{ScopeSet: directory.ScopeSet{All: true}}
