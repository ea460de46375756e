package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/ncruces/go-sqlite3"
	sqlite "github.com/ncruces/go-sqlite3/driver"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"invited/internal/directory"
	"invited/internal/directory/dirfile"
	"invited/internal/fault"
	"invited/internal/invitation"
	"invited/internal/store"
	"invited/internal/storetest"
)

// What stands on every plot.
var (
	plotCustomer = uuid.MustParse("c0000000-0000-4000-8000-000000000001")
	plotProject  = uuid.MustParse("c0000000-0000-4000-8000-000000000002")
	plotRole     = uuid.MustParse("c0000000-0000-4000-8000-000000000003")
	plotUser     = uuid.MustParse("c0000000-0000-4000-8000-000000000004")
)

var plotFile = fmt.Sprintf(`
roles: [{name: PROJECT.ADMIN, uuid: %s, scope_type: project}]
users: [{username: olivia, uuid: %s, email: olivia@acme.example, tokens: [olivia-key]}]
customers: [{name: Acme, uuid: %s, projects: [{name: Apollo, uuid: %s}]}]
`, plotRole, plotUser, plotCustomer, plotProject)

// plot is a database with a role, a user, a customer and a project.
type plot struct {
	t   *testing.T
	url string
	db  *store.Store
}

func onEachPlot(t *testing.T, test func(t *testing.T, p *plot)) {
	t.Helper()
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		p := &plot{t: t, url: e.Fresh(t)}
		p.db = storetest.Open(t, p.url, nil)
		file, err := dirfile.Decode(strings.NewReader(plotFile))
		require.NoError(t, err)
		_, err = dirfile.Apply(t.Context(), p.db.Directory(), file, nil)
		require.NoError(t, err)
		test(t, p)
	})
}

// draft is an invitation that can be inserted.
func (p *plot) draft(email string) invitation.Invitation {
	return invitation.Invitation{
		UUID: uuid.New(), StoredState: invitation.Pending, Created: time.Now(), ExecutionState: invitation.Scheduled,
		RoleUUID: plotRole, ScopeUUID: plotProject, CustomerUUID: plotCustomer, CreatedByUUID: &plotUser,
		Email: email, EmailFolded: directory.Fold(email),
	}
}

// insert writes an invitation.
func (p *plot) insert(i invitation.Invitation) uuid.UUID {
	p.t.Helper()
	require.NoError(p.t, p.db.Write(p.t.Context(), func(tx *store.Tx) error { return tx.Insert(i, invitation.Event{}) }))
	return i.UUID
}

// find reads an invitation; fault.KindNotFound where it is not there.
func (p *plot) find(id uuid.UUID) (found invitation.Invitation, err error) {
	p.t.Helper()
	err = p.db.Read(p.t.Context(), func(tx *store.Tx) (err error) {
		found, err = tx.Find(id)
		return err
	})
	return found, err
}

// exec runs SQL on the connections of the store itself, with all that they are set to.
func (p *plot) exec(query string, args ...any) error {
	return p.db.Queue().GetExecutor().Exec(p.t.Context(), fmt.Sprintf(query, args...))
}

// copyRow writes a row once more, under another uuid and with some columns changed.
func (p *plot) copyRow(table string, id uuid.UUID, changes map[string]string) error {
	p.t.Helper()
	query := "SELECT name FROM pragma_table_info('" + table + "')"
	if !strings.HasPrefix(p.url, "sqlite:") {
		query = "SELECT column_name FROM information_schema.columns WHERE table_name = '" + table + "'"
	}
	rows, err := outside(p.t, p.url).Query(query)
	require.NoError(p.t, err)
	defer func() { require.NoError(p.t, rows.Close()) }()
	var columns, values []string
	for rows.Next() {
		var column string
		require.NoError(p.t, rows.Scan(&column))
		value := column
		if changed, ok := changes[column]; ok {
			value = "'" + changed + "'"
		}
		if column == "uuid" {
			value = "'" + uuid.NewString() + "'"
		}
		columns, values = append(columns, column), append(values, value)
	}
	require.NoError(p.t, rows.Err())
	return p.exec("INSERT INTO %s (%s) SELECT %s FROM %s WHERE uuid = '%s'",
		table, strings.Join(columns, ", "), strings.Join(values, ", "), table, id)
}

// outside is a connection pool that knows nothing of the store.
func outside(t *testing.T, url string) *sql.DB {
	t.Helper()
	var (
		pool *sql.DB
		err  error
	)
	if path, ok := strings.CutPrefix(url, "sqlite://"); ok {
		pool, err = sqlite.Open("file:" + path + "?_pragma=busy_timeout(10000)")
	} else {
		pool, err = sql.Open("pgx", url)
	}
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, pool.Close()) })
	return pool
}

// The ways in which a database refuses a row.
const (
	notUnique  = "23505"
	noParent   = "23503"
	failsCheck = "23514"
)

func requireRefused(t *testing.T, err error, how string, about ...any) {
	t.Helper()
	require.Error(t, err, about...)
	var refusal *pgconn.PgError
	if errors.As(err, &refusal) {
		require.Equal(t, how, refusal.Code, about...)
		return
	}
	code := map[string]error{
		notUnique: sqlite3.CONSTRAINT_UNIQUE, noParent: sqlite3.CONSTRAINT_FOREIGNKEY, failsCheck: sqlite3.CONSTRAINT_CHECK,
	}[how]
	require.ErrorIs(t, err, code, about...)
}

var errOnPurpose = errors.New("on purpose")

func TestWriteThatFailsLeavesNothing(t *testing.T) {
	onEachPlot(t, func(t *testing.T, p *plot) {
		write := func(ctx context.Context, end func() error) (id uuid.UUID, err error) {
			one := p.draft("ina@university.example")
			return one.UUID, p.db.Write(ctx, func(tx *store.Tx) error {
				if err := tx.Insert(one, invitation.Event{}); err != nil {
					return err
				}
				if err := tx.Enqueue(invitation.Deliver{Invitation: one.UUID}); err != nil {
					return err
				}
				if _, err := tx.Find(one.UUID); err != nil { // has it written by now
					return err
				}
				return end()
			})
		}
		// More often than there are connections: none may be lost.
		for range 25 {
			id, err := write(t.Context(), func() error { return errOnPurpose })
			require.ErrorIs(t, err, errOnPurpose)
			_, err = p.find(id)
			require.True(t, fault.Is(err, fault.KindNotFound), "%v", err)

			require.PanicsWithValue(t, "on purpose", func() {
				_, _ = write(t.Context(), func() error { panic("on purpose") })
			})

			ctx, cancel := context.WithCancel(t.Context())
			_, err = write(ctx, func() error { cancel(); return nil })
			require.Error(t, err)
			require.False(t, fault.Is(err, fault.KindNotFound), "%v", err)
		}
		require.Empty(t, storetest.Jobs(t, p.db, invitation.Deliver{}.Kind()))
		var rows int
		require.NoError(t, outside(t, p.url).QueryRow("SELECT count(*) FROM invitations").Scan(&rows))
		require.Zero(t, rows)

		id, err := write(t.Context(), func() error { return nil })
		require.NoError(t, err)
		_, err = p.find(id)
		require.NoError(t, err)
		require.Len(t, storetest.Jobs(t, p.db, invitation.Deliver{}.Kind()), 1)
	})
}

// A deadline may pass at any moment, between the last statement and the commit too.
func TestWritePastItsDeadlineIsUnavailable(t *testing.T) {
	onEachPlot(t, func(t *testing.T, p *plot) {
		for range 20 {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
			err := p.db.Write(ctx, func(tx *store.Tx) error {
				_ = tx.LockDirectory() // in time or not
				<-ctx.Done()
				// The driver ends the transaction in the background, so that commit finds it ended or not.
				time.Sleep(time.Millisecond) //nolint:forbidigo // see above
				return nil
			})
			cancel()
			require.True(t, fault.Is(err, fault.KindUnavailable), "%v", err)
		}
	})
}

func TestWriteOfACancelledRequestSaysSo(t *testing.T) {
	onEachPlot(t, func(t *testing.T, p *plot) {
		for range 20 {
			ctx, cancel := context.WithCancel(t.Context())
			err := p.db.Write(ctx, func(tx *store.Tx) error {
				if err := tx.LockDirectory(); err != nil {
					return err
				}
				cancel()
				time.Sleep(time.Millisecond) //nolint:forbidigo // as above
				return nil
			})
			require.ErrorIs(t, err, context.Canceled)
		}
	})
}

// A mistake of the program's is not something that trying again later helps with.
func TestMistakesAreNoOutage(t *testing.T) {
	onEachPlot(t, func(t *testing.T, p *plot) {
		orphan := p.draft("ina@university.example")
		orphan.RoleUUID = uuid.New()
		err := p.db.Write(t.Context(), func(tx *store.Tx) error { return tx.Insert(orphan, invitation.Event{}) })
		requireRefused(t, err, noParent)
		require.False(t, fault.Is(err, fault.KindUnavailable), "%v", err)

		odd := p.draft("ina@university.example")
		odd.StoredState = "odd"
		err = p.db.Write(t.Context(), func(tx *store.Tx) error { return tx.Insert(odd, invitation.Event{}) })
		requireRefused(t, err, failsCheck)
		require.False(t, fault.Is(err, fault.KindUnavailable), "%v", err)

		require.NoError(t, p.exec("ALTER TABLE invitations RENAME TO lost"))
		_, err = p.find(orphan.UUID)
		require.Error(t, err)
		require.False(t, fault.Is(err, fault.KindUnavailable), "%v", err)
		require.False(t, fault.Is(err, fault.KindNotFound), "%v", err)
	})
}

func TestSnapshotIsOfOneMoment(t *testing.T) {
	onEachPlot(t, func(t *testing.T, p *plot) {
		id := p.insert(p.draft("ina@university.example"))
		require.NoError(t, p.db.Snapshot(t.Context(), func(tx *store.Tx) error {
			before, err := tx.Find(id)
			require.NoError(t, err)

			changed := before
			changed.StoredState = invitation.Canceled
			require.NoError(t, p.db.Write(t.Context(), func(other *store.Tx) error {
				return errors.Join(other.Replace(before, changed, invitation.Event{}), other.Insert(p.draft("ina@university.example"), invitation.Event{}))
			}))

			after, err := tx.Find(id)
			require.NoError(t, err)
			require.Equal(t, invitation.Pending, after.StoredState)
			_, total, err := tx.List(invitation.Query{Visible: directory.Visibility{ScopeSet: directory.ScopeSet{All: true}}, Window: directory.Window{Limit: 10}})
			require.Equal(t, 1, total)
			return err
		}))
		now, err := p.find(id)
		require.NoError(t, err)
		require.Equal(t, invitation.Canceled, now.StoredState)
	})
}

func TestReadsRefuseWrites(t *testing.T) {
	onEachPlot(t, func(t *testing.T, p *plot) {
		id := p.insert(p.draft("ina@university.example"))
		canceled := p.draft("ina@university.example")
		canceled.UUID, canceled.StoredState = id, invitation.Canceled
		for way, read := range map[string]func(context.Context, func(*store.Tx) error) error{
			"read": p.db.Read, "snapshot": p.db.Snapshot,
		} {
			for name, write := range map[string]func(*store.Tx) error{
				"insert":  func(tx *store.Tx) error { return tx.Insert(p.draft("other@university.example"), invitation.Event{}) },
				"replace": func(tx *store.Tx) error { return tx.Replace(p.draft("x"), canceled, invitation.Event{}) },
				"delete":  func(tx *store.Tx) error { return tx.Delete(id, invitation.Event{}) },
				"record":  func(tx *store.Tx) error { return tx.Record(invitation.Event{}) },
				"enqueue": func(tx *store.Tx) error { return tx.Enqueue(invitation.Deliver{Invitation: id}) },
			} {
				for range 5 { // on every connection of the pool, which must be of use for writing afterwards
					err := read(t.Context(), func(tx *store.Tx) error {
						err := write(tx)
						require.Error(t, err, "%s %s", way, name)
						return err
					})
					require.Error(t, err, "%s %s", way, name)
					require.NoError(t, p.db.Write(t.Context(), func(tx *store.Tx) error {
						return tx.Enqueue(invitation.Notify{Invitation: id})
					}), name)
				}
			}
		}
		found, err := p.find(id)
		require.NoError(t, err)
		require.Equal(t, invitation.Pending, found.StoredState)
		require.Empty(t, storetest.Jobs(t, p.db, invitation.Deliver{}.Kind()))
	})
}

func TestTwoWritersWait(t *testing.T) {
	onEachPlot(t, func(t *testing.T, p *plot) {
		id := p.insert(p.draft("ina@university.example"))
		again := func(tx *store.Tx) error {
			found, err := tx.Lock(id)
			if err != nil {
				return err
			}
			changed := found
			changed.Delivery++
			return tx.Replace(found, changed, invitation.Event{})
		}
		holds, release := make(chan struct{}), make(chan struct{})
		first, second := make(chan error, 1), make(chan error, 1)
		go func() {
			first <- p.db.Write(t.Context(), func(tx *store.Tx) error {
				err := again(tx)
				close(holds)
				<-release
				return err
			})
		}()
		<-holds
		go func() { second <- p.db.Write(t.Context(), again) }()
		select {
		case err := <-second:
			close(release)
			require.Fail(t, "the second writer did not wait", "%v", err)
		case <-time.After(200 * time.Millisecond):
		}
		close(release)
		require.NoError(t, <-first)
		require.NoError(t, <-second)

		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for range 10 {
					assert.NoError(t, p.db.Write(t.Context(), again))
				}
			})
		}
		all.Wait()
		found, err := p.find(id)
		require.NoError(t, err)
		require.Equal(t, 82, found.Delivery)
	})
}

// Whoever waited for a lock finds what the other has made of the invitation, with the role that it offers now.
func TestALockFindsWhatItWaitedFor(t *testing.T) {
	onEachPlot(t, func(t *testing.T, p *plot) {
		other := uuid.MustParse("c0000000-0000-4000-8000-000000000005")
		file, err := dirfile.Decode(strings.NewReader(fmt.Sprintf("roles: [{name: PROJECT.MEMBER, uuid: %s, scope_type: project}]", other)))
		require.NoError(t, err)
		_, err = dirfile.Apply(t.Context(), p.db.Directory(), file, nil)
		require.NoError(t, err)
		id := p.insert(p.draft("ina@university.example"))

		waited := make(chan error, 1)
		var found invitation.Invitation
		require.NoError(t, p.db.Write(t.Context(), func(tx *store.Tx) error {
			was, err := tx.Lock(id)
			require.NoError(t, err)
			go func() {
				waited <- p.db.Write(t.Context(), func(tx *store.Tx) (err error) {
					found, err = tx.Lock(id)
					return err
				})
			}()
			select {
			case err := <-waited:
				require.Fail(t, "the second did not wait", "%v", err)
			case <-time.After(200 * time.Millisecond):
			}
			link := uuid.New()
			changed := was
			changed.RoleUUID, changed.Email, changed.EmailFolded, changed.LinkUUID = other, "Una@x.example", "una@x.example", &link
			return tx.Replace(was, changed, invitation.Event{})
		}))
		require.NoError(t, <-waited)
		require.Equal(t, other, found.RoleUUID)
		require.Equal(t, "PROJECT.MEMBER", found.Role.Name)
		require.Equal(t, "Una@x.example", found.Email)
		require.NoError(t, p.db.Read(t.Context(), func(tx *store.Tx) error {
			linked, err := tx.Linked(*found.LinkUUID)
			require.Equal(t, id, linked)
			require.NoError(t, err)
			_, err = tx.Linked(id)
			require.True(t, fault.Is(err, fault.KindNotFound), "%v", err)
			return nil
		}))
	})
}

// Two that want each other's place find each other there, and neither waits for what the other has locked.
func TestARivalIsNotWaitedFor(t *testing.T) {
	onEachPlot(t, func(t *testing.T, p *plot) {
		id := p.insert(p.draft("ina@university.example"))
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		require.NoError(t, p.db.Write(t.Context(), func(tx *store.Tx) error {
			if _, err := tx.Lock(id); err != nil {
				return err
			}
			return p.db.Read(ctx, func(other *store.Tx) error {
				found, err := other.Rival("ina@university.example", plotRole, plotProject)
				require.Equal(t, id, found.UUID)
				return err
			})
		}))
	})
}

func TestTimesKeepTheirMicroseconds(t *testing.T) {
	onEachPlot(t, func(t *testing.T, p *plot) {
		// In order of time. As text, with zeros left out, they would stand in another one.
		second := time.Date(2026, 11, 23, 9, 30, 5, 0, time.UTC)
		offsets := []time.Duration{
			-time.Second, -time.Microsecond, 0, time.Microsecond, 100 * time.Microsecond, 100 * time.Millisecond,
			500 * time.Millisecond, 999999 * time.Microsecond, time.Second, time.Minute,
		}
		ids := make([]uuid.UUID, len(offsets))
		for i, offset := range offsets {
			one := p.draft(fmt.Sprintf("user%d@university.example", i))
			// Zones and nanoseconds are no difference.
			one.Created = second.Add(offset).In(time.FixedZone("", 3600))
			ids[i] = p.insert(one)
			found, err := p.find(ids[i])
			require.NoError(t, err)
			require.Equal(t, second.Add(offset), found.Created.UTC())
		}
		order := []directory.Order{{By: invitation.ByCreated}}
		require.NoError(t, p.db.Read(t.Context(), func(tx *store.Tx) error {
			rows, _, err := tx.List(invitation.Query{Visible: directory.Visibility{ScopeSet: directory.ScopeSet{All: true}}, Window: directory.Window{Limit: 100}, Order: order})
			for i, each := range rows {
				require.Equal(t, ids[i], each.UUID, "%s at place %d", each.Created, i)
			}
			require.Len(t, rows, len(ids))
			return err
		}))
		// And compared with a moment: those that were created up to it have lapsed.
		for i, offset := range offsets {
			require.NoError(t, p.db.Read(t.Context(), func(tx *store.Tx) error {
				_, lapsed, err := tx.List(invitation.Query{
					Visible: directory.Visibility{ScopeSet: directory.ScopeSet{All: true}}, Window: directory.Window{Limit: 100},
					Cutoff: second.Add(offset), States: []invitation.State{invitation.Expired},
				})
				require.Equal(t, i+1, lapsed, offset)
				return err
			}))
		}
	})
}

func TestNowIsTheMomentOfTheTransaction(t *testing.T) {
	onEachPlot(t, func(t *testing.T, p *plot) {
		require.NoError(t, p.db.Write(t.Context(), func(tx *store.Tx) error {
			now := tx.Now()
			require.WithinDuration(t, time.Now(), now, 10*time.Second)
			require.Equal(t, time.UTC, now.Location())
			require.Equal(t, now.Truncate(time.Microsecond), now)
			require.Equal(t, now, tx.Now())
			return nil
		}))
	})
}

func TestTheDatabaseItselfRefusesASecondOpenInvitation(t *testing.T) {
	onEachPlot(t, func(t *testing.T, p *plot) {
		template := p.insert(p.draft("template@university.example"))
		insert := func(email, state string, role, scope uuid.UUID) error {
			return p.copyRow("invitations", template, map[string]string{
				"email": email, "email_folded": directory.Fold(email), "state": state,
				"role_uuid": role.String(), "scope_uuid": scope.String(),
			})
		}
		open, closed := []string{"project", "requested", "pending"}, []string{"accepted", "canceled", "expired", "rejected"}
		for i, first := range open {
			require.NoError(t, insert(fmt.Sprintf("ina%d@university.example", i), first, plotRole, plotProject))
			for _, second := range open {
				requireRefused(t, insert(fmt.Sprintf("INA%d@University.example", i), second, plotRole, plotProject),
					notUnique, "%s after %s", second, first)
			}
			for _, second := range closed {
				require.NoError(t, insert(fmt.Sprintf("ina%d@university.example", i), second, plotRole, plotProject))
			}
			// Another scope is another matter.
			require.NoError(t, insert(fmt.Sprintf("ina%d@university.example", i), first, plotRole, plotCustomer))
		}
		requireRefused(t, insert("new@university.example", "lost", plotRole, plotProject), failsCheck)

		// Nor can one that is closed be opened again beside it.
		requireRefused(t, p.exec("UPDATE invitations SET state = 'pending' WHERE state = 'canceled'"), notUnique)
	})
}

func TestTheDatabaseItselfRefusesASecondActiveMembership(t *testing.T) {
	onEachPlot(t, func(t *testing.T, p *plot) {
		insert := func(revoked string) error {
			return p.exec(`INSERT INTO memberships VALUES ('%s', '%s', '%s', '%s', NULL,
				'2026-11-23T09:30:00.000000Z', NULL, %s)`, uuid.New(), plotUser, plotRole, plotProject, revoked)
		}
		const over = "'2026-11-23T09:31:00.000000Z'"
		require.NoError(t, insert(over))
		require.NoError(t, insert(over))
		require.NoError(t, insert("NULL"))
		require.NoError(t, insert(over))
		requireRefused(t, insert("NULL"), notUnique)
		requireRefused(t, p.exec("UPDATE memberships SET revoked = NULL"), notUnique)
	})
}

func TestTheDatabaseItselfRefusesOrphans(t *testing.T) {
	onEachPlot(t, func(t *testing.T, p *plot) {
		p.insert(p.draft("ina@university.example"))
		require.NoError(t, p.exec(`INSERT INTO memberships VALUES ('%s', '%s', '%s', '%s', NULL,
			'2026-11-23T09:30:00.000000Z', NULL, NULL)`, uuid.New(), plotUser, plotRole, plotProject))
		for _, column := range []string{"role_uuid", "scope_uuid", "customer_uuid", "created_by_uuid"} {
			requireRefused(t, p.exec("UPDATE invitations SET %s = '%s'", column, uuid.New()), noParent, column)
		}
		for _, column := range []string{"user_uuid", "role_uuid", "scope_uuid", "created_by_uuid"} {
			requireRefused(t, p.exec("UPDATE memberships SET %s = '%s'", column, uuid.New()), noParent, column)
		}
		requireRefused(t, p.exec("UPDATE api_tokens SET user_uuid = '%s'", uuid.New()), noParent)
		requireRefused(t, p.exec("UPDATE scopes SET customer_uuid = '%s' WHERE type = 'project'", uuid.New()), noParent)
		requireRefused(t, p.exec("DELETE FROM roles"), noParent)
		requireRefused(t, p.exec("DELETE FROM scopes WHERE type = 'project'"), noParent)

		// A customer belongs to itself, and nothing else does.
		requireRefused(t, p.exec("UPDATE scopes SET customer_uuid = uuid WHERE type = 'project'"), failsCheck)
		requireRefused(t, p.exec("UPDATE scopes SET type = 'planet'"), failsCheck)
		requireRefused(t, p.exec("UPDATE roles SET scope_type = 'planet'"), failsCheck)
		requireRefused(t, p.exec("UPDATE invitations SET execution_state = 'Lost'"), failsCheck)

		// A user who goes takes memberships and tokens along; invitations stay, without a creator.
		require.NoError(t, p.exec("DELETE FROM users"))
		pool := outside(t, p.url)
		for query, want := range map[string]int{
			"SELECT count(*) FROM invitations WHERE created_by_uuid IS NULL": 1,
			"SELECT count(*) FROM memberships":                               0,
			"SELECT count(*) FROM api_tokens":                                0,
		} {
			var count int
			require.NoError(t, pool.QueryRow(query).Scan(&count))
			require.Equal(t, want, count, query)
		}
	})
}
