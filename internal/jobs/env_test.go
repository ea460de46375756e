package jobs_test

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"

	"invited/internal/bulk"
	"invited/internal/invitation"
	"invited/internal/jobs"
	"invited/internal/joining"
	"invited/internal/lifecycle"
	"invited/internal/mail"
	"invited/internal/store"
	"invited/internal/storetest"
	"invited/internal/token"
)

// maxWait bounds every wait of a test, so that a failing test ends.
const maxWait = 20 * time.Second

// timedOut is set once a wait has timed out. The waits of all other tests are short from then on: when every test fails,
// the run ends before go test's own limit.
var timedOut atomic.Bool

func waitLimit() time.Duration {
	if timedOut.Load() {
		return maxWait / 4
	}
	return maxWait
}

// failTimeout ends a test whose wait has timed out.
func (env *testEnv) failTimeout(what string) {
	env.t.Helper()
	timedOut.Store(true)
	require.FailNow(env.t, "timed out waiting for "+what, env.log.String())
}

var (
	projectAdmin = uuid.MustParse("40000000-0000-4000-8000-000000000001")
	apollo       = uuid.MustParse("20000000-0000-4000-8000-000000000001")
)

const directoryYAML = `
roles:
  - {name: CUSTOMER.OWNER, scope_type: customer, permissions: [PROJECT.CREATE_PERMISSION, INVITATION.LIST]}
  - {name: PROJECT.ADMIN, uuid: 40000000-0000-4000-8000-000000000001, description: System administrator, scope_type: project}
users:
  - {username: sam, email: sam@staff.example, is_staff: true}
  - {username: sue, email: sue@staff.example, is_staff: true}
  - {username: silent, email: silent@staff.example, is_staff: true, notifications_enabled: false}
  - {username: gone, email: gone@staff.example, is_staff: true, is_active: false}
  - {username: nowhere, is_staff: true}
  - {username: support, email: support@staff.example, is_support: true}
  - {username: olivia, email: olivia@acme.example, full_name: Olivia Owner}
  - {username: ina, email: ina@university.example}
customers:
  - name: Acme
    uuid: 10000000-0000-4000-8000-000000000001
    members: [{user: olivia, role: CUSTOMER.OWNER}]
    projects: [{name: Apollo, uuid: 20000000-0000-4000-8000-000000000001}]
`

const apolloRemovedYAML = "customers: [{name: Acme, uuid: 10000000-0000-4000-8000-000000000001, projects: [" +
	"{name: Apollo, uuid: 20000000-0000-4000-8000-000000000001, is_removed: true}]}]"

const lifetime = 7 * 24 * time.Hour

// testEnv is a service with its own database and mail server. Workers run once a test starts them.
type testEnv struct {
	t       *testing.T
	engine  string // "sqlite" or "postgres"
	db      *store.Store
	clock   *storetest.Clock // the service's clock; the workers use the database's
	service *invitation.Service
	smtp    *smtpRecorder
	log     *logBuffer // of the workers
}

// onEachEngine runs a test on both engines, each with its own testEnv.
func onEachEngine(t *testing.T, test func(t *testing.T, env *testEnv), configure ...func(*invitation.Policy)) {
	t.Helper()
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		env := &testEnv{t: t, engine: e.Name, clock: storetest.NewClock(time.Now()), smtp: newSMTPRecorder(t), log: &logBuffer{}}
		env.openStore(e)
		env.applyDirectory(directoryYAML)
		env.service = &invitation.Service{
			Store:       env.db.Invitations(),
			Policy:      invitation.Policy{Lifetime: lifetime, MaxAge: 24 * time.Hour, RequestMailInterval: time.Minute},
			Signer:      token.NewSigner("the secret of the tests"),
			FrontendURL: "https://front.example/",
		}
		for _, each := range configure {
			each(&env.service.Policy)
		}
		test(t, env)
	})
}

// newWorkers returns workers that are not started.
func (env *testEnv) newWorkers(configure ...func(*jobs.Config)) *jobs.Workers {
	env.t.Helper()
	renderer, err := mail.NewRenderer("invited", "")
	require.NoError(env.t, err)
	c := jobs.Config{
		Queue: env.db.QueueDriver(), Now: env.db.Now, Service: env.service, Joining: &joining.Service{Store: env.db.Joining()},
		Bulk:      &bulk.Service{Store: env.db.Bulk(), Invitations: env.service},
		Lifecycle: &lifecycle.Service{Store: env.db.Lifecycle()},
		Renderer:  renderer, Transport: env.smtp.transport(),
		Mails: jobs.MailSettings{Host: "mail.example", ReplyToInviter: true}, Sweep: time.Hour, Poll: 20 * time.Millisecond,
		Logger: slog.New(slog.NewTextHandler(env.log, nil)),
	}
	for _, each := range configure {
		each(&c)
	}
	w, err := jobs.New(c)
	require.NoError(env.t, err)
	return w
}

// startWorkers starts workers. They stop when the test ends, if not before.
func (env *testEnv) startWorkers(configure ...func(*jobs.Config)) *jobs.Workers {
	env.t.Helper()
	w := env.newWorkers(configure...)
	require.NoError(env.t, w.Start(env.t.Context()))
	env.t.Cleanup(func() {
		switch {
		case w.Running() != nil: // the test has stopped them
		case env.t.Failed(): // a job may wait for something that never comes
			env.stopWorkers(w, time.Second)
		default:
			env.stopWorkers(w, maxWait)
		}
	})
	return w
}

// stopWorkers stops workers. The jobs that still run after the timeout are interrupted.
func (env *testEnv) stopWorkers(w *jobs.Workers, timeout time.Duration) {
	env.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	stopped := make(chan error, 1)
	go func() { stopped <- w.Stop(ctx) }()
	select {
	case err := <-stopped:
		require.NoError(env.t, err)
	case <-time.After(timeout + 5*time.Second):
		env.failTimeout("the end of Stop")
	}
}

// invite has olivia invite somebody into Apollo.
func (env *testEnv) invite(email string) uuid.UUID {
	env.t.Helper()
	created, err := env.service.Create(env.t.Context(), env.user("olivia"), draft(email))
	require.NoError(env.t, err)
	return created.UUID
}

func draft(email string) invitation.Draft {
	return invitation.Draft{
		Role: projectAdmin, ScopeURL: "https://any.example/api/projects/" + apollo.String() + "/", Email: email,
	}
}

// waitFor waits until a condition holds.
func (env *testEnv) waitFor(what string, holds func() bool) {
	env.t.Helper()
	deadline := time.Now().Add(waitLimit())
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for ; !holds(); <-tick.C {
		if time.Now().After(deadline) {
			env.failTimeout(what)
		}
	}
}

// receive returns the next value of a channel.
func receive[T any](env *testEnv, from <-chan T, what string) (value T) {
	env.t.Helper()
	select {
	case value = <-from:
	case <-time.After(waitLimit()):
		env.failTimeout(what)
	}
	return value
}

// waitForState waits until the delivery of an invitation has a state, and returns the invitation.
func (env *testEnv) waitForState(id uuid.UUID, state invitation.ExecutionState) (found invitation.Invitation) {
	env.t.Helper()
	env.waitFor(fmt.Sprintf("the state %s of %s", state, id), func() bool {
		found = env.find(id)
		return found.ExecutionState == state
	})
	return found
}

// waitForMail waits for a mail to an address, and requires that it is the only one.
func (env *testEnv) waitForMail(to string) receivedMail {
	env.t.Helper()
	env.waitFor("a mail to "+to, func() bool { return len(env.smtp.mailsTo(to)) > 0 })
	found := env.smtp.mailsTo(to)
	require.Len(env.t, found, 1)
	return found[0]
}

var (
	deliveryKind = invitation.Deliver{}.Kind()
	noticeKind   = invitation.Notify{}.Kind()
)

// jobs lists the jobs of a kind, the oldest first.
func (env *testEnv) jobs(kind string) []*rivertype.JobRow { return storetest.Jobs(env.t, env.db, kind) }

// waitUntilIdle waits until no job of a kind is available or running, and returns all jobs of the kind.
func (env *testEnv) waitUntilIdle(kind string) (found []*rivertype.JobRow) {
	env.t.Helper()
	env.waitFor("the end of all jobs of kind "+kind, func() bool {
		found = env.jobs(kind)
		for _, each := range found {
			if each.State == rivertype.JobStateAvailable || each.State == rivertype.JobStateRunning {
				return false
			}
		}
		return true
	})
	return found
}

// waitForFailure waits until a job of a kind has failed in its nth attempt, and returns the job.
func (env *testEnv) waitForFailure(kind string, attempt int) (job *rivertype.JobRow) {
	env.t.Helper()
	env.waitFor(fmt.Sprintf("the failure of attempt %d", attempt), func() bool {
		for _, job = range env.waitUntilIdle(kind) {
			if job.State == rivertype.JobStateRetryable && job.Attempt == attempt {
				return true
			}
		}
		return false
	})
	return job
}

// retry makes a job that failed available at once.
func (env *testEnv) retry(job *rivertype.JobRow) {
	env.t.Helper()
	require.Equal(env.t, rivertype.JobStateRetryable, job.State)
	_, err := env.riverClient().JobRetry(env.t.Context(), job.ID)
	require.NoError(env.t, err)
}

// riverClient returns a River client without workers, as an operator's tools use it.
func (env *testEnv) riverClient() *river.Client[*sql.Tx] {
	env.t.Helper()
	client, err := river.NewClient(env.db.QueueDriver(), &river.Config{Logger: slog.New(slog.DiscardHandler)})
	require.NoError(env.t, err)
	return client
}

// logBuffer collects log lines.
type logBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
