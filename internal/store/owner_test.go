package store_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/internal/directory"
	"invited/internal/directory/dirfile"
	"invited/internal/invitation"
	"invited/internal/store"
	"invited/internal/storetest"
	"invited/internal/token"
)

// Whatever is asked of the database on the strength of an owner who has changed meanwhile fails, and is not done, until the
// owner is looked up.
func TestNothingRestsOnAnOwnerWhoHasChanged(t *testing.T) {
	onEachPlot(t, func(t *testing.T, p *plot) {
		digest := token.Digest("olivia-key")
		id := p.insert(p.draft("ina@university.example"))
		enqueue := func(tx *store.Tx) error { return tx.Enqueue(invitation.Deliver{Invitation: id}) }
		find := func(tx *store.Tx) error { _, err := tx.Find(id); return err }
		staff := func(tx *store.Tx) error { _, err := tx.StaffToNotify(); return err }
		both := func(one, other func(*store.Tx) error) func(*store.Tx) error {
			return func(tx *store.Tx) error {
				_ = one(tx) // whoever does not look what came of it gets no further
				return other(tx)
			}
		}
		round := 0
		for name, way := range map[string]func(context.Context) error{
			"read":                func(ctx context.Context) error { return p.db.Read(ctx, find) },
			"read by GORM":        func(ctx context.Context) error { return p.db.Read(ctx, staff) },
			"snapshot":            func(ctx context.Context) error { return p.db.Snapshot(ctx, find) },
			"write":               func(ctx context.Context) error { return p.db.Write(ctx, enqueue) },
			"write by GORM":       func(ctx context.Context) error { return p.db.Write(ctx, both(staff, enqueue)) },
			"write after a query": func(ctx context.Context) error { return p.db.Write(ctx, both(find, enqueue)) },
			"query after a write": func(ctx context.Context) error { return p.db.Write(ctx, both(enqueue, find)) },
			"write, and one awaited": func(ctx context.Context) error {
				return p.db.Write(ctx, both(enqueue, func(tx *store.Tx) error { return tx.ReplaceAll(nil) }))
			},
		} {
			_, err := p.db.Owner(t.Context(), digest)
			require.NoError(t, err)
			ctx, cached := p.db.Cached(t.Context(), digest)
			if strings.HasPrefix(p.url, "sqlite:") {
				require.Nil(t, cached)
				continue
			}
			require.Equal(t, "olivia", cached.User.Username)
			same, err := p.db.Revalidate(ctx)
			require.NoError(t, err)
			require.True(t, same)

			ctx, _ = p.db.Cached(t.Context(), digest)
			round++
			require.NoError(t, p.exec("UPDATE users SET full_name = '%d' WHERE username = 'olivia'", round))
			before := len(storetest.Jobs(t, p.db, invitation.Deliver{}.Kind()))
			for range 2 {
				require.ErrorContains(t, way(ctx), "not who they were", name)
			}
			require.Len(t, storetest.Jobs(t, p.db, invitation.Deliver{}.Kind()), before, name)
			same, err = p.db.Revalidate(ctx)
			require.NoError(t, err)
			require.False(t, same)

			found, err := p.db.Owner(ctx, digest)
			require.NoError(t, err)
			require.Equal(t, fmt.Sprint(round), found.User.FullName)
			require.NoError(t, way(ctx), name)
		}
	})
}

// Who holds more than is worth keeping is looked up each time.
func TestAnOwnerOfManyRolesIsNotCached(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		db := e.Open(t, nil)
		var file strings.Builder
		file.WriteString("users: [{username: ann, tokens: [ann-key]}, {username: bob, tokens: [bob-key]}]\n" +
			"roles: [{name: R, scope_type: customer}]\ncustomers:\n- {name: B, members: [{user: bob, role: R}]}\n")
		for i := range 60 {
			fmt.Fprintf(&file, "- {name: C%d, members: [{user: ann, role: R}]}\n", i)
		}
		parsed, err := dirfile.Decode(strings.NewReader(file.String()))
		require.NoError(t, err)
		_, err = dirfile.Apply(t.Context(), db.Directory(), parsed, nil)
		require.NoError(t, err)
		for key, kept := range map[string]bool{"ann-key": false, "bob-key": e.Name == "postgres"} {
			found, err := db.Owner(t.Context(), token.Digest(key))
			require.NoError(t, err)
			require.NotEmpty(t, *found.User.Held)
			_, cached := db.Cached(t.Context(), token.Digest(key))
			require.Equal(t, kept, cached != nil, key)
		}
	})
}

// Who accepts is a member, and the invitation says so, or neither.
func TestAdmitWritesAllOrNothing(t *testing.T) {
	onEachPlot(t, func(t *testing.T, p *plot) {
		admit := func(old invitation.Invitation) error {
			accepted := old
			accepted.StoredState = invitation.Accepted
			return p.db.Write(t.Context(), func(tx *store.Tx) error {
				return tx.Admit(old, accepted, invitation.Event{InvitationUUID: old.UUID, Type: invitation.EventAccepted}, directory.Membership{
					UUID: uuid.New(), UserUUID: plotUser, RoleUUID: plotRole, ScopeUUID: plotProject, Created: tx.Now(),
				})
			})
		}
		state := func(id uuid.UUID) (invitation.State, int, []invitation.EventType) {
			found, err := p.find(id)
			require.NoError(t, err)
			var members int
			require.NoError(t, outside(t, p.url).QueryRow("SELECT count(*) FROM memberships WHERE revoked IS NULL").Scan(&members))
			return found.StoredState, members, p.events(id)
		}
		requireState := func(id uuid.UUID, want invitation.State, members int, events ...invitation.EventType) {
			t.Helper()
			is, held, happened := state(id)
			require.Equal(t, want, is)
			require.Equal(t, members, held)
			require.ElementsMatch(t, events, happened)
		}
		one, other := p.insert(p.draft("one@university.example")), p.insert(p.draft("other@university.example"))
		found, err := p.find(one)
		require.NoError(t, err)
		for _, change := range []func(*invitation.Invitation){
			func(i *invitation.Invitation) { i.StoredState = invitation.Project },
			func(i *invitation.Invitation) { i.Delivery++ },
			func(i *invitation.Invitation) { i.ExecutionState = invitation.OK },
			func(i *invitation.Invitation) { i.ErrorMessage = "x" },
			func(i *invitation.Invitation) { i.Reminded = true },
			func(i *invitation.Invitation) { i.Email = "ONE@university.example" },
			func(i *invitation.Invitation) { i.RoleUUID = uuid.New() },
			func(i *invitation.Invitation) { i.Created = i.Created.Add(1000) },
			func(i *invitation.Invitation) { i.CreatedByUUID = nil },
			func(i *invitation.Invitation) { i.UUID = uuid.New() },
		} {
			was := found
			change(&was)
			require.ErrorIs(t, admit(was), invitation.ErrChanged)
			requireState(one, invitation.Pending, 0)
		}
		require.NoError(t, admit(found))
		requireState(one, invitation.Accepted, 1, invitation.EventAccepted)
		found, err = p.find(other)
		require.NoError(t, err)
		require.ErrorIs(t, admit(found), invitation.ErrHeld)
		requireState(other, invitation.Pending, 1)
	})
}

// A failure that whoever asked takes no notice of is no success: PostgreSQL has given the transaction up. On SQLite a
// statement fails alone.
func TestAFailureThatIsSwallowedIsNoCommit(t *testing.T) {
	onEachPlot(t, func(t *testing.T, p *plot) {
		if strings.HasPrefix(p.url, "sqlite:") {
			return
		}
		orphan := p.draft("ina@university.example")
		orphan.RoleUUID = uuid.New()
		for _, begun := range []bool{false, true} {
			require.Error(t, p.db.Write(t.Context(), func(tx *store.Tx) error {
				if begun {
					require.NoError(t, tx.LockDirectory())
				}
				require.NoError(t, tx.Insert(orphan, invitation.Event{}), "is not sent yet")
				_, err := tx.Find(orphan.UUID)
				require.Error(t, err)
				_, _ = tx.StaffToNotify()
				return tx.Enqueue(invitation.Deliver{Invitation: orphan.UUID})
			}))
		}
		require.Empty(t, storetest.Jobs(t, p.db, invitation.Deliver{}.Kind()))
	})
}
