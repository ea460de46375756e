package jobs_test

import (
	"context"
	"fmt"
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

// junk is a job that no program of ours enqueued.
type junk struct {
	kind string
	args string
}

func (j junk) Kind() string                 { return j.kind }
func (j junk) MarshalJSON() ([]byte, error) { return []byte(j.args), nil }

func TestPoisonHarmsNobodyElse(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		before := b.create("before@university.example")
		jobs := []junk{
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
		client := b.client()
		for _, each := range jobs {
			_, err := client.Insert(t.Context(), each, &river.InsertOpts{})
			require.NoError(t, err)
		}
		after := b.create("after@university.example")
		w := b.start()
		b.settled(before, invitation.OK)
		b.settled(after, invitation.OK)
		b.idle(deliveryKind)
		b.idle(noticeKind)
		unknown := b.idle("of_another_version")
		require.Equal(t, rivertype.JobStateRetryable, unknown[0].State, "a newer version may know it")
		require.NoError(t, w.Running())
		require.ElementsMatch(t, []string{"before@university.example", "after@university.example"},
			[]string{b.post.to("")[0].to, b.post.to("")[1].to})
		require.Len(t, b.post.to(""), 2)
	})
}

// panicking is a transport with a mistake in it.
type panicking struct {
	mail.Transport
	on string
}

func (p panicking) Send(ctx context.Context, m mail.Message) error {
	if m.To == p.on {
		panic("a mistake")
	}
	return p.Transport.Send(ctx, m)
}

func TestPanicHarmsNobodyElse(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		b.start(func(c *jobs.Config) { c.Transport = panicking{c.Transport, "poison@university.example"} })
		poison, other := b.create("poison@university.example"), b.create("ina@university.example")
		b.settled(other, invitation.OK)
		var failed *rivertype.JobRow
		b.until("the panic is noted", func() bool {
			failed = b.idle(deliveryKind)[0]
			return failed.State == rivertype.JobStateRetryable
		})
		require.Contains(t, b.post.log.String(), "a mistake")
		require.Less(t, strings.Count(b.post.log.String(), "a mistake"), 4, "once, or with the queue's own word")

		// Between attempts the row says that the last one failed, as after any other failure.
		require.Equal(t, invitation.Erred, b.see(poison).ExecutionState)
		require.NotEmpty(t, b.see(poison).ErrorMessage)
		require.NotContains(t, b.see(poison).ErrorMessage, "a mistake")
		require.Empty(t, b.post.to("poison@university.example"))
	})
}

// A template of the operator's that fails is theirs to mend: nothing is lost until then.
func TestUnrenderableMailIsTriedAgain(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		b.service.FrontendURL = "no URL at all/"
		b.start()
		id := b.create("ina@university.example")
		require.Contains(t, b.settled(id, invitation.Erred).ErrorMessage, "the operator has to check")
		b.again(b.idle(deliveryKind)[0])
		b.until("a second attempt", func() bool { return b.idle(deliveryKind)[0].Attempt == 2 })
		require.Equal(t, rivertype.JobStateRetryable, b.idle(deliveryKind)[0].State)
	})
}

func TestStopFinishesWhatRuns(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		arrived, release := make(chan struct{}, 8), make(chan struct{})
		b.post.answers(nil, func(letter) error {
			arrived <- struct{}{}
			<-release
			return nil
		})
		w := b.workers()
		require.NoError(t, w.Start(t.Context()))
		require.NoError(t, w.Running())
		running := b.create("running@university.example")
		<-arrived
		stopped := make(chan error, 1)
		go func() { stopped <- w.Stop(t.Context()) }()
		b.until("no new jobs are taken", func() bool { return w.Running() != nil })
		select {
		case err := <-stopped:
			require.Fail(t, "it did not wait for the job", "%v", err)
		case <-time.After(100 * time.Millisecond):
		}
		late := b.create("late@university.example")
		close(release)
		require.NoError(t, <-stopped)
		require.Equal(t, invitation.OK, b.see(running).ExecutionState)
		require.Equal(t, invitation.Scheduled, b.see(late).ExecutionState)
		require.Equal(t, rivertype.JobStateCompleted, b.jobs(deliveryKind)[0].State)
		require.Equal(t, rivertype.JobStateAvailable, b.jobs(deliveryKind)[1].State)
		require.Len(t, b.post.to(""), 1)

		b.start()
		b.settled(late, invitation.OK)
		require.Len(t, b.post.to(""), 2)
	})
}

// Patience has an end: what is not done by then is interrupted, says so, and is done again later.
func TestStopInterruptsWhatDoesNotEnd(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		arrived, release := make(chan struct{}, 8), make(chan struct{})
		b.post.answers(nil, func(letter) error {
			arrived <- struct{}{}
			<-release
			return fmt.Errorf("never taken")
		})
		t.Cleanup(func() { close(release) })
		w := b.workers()
		require.NoError(t, w.Start(t.Context()))
		id := b.create("ina@university.example")
		<-arrived
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		begun := time.Now()
		require.NoError(t, w.Stop(ctx))
		require.Less(t, time.Since(begun), 5*time.Second)
		found := b.see(id)
		require.Equal(t, invitation.Erred, found.ExecutionState)
		require.Equal(t, "Sending was interrupted. It is tried again by itself.", found.ErrorMessage)
		job := b.jobs(deliveryKind)[0]
		require.Contains(t, []rivertype.JobState{rivertype.JobStateAvailable, rivertype.JobStateRetryable}, job.State)

		b.post.answers(nil, nil)
		b.start()
		if job.State == rivertype.JobStateRetryable {
			b.again(job)
		}
		b.settled(id, invitation.OK)
		require.Len(t, b.post.to(""), 1)
	})
}
