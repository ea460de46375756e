package jobs_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"

	"invited/internal/invitation"
	"invited/internal/jobs"
	"invited/internal/mail"
)

// rawJob is a job with arguments that this program never enqueues.
type rawJob struct {
	kind string
	args string
}

func (j rawJob) Kind() string                 { return j.kind }
func (j rawJob) MarshalJSON() ([]byte, error) { return []byte(j.args), nil }

func TestMalformedJobsStopNoOtherJob(t *testing.T) {
	onEachEngine(t, func(t *testing.T, env *testEnv) {
		before := env.invite("before@university.example")
		rawJobs := []rawJob{
			{deliveryKind, `{"invitation": 5}`},
			{deliveryKind, `{"invitation": "no uuid", "delivery": 0}`},
			{deliveryKind, `[]`},
			{deliveryKind, `{"invitation": "` + before.String() + `", "delivery": "no number"}`},
			{deliveryKind, `{"invitation": "` + before.String() + `", "delivery": 7}`},
			{deliveryKind, `{}`},
			{deliveryKind, `{"invitation": "` + uuid.NewString() + `"}`},
			{noticeKind, `{"notice": "nonsense", "invitation": "` + before.String() + `"}`},
			{noticeKind, `{"notice": "requested", "invitation": "` + before.String() + `", "user": "` + uuid.NewString() + `"}`},
			{"of_another_version", `{}`},
		}
		client := env.riverClient()
		for _, each := range rawJobs {
			_, err := client.Insert(t.Context(), each, &river.InsertOpts{})
			require.NoError(t, err)
		}
		after := env.invite("after@university.example")
		w := env.startWorkers()
		env.waitForState(before, invitation.OK)
		env.waitForState(after, invitation.OK)
		env.waitUntilIdle(deliveryKind)
		env.waitUntilIdle(noticeKind)
		unknown := env.waitUntilIdle("of_another_version")
		require.Equal(t, rivertype.JobStateRetryable, unknown[0].State, "a newer version may know this kind")
		require.NoError(t, w.Running())
		require.ElementsMatch(t, []string{"before@university.example", "after@university.example"},
			[]string{env.smtp.mailsTo("")[0].to, env.smtp.mailsTo("")[1].to})
		require.Len(t, env.smtp.mailsTo(""), 2)
	})
}

// panickingTransport panics when it sends to an address.
type panickingTransport struct {
	mail.Transport
	on string
}

func (p panickingTransport) Send(ctx context.Context, m mail.Message) error {
	if m.To == p.on {
		panic("a mistake")
	}
	return p.Transport.Send(ctx, m)
}

func TestPanicStopsNoOtherJob(t *testing.T) {
	onEachEngine(t, func(t *testing.T, env *testEnv) {
		env.startWorkers(func(c *jobs.Config) { c.Transport = panickingTransport{c.Transport, "poison@university.example"} })
		poison, other := env.invite("poison@university.example"), env.invite("ina@university.example")
		env.waitForState(other, invitation.OK)
		var failed *rivertype.JobRow
		env.waitFor("the end of the attempt that panicked", func() bool {
			failed = env.waitUntilIdle(deliveryKind)[0]
			return failed.State == rivertype.JobStateRetryable
		})
		require.Contains(t, env.log.String(), "a mistake")
		require.Less(t, strings.Count(env.log.String(), "a mistake"), 4, "logged once, or again by the queue")

		// Between attempts the row says that the last attempt failed, as after any other failure.
		require.Equal(t, invitation.Erred, env.find(poison).ExecutionState)
		require.NotEmpty(t, env.find(poison).ErrorMessage)
		require.NotContains(t, env.find(poison).ErrorMessage, "a mistake")
		require.Empty(t, env.smtp.mailsTo("poison@university.example"))
	})
}

// Somebody deletes the row of a job that runs, as an operator may who empties the queue. The workers go on.
func TestDeletedJobStopsNoOtherJob(t *testing.T) {
	onEachEngine(t, func(t *testing.T, env *testEnv) {
		arrived, release := make(chan struct{}, 8), make(chan struct{})
		env.smtp.respond(nil, func(receivedMail) error {
			arrived <- struct{}{}
			env.smtp.block(release)
			return nil
		})
		w := env.startWorkers()
		env.invite("deleted@university.example")
		receive(env, arrived, "a mail")
		env.exec("DELETE FROM river_job")
		close(release)
		env.waitForState(env.invite("after@university.example"), invitation.OK)
		env.waitFor("the job to be recorded", func() bool {
			return env.waitUntilIdle(deliveryKind)[0].State == rivertype.JobStateCompleted
		})
		require.NoError(t, w.Running())
	})
}

// The operator has to fix a template that fails. No message is lost until then.
func TestRenderFailureIsTriedAgain(t *testing.T) {
	onEachEngine(t, func(t *testing.T, env *testEnv) {
		env.service.FrontendURL = "no URL at all/"
		env.startWorkers()
		id := env.invite("ina@university.example")
		require.Contains(t, env.waitForState(id, invitation.Erred).ErrorMessage, "the operator has to check")
		env.retry(env.waitUntilIdle(deliveryKind)[0])
		env.waitFor("a second attempt", func() bool { return env.waitUntilIdle(deliveryKind)[0].Attempt == 2 })
		require.Equal(t, rivertype.JobStateRetryable, env.waitUntilIdle(deliveryKind)[0].State)
	})
}

func TestStopWaitsForRunningJobs(t *testing.T) {
	onEachEngine(t, func(t *testing.T, env *testEnv) {
		arrived, release := make(chan struct{}, 8), make(chan struct{})
		env.smtp.respond(nil, func(receivedMail) error {
			arrived <- struct{}{}
			env.smtp.block(release)
			return nil
		})
		w := env.startWorkers()
		require.NoError(t, w.Running())
		running := env.invite("running@university.example")
		receive(env, arrived, "a mail")
		stopped := make(chan error, 1)
		go func() { stopped <- w.Stop(t.Context()) }()
		env.waitFor("the workers to take no new jobs", func() bool { return w.Running() != nil })
		select {
		case err := <-stopped:
			require.Fail(t, "Stop did not wait for the job", "%v", err)
		case <-time.After(100 * time.Millisecond):
		}
		late := env.invite("late@university.example")
		close(release)
		require.NoError(t, receive(env, stopped, "the end of Stop"))
		require.Equal(t, invitation.OK, env.find(running).ExecutionState)
		require.Equal(t, invitation.Scheduled, env.find(late).ExecutionState)
		require.Equal(t, rivertype.JobStateCompleted, env.jobs(deliveryKind)[0].State)
		require.Equal(t, rivertype.JobStateAvailable, env.jobs(deliveryKind)[1].State)
		require.Len(t, env.smtp.mailsTo(""), 1)

		env.startWorkers()
		env.waitForState(late, invitation.OK)
		require.Len(t, env.smtp.mailsTo(""), 2)
	})
}

// When the context of Stop ends, Stop interrupts the jobs that still run. Their invitations say so, and the jobs run again
// later.
func TestStopInterruptsJobsAtItsDeadline(t *testing.T) {
	onEachEngine(t, func(t *testing.T, env *testEnv) {
		arrived := make(chan struct{}, 8)
		env.smtp.respond(nil, func(receivedMail) error {
			arrived <- struct{}{}
			env.smtp.block(nil)
			return errors.New("never accepted")
		})
		w := env.startWorkers()
		id := env.invite("ina@university.example")
		receive(env, arrived, "a mail")
		begun := time.Now()
		env.stopWorkers(w, 100*time.Millisecond)
		require.Less(t, time.Since(begun), 5*time.Second)
		found := env.find(id)
		require.Equal(t, invitation.Erred, found.ExecutionState)
		require.Equal(t, "Sending was interrupted. It is tried again by itself.", found.ErrorMessage)
		job := env.jobs(deliveryKind)[0]
		require.Contains(t, []rivertype.JobState{rivertype.JobStateAvailable, rivertype.JobStateRetryable}, job.State)

		env.smtp.respond(nil, nil)
		env.startWorkers()
		if job.State == rivertype.JobStateRetryable {
			env.retry(job)
		}
		env.waitForState(id, invitation.OK)
		require.Len(t, env.smtp.mailsTo(""), 1)
	})
}
