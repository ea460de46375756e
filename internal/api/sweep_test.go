package api_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"invited/gen/server"
	"invited/internal/invitation"
)

func (e *env) sweep() {
	e.t.Helper()
	require.NoError(e.t, e.service.Sweep(e.context()))
}

func TestSweepExpiresAndNotifiesOnce(t *testing.T) {
	onEachEngine(t, func(e *env) {
		const count = 430 // more than two batches
		for i := range count {
			e.create("owner", fmt.Sprintf("guest%d@example.com", i), admin, apollo)
		}
		late := e.create("manager", "planned@example.com", admin, apollo)
		e.clock.Advance(lifetime - time.Microsecond)
		e.sweep()
		require.Empty(e.t, e.noticeJobsOf(invitation.NoticeExpired), "it has not expired")

		e.clock.Advance(time.Microsecond)
		require.Equal(e.t, server.InvitationStateExpired, e.retrieve(late.UUID).State, "it is expired before a sweep")
		var sweeps sync.WaitGroup
		for range 4 {
			sweeps.Go(func() { assert.NoError(e.t, e.service.Sweep(e.context())) })
		}
		sweeps.Wait()
		e.sweep()
		notices := map[string]int{}
		for _, each := range e.noticeJobsOf(invitation.NoticeExpired) {
			notices[each.Invitation.String()]++
		}
		require.Len(e.t, notices, count+1)
		for id, times := range notices {
			require.Equal(e.t, 1, times, id)
		}
		_, answer := e.list("staff", "state=expired")
		require.Equal(e.t, fmt.Sprint(count+1), answer.Header.Get("X-Result-Count"))
	})
}

func TestCreateExpiresDuplicateAndNotifies(t *testing.T) {
	onEachEngine(t, func(e *env) {
		stale := e.create("owner", "guest@example.com", admin, apollo)
		e.clock.Advance(lifetime)
		e.create("manager", "Guest@Example.com", admin, apollo)
		notices := e.noticeJobsOf(invitation.NoticeExpired)
		require.Len(e.t, notices, 1)
		require.Equal(e.t, stale.UUID, notices[0].Invitation)
	})
}

func TestSweepActivatesAtProjectStart(t *testing.T) {
	onEachEngine(t, func(e *env) {
		planned := e.create("sibling", "guest@example.com", admin, artemis)
		require.Equal(e.t, server.InvitationStateProject, planned.State)
		require.Equal(e.t, "2026-12-31T00:00:00.000000Z", planned.Expires)
		start := time.Date(2026, 12, 24, 0, 0, 0, 0, time.UTC)

		e.clock.Advance(start.Sub(e.clock.Now()) - time.Microsecond)
		e.sweep()
		require.Equal(e.t, server.InvitationStateProject, e.retrieve(planned.UUID).State)
		require.Zero(e.t, e.countJobs("deliver_invitation"))
		e.request("POST", at(planned.UUID.String(), "accept"), "invitee", nil).is(http.StatusNotFound, notFound)

		e.clock.Advance(time.Microsecond)
		e.sweep()
		e.sweep()
		active := e.retrieve(planned.UUID)
		require.Equal(e.t, server.InvitationStatePending, active.State)
		require.Equal(e.t, formatTime(start), active.Created, "its life begins")
		require.Equal(e.t, planned.Expires, active.Expires)
		require.Equal(e.t, 1, e.countJobs("deliver_invitation"))
		e.request("POST", at(planned.UUID.String(), "accept"), "invitee", nil).is(http.StatusOK, "")
	})
}

func TestOneReminderPerLife(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "guest@example.com", admin, apollo)
		send := func() { e.request("POST", at(made.UUID.String(), "send"), "owner", nil).is(http.StatusOK, "") }

		e.clock.Advance(lifetime - invitation.ReminderPeriod - time.Microsecond)
		e.sweep()
		require.Empty(e.t, e.noticeJobsOf(invitation.NoticeReminder), "more than a day is left")
		e.clock.Advance(time.Microsecond)
		e.sweep()
		require.Len(e.t, e.noticeJobsOf(invitation.NoticeReminder), 1)
		send() // the same life
		e.clock.Advance(time.Hour)
		e.sweep()
		require.Len(e.t, e.noticeJobsOf(invitation.NoticeReminder), 1)

		e.clock.Advance(invitation.ReminderPeriod)
		e.sweep()
		send() // a new life
		e.clock.Advance(lifetime - time.Hour)
		e.sweep()
		e.sweep()
		reminders := e.noticeJobsOf(invitation.NoticeReminder)
		require.Len(e.t, reminders, 2)
		require.NotEqual(e.t, reminders[0].Delivery, reminders[1].Delivery, "the second reminder has another number")

		e.request("POST", at(made.UUID.String(), "cancel"), "owner", nil).is(http.StatusOK, "")
		message, _, err := e.service.BeginNotice(e.context(), reminders[1])
		require.NoError(e.t, err)
		require.Nil(e.t, message, "a canceled invitation has no reminder")
	})
}

func TestNoReminderForShortLife(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.create("owner", "guest@example.com", admin, apollo)
		e.sweep()
		e.clock.Advance(invitation.ReminderPeriod - time.Minute)
		e.sweep()
		require.Empty(e.t, e.noticeJobsOf(invitation.NoticeReminder))
	}, func(p *invitation.Policy) { p.Lifetime = invitation.ReminderPeriod })
}

// A sweep expires all invitations that are due, in several batches, whether or not they have the same creation time.
func TestSweepOfSeveralBatches(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.insertPending(450)
		for i := range 3 {
			e.clock.Advance(time.Minute)
			e.create("owner", fmt.Sprintf("later%d@x.example", i), admin, apollo)
		}
		e.clock.Advance(lifetime)
		e.sweep()
		require.Equal(e.t, "453", e.value("SELECT count(*) FROM invitations WHERE state = 'expired'"))
		require.Equal(e.t, "453", e.value("SELECT count(*) FROM invitation_events WHERE event_type = 'expired'"))
		require.Len(e.t, e.noticeJobsOf(invitation.NoticeExpired), 3, "only those with a creator")
	})
}
