package systemtest

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/stretchr/testify/require"

	"invited/internal/systemtest/harness"
)

// queryLimit limits each query of a test: a broken program may hold locks for ever.
const queryLimit = 30 * time.Second

// faultCase is one run of one fault. It records what clients were promised, and verify checks what became of it.
type faultCase struct {
	t       testing.TB
	env     *harness.Env
	fault   string // line of the table of faults
	smtp    *harness.SMTPRecorder
	webhook *harness.WebhookRecorder // nil where deliveries go by mail
	db      *sql.DB

	mu       sync.Mutex
	created  []string // uuids of the invitations whose create was answered with 201
	accepted []string // uuids of the invitations whose accept was answered with 200
	refused  int      // number of requests with another response, or none
	// undeliverable has the uuids of the invitations that nobody can deliver. Their rows must say so.
	undeliverable []string
	healedAt      time.Time // when the fault was over
	mayLose       bool      // created invitations that do not exist are counted, and are no failure of the test
}

// onEachFault runs a fault case on both engines. The directory is applied, and the program mails to the case's recorder.
func onEachFault(t *testing.T, fault string, test func(f *faultCase)) {
	t.Helper()
	harness.OnEachEngine(t, func(t *testing.T, env *harness.Env) { test(newFaultCase(env, fault)) })
}

func newFaultCase(env *harness.Env, fault string) *faultCase {
	env.T.Helper()
	f := &faultCase{t: env.T, env: env, fault: fault, smtp: harness.NewSMTPRecorder(env.T)}
	env.Apply().Set("INVITED_SMTP_URL=" + f.smtp.URL)
	f.db = env.DB()
	return f
}

// create invites count people one after the other, as olivia, and returns the uuids of those that were created.
func (f *faultCase) create(p *harness.Process, name string, count int) []string {
	f.t.Helper()
	var uuids []string
	for i := range count {
		if uuid := f.tryCreate(p, fmt.Sprintf("%s%d@university.example", name, i)); uuid != "" {
			uuids = append(uuids, uuid)
		}
	}
	return uuids
}

// tryCreate invites email, and returns the uuid, or "" where there was no 201. A response that is neither 201 nor 503 fails
// the test.
func (f *faultCase) tryCreate(p *harness.Process, email string) string {
	response, err := p.TryDo("POST", harness.InvitationsPath, "olivia", harness.InvitationBody(email))
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil || response.Status != 201 {
		f.refused++
		if err == nil && response.Status != 503 {
			f.t.Errorf("creating for %s: %d %s", email, response.Status, response.Body)
		}
		return ""
	}
	uuid := response.Invitation().UUID
	f.created = append(f.created, uuid)
	return uuid
}

// tryAccept accepts an invitation as ina. It returns the status, or 0 where there was no response.
func (f *faultCase) tryAccept(p *harness.Process, uuid string) int {
	response, err := p.TryDo("POST", harness.InvitationsPath+uuid+"/accept/", "ina", "")
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil {
		f.refused++
		return 0
	}
	if response.Status == 200 {
		f.accepted = append(f.accepted, uuid)
	} else {
		f.refused++
	}
	return response.Status
}

// record appends the uuid to one of the lists of the case.
func (f *faultCase) record(list *[]string, uuid string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	*list = append(*list, uuid)
}

// markHealed starts the time to heal.
func (f *faultCase) markHealed() { f.healedAt = time.Now() }

// waitUntil waits until holds returns true, and fails the test after limit.
func (f *faultCase) waitUntil(limit time.Duration, what string, holds func() bool) {
	f.t.Helper()
	harness.WaitUntil(f.t, limit, what, holds, f.state)
}

// state describes the invitations and the jobs, for the message of a failed test.
func (f *faultCase) state() string {
	var b strings.Builder
	for _, row := range f.column("SELECT uuid || ' ' || state || ' ' || execution_state || ' ' || error_message FROM invitations") {
		b.WriteString(row + "\n")
	}
	for _, row := range f.column("SELECT id || ' ' || kind || ' ' || state || ' attempt ' || attempt FROM river_job") {
		b.WriteString("job " + row + "\n")
	}
	return b.String()
}

// column returns the only column of a query.
func (f *faultCase) column(query string, args ...any) []string {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), queryLimit)
	defer cancel()
	rows, err := f.db.QueryContext(ctx, query, args...)
	require.NoError(f.t, err)
	defer func() { require.NoError(f.t, rows.Close()) }()
	values := []string{}
	for rows.Next() {
		var value string
		require.NoError(f.t, rows.Scan(&value))
		values = append(values, value)
	}
	require.NoError(f.t, rows.Err())
	return values
}

func (f *faultCase) exec(query string, args ...any) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), queryLimit)
	defer cancel()
	_, err := f.db.ExecContext(ctx, query, args...)
	require.NoError(f.t, err)
}

// openJobs returns the jobs that deliver something and are not finished, each as "KIND STATE".
func (f *faultCase) openJobs() []string {
	return f.column(`SELECT kind || ' ' || state FROM river_job WHERE kind IN ('deliver_invitation', 'notify_user')
		AND state NOT IN ('completed', 'cancelled', 'discarded')`)
}

// verify waits up to limit until everything that is due is delivered. Then it compares what clients were promised with the
// database, the jobs and the recorded mails. maxTwice is the number of mails that may have come a second time. It returns the
// line of the table of faults.
func (f *faultCase) verify(limit time.Duration, maxTwice int) faultResult {
	f.t.Helper()
	f.waitUntil(limit, "everything is delivered", func() bool {
		return len(f.openJobs()) == 0 && len(f.column(`SELECT uuid FROM invitations WHERE execution_state = 'Processing'
			OR (execution_state = 'Scheduled' AND state = 'pending')`)) == 0
	})
	result := faultResult{fault: f.fault, runs: 1, healTime: time.Since(f.healedAt)}
	if f.healedAt.IsZero() {
		result.healTime = 0
	}

	states, messageIDs := map[string]string{}, map[string]string{}
	for _, row := range f.column("SELECT uuid || ' ' || delivery || ' ' || state || ' ' || execution_state FROM invitations") {
		fields := strings.SplitN(row, " ", 3)
		states[fields[0]], messageIDs[fields[0]] = fields[2], fields[0]+"."+fields[1]+"@localhost"
	}
	copies := f.smtp.Copies()
	if f.webhook != nil {
		maps.Copy(copies, f.webhook.Copies())
	}
	for _, uuid := range f.created {
		if states[uuid] == "" {
			result.lost++
			if !f.mayLose {
				f.t.Errorf("%s was created and does not exist", uuid)
			}
		}
		if states[uuid] == "pending Erred" && !slices.Contains(f.undeliverable, uuid) {
			result.lost++
			f.t.Errorf("%s was given up", uuid)
		}
	}
	for uuid, state := range states {
		if state == "pending OK" && copies[messageIDs[uuid]] == 0 {
			result.lost++
			f.t.Errorf("%s says that it was mailed and was not", uuid)
		}
	}
	for _, uuid := range f.accepted {
		if !strings.HasPrefix(states[uuid], "accepted ") {
			result.lost++
			f.t.Errorf("%s was accepted and is %q", uuid, states[uuid])
		}
	}
	accepted := f.column("SELECT uuid FROM invitations WHERE state = 'accepted'")
	members := f.column(`SELECT m.uuid FROM memberships m JOIN users u ON u.uuid = m.user_uuid WHERE u.username <> 'olivia'`)
	if len(accepted) != len(members) {
		result.lost++
		f.t.Errorf("%d accepted, %d memberships", len(accepted), len(members))
	}
	for id, count := range copies {
		if result.twice += count - 1; count > 1 {
			f.t.Logf("%s came %d times", id, count)
		}
	}
	faults.add(result)
	require.LessOrEqual(f.t, result.twice, maxTwice, "mails that came more than once")
	return result
}

// faultResult is one line of the table of faults.
type faultResult struct {
	fault             string
	runs, lost, twice int
	healTime          time.Duration // the longest of the runs
}

// faults is the table of faults.
var faults faultTable

type faultTable struct {
	mu    sync.Mutex
	lines map[string]faultResult
}

func (table *faultTable) add(r faultResult) {
	table.mu.Lock()
	defer table.mu.Unlock()
	if table.lines == nil {
		table.lines = map[string]faultResult{}
	}
	sum := table.lines[r.fault]
	table.lines[r.fault] = faultResult{
		r.fault, sum.runs + r.runs, sum.lost + r.lost, sum.twice + r.twice, max(sum.healTime, r.healTime),
	}
}

// writeFile writes the table into a file.
func (table *faultTable) writeFile(path string) error {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "fault\truns\tlost\ttwice\ttime to heal, at most")
	lines := slices.SortedFunc(maps.Values(table.lines), func(a, b faultResult) int { return cmp.Compare(a.fault, b.fault) })
	for _, line := range lines {
		healTime := "at once"
		if line.healTime >= 50*time.Millisecond {
			healTime = line.healTime.Round(100 * time.Millisecond).String()
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%s\n", line.fault, line.runs, line.lost, line.twice, healTime)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(b.String()), 0o600)
}
