package systemtest

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/internal/systemtest/harness"
)

// rescueLimit is longer than the time until the job of a killed process is taken up again: two minutes until no attempt can
// still be running, half a minute until the next look for stuck jobs, and the time until another process is the leader.
const rescueLimit = 5 * time.Minute

// maxPoints is more than an operation has points to be killed at.
const maxPoints = 100

// The process is killed at every statement of an operation in turn, at its commit, and after the commit. Whatever response the
// client got, all of the operation has happened or nothing; a client without a response can send the request again.
func TestFaultKilledAtEveryStatement(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]operation{
		"create": {
			send: func(p *harness.Process, _ string) (harness.Response, error) {
				return p.TryDo("POST", harness.InvitationsPath, "olivia", harness.InvitationBody("asked@university.example"))
			},
			// The second request is refused where the first was done.
			again: map[bool]int{true: 400, false: 201}, status: 201, event: "created",
			done: "SELECT uuid FROM invitations WHERE email = 'asked@university.example' AND state = 'pending'",
			with: "SELECT '' || id FROM river_job WHERE kind = 'deliver_invitation'",
		},
		"accept": {
			prepare: func(f *faultCase, p *harness.Process) string { return f.create(p, "ina", 1)[0] },
			send: func(p *harness.Process, id string) (harness.Response, error) {
				return p.TryDo("POST", harness.InvitationsPath+id+"/accept/", "ina", "")
			},
			again: map[bool]int{true: 404, false: 200}, status: 200, event: "accepted",
			done: "SELECT uuid FROM invitations WHERE state = 'accepted'",
			with: "SELECT m.uuid FROM memberships m JOIN users u ON u.uuid = m.user_uuid WHERE u.username = 'ina'",
		},
		"approve": {
			environ: "INVITED_ONLY_STAFF_CAN_INVITE_USERS=true",
			prepare: func(f *faultCase, p *harness.Process) string {
				return f.waitApprovalToken(p.Create("asked@university.example").UUID, 20*time.Second)
			},
			send: func(p *harness.Process, token string) (harness.Response, error) {
				return p.TryDo("POST", harness.InvitationsPath+"approve/", "", `{"token": "`+token+`"}`)
			},
			again: map[bool]int{true: 400, false: 200}, status: 200, event: "approved",
			done: "SELECT uuid FROM invitations WHERE state = 'pending'",
			with: "SELECT '' || id FROM river_job WHERE kind = 'deliver_invitation'",
		},
		"decline": {
			prepare: func(f *faultCase, p *harness.Process) string {
				id := f.create(p, "ina", 1)[0]
				f.exec("UPDATE invitations SET email = 'ina@university.example', email_folded = 'ina@university.example'")
				return id
			},
			send: func(p *harness.Process, id string) (harness.Response, error) {
				return p.TryDo("POST", harness.InvitationsPath+id+"/decline/", "ina", `{"reason": "No time."}`)
			},
			again: map[bool]int{true: 404, false: 200}, status: 200, event: "declined",
			done:  "SELECT uuid FROM invitations WHERE state = 'canceled' AND declined_at IS NOT NULL",
			with:  "SELECT '' || id FROM river_job WHERE kind = 'notify_user'",
			clear: "DELETE FROM river_job WHERE kind = 'notify_user'", // the job waits for ten minutes
		},
		"approve a request that makes a project": {
			prepare: func(f *faultCase, p *harness.Process) string {
				return f.submit(p, f.linkToProjects(p, false))
			},
			send: func(p *harness.Process, id string) (harness.Response, error) {
				return p.TryDo("POST", "/api/user-permission-requests/"+id+"/approve/", "olivia", `{"comment": "Welcome"}`)
			},
			again: map[bool]int{true: 409, false: 200}, status: 200, happened: isApproved,
			done:  "SELECT r.uuid FROM permission_requests r JOIN memberships m ON m.uuid = r.membership_uuid WHERE r.state = 'approved'",
			with:  madeProjects,
			also:  []string{madeMembers, reviewedRequests},
			clear: "DELETE FROM memberships WHERE scope_uuid IN (" + madeProjects + ")", // no invitation was accepted
		},
		"submit a request that is approved at once and makes a project": {
			prepare: func(f *faultCase, p *harness.Process) string { return f.linkToProjects(p, true) },
			send:    submitRequest,
			again:   map[bool]int{true: 400, false: 200}, status: 200, happened: isApproved,
			done:  "SELECT uuid FROM permission_requests",
			with:  madeProjects,
			also:  []string{madeMembers, reviewedRequests, isSubmitted},
			none:  "SELECT '' || id FROM river_job WHERE kind = 'announce_permission_request'",
			clear: "DELETE FROM memberships WHERE scope_uuid IN (" + madeProjects + ")",
		},
		"submit a request that waits": {
			prepare: func(f *faultCase, p *harness.Process) string { return f.linkToProjects(p, false) },
			send:    submitRequest,
			again:   map[bool]int{true: 400, false: 200}, status: 200, happened: isSubmitted,
			done: "SELECT uuid FROM permission_requests WHERE state = 'pending'",
			with: "SELECT '' || id FROM river_job WHERE kind = 'announce_permission_request'",
			none: madeProjects,
		},
	} {
		t.Run(name, func(t *testing.T) {
			onEachFault(t, "kill -9 at every statement of "+name, func(f *faultCase) { f.killAtEvery(o) })
		})
	}
}

// operation is a request whose process is killed.
type operation struct {
	environ  string                                                              // a variable of the Env
	prepare  func(*faultCase, *harness.Process) string                           // returns the argument of send
	send     func(p *harness.Process, prepared string) (harness.Response, error) // sends the request
	status   int                                                                 // of success
	again    map[bool]int                                                        // status of a second request, by whether the first was done
	event    string                                                              // type of the event of success; "": happened is set
	happened string                                                              // query for the row that the events of success are about
	done     string                                                              // query for the row that the operation writes
	with     string                                                              // query for the row that it writes in the same transaction
	also     []string                                                            // queries for other such rows
	none     string                                                              // query that finds nothing, whatever happens; "": none
	clear    string                                                              // statement that removes what does not end by itself; "": none
}

// killAtEvery kills the process at each statement of an operation, and after its commit. Another process prepares each operation,
// and goes on after the kill.
func (f *faultCase) killAtEvery(o operation) {
	f.t.Helper()
	p := f.env.With(o.environ).Serve()
	points := []string{"answer:1"}
	for i, died := 1, true; died; i++ {
		require.Less(f.t, i, maxPoints, "the process dies whatever the point")
		point := fmt.Sprintf("write:%d", i)
		if died, p = f.killAt(p, o, point); died {
			points = append(points, point)
		}
	}
	require.Greater(f.t, len(points), 2, "an operation has more steps")
	died, p := f.killAt(p, o, points[0])
	require.True(f.t, died)
	p.Stop()
	f.t.Logf("killed at %d points", len(points))
}

// killAt prepares an operation in a process, and stops that. It runs the operation in a second process, which is killed at a point,
// and once more in a third. died reports whether the operation reached the point.
func (f *faultCase) killAt(first *harness.Process, o operation, point string) (died bool, third *harness.Process) {
	f.t.Helper()
	f.created, f.accepted = nil, nil
	f.exec("DELETE FROM memberships WHERE user_uuid = (SELECT uuid FROM users WHERE username = 'ina')")
	f.exec("DELETE FROM idempotency_keys")
	f.exec("DELETE FROM invitations")
	f.exec("DELETE FROM invitation_events")
	f.exec("DELETE FROM group_invitations")
	f.exec("DELETE FROM group_invitation_events")
	f.exec("DELETE FROM scopes WHERE group_invitation_uuid IS NOT NULL")
	prepared := ""
	if o.prepare != nil {
		prepared = o.prepare(f, first)
		f.verify(20*time.Second, 0)
	}
	first.Stop()
	f.exec("DELETE FROM river_job")

	p := withKiller(f.env.With("INVITED_WORKERS=false"), point).Serve()
	got, err := o.send(p, prepared)
	if died = err != nil; died {
		p.WaitUntil("it dies", p.HasExited)
	} else {
		require.Equal(f.t, o.status, got.Status, got.Body)
		p.Kill() // an orderly end writes when tokens were used last, and could be killed there
	}
	happened := o.happened
	if happened == "" {
		happened = eventsOf(o.event)
	}
	done := len(f.column(o.done))
	f.checkWhole(o, point, done)
	require.Len(f.t, f.column(happened), done, "at %s: an event if it was done", point)
	require.LessOrEqual(f.t, done, 1)
	if !died {
		require.Equal(f.t, 1, done, "what was answered with success was done")
	}

	f.markHealed()
	third = f.env.With(o.environ).Serve()
	got, err = o.send(third, prepared)
	require.NoError(f.t, err)
	require.Equal(f.t, o.again[done == 1], got.Status, got.Body)
	require.Len(f.t, f.column(o.done), 1)
	f.checkWhole(o, point, 1)
	require.Equal(f.t, f.column(o.done), f.column(happened))
	if o.clear != "" {
		f.exec(o.clear)
	}
	f.verify(20*time.Second, 0)
	return died, third
}

// checkWhole checks that an operation that was done so many times has written all of its rows as often.
func (f *faultCase) checkWhole(o operation, point string, done int) {
	f.t.Helper()
	for _, query := range append([]string{o.with}, o.also...) {
		require.Len(f.t, f.column(query), done, "at %s: all or nothing: %s", point, query)
	}
	if o.none != "" {
		require.Empty(f.t, f.column(o.none), "at %s", point)
	}
}

// eventsOf is the query for the invitations that have an event of a type.
func eventsOf(event string) string {
	return "SELECT invitation_uuid FROM invitation_events WHERE event_type = '" + event + "'"
}

// Queries about permission requests that make projects.
const (
	madeProjects     = "SELECT uuid FROM scopes WHERE group_invitation_uuid IS NOT NULL"
	madeMembers      = "SELECT m.uuid FROM memberships m JOIN scopes s ON s.uuid = m.scope_uuid WHERE s.group_invitation_uuid IS NOT NULL"
	reviewedRequests = "SELECT uuid FROM permission_requests WHERE reviewed_by_uuid IS NOT NULL AND reviewed_at IS NOT NULL"
	isSubmitted      = "SELECT permission_request_uuid FROM group_invitation_events WHERE event_type = 'submitted'"
	isApproved       = "SELECT permission_request_uuid FROM group_invitation_events WHERE event_type = 'approved'"
)

// linkToProjects makes a group invitation whose requesters get projects of their own, and returns its uuid.
func (f *faultCase) linkToProjects(p *harness.Process, autoApprove bool) string {
	f.t.Helper()
	return p.Do("POST", groupsPath, "olivia", fmt.Sprintf(`{"role": "%s", "scope": "http://any.example/api/projects/%s/",
		"auto_create_project": true, "auto_approve": %t}`, harness.RoleUUID, harness.ProjectUUID, autoApprove)).Is(201).Invitation().UUID
}

// submitRequest has ina take up a group invitation.
func submitRequest(p *harness.Process, group string) (harness.Response, error) {
	return p.TryDo("POST", groupsPath+group+"/submit_request/", "ina", "")
}

// submit has ina take up a group invitation, and returns the request's uuid.
func (f *faultCase) submit(p *harness.Process, group string) string {
	f.t.Helper()
	got, err := submitRequest(p, group)
	require.NoError(f.t, err)
	return got.Is(200).Invitation().UUID
}

var approveLink = regexp.MustCompile(`invitation_approve/([^/\s]+)/`)

// waitApprovalToken waits up to limit for the mail that asks staff to approve an invitation, and returns its token.
func (f *faultCase) waitApprovalToken(id string, limit time.Duration) (token string) {
	f.t.Helper()
	invitation := uuid.MustParse(id)
	f.waitUntil(limit, "staff are asked", func() bool {
		for _, each := range f.smtp.Mails() {
			for _, link := range approveLink.FindAllStringSubmatch(each.Text, -1) { // a mail can ask about several
				found := strings.ReplaceAll(link[1], "=3D", "=")
				payload, err := base64.RawURLEncoding.DecodeString(strings.Split(found, ".")[1])
				require.NoError(f.t, err)
				if bytes.Contains(payload, invitation[:]) {
					token = found
				}
			}
		}
		return token != ""
	})
	return token
}

// The process is killed after it has answered 201 and before it mails: before it takes the job, and after.
func TestFaultKilledBetweenCommitAndDelivery(t *testing.T) {
	onEachFault(t, "kill -9 between commit and delivery", func(f *faultCase) {
		p := f.env.With("INVITED_WORKERS=false").Serve()
		f.create(p, "untaken", 5)
		p.Kill()
		require.Empty(f.t, f.smtp.Mails())
		f.markHealed()
		p = f.env.Serve()
		f.verify(20*time.Second, 0)
		p.Stop()

		p = withKiller(f.env, "arg:Processing").Serve()
		f.create(p, "taken", 1)
		p.WaitUntil("it dies", p.HasExited)
		require.Equal(f.t, []string{"deliver_invitation running"}, f.openJobs())
		f.markHealed()
		p = f.env.Serve()
		f.verify(rescueLimit, 0)
		p.Stop()
	})
}

// The process is killed after the mail server has accepted the mail and before the result is saved. Another process takes up
// the job, and the mail is sent a second time, with the same Message-ID.
func TestFaultKilledBetweenSendAndRecord(t *testing.T) {
	onEachFault(t, "kill -9 between the mail server's yes and its recording", func(f *faultCase) {
		p := withKiller(f.env, "arg:OK").Serve()
		id := f.create(p, "ina", 1)[0]
		p.WaitUntil("it dies", p.HasExited)
		require.Equal(f.t, map[string]int{id + ".0@localhost": 1}, f.smtp.Copies())
		require.Equal(f.t, []string{"deliver_invitation running"}, f.openJobs())
		f.markHealed()
		p = f.env.Serve()
		require.Equal(f.t, "Processing", p.Get(id).ExecutionState)
		f.verify(rescueLimit, 1)
		require.Equal(f.t, map[string]int{id + ".0@localhost": 2}, f.smtp.Copies())
		require.Equal(f.t, "OK", p.Get(id).ExecutionState)
		p.Stop()
	})
}
