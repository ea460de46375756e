package invitation

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/internal/directory"
	"invited/internal/token"
)

var executionStates = []ExecutionState{Scheduled, Processing, OK, Erred}

// A delivery is begun where the invitation waits for its invitee and this delivery of it was not made yet. Otherwise
// the row says why nothing is sent, once.
func TestBeginDelivery(t *testing.T) {
	t.Parallel()
	const cutOff = "The server stopped while it sent the invitation: it may have arrived or not."
	reasons := map[State]string{
		Pending:   "",
		Project:   "Not sent: the invitation was project before it could be delivered.",
		Requested: "Not sent: the invitation was requested before it could be delivered.",
		Rejected:  "Not sent: the invitation was rejected before it could be delivered.",
		Accepted:  "Not sent: the invitation was accepted before it could be delivered.",
		Canceled:  "Not sent: the invitation was canceled before it could be delivered.",
		Expired:   "Not sent: the invitation was expired before it could be delivered.",
	}
	for _, s := range situations {
		for _, execution := range executionStates {
			for _, jobDelivery := range []int{2, 3, 4} {
				eachPolicy(func(p Policy, policy string) {
					name := fmt.Sprintf("%s: %s, job of delivery %d; %s", s.name, execution, jobDelivery, policy)
					row := s.row
					row.ExecutionState = execution
					reason := reasons[s.state]
					if row.Scope.Removed() {
						reason = "Not sent: Apollo was removed. Invite into another scope."
					}
					change, send := p.beginDelivery(p.view(row, testTime), Deliver{Invitation: row.UUID, Delivery: jobDelivery}, "")

					after := row
					switch {
					case jobDelivery != 3, execution == OK, reason != "" && execution == Erred:
						require.False(t, send, name)
						require.Equal(t, Change{}, change, name)
						return
					case reason == "":
						after.ExecutionState = Processing
						require.True(t, send, name)
						require.Equal(t, Change{Before: &row, After: &after}, change, name)
						return
					}
					after.ExecutionState, after.ErrorMessage = Erred, reason
					if execution == Processing {
						after.ErrorMessage = cutOff
					}
					event := wantEvent(EventDeliveryFailed, nil, row.StoredState, row.StoredState, after)
					if execution == Processing {
						event.Channel, event.Recipient = ByMail, row.Email
						if p.UseWebhooks && row.Scope.Type == directory.Project {
							event.Channel = ByWebhook
						}
					}
					require.False(t, send, name)
					require.Equal(t, Change{Before: &row, After: &after, Event: event}, change, name)
				})
			}
		}
	}
}

// What accept would refuse is not sent. The row says why, the inviter is told once, and a job that is run again finds
// nothing to do.
func TestBeginDeliveryWithAnObstacle(t *testing.T) {
	t.Parallel()
	for _, execution := range executionStates {
		row := pendingInvitation()
		row.ExecutionState = execution
		job := Deliver{Invitation: row.UUID, Delivery: row.Delivery}
		require.Equal(t, execution != OK, viewNow(row).awaits(job))
		change, send := testPolicy.beginDelivery(viewNow(row), job, RefusedRole)
		require.False(t, send)
		if execution == OK {
			require.Equal(t, Change{}, change)
			continue
		}
		told := Notify{Notice: NoticeUndeliverable, Invitation: row.UUID, Delivery: row.Delivery, User: people.creator.UUID}
		require.Equal(t, []Job{told}, change.Jobs, execution)
		require.Equal(t, Erred, change.After.ExecutionState)
		require.Equal(t, EventDeliveryFailed, change.Event.Type)
		if execution == Processing {
			require.Contains(t, change.After.ErrorMessage, "may have arrived or not")
			continue
		}
		require.Equal(t, "Not sent, because nobody could accept: "+string(RefusedRole), change.After.ErrorMessage)
		again, send := testPolicy.beginDelivery(viewNow(*change.After), job, RefusedRole)
		require.Equal(t, Change{}, again)
		require.False(t, send)
	}
}

// What accept would refuse whoever the invitee is stands in the way; what depends on the person does not.
func TestObstacle(t *testing.T) {
	t.Parallel()
	for _, rule := range acceptRules {
		a := newAcceptance()
		a.policy.StrictCheck = true
		rule.breaks(&a)
		want := Refusal(rule.refusal)
		if want == RefusedHeld || want == RefusedAddress || want == RefusedSecond {
			want = ""
		}
		got := a.policy.obstacle(a.policy.view(a.row, testTime), a.row.Scope.RefusesEmail(a.row.Email), a.hasManager)
		require.Equal(t, want, got, rule.name)
	}
}

// The inviter is told where a pending invitation was refused for good, and of nothing else.
func TestFinalRefusalTellsTheInviter(t *testing.T) {
	t.Parallel()
	for _, state := range States {
		for _, final := range onOff {
			row := testInvitation(state, testTime, testProject())
			row.ExecutionState = Processing
			change := finishDelivery(&row, Deliver{Invitation: row.UUID, Delivery: row.Delivery}, &Message{To: row.Email},
				Outcome{Failed: true, Final: final, Reason: "No such mailbox."})
			var want []Job
			if final && state == Pending {
				want = []Job{Notify{Notice: NoticeUndeliverable, Invitation: row.UUID, Delivery: row.Delivery, User: people.creator.UUID}}
			}
			require.Equal(t, want, change.Jobs, "%s, final %t", state, final)
		}
	}
}

// An attempt's outcome is recorded once, in the row of its own delivery. The event is recorded where there is no such
// row any more, and left out where the attempt failed as the one before it did.
func TestFinishDelivery(t *testing.T) {
	t.Parallel()
	const sameReason, otherReason = "The mailbox is full.", "The address does not exist."
	for _, outcome := range []Outcome{{}, {Failed: true, Reason: sameReason}, {Failed: true, Reason: otherReason}} {
		for _, webhook := range onOff {
			sent := pendingInvitation()
			sent.ExecutionState, sent.Email = Processing, "sent@acme.example"
			m := &Message{To: "sent@acme.example", Invitation: viewNow(sent), Webhook: webhook}
			job := Deliver{Invitation: sent.UUID, Delivery: 3}
			ended := func(i Invitation) Invitation {
				if outcome.Failed {
					i.ExecutionState, i.ErrorMessage = Erred, outcome.Reason
				} else {
					i.ExecutionState, i.ErrorMessage = OK, ""
				}
				return i
			}
			event := func(from, to State, i Invitation) *Event {
				e := wantEvent(EventDelivered, nil, from, to, i)
				if outcome.Failed {
					e.Type = EventDeliveryFailed
				}
				e.Channel, e.Recipient = ByMail, "sent@acme.example"
				if webhook {
					e.Channel = ByWebhook
				}
				return e
			}

			name := fmt.Sprintf("%+v, webhook %t: ", outcome, webhook)
			require.Equal(t, Change{Event: event("", "", ended(sent))}, finishDelivery(nil, job, m, outcome), name+"deleted")
			for _, state := range States {
				for _, execution := range executionStates {
					row := testInvitation(state, testTime, testProject())
					row.ExecutionState = execution
					name := fmt.Sprintf("%s%s, %s", name, state, execution)
					after := ended(row)

					newer := row
					newer.Delivery = 4
					require.Equal(t, Change{Event: event(state, state, ended(newer))}, finishDelivery(&newer, job, m, outcome), name)

					want := Change{}
					if execution == Processing {
						want = Change{Before: &row, After: &after, Event: event(state, state, after)}
						if outcome.Reason == sameReason {
							want.Event = nil
						}
					}
					require.Equal(t, want, finishDelivery(&row, job, m, outcome), name)
				}
			}
		}
	}
}

// A delivery that succeeds has an event also where the row had no error message before.
func TestFirstAttemptThatSucceedsHasAnEvent(t *testing.T) {
	t.Parallel()
	row := pendingInvitation()
	row.ExecutionState, row.ErrorMessage = Processing, ""
	change := finishDelivery(&row, Deliver{Invitation: row.UUID, Delivery: 3}, &Message{To: row.Email}, Outcome{})
	require.NotNil(t, change.Event)
	require.Equal(t, EventDelivered, change.Event.Type)
}

// An unknown invitee gets a user record whose username is the address.
func TestNewUser(t *testing.T) {
	t.Parallel()
	i := pendingInvitation()
	i.Email, i.EmailFolded, i.FullName = "Gil@Acme.example", "gil@acme.example", "Gil GUEST"
	user := newUser(i, testTime)
	requireRandom(t, user.UUID)
	require.Equal(t, directory.User{
		UUID: user.UUID, Username: "gil@acme.example", FullName: "Gil GUEST", FullNameFolded: "gil guest",
		Email: "Gil@Acme.example", EmailFolded: "gil@acme.example", IsActive: true, NotificationsEnabled: true,
		Created: testTime,
	}, *user)
}

// The links in mails lead to the front end.
func TestLinks(t *testing.T) {
	t.Parallel()
	signer := token.NewSigner("the secret of the tests")
	s := &Service{Policy: testPolicy, Signer: signer, FrontendURL: "https://front.example/"}
	i := pendingInvitation()
	require.Equal(t, "https://front.example/invitation/"+i.UUID.String()+"/", s.acceptLink(i))
	link := testID(31)
	i.LinkUUID = &link
	require.Equal(t, "https://front.example/invitation/"+link.String()+"/", s.acceptLink(i))

	project, customer, call := testProject(), testCustomer(), testProject()
	call.Type = directory.Call
	require.Equal(t, "https://front.example/projects/"+project.UUID.String()+"/", s.scopeLink(project))
	require.Equal(t, "https://front.example/organizations/"+customer.UUID.String()+"/", s.scopeLink(customer))
	require.Equal(t, s.scopeLink(customer), s.scopeLink(call), "only a project has a page of its own")

	approve, reject := s.approvalLinks(people.staff, i, testTime)
	for _, each := range []struct {
		link, path string
		purpose    token.Purpose
	}{
		{approve, "https://front.example/invitation_approve/", token.Approve},
		{reject, "https://front.example/invitation_reject/", token.Reject},
	} {
		signed, ok := strings.CutPrefix(each.link, each.path)
		require.True(t, ok, each.link)
		approval, err := signer.Verify(strings.TrimSuffix(signed, "/"), each.purpose, testTime, time.Hour)
		require.NoError(t, err)
		require.Equal(t, token.Approval{
			Purpose: each.purpose, User: people.staff.UUID, Invitation: i.UUID, Issued: testTime,
		}, approval)
	}
}

// Jobs that wait for different things are in different queues.
func TestJobs(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		job         Job
		kind, queue string
	}{
		{Deliver{}, "deliver_invitation", "default"},
		{Deliver{Webhook: true}, "deliver_invitation", "webhook"},
		{Notify{Notice: NoticeRequested, User: uuid.New()}, "notify_user", "default"},
		{Notify{Notice: NoticeRejected}, "notify_user", "default"},
		{Notify{Notice: NoticeDeclined}, "notify_user", "default"},
		{Notify{Notice: NoticeUndeliverable}, "notify_user", "default"},
		{Notify{Notice: NoticeAccepted}, "notify_user", "default"},
		{Notify{Notice: NoticeRenewalAsked}, "notify_user", "default"},
		{Notify{Notice: NoticeExpired}, "notify_user", "notices"},
		{Notify{Notice: NoticeReminder}, "notify_user", "notices"},
		{Sweep{}, "sweep", "sweep"},
	} {
		require.Equal(t, each.kind, each.job.Kind(), "%+v", each.job)
		require.Equal(t, each.queue, each.job.Queue(), "%+v", each.job)
	}
}

// The notice of an expiry says that the invitation never arrived where no delivery to its address succeeded in the life that
// has ended, and the invitation was ever to be delivered.
func TestNeverArrived(t *testing.T) {
	t.Parallel()
	began := testTime.Add(-time.Hour)
	event := func(kind EventType, after time.Duration, recipient string, from State) Event {
		return Event{Type: kind, Created: began.Add(after), Recipient: recipient, FromState: from}
	}
	delivered := func(after time.Duration, recipient string) Event {
		return event(EventDelivered, after, recipient, Pending)
	}
	failed := event(EventDeliveryFailed, time.Minute, "uma@example.org", Pending)
	expired := event(EventExpired, time.Hour, "", Pending)
	const ascii, letters = "uma@xn--mller-kva.example", "Uma@Müller.example"
	for name, test := range map[string]struct {
		email  string
		events []Event
		want   bool
	}{
		"failed":                           {"uma@example.org", []Event{expired, failed}, true},
		"delivered":                        {"uma@example.org", []Event{expired, delivered(time.Minute, "UMA@example.org")}, false},
		"sent again after success, failed": {"uma@example.org", []Event{expired, failed, delivered(time.Second, "uma@example.org")}, false},
		"delivered in the life before":     {"uma@example.org", []Event{expired, failed, delivered(-time.Minute, "uma@example.org")}, true},
		"delivered to another address":     {"uma@example.org", []Event{expired, failed, delivered(time.Second, "ina@example.org")}, true},
		"domain in ASCII":                  {ascii, []Event{expired, delivered(time.Minute, ascii)}, false},
		"domain in letters":                {letters, []Event{expired, delivered(time.Minute, letters)}, false},
		"domain in its other form":         {letters, []Event{expired, delivered(time.Minute, ascii)}, false},
		"a request":                        {"uma@example.org", []Event{event(EventExpired, time.Hour, "", Requested)}, false},
		"a request in the life before":     {"uma@example.org", []Event{expired, failed, event(EventExpired, 0, "", Requested)}, true},
		"no events":                        {"uma@example.org", nil, true},
	} {
		i := Invitation{Created: began, Email: test.email, EmailFolded: directory.FoldEmail(test.email)}
		require.Equal(t, test.want, neverArrived(i, test.events), name)
	}
}
