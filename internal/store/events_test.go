package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/internal/directory"
	"invited/internal/invitation"
	"invited/internal/store"
)

// events are the types of the events of an invitation, the newest first.
func (p *plot) events(id uuid.UUID) []invitation.EventType {
	p.t.Helper()
	types := []invitation.EventType{}
	require.NoError(p.t, p.db.Read(p.t.Context(), func(tx *store.Tx) error {
		found, total, err := tx.Events(id, directory.Window{Limit: 100})
		require.Len(p.t, found, total)
		for _, each := range found {
			require.Equal(p.t, id, each.InvitationUUID)
			types = append(types, each.Type)
		}
		return err
	}))
	return types
}

// An event is written where its change is, and nowhere else.
func TestAnEventIsOfAChange(t *testing.T) {
	onEachPlot(t, func(t *testing.T, p *plot) {
		one := p.draft("ina@university.example")
		of := func(what invitation.EventType) invitation.Event {
			return invitation.Event{InvitationUUID: one.UUID, Type: what}
		}
		write := func(f func(tx *store.Tx) error) error { return p.db.Write(t.Context(), f) }
		canceled := one
		canceled.StoredState = invitation.Canceled

		require.NoError(t, write(func(tx *store.Tx) error { return tx.Insert(one, of("created")) }))
		require.ErrorIs(t, write(func(tx *store.Tx) error {
			return tx.Insert(p.draft("ina@university.example"), of("created"))
		}), invitation.ErrTwice)
		require.Equal(t, []invitation.EventType{"created"}, p.events(one.UUID))

		other := one
		other.StoredState = invitation.Expired
		for _, looks := range []bool{false, true} { // before what was written is committed
			look := func(tx *store.Tx) error {
				if !looks {
					return nil
				}
				_, err := tx.StaffToNotify()
				return err
			}
			require.ErrorIs(t, write(func(tx *store.Tx) error {
				return errors.Join(tx.Replace(other, canceled, of("canceled")), look(tx))
			}), invitation.ErrChanged, "another was first")
			require.ErrorIs(t, write(func(tx *store.Tx) error {
				require.NoError(t, errors.Join(tx.Replace(one, canceled, of("canceled")), look(tx)))
				return errOnPurpose
			}), errOnPurpose)
		}
		require.NoError(t, write(func(tx *store.Tx) error { return tx.Mark(one, invitation.Processing) }))
		require.Equal(t, []invitation.EventType{"created"}, p.events(one.UUID))

		one.ExecutionState = invitation.Processing
		require.NoError(t, write(func(tx *store.Tx) error {
			return tx.Replace(one, canceled, of("canceled"))
		}))
		for range 2 {
			require.NoError(t, write(func(tx *store.Tx) error { return tx.Delete(one.UUID, of("deleted")) }))
		}
		require.Equal(t, []invitation.EventType{"deleted", "canceled", "created"}, p.events(one.UUID))
	})
}

func TestEventsAreReadAsWritten(t *testing.T) {
	onEachPlot(t, func(t *testing.T, p *plot) {
		one, someone := p.draft("ina@university.example"), uuid.New()
		written := invitation.Event{
			InvitationUUID: one.UUID, Type: invitation.EventNotificationFailed, UserUUID: &someone, UserUsername: "Ünna", UserFullName: "O'Hara",
			FromState: invitation.Requested, ToState: invitation.Pending, Email: "a@b.example", RoleUUID: uuid.New(), RoleName: "R",
			ExecutionState: invitation.Erred, ErrorMessage: "why?", Notice: invitation.NoticeExpired, Channel: invitation.ByWebhook, Recipient: "c@d.example",
		}
		var now time.Time
		ctx := invitation.WithRequestID(t.Context(), "the-request")
		for _, way := range []func(tx *store.Tx) error{
			func(tx *store.Tx) error { return tx.Insert(one, written) },
			func(tx *store.Tx) error { return tx.Record(written) },
		} {
			require.NoError(t, p.db.Write(ctx, func(tx *store.Tx) error {
				now = tx.Now()
				return way(tx)
			}))
			require.NoError(t, p.db.Read(t.Context(), func(tx *store.Tx) error {
				found, _, err := tx.Events(one.UUID, directory.Window{Limit: 1})
				require.Len(t, found, 1)
				want := written
				want.ID, want.Created, want.RequestID = found[0].ID, now, "the-request"
				require.Equal(t, want, found[0])
				return err
			}))
		}
	})
}
