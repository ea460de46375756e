package systemtest

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"invited/internal/systemtest/harness"
)

// The clock of a machine is wrong. On PostgreSQL it is the clock of one of two replicas, the River leader: everything depends
// on the database's clock instead. On SQLite the database is in the process, and there is no other clock: nothing is lost, and
// all work goes on once the clock is right.
func TestFaultClock(t *testing.T) {
	t.Parallel()
	for _, skew := range []time.Duration{10 * time.Minute, -10 * time.Minute} {
		t.Run(skew.String(), func(t *testing.T) {
			onEachFault(t, fmt.Sprintf("a clock that is wrong by %+.0f min", skew.Minutes()), func(f *faultCase) {
				if f.env.OnSQLite() {
					f.testClockWrong(skew)
				} else {
					f.testOneClockWrong(skew)
				}
			})
		})
	}
}

const (
	approvalAge = 30 * time.Second // lifetime of approval links
	slowReply   = 25 * time.Second // nearly the limit for a mail server
	// A process's estimate of the database's clock may be wrong by this much.
	maxClockError = 50 * time.Millisecond
)

// testOneClockWrong runs a replica with a wrong clock beside one with the right clock.
func (f *faultCase) testOneClockWrong(skew time.Duration) {
	f.env.Set("INVITED_ONLY_STAFF_CAN_INVITE_USERS=true", "INVITED_INVITATION_MAX_AGE="+approvalAge.String())
	slow, attempts := f.slowMailServer()
	wrong := f.withClockAhead(skew).Serve()
	require.InDelta(f.t, skew.Minutes(), time.Until(f.waitLeader()).Minutes(), 1, "the leader's clock is wrong")
	right := f.env.Serve()

	status, checks := wrong.Readiness()
	require.Equal(f.t, "degraded", status)
	require.Contains(f.t, checks["clock"], "10m0s")
	status, checks = right.Readiness()
	require.Equal(f.t, "ok", status)
	require.Contains(f.t, []string{"ok", ""}, checks["clock"])

	// A mail takes so long that the leader, which rescues stuck jobs every 30 s, looks at its job meanwhile. The process with
	// the right clock sends that mail. A mail that fails is tried again at the time that its job has.
	var sending []string
	f.alone(wrong, func() {
		sending = append(sending, f.invite(right, "sam", "slow0"))
		f.invite(right, "sam", "later0")
		require.Equal(f.t, "slow0@university.example", harness.Receive(f.t, slow, "slow0 is being mailed"))
		f.waitUntil(20*time.Second, "later0 was tried", func() bool { return len(attempts("later0")) == 1 })
	})
	tokens := map[*harness.Process]string{}
	f.alone(right, func() {
		f.invite(wrong, "sam", "later1")
		f.waitUntil(20*time.Second, "later1 was tried", func() bool { return len(attempts("later1")) == 1 })
		tokens[right] = f.waitApprovalToken(f.invite(wrong, "olivia", "asked0"), 20*time.Second)
	})
	f.alone(wrong, func() { tokens[wrong] = f.waitApprovalToken(f.invite(right, "olivia", "asked1"), 20*time.Second) })
	for p, token := range tokens { // the other process signed it
		p.Do("POST", harness.InvitationsPath+"approve/", "", `{"token": "`+token+`"}`).Is(200)
	}

	f.invite(wrong, "sam", "ends")
	require.Len(f.t, f.column(fmt.Sprintf("SELECT uuid FROM invitations WHERE email LIKE 'ends@%%' AND created BETWEEN now() - interval '2 seconds'"+
		" AND now() + interval '%s'", maxClockError)), 1)
	f.exec("UPDATE invitations SET created = now() - interval '168 hours' + interval '3 seconds' WHERE email LIKE 'ends@%'")
	ends := f.queryTime("SELECT created + interval '168 hours' FROM invitations WHERE email LIKE 'ends@%'")
	id := f.column("SELECT uuid FROM invitations WHERE email LIKE 'ends@%'")[0]
	for _, p := range []*harness.Process{wrong, right} {
		f.waitUntilExactly(ends, func() bool { return p.Get(id).State == "expired" })
	}

	f.alone(wrong, func() {
		sending = append(sending, f.invite(right, "sam", "slow1"))
		require.Equal(f.t, "slow1@university.example", harness.Receive(f.t, slow, "slow1 is being mailed"))
	})
	for _, token := range tokens {
		ends := issuedAt(f.t, token).Add(approvalAge)
		for _, p := range []*harness.Process{wrong, right} {
			f.waitUntilExactly(ends, func() bool {
				// A second approval is refused, and the reason shows whether the token is still valid.
				reason := p.Do("POST", harness.InvitationsPath+"approve/", "", `{"token": "`+token+`"}`).Is(400).Body
				require.Regexp(f.t, "Invalid invitation UUID|Invalid signature", reason)
				return strings.Contains(reason, "Invalid signature")
			})
		}
	}

	f.verify(time.Minute, 0)
	for _, each := range []string{"later0", "later1"} {
		times := attempts(each)
		require.Len(f.t, times, 2)
		require.Greater(f.t, times[1].Sub(times[0]), 9*time.Second, "%s is not tried again at once", each)
		require.Less(f.t, times[1].Sub(times[0]), 40*time.Second, "%s is tried again soon", each)
	}
	for _, each := range sending {
		require.Equal(f.t, []string{"1 0"}, f.column(`SELECT attempt || ' ' || coalesce(cardinality(errors), 0) FROM river_job
			WHERE kind = 'deliver_invitation' AND args->>'invitation' = $1`, each), "no process took the job for stuck")
	}
	require.Empty(f.t, f.column(`SELECT kind || ' ' || created_at FROM river_job
		WHERE kind <> 'sweep' AND created_at NOT BETWEEN now() - interval '5 minutes' AND now()`), "the Date of mails depends on created_at")
	wrong.Stop()
	right.Stop()
}

// testClockWrong runs a process with a wrong clock, and then one with the right clock, on SQLite.
func (f *faultCase) testClockWrong(skew time.Duration) {
	_, attempts := f.slowMailServer()
	wrong := f.withClockAhead(skew).Serve()
	status, _ := wrong.Readiness()
	require.Equal(f.t, "ok", status, "there is no other clock to compare with")
	ids := f.create(wrong, "before", 3)
	require.Len(f.t, ids, 3)
	f.waitUntil(20*time.Second, "they are delivered", func() bool { return len(f.openJobs()) == 0 })
	require.Equal(f.t, 200, f.tryAccept(wrong, ids[0]))
	f.create(wrong, "later", 1)
	f.waitUntil(20*time.Second, "later0 was tried", func() bool {
		return len(attempts("later0")) == 1 && len(f.column("SELECT state FROM river_job WHERE state = 'retryable'")) == 1
	})
	wrong.Stop()

	right := f.env.Serve()
	f.markHealed()
	require.Equal(f.t, "pending", right.Get(ids[1]).State)
	require.Equal(f.t, 200, right.Do("POST", harness.InvitationsPath+ids[1]+"/cancel/", "olivia", "").Status)
	right.WaitDelivered(f.create(right, "after", 1)[0])
	if skew > 0 { // the retry is scheduled by the wrong clock, 10 minutes too late: bring it forward
		f.exec("UPDATE river_job SET scheduled_at = datetime(scheduled_at, '-10 minutes') WHERE state = 'retryable'")
	}
	f.verify(time.Minute, 0)
	require.Len(f.t, attempts("later0"), 2)
	right.Stop()
}

// slowMailServer makes the mail server take slowReply for each mail to an address that begins with "slow", and refuse the first
// attempt at each address that begins with "later". slow gets the address of each slow mail that begins. attempts returns the
// times of the attempts at a later address.
func (f *faultCase) slowMailServer() (slow <-chan string, attempts func(name string) []time.Time) {
	var mu sync.Mutex
	times := map[string][]time.Time{}
	began := make(chan string, 10)
	f.smtp.SetReply(func(stage, about string) string {
		switch {
		case stage == "DATA" && strings.HasPrefix(about, "slow"):
			began <- about
			harness.Sleep(f.t, slowReply)
		case stage == "RCPT" && strings.HasPrefix(about, "later"):
			mu.Lock()
			defer mu.Unlock()
			if times[about] = append(times[about], time.Now()); len(times[about]) == 1 {
				return "451 4.3.0 not now"
			}
		}
		return ""
	})
	return began, func(name string) []time.Time {
		mu.Lock()
		defer mu.Unlock()
		return append([]time.Time{}, times[name+"@university.example"]...)
	}
}

// alone suspends a process while f runs, so that the other process does all the work. The process is suspended between its
// transactions, because the other process would wait for the locks of an open one.
func (f *faultCase) alone(suspended *harness.Process, work func()) {
	f.t.Helper()
	defer suspended.Signal(syscall.SIGCONT)
	f.waitUntil(20*time.Second, "a process is suspended between its transactions", func() bool {
		suspended.Signal(syscall.SIGSTOP)
		isOpen := func() bool {
			return len(f.column("SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'")) > 0
		}
		for range 10 { // the transactions of the other process end by themselves
			if !isOpen() {
				return true
			}
			harness.Sleep(f.t, 20*time.Millisecond)
		}
		suspended.Signal(syscall.SIGCONT)
		return false
	})
	work()
}

// invite invites name into Apollo as user, and returns the uuid.
func (f *faultCase) invite(p *harness.Process, user, name string) string {
	f.t.Helper()
	id := p.Do("POST", harness.InvitationsPath, user, harness.InvitationBody(name+"@university.example")).Is(201).Invitation().UUID
	f.record(&f.created, id)
	return id
}

// issuedAt returns the time of issue that a token contains.
func issuedAt(t testing.TB, token string) time.Time {
	t.Helper()
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	require.NoError(t, err)
	return time.Unix(new(big.Int).SetBytes(payload[len(payload)-8:]).Int64(), 0)
}

// queryTime returns the time that a query selects.
func (f *faultCase) queryTime(query string) (at time.Time) {
	f.t.Helper()
	require.NoError(f.t, f.db.QueryRowContext(f.t.Context(), query).Scan(&at))
	return at
}

// waitUntilExactly waits until holds returns true, and asserts that it does so from the time at on, by the database's clock.
func (f *faultCase) waitUntilExactly(at time.Time, holds func() bool) {
	f.t.Helper()
	f.waitUntil(time.Until(at)+20*time.Second, "the time comes", func() bool {
		before := f.queryTime("SELECT now()")
		held := holds()
		after := f.queryTime("SELECT now()")
		if held {
			require.False(f.t, after.Add(maxClockError).Before(at), "%s too early", at.Sub(after))
		} else {
			require.True(f.t, before.Before(at.Add(maxClockError)), "%s too late", before.Sub(at))
		}
		return held
	})
}

// withClockAhead returns a copy of the Env with a program whose clock is ahead of the machine's.
func (f *faultCase) withClockAhead(ahead time.Duration) *harness.Env {
	f.t.Helper()
	path, err := buildSkewedProgram()
	if errors.Is(err, errUnknownClock) && !strings.Contains(err.Error(), "is "+clockVersion) {
		f.t.Skip(err)
	}
	require.NoError(f.t, err)
	other := f.env.With(fmt.Sprintf("%s=%.0f", skewVariable, ahead.Seconds()))
	other.Program = path
	return other
}

const (
	skewVariable = "CLOCK_AHEAD" // seconds
	clockVersion = "go1.26"      // the Go version whose time package buildSkewedProgram can patch
)

var errUnknownClock = errors.New("only the clock of " + clockVersion + " can be set wrong")

// buildSkewedProgram builds the program on a standard library whose time.Now is ahead by CLOCK_AHEAD seconds, and returns the
// path of the binary. The program's own code is unchanged.
var buildSkewedProgram = sync.OnceValues(func() (string, error) {
	dir := buildDir
	output, err := exec.Command("go", "env", "GOROOT", "GOVERSION").Output()
	if err != nil {
		return "", err
	}
	root, version, _ := strings.Cut(strings.TrimSpace(string(output)), "\n")
	original := filepath.Join(root, "src", "time", "time.go")
	source, err := os.ReadFile(original)
	if err != nil {
		return "", err
	}
	patched := string(source)
	for old, replacement := range map[string]string{
		"func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n": "func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n\tsec += ahead\n",
		"import (\n": "import (\n\t\"syscall\"\n",
	} {
		if strings.Count(patched, old) != 1 {
			return "", fmt.Errorf("%w, and this is %s", errUnknownClock, version)
		}
		patched = strings.Replace(patched, old, replacement, 1)
	}
	patched += `
var ahead = func() (seconds int64) {
	value, _ := syscall.Getenv("` + skewVariable + `")
	sign := int64(1)
	for _, digit := range value {
		if digit == '-' {
			sign = -1
		} else {
			seconds = 10*seconds + sign*int64(digit-'0')
		}
	}
	return seconds
}()
`
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {original: filepath.Join(dir, "time.go")}})
	if err != nil {
		return "", err
	}
	for name, content := range map[string]string{"time.go": patched, "overlay.json": string(overlay)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			return "", err
		}
	}
	return harness.Build(dir, "invited-skewed", "-overlay", filepath.Join(dir, "overlay.json"))
})
