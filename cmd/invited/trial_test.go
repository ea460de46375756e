package main

import (
	"cmp"
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
)

// trial is one run of one fault: what clients were promised meanwhile, and the judgement on what became of it.
type trial struct {
	t     testing.TB
	s     *site
	fault string
	sink  *sink
	hook  *receiver // nil: no webhook
	db    *sql.DB

	mu       sync.Mutex
	created  []string // uuids, each answered with 201
	accepted []string // uuids, each answered with 200
	// uuids of invitations that nobody can deliver, as their rows must say.
	refusedForGood []string
	refused        int // requests that were answered otherwise, or not at all
	over           time.Time
}

// onEachTrial runs a trial of a fault on both engines. Its site mails into the trial's sink; people have been applied.
func onEachTrial(t *testing.T, fault string, test func(x *trial)) {
	t.Helper()
	onEach(t, func(t *testing.T, s *site) { test(s.trial(fault)) })
}

func (s *site) trial(fault string) *trial {
	s.t.Helper()
	x := &trial{t: s.t, s: s, fault: fault, sink: newSink(s.t)}
	s.apply().set("INVITED_SMTP_URL=" + x.sink.url)
	x.db = s.raw()
	return x
}

// create has olivia invite people, one after the other, and keeps what she was promised. It returns the uuids.
func (x *trial) create(p *served, name string, count int) []string {
	x.t.Helper()
	var made []string
	for i := range count {
		if id := x.tryCreate(p, fmt.Sprintf("%s%d@university.example", name, i)); id != "" {
			made = append(made, id)
		}
	}
	return made
}

// tryCreate returns "" where there was no 201. Any other answer must be an honest 503.
func (x *trial) tryCreate(p *served, email string) string {
	got, err := p.try("POST", invitations, "olivia", draft(email))
	x.mu.Lock()
	defer x.mu.Unlock()
	if err != nil || got.status != 201 {
		x.refused++
		if err == nil && got.status != 503 {
			x.t.Errorf("creating for %s: %d %s", email, got.status, got.body)
		}
		return ""
	}
	id := got.invitation().UUID
	x.created = append(x.created, id)
	return id
}

// tryAccept has ina accept, and keeps what she was promised. It returns the status; 0 where there was none.
func (x *trial) tryAccept(p *served, id string) int {
	got, err := p.try("POST", invitations+id+"/accept/", "ina", "")
	x.mu.Lock()
	defer x.mu.Unlock()
	if err != nil {
		x.refused++
		return 0
	}
	if got.status == 200 {
		x.accepted = append(x.accepted, id)
	} else {
		x.refused++
	}
	return got.status
}

// healed marks the moment from which the time to heal counts.
func (x *trial) healed() { x.over = time.Now() }

// until waits for something to become true.
func (x *trial) until(patience time.Duration, what string, holds func() bool) {
	x.t.Helper()
	deadline := time.Now().Add(patience)
	for tick := time.NewTicker(20 * time.Millisecond); !holds(); <-tick.C {
		if time.Now().After(deadline) {
			require.FailNow(x.t, "never happened: "+what, "%s", x.state())
		}
	}
}

// state is what the database says, for the reader of a failure.
func (x *trial) state() string {
	var b strings.Builder
	for _, each := range x.rows("SELECT uuid || ' ' || state || ' ' || execution_state || ' ' || error_message FROM invitations") {
		b.WriteString(each + "\n")
	}
	for _, each := range x.rows("SELECT id || ' ' || kind || ' ' || state || ' attempt ' || attempt FROM river_job") {
		b.WriteString("job " + each + "\n")
	}
	return b.String()
}

// rows is a query's only column.
func (x *trial) rows(query string, args ...any) []string {
	x.t.Helper()
	rows, err := x.db.QueryContext(x.t.Context(), query, args...)
	require.NoError(x.t, err)
	defer func() { require.NoError(x.t, rows.Close()) }()
	found := []string{}
	for rows.Next() {
		var each string
		require.NoError(x.t, rows.Scan(&each))
		found = append(found, each)
	}
	require.NoError(x.t, rows.Err())
	return found
}

// open lists the jobs that deliver something and are not done with.
func (x *trial) open() []string {
	return x.rows(`SELECT kind || ' ' || state FROM river_job WHERE kind IN ('deliver_invitation', 'notify_user')
		AND state NOT IN ('completed', 'cancelled', 'discarded')`)
}

// judge waits until everything that is due was delivered, which must take no longer than patience from now, and then
// holds what clients were promised against the database, the job table and what the mail server took. twice is how many
// mails may have come a second time.
func (x *trial) judge(patience time.Duration, twice int) {
	x.t.Helper()
	x.until(patience, "everything is delivered", func() bool {
		return len(x.open()) == 0 && len(x.rows(`SELECT uuid FROM invitations WHERE execution_state = 'Processing'
			OR (execution_state = 'Scheduled' AND state = 'pending')`)) == 0
	})
	result := verdict{fault: x.fault, runs: 1, heal: time.Since(x.over)}
	if x.over.IsZero() {
		result.heal = 0
	}

	states, letters := map[string]string{}, map[string]string{}
	for _, each := range x.rows("SELECT uuid || ' ' || delivery || ' ' || state || ' ' || execution_state FROM invitations") {
		fields := strings.SplitN(each, " ", 3)
		states[fields[0]], letters[fields[0]] = fields[2], fields[0]+"."+fields[1]+"@localhost"
	}
	copies := x.sink.copies()
	if x.hook != nil {
		maps.Copy(copies, x.hook.copies())
	}
	for _, id := range x.created {
		if states[id] == "" {
			result.lost++
			x.t.Errorf("%s was promised and is not there", id)
		}
		if states[id] == "pending Erred" && !slices.Contains(x.refusedForGood, id) {
			result.lost++
			x.t.Errorf("%s was given up", id)
		}
	}
	for id, state := range states {
		if state == "pending OK" && copies[letters[id]] == 0 {
			result.lost++
			x.t.Errorf("%s says it was mailed and was not", id)
		}
	}
	for _, id := range x.accepted {
		if !strings.HasPrefix(states[id], "accepted ") {
			result.lost++
			x.t.Errorf("%s was accepted and is %q", id, states[id])
		}
	}
	accepted := x.rows("SELECT uuid FROM invitations WHERE state = 'accepted'")
	members := x.rows(`SELECT m.uuid FROM memberships m JOIN users u ON u.uuid = m.user_uuid WHERE u.username <> 'olivia'`)
	if len(accepted) != len(members) {
		result.lost++
		x.t.Errorf("%d accepted, %d memberships", len(accepted), len(members))
	}
	for id, count := range copies {
		if result.twice += count - 1; count > 1 {
			x.t.Logf("%s came %d times", id, count)
		}
	}
	verdicts.add(result)
	require.LessOrEqual(x.t, result.twice, twice, "mails that came more than once")
}

// verdict is one line of the table of faults.
type verdict struct {
	fault             string
	runs, lost, twice int
	heal              time.Duration // the longest
}

// verdicts is the table of faults.
var verdicts table

type table struct {
	mu    sync.Mutex
	lines map[string]verdict
}

func (v *table) add(one verdict) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.lines == nil {
		v.lines = map[string]verdict{}
	}
	sum := v.lines[one.fault]
	v.lines[one.fault] = verdict{
		one.fault, sum.runs + one.runs, sum.lost + one.lost, sum.twice + one.twice, max(sum.heal, one.heal),
	}
}

// write puts the table into a file.
func (v *table) write(path string) error {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "fault\truns\tlost\ttwice\ttime to heal, at most")
	lines := slices.SortedFunc(maps.Values(v.lines), func(a, b verdict) int { return cmp.Compare(a.fault, b.fault) })
	for _, each := range lines {
		heal := "at once"
		if each.heal >= 50*time.Millisecond {
			heal = each.heal.Round(100 * time.Millisecond).String()
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%s\n", each.fault, each.runs, each.lost, each.twice, heal)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(b.String()), 0o600)
}
