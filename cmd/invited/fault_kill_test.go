package main

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// rescue is longer than it takes until the job of a killed process is taken up again: two minutes until no attempt can
// still run, half a minute until somebody looks, and until another process may.
const rescue = 5 * time.Minute

// Each of these is killed at every one of its statements in turn, at its commit, and after it. Whatever the client was
// told, all of it has happened or nothing; and who was told nothing can ask again.
func TestFaultKilledAtEveryStatement(t *testing.T) {
	t.Parallel()
	for name, operation := range map[string]operation{
		"create": {
			ask: func(p *served, _ string) (answer, error) {
				return p.try("POST", invitations, "olivia", draft("asked@university.example"))
			},
			// Who was not told asks again, and is told where it was done before.
			again: map[bool]int{true: 400, false: 201}, status: 201, event: "created",
			done: "SELECT uuid FROM invitations WHERE email = 'asked@university.example' AND state = 'pending'",
			with: "SELECT '' || id FROM river_job WHERE kind = 'deliver_invitation'",
		},
		"accept": {
			prepare: func(x *trial, p *served) string { return x.create(p, "ina", 1)[0] },
			ask: func(p *served, id string) (answer, error) {
				return p.try("POST", invitations+id+"/accept/", "ina", "")
			},
			again: map[bool]int{true: 404, false: 200}, status: 200, event: "accepted",
			done: "SELECT uuid FROM invitations WHERE state = 'accepted'",
			with: "SELECT m.uuid FROM memberships m JOIN users u ON u.uuid = m.user_uuid WHERE u.username = 'ina'",
		},
		"approve": {
			environ: "INVITED_ONLY_STAFF_CAN_INVITE_USERS=true",
			prepare: func(x *trial, p *served) string { return x.requested(p) },
			ask: func(p *served, token string) (answer, error) {
				return p.try("POST", invitations+"approve/", "", `{"token": "`+token+`"}`)
			},
			again: map[bool]int{true: 400, false: 200}, status: 200, event: "approved",
			done: "SELECT uuid FROM invitations WHERE state = 'pending'",
			with: "SELECT '' || id FROM river_job WHERE kind = 'deliver_invitation'",
		},
	} {
		t.Run(name, func(t *testing.T) {
			onEachTrial(t, "kill -9 at every statement of "+name, func(x *trial) {
				points := []string{"answer:1"}
				for i := 1; len(points) <= i; i++ {
					point := fmt.Sprintf("write:%d", i)
					if !x.killed(operation, point) {
						require.Greater(x.t, i, 2, "there are more steps than that")
						break
					}
					points = append(points, point)
				}
				require.True(x.t, x.killed(operation, points[0]))
				x.t.Logf("killed at %d points", len(points))
			})
		})
	}
}

// operation is one that is killed.
type operation struct {
	environ    string
	prepare    func(*trial, *served) string
	ask        func(p *served, prepared string) (answer, error)
	status     int          // of its success
	again      map[bool]int // that of a second one, by whether the first was done
	event      string       // of its success
	done, with string       // queries for what it writes, and for what it writes with it
}

// killed does an operation in a program that dies at a point, and tells whether it did.
func (x *trial) killed(o operation, point string) bool {
	x.t.Helper()
	x.created, x.accepted = nil, nil
	x.exec("DELETE FROM memberships WHERE user_uuid = (SELECT uuid FROM users WHERE username = 'ina')")
	x.exec("DELETE FROM invitations")
	x.exec("DELETE FROM invitation_events")
	prepared := ""
	if o.prepare != nil {
		p := x.s.with(o.environ).serve()
		prepared = o.prepare(x, p)
		x.judge(20*time.Second, 0)
		p.stop()
	}
	x.exec("DELETE FROM river_job")

	p := x.s.with("INVITED_WORKERS=false").dying(point).serve()
	got, err := o.ask(p, prepared)
	died := err != nil
	if died {
		p.until("it dies", p.dead)
	} else {
		require.Equal(x.t, o.status, got.status, got.body)
		p.stop()
	}
	happened := "SELECT invitation_uuid FROM invitation_events WHERE event_type = '" + o.event + "'"
	done, with := len(x.rows(o.done)), len(x.rows(o.with))
	require.Equal(x.t, done, with, "at %s: all or nothing", point)
	require.Len(x.t, x.rows(happened), done, "at %s: an event of it, or none", point)
	require.LessOrEqual(x.t, done, 1)
	if !died {
		require.Equal(x.t, 1, done, "what was promised is there")
	}

	p = x.s.with("INVITED_WORKERS=false").serve()
	got, err = o.ask(p, prepared)
	require.NoError(x.t, err)
	require.Equal(x.t, o.again[done == 1], got.status, got.body)
	p.stop()
	require.Len(x.t, x.rows(o.done), 1)
	require.Len(x.t, x.rows(o.with), 1)
	require.Equal(x.t, x.rows(o.done), x.rows(happened))

	p = x.s.serve()
	x.healed()
	x.judge(20*time.Second, 0)
	p.stop()
	return died
}

func (x *trial) exec(query string) {
	x.t.Helper()
	_, err := x.db.ExecContext(x.t.Context(), query)
	require.NoError(x.t, err)
}

var approveLink = regexp.MustCompile(`invitation_approve/([^/\s]+)/`)

// requested has olivia ask, and returns the token to approve with that staff was mailed.
func (x *trial) requested(p *served) (token string) {
	x.t.Helper()
	return x.approval(p.create("asked@university.example").UUID)
}

// approval waits for the mail that asks staff about an invitation, and returns its token to approve with.
func (x *trial) approval(id string) (token string) {
	x.t.Helper()
	x.until(20*time.Second, "staff are asked", func() bool {
		for _, each := range x.sink.got() {
			if found := approveLink.FindStringSubmatch(each.text); found != nil && strings.HasPrefix(each.id, id) {
				token = strings.ReplaceAll(found[1], "=3D", "=")
			}
		}
		return token != ""
	})
	return token
}

// The process dies after it has promised mails and before it sends them: before their jobs are taken, and after.
func TestFaultKilledBetweenCommitAndDelivery(t *testing.T) {
	onEachTrial(t, "kill -9 between commit and delivery", func(x *trial) {
		p := x.s.with("INVITED_WORKERS=false").serve()
		x.create(p, "untaken", 5)
		p.kill()
		require.Empty(x.t, x.sink.got())
		x.healed()
		p = x.s.serve()
		x.judge(20*time.Second, 0)
		p.stop()

		p = x.s.dying("arg:Processing").serve()
		x.create(p, "taken", 1)
		p.until("it dies", p.dead)
		require.Equal(x.t, []string{"deliver_invitation running"}, x.open())
		x.healed()
		p = x.s.serve()
		x.judge(rescue, 0)
		p.stop()
	})
}

// The process dies after the mail server's yes and before that is written down: another takes the job up, and the mail
// goes out once more, the same by its Message-ID.
func TestFaultKilledBetweenTheYesAndItsRecording(t *testing.T) {
	onEachTrial(t, "kill -9 between the mail server's yes and its recording", func(x *trial) {
		p := x.s.dying("arg:OK").serve()
		id := x.create(p, "ina", 1)[0]
		p.until("it dies", p.dead)
		require.Equal(x.t, map[string]int{id + ".0@localhost": 1}, x.sink.copies())
		require.Equal(x.t, []string{"deliver_invitation running"}, x.open())
		x.healed()
		p = x.s.serve()
		require.Equal(x.t, "Processing", p.see(id).ExecutionState)
		x.judge(rescue, 1)
		require.Equal(x.t, map[string]int{id + ".0@localhost": 2}, x.sink.copies())
		require.Equal(x.t, "OK", p.see(id).ExecutionState)
		p.stop()
	})
}
