package main

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
)

// A machine's clock is wrong. On PostgreSQL that is one of two replicas', and the one that leads: everything goes by the
// database's clock all the same. On SQLite the database is in the process, whose clock is the only one there is: nothing
// is lost, and once it is set right all goes on.
func TestFaultClock(t *testing.T) {
	t.Parallel()
	for _, skew := range []time.Duration{10 * time.Minute, -10 * time.Minute} {
		t.Run(skew.String(), func(t *testing.T) {
			onEachTrial(t, fmt.Sprintf("a clock that is wrong by %+.0f min", skew.Minutes()), func(x *trial) {
				if x.s.onSQLite() {
					x.wrongAlone(skew)
				} else {
					x.wrongBeside(skew)
				}
			})
		})
	}
}

const (
	clockAge = 30 * time.Second // of approval links
	slowly   = 25 * time.Second // nearly as long as a mail server may take
	// What a process takes for the database's time may be as far off.
	reckoned = 50 * time.Millisecond
)

func (x *trial) wrongBeside(skew time.Duration) {
	x.s.set("INVITED_ONLY_STAFF_CAN_INVITE_USERS=true", "INVITED_INVITATION_MAX_AGE="+clockAge.String())
	slow, tried := x.unhurried()
	wrong := x.skewed(skew).serve()
	require.InDelta(x.t, skew.Minutes(), time.Until(x.leader()).Minutes(), 1, "it leads, and its clock is wrong")
	right := x.s.serve()

	status, clock := wrong.health()
	require.Equal(x.t, "degraded", status)
	require.Contains(x.t, clock, "10m0s")
	status, clock = right.health()
	require.Equal(x.t, "ok", status)
	require.Contains(x.t, []string{"ok", ""}, clock)

	// Sent so slowly that the leader, which looks for stuck jobs every half minute, does so meanwhile. It is the process
	// whose clock is right that sends; and one that fails is tried again when it says.
	var sending []string
	alone(wrong, func() {
		sending = append(sending, x.invite(right, "sam", "slow0"))
		x.invite(right, "sam", "later0")
		require.Equal(x.t, "slow0@university.example", <-slow)
		x.until(20*time.Second, "it was tried", func() bool { return len(tried("later0")) == 1 })
	})
	tokens := map[*served]string{}
	alone(right, func() {
		x.invite(wrong, "sam", "later1")
		x.until(20*time.Second, "it was tried", func() bool { return len(tried("later1")) == 1 })
		tokens[right] = x.approval(x.invite(wrong, "olivia", "asked0"))
	})
	alone(wrong, func() { tokens[wrong] = x.approval(x.invite(right, "olivia", "asked1")) })
	for p, token := range tokens { // which the other made
		p.ask("POST", invitations+"approve/", "", `{"token": "`+token+`"}`).is(200)
	}

	x.invite(wrong, "sam", "ends")
	require.Len(x.t, x.rows(fmt.Sprintf("SELECT uuid FROM invitations WHERE email LIKE 'ends@%%' AND created BETWEEN now() - interval '2 seconds'"+
		" AND now() + interval '%s'", reckoned)), 1)
	x.exec("UPDATE invitations SET created = now() - interval '168 hours' + interval '3 seconds' WHERE email LIKE 'ends@%'")
	ends := x.moment("SELECT created + interval '168 hours' FROM invitations WHERE email LIKE 'ends@%'")
	id := x.rows("SELECT uuid FROM invitations WHERE email LIKE 'ends@%'")[0]
	for _, p := range []*served{wrong, right} {
		x.exactly(ends, func() bool { return p.see(id).State == "expired" })
	}

	alone(wrong, func() {
		sending = append(sending, x.invite(right, "sam", "slow1"))
		require.Equal(x.t, "slow1@university.example", <-slow)
	})
	for _, token := range tokens {
		ends := issued(x.t, token).Add(clockAge)
		for _, p := range []*served{wrong, right} {
			x.exactly(ends, func() bool {
				// What was approved can't be again, which is said as long as the token holds.
				said := p.ask("POST", invitations+"approve/", "", `{"token": "`+token+`"}`).is(400).body
				require.Regexp(x.t, "Invalid invitation UUID|Invalid signature", said)
				return strings.Contains(said, "Invalid signature")
			})
		}
	}

	x.judge(time.Minute, 0)
	for _, each := range []string{"later0", "later1"} {
		times := tried(each)
		require.Len(x.t, times, 2)
		require.Greater(x.t, times[1].Sub(times[0]), 9*time.Second, "%s is not tried again at once", each)
		require.Less(x.t, times[1].Sub(times[0]), 40*time.Second, "%s is tried again soon", each)
	}
	for _, each := range sending {
		require.Equal(x.t, []string{"1 0"}, x.rows(`SELECT attempt || ' ' || coalesce(cardinality(errors), 0) FROM river_job
			WHERE kind = 'deliver_invitation' AND args->>'invitation' = $1`, each), "nobody took it for stuck")
	}
	require.Empty(x.t, x.rows(`SELECT kind || ' ' || created_at FROM river_job
		WHERE kind <> 'sweep' AND created_at NOT BETWEEN now() - interval '5 minutes' AND now()`), "letters are dated by it")
	wrong.stop()
	right.stop()
}

func (x *trial) wrongAlone(skew time.Duration) {
	_, tried := x.unhurried()
	wrong := x.skewed(skew).serve()
	status, _ := wrong.health()
	require.Equal(x.t, "ok", status, "there is no other clock to compare")
	ids := x.create(wrong, "before", 3)
	require.Len(x.t, ids, 3)
	x.until(20*time.Second, "they are delivered", func() bool { return len(x.open()) == 0 })
	require.Equal(x.t, 200, x.tryAccept(wrong, ids[0]))
	x.create(wrong, "later", 1)
	x.until(20*time.Second, "it was tried", func() bool {
		return len(tried("later0")) == 1 && len(x.rows("SELECT state FROM river_job WHERE state = 'retryable'")) == 1
	})
	wrong.stop()

	right := x.s.serve()
	x.healed()
	require.Equal(x.t, "pending", right.see(ids[1]).State)
	require.Equal(x.t, 200, right.ask("POST", invitations+ids[1]+"/cancel/", "olivia", "").status)
	right.delivered(x.create(right, "after", 1)[0])
	if skew > 0 { // what was put off stays so until the time that was said then: here it comes
		x.exec("UPDATE river_job SET scheduled_at = datetime(scheduled_at, '-10 minutes') WHERE state = 'retryable'")
	}
	x.judge(time.Minute, 0)
	require.Len(x.t, tried("later0"), 2)
	right.stop()
}

// unhurried has the mail server take its time with mails to whom slow is in the name of, and say not now to the first
// for who is to come later. It tells when the one kind begins, and when the other was tried.
func (x *trial) unhurried() (slow <-chan string, tried func(name string) []time.Time) {
	var mu sync.Mutex
	attempts := map[string][]time.Time{}
	begun := make(chan string, 10)
	x.sink.answers(func(stage, about string) string {
		switch {
		case stage == "DATA" && strings.HasPrefix(about, "slow"):
			begun <- about
			<-time.After(slowly)
		case stage == "RCPT" && strings.HasPrefix(about, "later"):
			mu.Lock()
			defer mu.Unlock()
			if attempts[about] = append(attempts[about], time.Now()); len(attempts[about]) == 1 {
				return "451 4.3.0 not now"
			}
		}
		return ""
	})
	return begun, func(name string) []time.Time {
		mu.Lock()
		defer mu.Unlock()
		return append([]time.Time{}, attempts[name+"@university.example"]...)
	}
}

// alone stops a process for as long as f runs: what is to be done meanwhile the other does.
func alone(stopped *served, f func()) {
	stopped.t.Helper()
	stopped.signal(syscall.SIGSTOP)
	defer stopped.signal(syscall.SIGCONT)
	f()
}

// invite has somebody invite into Apollo, and returns the uuid.
func (x *trial) invite(p *served, user, name string) string {
	x.t.Helper()
	id := p.ask("POST", invitations, user, draft(name+"@university.example")).is(201).invitation().UUID
	x.promised(&x.created, id)
	return id
}

// health is what a process says of itself as a whole, and of the clock.
func (p *served) health() (status, clock string) {
	p.t.Helper()
	var said struct {
		Status string
		Checks map[string]string
	}
	require.NoError(p.t, json.Unmarshal([]byte(p.ask("GET", "/readyz", "", "").is(200).body), &said))
	return said.Status, said.Checks["clock"]
}

// issued is when a token says that it was.
func issued(t testing.TB, token string) time.Time {
	t.Helper()
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	require.NoError(t, err)
	return time.Unix(new(big.Int).SetBytes(payload[len(payload)-8:]).Int64(), 0)
}

func (x *trial) moment(query string) (at time.Time) {
	x.t.Helper()
	require.NoError(x.t, x.db.QueryRowContext(x.t.Context(), query).Scan(&at))
	return at
}

// exactly waits for something to become true, which must be at a moment by the database's clock.
func (x *trial) exactly(moment time.Time, holds func() bool) {
	x.t.Helper()
	x.until(time.Until(moment)+20*time.Second, "the time comes", func() bool {
		before := x.moment("SELECT now()")
		held := holds()
		after := x.moment("SELECT now()")
		if held {
			require.False(x.t, after.Add(reckoned).Before(moment), "%s too early", moment.Sub(after))
		} else {
			require.True(x.t, before.Before(moment.Add(reckoned)), "%s too late", before.Sub(moment))
		}
		return held
	})
}

// skewed is the site with a program whose clock is ahead of the machine's.
func (x *trial) skewed(ahead time.Duration) *site {
	x.t.Helper()
	path, err := skewedBinary()
	if errors.Is(err, errOtherClock) && !strings.Contains(err.Error(), "is "+clockVersion) {
		x.t.Skip(err)
	}
	require.NoError(x.t, err)
	other := x.s.with(fmt.Sprintf("%s=%.0f", skewVariable, ahead.Seconds()))
	other.binary = path
	return other
}

const (
	skewVariable = "CLOCK_AHEAD" // seconds
	clockVersion = "go1.26"      // whose clock this knows to set wrong
)

var errOtherClock = errors.New("the clock to be set wrong is that of " + clockVersion)

// skewedBinary is the program on a standard library whose clock is wrong by that much. Nothing in the program knows.
var skewedBinary = sync.OnceValues(func() (string, error) {
	dir := filepath.Dir(binary)
	told, err := exec.Command("go", "env", "GOROOT", "GOVERSION").Output()
	if err != nil {
		return "", err
	}
	root, version, _ := strings.Cut(strings.TrimSpace(string(told)), "\n")
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
			return "", fmt.Errorf("%w, and this is %s", errOtherClock, version)
		}
		patched = strings.Replace(patched, old, replacement, 1)
	}
	patched += `
var ahead = func() (seconds int64) {
	text, _ := syscall.Getenv("` + skewVariable + `")
	sign := int64(1)
	for _, each := range text {
		if each == '-' {
			sign = -1
		} else {
			seconds = 10*seconds + sign*int64(each-'0')
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
	path := filepath.Join(dir, "invited-skewed")
	out, err := exec.Command("go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", path, ".").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return path, nil
})
