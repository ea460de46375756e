package app_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"invited/internal/storetest"
	"invited/internal/systemtest/harness"
)

// waitForSweeps waits until two more sweeps are done: by then the workers have looked for other jobs, too.
func waitForSweeps(p *harness.Process, env *harness.Env) {
	p.T.Helper()
	const done = "SELECT count(*) FROM river_job WHERE kind = 'sweep' AND state = 'completed'"
	before := count(env, done)
	p.WaitUntil("two sweeps are done", func() bool { return count(env, done) >= before+2 })
}

// count returns the number that a query finds. It leaves no connection open, with which a database can't be restored.
func count(env *harness.Env, query string) (n int) {
	env.T.Helper()
	db := env.DB()
	require.NoError(env.T, db.QueryRowContext(env.T.Context(), query).Scan(&n))
	require.NoError(env.T, db.Close())
	return n
}

// While deliveries are held, no process sends anything, also after a restart. Each is sent once when they are released.
func TestHoldAndRelease(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		recorder, hook := harness.NewSMTPRecorder(t), harness.NewWebhookRecorder(t)
		env := setup(t, e.Fresh(t)).Apply().UseEventsWebhook(hook).Set("INVITED_SMTP_URL="+recorder.URL, "INVITED_SWEEP_INTERVAL=1s")
		first, second := env.Serve(), env.Serve()
		first.WaitDelivered(first.Create("first@university.example").UUID)
		first.WaitUntil("events are sent", func() bool { return len(hook.Requests()) == 2 })
		require.Contains(t, env.Run("", "jobs").OK(), "Deliveries are not held.")

		require.Contains(t, env.Run("", "jobs", "hold").OK(), "Deliveries are held")
		var held []string
		for _, email := range []string{"second@university.example", "third@university.example"} {
			held = append(held, first.Create(email).UUID)
		}
		status, checks := second.Readiness()
		require.Equal(t, "degraded", status)
		require.Contains(t, checks["deliveries"], "`invited jobs release`")
		waitForSweeps(first, env)
		require.Len(t, recorder.Mails(), 1)
		require.Len(t, hook.Requests(), 2)

		first.Kill()
		second.Stop()
		first = env.Serve()
		first.WaitLog("deliveries are held")
		waitForSweeps(first, env)
		require.Len(t, recorder.Mails(), 1)
		require.Len(t, hook.Requests(), 2)
		require.Equal(t, "Scheduled", first.Get(held[0]).ExecutionState)
		shown := env.Run("", "jobs").OK()
		require.Contains(t, shown, "Deliveries are held since 20")
		require.Regexp(t, `(?m)^deliver_invitation +available +2 `, shown)
		list := env.Run("", "jobs", "list").OK()
		require.Regexp(t, `(?m)deliver_invitation +available +0 +`+held[1]+` +third@university.example$`, list)
		require.NotContains(t, list, "first@")

		require.Contains(t, env.Run("", "jobs", "release").OK(), "released")
		for _, id := range held {
			first.WaitDelivered(id)
		}
		first.WaitUntil("events are sent", func() bool { return len(hook.Requests()) == 6 })
		require.Len(t, recorder.Copies(), 3)
		for id, copies := range recorder.Copies() {
			require.Equal(t, 1, copies, id)
		}
		status, _ = first.Readiness()
		require.Equal(t, "ok", status)
		require.Contains(t, env.Run("", "jobs", "release").OK(), "not held")
		first.Stop()
	})
}

// What is dropped is not sent. The invitations say so, and can be sent again.
func TestReleaseAndDiscard(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		recorder, hook := harness.NewSMTPRecorder(t), harness.NewWebhookRecorder(t)
		env := setup(t, e.Fresh(t)).Apply().UseEventsWebhook(hook).Set("INVITED_SMTP_URL="+recorder.URL, "INVITED_SWEEP_INTERVAL=1s")
		env.Run("", "jobs", "release", "--discard").Fails("not held", "invited jobs hold")
		require.Contains(t, env.Run("", "jobs", "hold").OK(), "Deliveries are held")
		p := env.Serve()
		dropped := p.Create("dropped@university.example").UUID
		waitForSweeps(p, env) // the event has its job by now
		output := env.Run("", "jobs", "release", "--discard").OK()
		require.Contains(t, output, "2 jobs dropped, 1 event given up.\n")
		got := p.Get(dropped)
		require.Equal(t, "pending", got.State)
		require.Equal(t, "Erred", got.ExecutionState)
		require.Contains(t, got.ErrorMessage, "dropped what was waiting")

		p.WaitDelivered(p.Create("next@university.example").UUID)
		require.Len(t, recorder.Mails(), 1)
		require.Equal(t, "next@university.example", recorder.Mails()[0].To)
		p.Do("POST", harness.InvitationsPath+dropped+"/send/", "olivia", "").Is(200)
		p.WaitDelivered(dropped)
		require.Len(t, recorder.Mails(), 2)
		p.Stop()
	})
}

// Events that no worker has seen, as after a restore, are dropped too, and are given up.
func TestDiscardEventsWithoutPositions(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		recorder, hook := harness.NewSMTPRecorder(t), harness.NewWebhookRecorder(t)
		env := setup(t, e.Fresh(t)).Apply().UseEventsWebhook(hook).Set("INVITED_SMTP_URL=" + recorder.URL)
		env.Run("", "jobs", "hold").OK()
		p := env.With("INVITED_WORKERS=false").Serve()
		dropped := p.Create("dropped@university.example").UUID
		p.Stop()
		require.Contains(t, env.Run("", "jobs", "release", "--discard").OK(), "2 jobs dropped, 1 event given up.\n")
		p = env.Serve()
		next := p.Create("next@university.example").UUID
		p.WaitDelivered(next)
		p.WaitUntil("the event is posted", func() bool {
			return slices.ContainsFunc(hook.Requests(), func(r harness.WebhookRequest) bool { return strings.Contains(string(r.Body), next) })
		})
		for _, each := range hook.Requests() {
			if strings.Contains(string(each.Body), dropped) {
				require.Contains(t, string(each.Body), "invitation.delivery_failed") // of the dropping itself
			}
		}
		require.Equal(t, 1, count(env, "SELECT count(*) FROM event_deliveries WHERE state = 'given_up'"))
		p.Stop()
	})
}
