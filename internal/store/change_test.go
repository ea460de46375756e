package store_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"invited/internal/directory"
	"invited/internal/fault"
	"invited/internal/invitation"
	"invited/internal/storetest"
)

var errOnPurpose = errors.New("on purpose")

// Invitations that are made together have the rows of those that are made one by one.
func TestInvitationsMadeTogether(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		model := e.newInvitation("one@university.example")
		now := time.Date(2026, 11, 23, 9, 30, 0, 123456000, time.UTC)
		model.Created, model.ExpiresAt, model.MembershipExpires = now, new(now.Add(time.Hour)), new(now.Add(2*time.Hour))
		model.Delivery, model.FullName, model.NativeName, model.PhoneNumber = 1, "Ada ÖZIL", "Äda", "+372 555 0100"
		model.Organization, model.JobTitle, model.CivilNumber, model.ExtraInvitationText = "University", "Professor", "EE1", "Hello!\n"
		another := func() *invitation.Invitation {
			i := model
			i.UUID, i.LinkUUID, i.Email = uuid.New(), new(uuid.New()), uuid.NewString()+"@university.example"
			i.EmailFolded = i.Email
			return &i
		}
		single, first, second := another(), another(), another()
		e.insert(*single)
		require.NoError(t, e.change(invitation.Change{After: first}, invitation.Change{After: second}))
		row := func(i *invitation.Invitation) map[string]any {
			found, err := e.outside.QueryContext(t.Context(), "SELECT * FROM invitations WHERE uuid = '"+i.UUID.String()+"'")
			require.NoError(t, err)
			defer func() { require.NoError(t, found.Close()) }()
			require.True(t, found.Next())
			columns, err := found.Columns()
			require.NoError(t, err)
			values, targets := make([]any, len(columns)), make([]any, len(columns))
			for n := range values {
				targets[n] = &values[n]
			}
			require.NoError(t, found.Scan(targets...))
			out := map[string]any{}
			for n, column := range columns {
				out[column] = values[n]
			}
			require.NotNil(t, out["link_uuid"])
			for _, own := range []string{"uuid", "link_uuid", "email", "email_folded"} {
				delete(out, own)
			}
			require.NoError(t, found.Err())
			return out
		}
		want := row(single)
		require.Equal(t, "ada özil", want["full_name_folded"])
		require.Equal(t, want, row(first))
		require.Equal(t, want, row(second))
	})
}

// A change is refused where the row is not what Before says, and then nothing of the change is written.
func TestChangeComparesTheRow(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		id, other := e.insert(e.newInvitation("one@university.example")), e.insert(e.newInvitation("other@university.example"))
		found, untouched := e.mustFind(id), e.contents()
		for column, differ := range map[string]func(*invitation.Invitation){
			"uuid":            func(i *invitation.Invitation) { i.UUID = uuid.New() },
			"state":           func(i *invitation.Invitation) { i.StoredState = invitation.Project },
			"created":         func(i *invitation.Invitation) { i.Created = i.Created.Add(time.Microsecond) },
			"delivery":        func(i *invitation.Invitation) { i.Delivery++ },
			"execution_state": func(i *invitation.Invitation) { i.ExecutionState = invitation.OK },
			"error_message":   func(i *invitation.Invitation) { i.ErrorMessage = "x" },
			"reminded":        func(i *invitation.Invitation) { i.Reminded = true },
			"email":           func(i *invitation.Invitation) { i.Email = "ONE@university.example" },
			"role_uuid":       func(i *invitation.Invitation) { i.RoleUUID = memberRoleID },
			"created_by_uuid": func(i *invitation.Invitation) { i.CreatedByUUID = nil },
		} {
			before := found
			differ(&before)
			accepted, second := before, e.mustFind(other)
			accepted.StoredState = invitation.Accepted
			secondAfter := second // with a column that no batch changes: see TestBatchIsWrittenAsAWhole
			secondAfter.StoredState, secondAfter.ErrorMessage = invitation.Canceled, "x"
			event, jobs := newEvent(id, invitation.EventAccepted), []invitation.Job{invitation.Notify{Invitation: id}}
			for what, changes := range map[string][]invitation.Change{
				"update":           {{Before: &before, After: &accepted, Event: event, Jobs: jobs, Member: e.newMembership()}},
				"empty update":     {{Before: &before, After: &before, Event: event, Jobs: jobs}},
				"deletion":         {{Before: &before, Event: event, Jobs: jobs}},
				"after an update":  {{Before: &second, After: &secondAfter, Event: event}, {Before: &before, After: &accepted}},
				"after a deletion": {{Before: &second, Event: event, Jobs: jobs}, {Before: &before, After: &before}},
			} {
				runs := 0
				err := e.db.Invitations().Change(t.Context(), func(invitation.Tx) ([]invitation.Change, error) {
					runs++
					return changes, nil
				})
				require.ErrorIs(t, err, invitation.ErrConflict, "%s: %s", column, what)
				require.True(t, fault.Is(err, fault.KindUnavailable), "a later try may succeed: %v", err)
				require.Equal(t, 4, runs, "%s: %s", column, what)
				require.Equal(t, found, e.mustFind(id), "%s: %s", column, what)
				require.Equal(t, untouched, e.contents(), "%s: %s", column, what)
			}
		}

		accepted := found
		accepted.StoredState = invitation.Accepted
		require.NoError(t, e.change(invitation.Change{
			Before: &found, After: &accepted, Event: newEvent(id, invitation.EventAccepted), Member: e.newMembership(),
		}))
		require.Equal(t, invitation.Accepted, e.mustFind(id).StoredState)
		require.Equal(t, 1, e.count("SELECT count(*) FROM memberships WHERE revoked IS NULL"))
		require.Equal(t, []invitation.EventType{invitation.EventAccepted}, e.events(id))
	})
}

// Each column that can change is written, and no other invitation's row.
func TestChangeWritesEachColumn(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		id, other := e.insert(e.newInvitation("one@university.example")), e.insert(e.newInvitation("other@university.example"))
		untouched, link := e.mustFind(other), uuid.New()
		for column, set := range map[string]func(*invitation.Invitation){
			"state":           func(i *invitation.Invitation) { i.StoredState = invitation.Canceled },
			"created":         func(i *invitation.Invitation) { i.Created = i.Created.Add(time.Microsecond) },
			"delivery":        func(i *invitation.Invitation) { i.Delivery++ },
			"execution_state": func(i *invitation.Invitation) { i.ExecutionState = invitation.OK },
			"error_message":   func(i *invitation.Invitation) { i.ErrorMessage = "x" },
			"reminded":        func(i *invitation.Invitation) { i.Reminded = true },
			"email":           func(i *invitation.Invitation) { i.Email, i.EmailFolded = "Una@X.example", "una@x.example" },
			"link_uuid":       func(i *invitation.Invitation) { i.LinkUUID = &link },
			"role_uuid": func(i *invitation.Invitation) {
				i.RoleUUID, i.Role = memberRoleID, directory.Role{
					UUID: memberRoleID, Name: "PROJECT.MEMBER", ScopeType: directory.Project, IsActive: true,
				}
			},
			"all of them back": func(i *invitation.Invitation) {
				was := e.newInvitation("one@university.example")
				was.UUID, was.Created, was.Role, was.Scope, was.CreatedBy = id, untouched.Created, untouched.Role, i.Scope, i.CreatedBy
				*i = was
			},
		} {
			before := e.mustFind(id)
			after := before
			set(&after)
			require.NoError(t, e.change(invitation.Change{Before: &before, After: &after}), column)
			require.Equal(t, after, e.mustFind(id), column)
			require.Equal(t, untouched, e.mustFind(other), column)
		}
	})
}

func TestChangeDeletesTheRow(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		id, other := e.insert(e.newInvitation("one@university.example")), e.insert(e.newInvitation("other@university.example"))
		found := e.mustFind(id)
		require.NoError(t, e.change(invitation.Change{Before: &found, Event: newEvent(id, invitation.EventDeleted)}))
		_, err := e.find(id)
		require.True(t, fault.Is(err, fault.KindNotFound), "%v", err)
		_ = e.mustFind(other)
		require.Equal(t, []invitation.EventType{invitation.EventDeleted}, e.events(id))
	})
}

// An invitee who holds the role already does not accept, and the invitation stays open.
func TestChangeOfMemberReturnsAlreadyMember(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		accept := func(email string, membership *directory.Membership) error {
			id := e.insert(e.newInvitation(email))
			found := e.mustFind(id)
			accepted := found
			accepted.StoredState = invitation.Accepted
			before := e.contents()
			err := e.change(invitation.Change{
				Before: &found, After: &accepted, Event: newEvent(id, invitation.EventAccepted),
				Jobs: []invitation.Job{invitation.Notify{Invitation: id}}, Member: membership,
			})
			if err != nil {
				require.Equal(t, before, e.contents())
				require.Equal(t, found, e.mustFind(id))
				require.Empty(t, e.events(id))
			}
			return err
		}
		require.NoError(t, accept("first@university.example", e.newMembership()))
		require.Equal(t, invitation.ErrAlreadyMember, accept("second@university.example", e.newMembership()))

		other := e.newMembership()
		other.RoleUUID = memberRoleID
		require.NoError(t, accept("other.role@university.example", other), "a user may hold two roles")
		elsewhere := e.newMembership()
		elsewhere.ScopeUUID = customerID
		require.NoError(t, accept("other.scope@university.example", elsewhere))

		require.NoError(t, e.exec("UPDATE memberships SET revoked = '2026-11-23T09:30:00.000000Z'"))
		require.NoError(t, accept("third@university.example", e.newMembership()), "a revoked membership is none")
		require.Equal(t, 1, e.count("SELECT count(*) FROM memberships WHERE revoked IS NULL"))
	})
}

// The row of a membership that has expired is revoked to make room for another one.
func TestChangeReplacesAnExpiredMembership(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		now := time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC)
		db := storetest.Open(t, e.url, storetest.NewClock(now).Now)
		join := func(m *directory.Membership) error {
			return db.Invitations().Change(t.Context(), func(invitation.Tx) ([]invitation.Change, error) {
				return []invitation.Change{{Member: m}}, nil
			})
		}
		expiring := func(at time.Time) *directory.Membership {
			m := e.newMembership()
			m.Expires = &at
			return m
		}
		memberships := func() (found []directory.Membership) {
			require.NoError(t, db.Read(t.Context(), func(tx *gorm.DB, _ time.Time) error {
				return tx.Order("revoked IS NULL, expires").Find(&found).Error
			}))
			return found
		}
		bystander := expiring(now.Add(-time.Hour))
		bystander.ScopeUUID = customerID
		require.NoError(t, join(bystander))

		first, second, third := expiring(now.Add(-time.Microsecond)), expiring(now), expiring(now.Add(time.Microsecond))
		require.NoError(t, join(first))
		require.NoError(t, join(second))
		require.NoError(t, join(third), "a membership is expired from its Expires on")
		require.Equal(t, invitation.ErrAlreadyMember, join(e.newMembership()), "the membership has a microsecond left")

		found := memberships()
		require.Len(t, found, 4)
		for i, want := range []*directory.Membership{first, second, bystander, third} {
			require.Equal(t, want.UUID, found[i].UUID)
			if i < 2 {
				require.Equal(t, now, found[i].Revoked.UTC())
				continue
			}
			require.Nil(t, found[i].Revoked)
		}
	})
}

// A new user is written with the membership that they get. A username that is taken is left to its owner.
func TestChangeWritesANewUser(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		ina := &directory.User{UUID: uuid.New(), Username: "ina", Email: "ina@university.example", Created: time.Now()}
		membership := e.newMembership()
		membership.UserUUID = ina.UUID
		require.NoError(t, e.change(invitation.Change{User: ina, Member: membership}))
		require.Equal(t, 1, e.count("SELECT count(*) FROM users JOIN memberships ON user_uuid = users.uuid WHERE username = 'ina'"))

		taken := *ina
		taken.UUID, taken.Email = uuid.New(), "somebody.else@university.example"
		id := uuid.New()
		require.NoError(t, e.change(invitation.Change{User: &taken, Event: newEvent(id, "created")}))
		require.Equal(t, 1, e.count("SELECT count(*) FROM users WHERE username = 'ina' AND email = 'ina@university.example'"))
		require.Equal(t, 2, e.count("SELECT count(*) FROM users"))
		require.Equal(t, []invitation.EventType{"created"}, e.events(id))
	})
}

// ErrDuplicate is the same error on both engines, whether a new invitation is written or an old one is opened again.
func TestChangeReturnsDuplicate(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		open := []invitation.State{invitation.Project, invitation.Requested, invitation.Pending}
		for i, state := range open {
			first := e.newInvitation(fmt.Sprintf("ina%d@university.example", i))
			first.StoredState = state
			e.insert(first)
			closed := e.newInvitation(fmt.Sprintf("INA%d@University.example", i))
			closed.StoredState = invitation.Canceled
			moved := e.newInvitation(fmt.Sprintf("moved%d@university.example", i))
			e.insert(closed)
			e.insert(moved)
			untouched := e.contents()
			for _, second := range open {
				insertion := e.newInvitation(first.Email)
				insertion.StoredState = second
				reopened := closed
				reopened.StoredState = second
				readdressed := moved
				readdressed.StoredState, readdressed.Email, readdressed.EmailFolded = second, first.Email, first.EmailFolded
				for what, change := range map[string]invitation.Change{
					"insert":        {After: &insertion, Event: newEvent(insertion.UUID, invitation.EventCreated)},
					"reopen":        {Before: &closed, After: &reopened, Event: newEvent(closed.UUID, invitation.EventSent)},
					"other address": {Before: &moved, After: &readdressed, Event: newEvent(moved.UUID, invitation.EventUpdated)},
				} {
					runs := 0
					err := e.db.Invitations().Change(t.Context(), func(invitation.Tx) ([]invitation.Change, error) {
						runs++
						return []invitation.Change{change}, nil
					})
					require.Equal(t, invitation.ErrDuplicate, err, "%s %s after %s", what, second, state)
					require.Equal(t, 1, runs, "a second run would find the same")
					require.Equal(t, untouched, e.contents())
					require.Equal(t, invitation.Canceled, e.mustFind(closed.UUID).StoredState)
					require.Equal(t, moved.Email, e.mustFind(moved.UUID).Email)
				}
			}
			elsewhere := e.newInvitation(first.Email)
			elsewhere.RoleUUID = memberRoleID
			require.NoError(t, e.change(invitation.Change{After: &elsewhere}), "another role")
		}
	})
}

// The changes of one Change are written in their order.
func TestChangeWritesInOrder(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		updated := e.insert(e.newInvitation("updated@university.example"))
		deleted := e.insert(e.newInvitation("same@university.example"))
		inserted := e.newInvitation("same@university.example") // the address of the one that is deleted before
		before, gone := e.mustFind(updated), e.mustFind(deleted)
		first, second := before, before
		first.Delivery, second.Delivery = 1, 2
		job := func(delivery int) []invitation.Job {
			return []invitation.Job{
				invitation.Deliver{Invitation: updated, Delivery: delivery}, invitation.Notify{Invitation: updated, Delivery: delivery},
			}
		}
		require.NoError(t, e.change(
			invitation.Change{Before: &before, After: &first, Event: newEvent(updated, "first"), Jobs: job(1)},
			invitation.Change{Before: &first, After: &second, Event: newEvent(updated, "second"), Jobs: job(2)},
			invitation.Change{Before: &gone, Event: newEvent(deleted, "deleted")},
			invitation.Change{After: &inserted, Event: newEvent(inserted.UUID, "created"), Jobs: job(3)},
			invitation.Change{Event: newEvent(updated, "no row")},
			invitation.Change{Jobs: job(4)},
			invitation.Change{},
		))
		require.Equal(t, 2, e.mustFind(updated).Delivery)
		_, err := e.find(deleted)
		require.True(t, fault.Is(err, fault.KindNotFound), "%v", err)
		_ = e.mustFind(inserted.UUID)

		require.Equal(t, []string{"first", "second", "deleted", "created", "no row"},
			e.texts("SELECT event_type FROM invitation_events ORDER BY id"))
		delivery := "args->>'delivery'"
		if !e.postgres {
			delivery = "json_extract(args, '$.delivery')"
		}
		require.Equal(t, []string{
			"deliver_invitation 1", "notify_user 1", "deliver_invitation 2", "notify_user 2",
			"deliver_invitation 3", "notify_user 3", "deliver_invitation 4", "notify_user 4",
		}, e.texts(
			"SELECT kind || ' ' || CAST("+delivery+" AS text) FROM river_job ORDER BY id"))
	})
}

// Of several changes all are written or none. A change that fails last leaves nothing of those before it.
func TestChangeWritesAllOrNothing(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		require.NoError(t, e.change(invitation.Change{Member: e.newMembership()}))
		id, other := e.insert(e.newInvitation("one@university.example")), e.insert(e.newInvitation("other@university.example"))
		before, gone, untouched := e.mustFind(id), e.mustFind(other), e.contents()
		after, stale := before, before
		after.StoredState = invitation.Canceled
		stale.Delivery = 7
		inserted, again := e.newInvitation("new@university.example"), e.newInvitation("NEW@university.example")
		orphan := e.newInvitation("x@university.example")
		orphan.RoleUUID = uuid.New()
		ina := &directory.User{UUID: uuid.New(), Username: "ina", Created: time.Now()}
		member := e.newMembership()
		member.RoleUUID = memberRoleID
		changes := []invitation.Change{
			{
				Before: &before, After: &after, Event: newEvent(id, "canceled"), User: ina, Member: member,
				Jobs: []invitation.Job{invitation.Deliver{Invitation: id}},
			},
			{After: &inserted, Event: newEvent(inserted.UUID, "created"), Jobs: []invitation.Job{invitation.Notify{Invitation: id}}},
			{Before: &gone, Event: newEvent(other, "deleted")},
		}
		// requireNothing runs a Change that has to fail, and returns its error.
		requireNothing := func(ctx context.Context, decide func(invitation.Tx) ([]invitation.Change, error)) error {
			t.Helper()
			err := e.db.Invitations().Change(ctx, decide)
			require.Error(t, err)
			require.Equal(t, untouched, e.contents())
			require.Equal(t, before, e.mustFind(id))
			require.Equal(t, gone, e.mustFind(other))
			return err
		}
		last := func(change invitation.Change) func(invitation.Tx) ([]invitation.Change, error) {
			return func(invitation.Tx) ([]invitation.Change, error) { return append(changes[:3:3], change), nil }
		}
		for name, each := range map[string]struct {
			change invitation.Change
			want   error
		}{
			"conflict":             {invitation.Change{Before: &stale, After: &after}, invitation.ErrConflict},
			"conflict of deletion": {invitation.Change{Before: &stale}, invitation.ErrConflict},
			"duplicate":            {invitation.Change{After: &again}, invitation.ErrDuplicate},
			"member":               {invitation.Change{Member: e.newMembership()}, invitation.ErrAlreadyMember},
			"job":                  {invitation.Change{Jobs: []invitation.Job{unencodable{}}}, errOnPurpose},
		} {
			require.ErrorIs(t, requireNothing(t.Context(), last(each.change)), each.want, name)
		}
		requireRefused(t, requireNothing(t.Context(), last(invitation.Change{After: &orphan})), noParent)

		// 25 rounds are more than there are connections: no round may lose its connection.
		for range 25 {
			require.ErrorIs(t, requireNothing(t.Context(), func(invitation.Tx) ([]invitation.Change, error) {
				return changes, errOnPurpose
			}), errOnPurpose)
			require.PanicsWithValue(t, "on purpose", func() {
				_ = e.db.Invitations().Change(t.Context(), func(tx invitation.Tx) ([]invitation.Change, error) {
					_, err := tx.FindForChange(id)
					require.NoError(t, err)
					panic("on purpose")
				})
			})
			require.PanicsWithValue(t, "on purpose", func() { // when everything but the jobs is written
				_ = e.db.Invitations().Change(t.Context(), last(invitation.Change{Jobs: []invitation.Job{panicking{}}}))
			})
			require.Equal(t, untouched, e.contents())
			ctx, cancel := context.WithCancel(t.Context())
			err := requireNothing(ctx, func(invitation.Tx) ([]invitation.Change, error) {
				cancel()
				return changes, nil
			})
			require.ErrorIs(t, err, context.Canceled)
			require.False(t, fault.Is(err, fault.KindNotFound), "%v", err)
		}

		require.NoError(t, e.change(changes...))
		require.Equal(t, map[string]int{
			"invitations": untouched["invitations"], "invitation_events": untouched["invitation_events"] + 3,
			"river_job": untouched["river_job"] + 2, "memberships": untouched["memberships"] + 1, "users": untouched["users"] + 1,
		}, e.contents())
	})
}

// unencodable is a job whose arguments are no JSON.
type unencodable struct{ invitation.Sweep }

func (unencodable) MarshalJSON() ([]byte, error) { return nil, errOnPurpose }

// panicking is a job that panics when it is enqueued.
type panicking struct{ invitation.Sweep }

func (panicking) MarshalJSON() ([]byte, error) { panic("on purpose") }

func TestTransactionHasOneTime(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		require.NoError(t, e.db.Invitations().Change(t.Context(), func(tx invitation.Tx) ([]invitation.Change, error) {
			now := tx.Now()
			require.WithinDuration(t, time.Now(), now, 10*time.Second)
			require.Equal(t, time.UTC, now.Location())
			require.Equal(t, now.Truncate(time.Microsecond), now)
			require.Equal(t, now, tx.Now())
			return nil, nil
		}))
	})
}

// A batch of changes by time is one statement. Where one of its rows is not what it was, nothing of the batch is
// written.
func TestBatchIsWrittenAsAWhole(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		for name, differ := range map[string]func(*invitation.Invitation){
			"state":           func(i *invitation.Invitation) { i.StoredState = invitation.Project },
			"delivery":        func(i *invitation.Invitation) { i.Delivery++ },
			"execution state": func(i *invitation.Invitation) { i.ExecutionState = invitation.Processing },
			"missing":         func(i *invitation.Invitation) { i.UUID = uuid.New() },
		} {
			var changes []invitation.Change
			for i := range 3 {
				before := e.newInvitation(fmt.Sprintf("%d.%s@university.example", i, name))
				e.insert(before)
				after := before
				after.StoredState, after.Reminded = invitation.Expired, true
				changes = append(changes, invitation.Change{
					Before: &before, After: &after, Event: newEvent(before.UUID, invitation.EventExpired),
					Jobs: []invitation.Job{invitation.Notify{Invitation: before.UUID}},
				})
			}
			untouched := e.contents()
			before := *changes[1].Before
			differ(&before)
			after := before // differs in the columns of a batch alone
			after.StoredState, after.Reminded = invitation.Expired, true
			other := changes[1]
			other.Before, other.After = &before, &after
			err := e.change(changes[0], other, changes[2])
			require.ErrorIs(t, err, invitation.ErrConflict, name)
			require.True(t, fault.Is(err, fault.KindUnavailable), "%v", err)
			for _, each := range changes {
				found := e.mustFind(each.Before.UUID)
				require.Equal(t, invitation.Pending, found.StoredState, name)
				require.False(t, found.Reminded)
				require.Empty(t, e.events(each.Before.UUID))
			}
			require.Equal(t, untouched, e.contents())

			require.NoError(t, e.change(changes...))
			for _, each := range changes {
				found := e.mustFind(each.Before.UUID)
				require.Equal(t, invitation.Expired, found.StoredState)
				require.True(t, found.Reminded)
				require.Equal(t, []invitation.EventType{invitation.EventExpired}, e.events(each.Before.UUID))
			}
			require.Equal(t, untouched["river_job"]+3, e.contents()["river_job"])
			require.Equal(t, untouched["invitation_events"]+3, e.contents()["invitation_events"])
		}
	})
}

// Changes of one row by time follow each other, and are no batch.
func TestChangesByTimeOfOneRowAreWrittenInOrder(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		before := e.newInvitation("ina@university.example")
		e.insert(before)
		reminded := before
		reminded.Reminded = true
		expired := reminded
		expired.StoredState = invitation.Expired
		require.NoError(t, e.change(
			invitation.Change{Before: &before, After: &reminded, Event: newEvent(before.UUID, invitation.EventReminded)},
			invitation.Change{Before: &reminded, After: &expired, Event: newEvent(before.UUID, invitation.EventExpired)},
		))
		found := e.mustFind(before.UUID)
		require.Equal(t, invitation.Expired, found.StoredState)
		require.True(t, found.Reminded)
		require.Equal(t, []invitation.EventType{invitation.EventExpired, invitation.EventReminded}, e.events(before.UUID))
	})
}

// More changes than one statement of a batch could have arguments for.
func TestChangeTakesAnyNumberOfChanges(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		const many = 2_500
		template := e.newInvitation("ina@university.example")
		changes := make([]invitation.Change, many)
		for i := range changes {
			changes[i] = invitation.Change{
				Event: newEvent(template.UUID, invitation.EventType(fmt.Sprint(i))),
				Jobs:  []invitation.Job{invitation.Deliver{Invitation: template.UUID, Delivery: i}},
			}
		}
		require.NoError(t, e.change(changes...))
		for i, kind := range e.texts("SELECT event_type FROM invitation_events ORDER BY id") {
			require.Equal(t, fmt.Sprint(i), kind)
		}
		require.Equal(t, many, e.count("SELECT count(*) FROM invitation_events"))
		require.Equal(t, many, e.count("SELECT count(*) FROM river_job"))
	})
}
