package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"invited/gen/server"
	"invited/internal/invitation"
	"invited/internal/storetest"
)

// asked are the notices of a kind that were asked for, in order.
func (w *world) asked(kind invitation.Notice) []invitation.Notify {
	w.t.Helper()
	var found []invitation.Notify
	for _, each := range storetest.Jobs(w.t, w.db, invitation.Notify{}.Kind()) {
		var job invitation.Notify
		require.NoError(w.t, json.Unmarshal(each.EncodedArgs, &job))
		if job.Notice == kind {
			found = append(found, job)
		}
	}
	return found
}

func (w *world) sweep() {
	w.t.Helper()
	require.NoError(w.t, w.service.Sweep(w.t.Context()))
}

func TestSweepWritesExpiryAndTellsTheCreatorOnce(t *testing.T) {
	inEachWorld(t, func(w *world) {
		const count = 430 // more than two batches
		for i := range count {
			w.create("owner", fmt.Sprintf("guest%d@example.com", i), admin, apollo)
		}
		late := w.create("manager", "planned@example.com", admin, apollo)
		w.clock.Advance(lifetime - time.Microsecond)
		w.sweep()
		require.Empty(t, w.asked(invitation.NoticeExpired), "its time is not over")

		w.clock.Advance(time.Microsecond)
		require.Equal(t, server.InvitationStateExpired, w.see(late.UUID).State, "expired before any sweep")
		var sweeps sync.WaitGroup
		for range 4 {
			sweeps.Go(func() { require.NoError(t, w.service.Sweep(t.Context())) })
		}
		sweeps.Wait()
		w.sweep()
		told := map[string]int{}
		for _, each := range w.asked(invitation.NoticeExpired) {
			told[each.Invitation.String()]++
		}
		require.Len(t, told, count+1)
		for id, times := range told {
			require.Equal(t, 1, times, id)
		}
		_, answer := w.list("staff", "state=expired")
		require.Equal(t, fmt.Sprint(count+1), answer.Header.Get("X-Result-Count"))
	})
}

func TestAStaleRowMakesRoomAndItsCreatorIsTold(t *testing.T) {
	inEachWorld(t, func(w *world) {
		stale := w.create("owner", "guest@example.com", admin, apollo)
		w.clock.Advance(lifetime)
		w.create("manager", "Guest@Example.com", admin, apollo)
		told := w.asked(invitation.NoticeExpired)
		require.Len(t, told, 1)
		require.Equal(t, stale.UUID, told[0].Invitation)
	})
}

func TestSweepActivatesWhenTheProjectStarts(t *testing.T) {
	inEachWorld(t, func(w *world) {
		planned := w.create("sibling", "guest@example.com", admin, artemis)
		require.Equal(t, server.InvitationStateProject, planned.State)
		require.Equal(t, "2026-12-31T00:00:00.000000Z", planned.Expires)
		start := time.Date(2026, 12, 24, 0, 0, 0, 0, time.UTC)

		w.clock.Advance(start.Sub(w.clock.Now()) - time.Microsecond)
		w.sweep()
		require.Equal(t, server.InvitationStateProject, w.see(planned.UUID).State)
		require.Zero(t, w.jobs("deliver_invitation"))
		w.request("POST", at(planned.UUID.String(), "accept"), "invitee", nil).is(http.StatusNotFound, notFound)

		w.clock.Advance(time.Microsecond)
		w.sweep()
		w.sweep()
		active := w.see(planned.UUID)
		require.Equal(t, server.InvitationStatePending, active.State)
		require.Equal(t, planned.Created, active.Created)
		require.Equal(t, planned.Expires, active.Expires)
		require.Equal(t, 1, w.jobs("deliver_invitation"))
		w.request("POST", at(planned.UUID.String(), "accept"), "invitee", nil).is(http.StatusOK, "")
	})
}

func TestOneReminderForEachLife(t *testing.T) {
	inEachWorld(t, func(w *world) {
		made := w.create("owner", "guest@example.com", admin, apollo)
		send := func() { w.request("POST", at(made.UUID.String(), "send"), "owner", nil).is(http.StatusOK, "") }

		w.clock.Advance(lifetime - invitation.ReminderPeriod - time.Microsecond)
		w.sweep()
		require.Empty(t, w.asked(invitation.NoticeReminder), "more than a day is left")
		w.clock.Advance(time.Microsecond)
		w.sweep()
		require.Len(t, w.asked(invitation.NoticeReminder), 1)
		send() // the same life
		w.clock.Advance(time.Hour)
		w.sweep()
		require.Len(t, w.asked(invitation.NoticeReminder), 1)

		w.clock.Advance(invitation.ReminderPeriod)
		w.sweep()
		send() // a new life
		w.clock.Advance(lifetime - time.Hour)
		w.sweep()
		w.sweep()
		reminders := w.asked(invitation.NoticeReminder)
		require.Len(t, reminders, 2)
		require.NotEqual(t, reminders[0].Delivery, reminders[1].Delivery, "the second is another mail")

		w.request("POST", at(made.UUID.String(), "cancel"), "owner", nil).is(http.StatusOK, "")
		letter, err := w.service.BeginNotice(t.Context(), reminders[1])
		require.NoError(t, err)
		require.Nil(t, letter, "nobody is reminded of what was taken back")
	})
}

func TestAShortLifeHasNoReminder(t *testing.T) {
	inEachWorld(t, func(w *world) {
		w.create("owner", "guest@example.com", admin, apollo)
		w.sweep()
		w.clock.Advance(invitation.ReminderPeriod - time.Minute)
		w.sweep()
		require.Empty(t, w.asked(invitation.NoticeReminder))
	}, func(p *invitation.Policy) { p.Lifetime = invitation.ReminderPeriod })
}

// A sweep ends only when nothing is due, however many are, and whether or not they were made at one moment.
func TestSweepOfMoreThanABatch(t *testing.T) {
	inEachWorld(t, func(w *world) {
		w.fill(450)
		for i := range 3 {
			w.clock.Advance(time.Minute)
			w.create("owner", fmt.Sprintf("later%d@x.example", i), admin, apollo)
		}
		w.clock.Advance(lifetime)
		w.sweep()
		require.Equal(w.t, "453", w.value("SELECT count(*) FROM invitations WHERE state = 'expired'"))
		require.Equal(w.t, "453", w.value("SELECT count(*) FROM invitation_events WHERE event_type = 'expired'"))
		require.Len(w.t, w.asked(invitation.NoticeExpired), 3, "those that have a creator")
	})
}
