package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/internal/directory"
	"invited/internal/invitation"
)

// An event is written with its change, and not without it.
func TestEventIsWrittenWithItsChange(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		one := e.newInvitation("ina@university.example")
		created := newEvent(one.UUID, invitation.EventCreated)
		canceled := one
		canceled.StoredState = invitation.Canceled

		require.NoError(t, e.change(invitation.Change{After: &one, Event: created}))
		second := e.newInvitation("ina@university.example")
		require.ErrorIs(t, e.change(invitation.Change{After: &second, Event: created}), invitation.ErrDuplicate)
		require.Equal(t, []invitation.EventType{"created"}, e.events(one.UUID))

		stale := one
		stale.StoredState = invitation.Expired
		event := newEvent(one.UUID, invitation.EventCanceled)
		require.ErrorIs(t, e.change(invitation.Change{Before: &stale, After: &canceled, Event: event}), invitation.ErrConflict)
		require.ErrorIs(t, e.db.Invitations().Change(t.Context(), func(tx invitation.Tx) ([]invitation.Change, error) {
			_, err := tx.ListStaffToNotify()
			return []invitation.Change{{Before: &one, After: &canceled, Event: event}}, errors.Join(err, errOnPurpose)
		}), errOnPurpose)
		processing := one
		processing.ExecutionState = invitation.Processing
		require.NoError(t, e.change(invitation.Change{Before: &one, After: &processing}))
		require.Equal(t, []invitation.EventType{"created"}, e.events(one.UUID))

		canceled.ExecutionState = invitation.Processing
		require.NoError(t, e.change(invitation.Change{Before: &processing, After: &canceled, Event: event}))
		deletion := invitation.Change{Before: &canceled, Event: newEvent(one.UUID, invitation.EventDeleted)}
		require.NoError(t, e.change(deletion))
		require.ErrorIs(t, e.change(deletion), invitation.ErrConflict, "the row is gone")
		require.Equal(t, []invitation.EventType{"deleted", "canceled", "created"}, e.events(one.UUID))
	})
}

// The store sets the time and the request of an event, and keeps everything else.
func TestEventsAreReadAsWritten(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		one, someone := e.newInvitation("ina@university.example"), uuid.New()
		written := invitation.Event{
			InvitationUUID: one.UUID, Type: invitation.EventNotificationFailed,
			UserUUID: &someone, UserUsername: "Ünna", UserFullName: "O'Hara",
			FromState: invitation.Requested, ToState: invitation.Pending, Email: "a@b.example", RoleUUID: uuid.New(), RoleName: "R",
			ExecutionState: invitation.Erred, ErrorMessage: "why?", Notice: invitation.NoticeExpired, Channel: invitation.ByWebhook,
			Recipient: "c@d.example", MailTo: new("a@b.example"),
		}
		ctx := invitation.WithRequestID(t.Context(), "the-request")
		for _, change := range []invitation.Change{{After: &one, Event: &written}, {Event: &written}} {
			var now time.Time
			passed := *change.Event
			require.NoError(t, e.db.Invitations().Change(ctx, func(tx invitation.Tx) ([]invitation.Change, error) {
				now = tx.Now()
				return []invitation.Change{change}, nil
			}))
			require.Equal(t, passed, *change.Event, "the store must not write to the caller's event: decide may run again")
			want := written
			found := e.lastEvent(one.UUID)
			want.ID, want.Created, want.RequestID = found.ID, now, "the-request"
			require.Equal(t, want, found)
		}
	})
}

// Events are listed by pages, the newest first, also those of an invitation that is deleted.
func TestListEventsByPages(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		id, other := uuid.New(), uuid.New()
		for _, kind := range []invitation.EventType{"1", "2", "3", "4", "5"} {
			require.NoError(t, e.change(
				invitation.Change{Event: newEvent(id, kind)}, invitation.Change{Event: newEvent(other, "other")}))
		}
		e.read(func(tx invitation.Tx) {
			var kinds []invitation.EventType
			for offset := 0; offset < 6; offset += 2 {
				found, total, err := tx.ListEvents(id, directory.Window{Offset: offset, Limit: 2})
				require.NoError(t, err)
				require.Equal(t, 5, total)
				for _, each := range found {
					kinds = append(kinds, each.Type)
				}
			}
			require.Equal(t, []invitation.EventType{"5", "4", "3", "2", "1"}, kinds)
		})
	})
}
