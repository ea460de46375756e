package invitation

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/internal/directory"
	"invited/internal/fault"
)

// A situation is an invitation at testTime, with the effect of each action that changes the invitation. Every other
// action is refused.
type situation struct {
	name   string
	row    Invitation
	state  State // at testTime
	allows map[Action]effect
	// refuses has the actions that are possible in this state and are refused in this situation all the same.
	refuses []Action
	says    map[Action]error // of the actions whose refusal is not that of refusals
}

// refusal returns the error of an action that is refused.
func (s situation) refusal(action Action) error {
	if err := s.says[action]; err != nil {
		return err
	}
	return refusals[action]
}

// An effect describes what an action changes.
type effect struct {
	to     State
	change func(*Invitation) // changes the columns beside the state; nil: none
	jobs   []Job             // where the policy has no webhooks
}

// Columns that change together.

func readdressed(i *Invitation) {
	i.Email, i.EmailFolded = otherEmail, directory.FoldEmail(otherEmail)
	i.LinkUUID = &randomUUID
	i.Reminded = false
	scheduled(i)
}

// readdressedLate is readdressed within the time of the reminder.
func readdressedLate(i *Invitation) {
	readdressed(i)
	i.Reminded = true
}

func scheduled(i *Invitation) { i.Delivery, i.ExecutionState, i.ErrorMessage = 4, Scheduled, "" }

func reopened(i *Invitation) {
	scheduled(i)
	i.Created, i.Reminded, i.InviterNotified = testTime, false, false
	i.DeclinedAt, i.DeclineReason, i.RenewalAskedAt = nil, "", nil
}

func approvedNow(i *Invitation) { i.ExecutionState, i.ErrorMessage = Scheduled, "" }

func approvedLate(i *Invitation) {
	approvedNow(i)
	createdNow(i)
}

func createdNow(i *Invitation) { i.Created = testTime }

// endingAt returns an invitation with an end of its own.
func endingAt(end time.Time, i Invitation) Invitation {
	i.ExpiresAt = &end
	return i
}

// membershipEndingAt returns an invitation to a membership that ends.
func membershipEndingAt(end time.Time, i Invitation) Invitation {
	i.MembershipExpires = &end
	return i
}

// reopenedFor is reopened for a life of a length.
func reopenedFor(length time.Duration) func(*Invitation) {
	return func(i *Invitation) {
		reopened(i)
		i.ExpiresAt, i.Reminded = new(testTime.Add(length)), length <= ReminderPeriod
	}
}

func declinedNow(i *Invitation) { i.DeclinedAt, i.DeclineReason = &testTime, testReason }

func notDeclined(i *Invitation) { i.DeclinedAt, i.DeclineReason = nil, "" }

// undone is for an invitation that was not delivered.
func undone(i *Invitation) {
	notDeclined(i)
	scheduled(i)
}

// testReason is the reason of every action that takes one.
const testReason = "No time."

const otherEmail = "Other@acme.example"

// Jobs.

func deliver(delivery int) []Job { return []Job{Deliver{Invitation: testID(30), Delivery: delivery}} }

func tellCreator(notice Notice) []Job {
	return []Job{Notify{Notice: notice, Invitation: testID(30), Delivery: 3, User: people.creator.UUID}}
}

// Effects.

var (
	isApproved = effect{to: Pending, change: approvedNow, jobs: deliver(3)}
	isRejected = effect{to: Rejected, jobs: tellCreator(NoticeRejected)}
	isCanceled = effect{to: Canceled}
	IsDeclined = effect{to: Canceled, change: declinedNow, jobs: []Job{
		Notify{Notice: NoticeDeclined, Invitation: testID(30), Delivery: 3, User: people.creator.UUID, DeclinedAt: testTime},
	}}
	isUndone      = effect{to: Pending, change: undone, jobs: deliver(4)}
	isAccepted    = effect{to: Accepted}
	isExpired     = effect{to: Expired, jobs: tellCreator(NoticeExpired)}
	isEnded       = effect{to: Canceled, jobs: tellCreator(NoticeScopeRemoved)}
	isStarted     = effect{to: Pending, change: createdNow, jobs: deliver(3)}
	isSentAgain   = effect{to: Pending, change: scheduled, jobs: deliver(4)}
	isReopened    = effect{to: Pending, change: reopened, jobs: deliver(4)}
	waitsForStart = effect{to: Project, change: reopened}
	isAskedFor    = effect{to: Requested, jobs: []Job{
		Notify{Notice: NoticeRequested, Invitation: testID(30), Delivery: 4, User: people.staff.UUID, Gathered: true},
	}}
	isReaddressed = effect{to: Pending, change: readdressed, jobs: deliver(4)}
)

var (
	yesterday = testTime.Add(-day)
	longAgo   = testTime.Add(-testLifetime) // an invitation of this time expires at testTime
	justAfter = longAgo.Add(time.Microsecond)
	tomorrow  = testTime.Add(day)
)

var situations = []situation{
	{
		name: "waits for its project to start",
		row:  testInvitation(Project, yesterday, startingAt(tomorrow)), state: Project,
		allows: map[Action]effect{ActionUpdate: {to: Project, change: readdressed}, ActionCancel: isCanceled},
	}, {
		name:   "waits for its project, older than a lifetime",
		row:    testInvitation(Project, longAgo.Add(-day), startingAt(tomorrow)),
		state:  Project,
		allows: map[Action]effect{ActionUpdate: {to: Project, change: readdressed}, ActionCancel: isCanceled},
	}, {
		name: "its project starts now", row: testInvitation(Project, longAgo, startingAt(testTime)), state: Project,
		allows: map[Action]effect{
			ActionStart: isStarted, ActionUpdate: {to: Project, change: readdressed}, ActionCancel: isCanceled,
		},
	}, {
		name: "its project lost its start date", row: testInvitation(Project, yesterday, testProject()), state: Project,
		allows: map[Action]effect{
			ActionStart: isStarted, ActionUpdate: {to: Project, change: readdressed}, ActionCancel: isCanceled,
		},
	}, {
		name: "its project started a lifetime ago", row: testInvitation(Project, longAgo.Add(-day), startingAt(longAgo)),
		state: Project, allows: map[Action]effect{
			ActionStart: isStarted, ActionUpdate: {to: Project, change: readdressed}, ActionCancel: isCanceled,
		},
	}, {
		name: "its project, older than a lifetime, lost its start date", row: testInvitation(Project, longAgo, testProject()),
		state: Project, allows: map[Action]effect{
			ActionStart: isStarted, ActionUpdate: {to: Project, change: readdressed}, ActionCancel: isCanceled,
		},
	}, {
		// Nobody manages a removed scope: the use cases refuse update and cancel before these decisions.
		name: "waits for a project that was removed",
		row:  testInvitation(Project, yesterday, removed(startingAt(tomorrow))), state: Project,
		allows: map[Action]effect{
			ActionEnd: isEnded, ActionUpdate: {to: Project, change: readdressed}, ActionCancel: isCanceled,
		},
	}, {
		name: "requested", row: testInvitation(Requested, yesterday, testProject()), state: Requested,
		allows: map[Action]effect{ActionApprove: isApproved, ActionReject: isRejected},
	}, {
		name:  "requested into a project that starts later",
		row:   testInvitation(Requested, yesterday, startingAt(tomorrow)),
		state: Requested, allows: map[Action]effect{ActionApprove: {to: Project, change: approvedNow}, ActionReject: isRejected},
	}, {
		name: "requested almost a lifetime ago",
		row:  testInvitation(Requested, justAfter, testProject()), state: Requested,
		allows: map[Action]effect{ActionApprove: isApproved, ActionReject: isRejected},
	}, {
		name: "requested a lifetime ago", row: testInvitation(Requested, longAgo, testProject()), state: Expired,
		allows: map[Action]effect{ActionExpire: isExpired, ActionSend: isReopened},
	}, {
		name: "requested a lifetime ago into a project that starts later",
		row:  testInvitation(Requested, longAgo, startingAt(tomorrow)), state: Requested,
		allows: map[Action]effect{ActionApprove: {to: Project, change: approvedLate}, ActionReject: isRejected},
	}, {
		name: "requested into a removed project", row: testInvitation(Requested, yesterday, removed(testProject())),
		state: Requested, allows: map[Action]effect{ActionReject: isRejected, ActionEnd: isEnded}, refuses: []Action{ActionApprove},
	}, {
		name:  "requested by a user who was deleted",
		row:   withoutCreator(testInvitation(Requested, yesterday, testProject())),
		state: Requested, allows: map[Action]effect{ActionApprove: isApproved, ActionReject: {to: Rejected}},
	}, {
		name: "rejected", row: testInvitation(Rejected, longAgo, testProject()), state: Rejected,
	}, {
		name: "pending", row: pendingInvitation(), state: Pending,
		allows: map[Action]effect{
			ActionAccept: isAccepted, ActionUpdate: isReaddressed, ActionSend: isSentAgain, ActionCancel: isCanceled, ActionDecline: IsDeclined,
		},
	}, {
		name:  "pending, a microsecond before the reminder",
		row:   testInvitation(Pending, justAfter.Add(day), testProject()),
		state: Pending, allows: map[Action]effect{
			ActionAccept: isAccepted, ActionUpdate: isReaddressed, ActionSend: isSentAgain, ActionCancel: isCanceled, ActionDecline: IsDeclined,
		},
	}, {
		name: "pending, a day before it expires",
		row:  testInvitation(Pending, longAgo.Add(day), testProject()), state: Pending,
		allows: map[Action]effect{
			ActionAccept: isAccepted, ActionUpdate: {to: Pending, change: readdressedLate, jobs: deliver(4)},
			ActionSend: isSentAgain, ActionCancel: isCanceled, ActionDecline: IsDeclined,
		},
	}, {
		name: "pending for a last microsecond", row: testInvitation(Pending, justAfter, testProject()), state: Pending,
		allows: map[Action]effect{
			ActionAccept: isAccepted, ActionUpdate: {to: Pending, change: readdressedLate, jobs: deliver(4)},
			ActionSend: isSentAgain, ActionCancel: isCanceled, ActionDecline: IsDeclined,
		},
	}, {
		name: "pending, its project was moved to start later", row: testInvitation(Pending, longAgo, startingAt(tomorrow)),
		state: Pending, allows: map[Action]effect{
			ActionAccept: isAccepted, ActionUpdate: isReaddressed, ActionSend: waitsForStart, ActionCancel: isCanceled, ActionDecline: IsDeclined,
		},
	}, {
		// Nobody manages a removed scope: the use cases refuse send, update and cancel before these decisions.
		name: "pending into a removed project",
		row:  testInvitation(Pending, yesterday, removed(testProject())), state: Pending,
		allows: map[Action]effect{
			ActionUpdate: isReaddressed, ActionSend: isSentAgain, ActionCancel: isCanceled, ActionDecline: IsDeclined, ActionEnd: isEnded,
		},
		refuses: []Action{ActionAccept},
	}, {
		name:  "pending into a project of a removed customer",
		row:   testInvitation(Pending, yesterday, customerRemoved(testProject())),
		state: Pending, allows: map[Action]effect{
			ActionUpdate: isReaddressed, ActionSend: isSentAgain, ActionCancel: isCanceled, ActionDecline: IsDeclined, ActionEnd: isEnded,
		},
		refuses: []Action{ActionAccept},
	}, {
		name: "pending into a customer", row: testInvitation(Pending, yesterday, testCustomer()), state: Pending,
		allows: map[Action]effect{
			ActionAccept: isAccepted, ActionUpdate: isReaddressed, ActionSend: isSentAgain, ActionCancel: isCanceled, ActionDecline: IsDeclined,
		},
	}, {
		name: "accepted", row: testInvitation(Accepted, longAgo, testProject()), state: Accepted,
	}, {
		name: "canceled", row: testInvitation(Canceled, yesterday, testProject()), state: Canceled,
		allows: map[Action]effect{ActionSend: isReopened}, refuses: []Action{ActionUndo},
	}, {
		name: "canceled before its project starts",
		row:  testInvitation(Canceled, longAgo, startingAt(tomorrow)), state: Canceled,
		allows: map[Action]effect{ActionSend: waitsForStart}, refuses: []Action{ActionUndo},
	}, {
		name: "declined, for a last microsecond",
		row:  declinedInvitation(testTime.Add(time.Microsecond - UndoPeriod)), state: Canceled,
		allows: map[Action]effect{ActionSend: isReopened, ActionUndo: isUndone},
	}, {
		name: "expired by time", row: testInvitation(Pending, longAgo, testProject()), state: Expired,
		allows: map[Action]effect{ActionExpire: isExpired, ActionSend: isReopened},
	}, {
		name:  "expired by time, its creator was deleted",
		row:   withoutCreator(testInvitation(Pending, longAgo, testProject())),
		state: Expired, allows: map[Action]effect{ActionExpire: {to: Expired}, ActionSend: isReopened},
	}, {
		name: "stored as expired", row: testInvitation(Expired, longAgo, testProject()), state: Expired,
		allows: map[Action]effect{ActionSend: isReopened},
	}, {
		name:  "stored as expired, its project was moved to start later",
		row:   testInvitation(Expired, longAgo, startingAt(tomorrow)),
		state: Expired, allows: map[Action]effect{ActionSend: waitsForStart},
	}, {
		name:  "waits for its project, which starts after the invitation has ended",
		row:   endingAt(testTime, testInvitation(Project, longAgo, startingAt(tomorrow))),
		state: Expired, allows: map[Action]effect{
			ActionExpire: isExpired, ActionSend: {to: Project, change: func(i *Invitation) {
				reopened(i)
				i.ExpiresAt = new(tomorrow.Add(testLifetime)) // the former life had a length of testLifetime
			}},
		},
	}, {
		name: "waits for its project and has ended, and the project starts now",
		row:  endingAt(testTime, testInvitation(Project, longAgo, startingAt(testTime))), state: Expired,
		allows: map[Action]effect{ActionExpire: isExpired, ActionSend: {to: Pending, change: reopenedFor(testLifetime), jobs: deliver(4)}},
	}, {
		name: "its project starts now, and the invitation ends in three days",
		row:  endingAt(testTime.Add(3*day), testInvitation(Project, longAgo, startingAt(testTime))), state: Project,
		allows: map[Action]effect{
			ActionStart: isStarted, ActionUpdate: {to: Project, change: readdressed}, ActionCancel: isCanceled,
		},
	}, {
		name: "requested for longer than a lifetime, and ends later",
		row:  endingAt(tomorrow, testInvitation(Requested, longAgo, testProject())), state: Requested,
		allows: map[Action]effect{ActionApprove: isApproved, ActionReject: isRejected},
	}, {
		name:  "requested yesterday, and has ended",
		row:   endingAt(testTime, testInvitation(Requested, yesterday, testProject())),
		state: Expired, allows: map[Action]effect{
			ActionExpire: isExpired, ActionSend: {to: Pending, change: reopenedFor(day), jobs: deliver(4)},
		},
	}, {
		name: "pending for longer than a lifetime, and ends later",
		row:  endingAt(tomorrow.Add(time.Microsecond), testInvitation(Pending, longAgo, testProject())), state: Pending,
		allows: map[Action]effect{
			ActionAccept: isAccepted, ActionUpdate: isReaddressed, ActionSend: isSentAgain, ActionCancel: isCanceled, ActionDecline: IsDeclined,
		},
	}, {
		name:  "pending since a minute, and has ended",
		row:   endingAt(testTime, testInvitation(Pending, testTime.Add(-time.Minute), testProject())),
		state: Expired, allows: map[Action]effect{
			ActionExpire: isExpired, ActionSend: {to: Pending, change: reopenedFor(testPolicy.MinLifetime), jobs: deliver(4)},
		},
	}, {
		name:  "canceled after a life that was longer than is allowed now",
		row:   endingAt(tomorrow, testInvitation(Canceled, testTime.Add(-300*day), testProject())),
		state: Canceled, allows: map[Action]effect{ActionSend: {to: Pending, change: reopenedFor(testPolicy.MaxLifetime), jobs: deliver(4)}},
		refuses: []Action{ActionUndo},
	}, {
		name: "canceled, and its membership ends before another life of the same length would",
		row: membershipEndingAt(testTime.Add(2*day),
			endingAt(testTime.Add(2*day), testInvitation(Canceled, yesterday, testProject()))), state: Canceled,
		allows:  map[Action]effect{ActionSend: {to: Pending, change: reopenedFor(2 * day), jobs: deliver(4)}},
		refuses: []Action{ActionUndo},
	}, {
		name: "pending, and its membership ends later", row: membershipEndingAt(testTime.Add(day), pendingInvitation()), state: Pending,
		allows: map[Action]effect{
			ActionAccept: isAccepted, ActionUpdate: {to: Pending, change: readdressedLate, jobs: deliver(4)},
			ActionSend: isSentAgain, ActionCancel: isCanceled, ActionDecline: IsDeclined,
		},
	}, {
		name:  "pending, and its membership has ended",
		row:   membershipEndingAt(testTime, testInvitation(Pending, yesterday, testProject())),
		state: Expired, allows: map[Action]effect{ActionExpire: isExpired}, refuses: []Action{ActionSend},
		says: map[Action]error{ActionSend: fault.Rejected(msgMembershipEnds)},
	}, {
		name:  "declined, and has ended since",
		row:   endingAt(testTime, declinedInvitation(testTime.Add(-time.Minute))),
		state: Canceled, allows: map[Action]effect{ActionSend: {to: Pending, change: reopenedFor(day), jobs: deliver(4)}},
		refuses: []Action{ActionUndo},
		says:    map[Action]error{ActionUndo: fault.Rejected("The invitation has expired. Ask for another invitation.")},
	},
}

// declinedInvitation returns an invitation that was declined at a time.
func declinedInvitation(at time.Time) Invitation {
	i := testInvitation(Canceled, yesterday, testProject())
	i.DeclinedAt, i.DeclineReason = &at, "I have moved."
	return i
}

func withoutCreator(i Invitation) Invitation {
	i.CreatedByUUID, i.CreatedBy = nil, nil
	return i
}

// decisions has the decision of each action of a user. The edit of ActionUpdate changes the address.
var decisions = map[Action]func(p Policy, v View, user directory.User) (Change, error){
	ActionApprove: func(p Policy, v View, user directory.User) (Change, error) { return p.approve(v, user, testTime) },
	ActionReject:  func(_ Policy, v View, user directory.User) (Change, error) { return reject(v, user, testReason) },
	ActionDecline: func(_ Policy, v View, user directory.User) (Change, error) {
		return decline(v, user, testReason, testTime)
	},
	ActionUndo:   func(p Policy, v View, user directory.User) (Change, error) { return p.undoDecline(v, user, testTime) },
	ActionCancel: func(_ Policy, v View, user directory.User) (Change, error) { return cancel(v, user) },
	ActionSend: func(p Policy, v View, user directory.User) (Change, error) {
		return p.send(v, user, []directory.User{people.staff}, testTime)
	},
	ActionAccept: func(p Policy, v View, user directory.User) (Change, error) {
		if !p.offered(v, true, user) {
			return Change{}, fault.NotFound()
		}
		return p.accept(v, directory.Actor{User: user}, "", false, testTime)
	},
	ActionUpdate: func(p Policy, v View, user directory.User) (Change, error) {
		if err := p.canUpdate(v, user); err != nil {
			return Change{}, err
		}
		edited := v.Invitation
		edited.Email, edited.EmailFolded = otherEmail, directory.FoldEmail(otherEmail)
		return p.update(v, edited, user, testTime), nil
	},
}

// decisionsOfTime has the decision of each action of time. The sweep makes it for the invitations for which it is due.
var decisionsOfTime = map[Action]struct {
	due    func(v View) bool
	decide func(p Policy, v View) Change
}{
	ActionStart: {
		func(v View) bool { return v.State == Project && !v.Scope.StartsAfter(testTime) && !v.Scope.Removed() },
		func(p Policy, v View) Change { return p.start(v.Invitation, testTime) },
	},
	ActionEnd: {
		func(v View) bool { return v.State.isOpen() && v.Scope.Removed() },
		func(_ Policy, v View) Change { return end(v.Invitation, testTime) },
	},
	ActionExpire: {
		func(v View) bool { return v.State == Expired && v.StoredState != Expired },
		func(_ Policy, v View) Change { return expire(v.Invitation, testTime) },
	},
}

// refusals has the refusal of each action of a user.
var refusals = map[Action]error{
	ActionApprove: fault.Rejected("Invalid invitation UUID."),
	ActionReject:  fault.Rejected("Invalid invitation UUID."),
	ActionAccept:  fault.NotFound(),
	ActionDecline: fault.NotFound(),
	ActionUndo:    fault.NotFound(),
	ActionUpdate:  fault.Rejected("Only pending invitations can be edited."),
	ActionSend:    fault.Rejected("Only pending, expired and canceled invitations can be resent."),
	ActionCancel:  fault.Rejected("Only pending or planned invitations can be canceled."),
}

// eventTypes has the type of the event of each action.
var eventTypes = map[Action]EventType{
	ActionStart: EventActivated, ActionApprove: EventApproved, ActionReject: EventRejected, ActionAccept: EventAccepted,
	ActionUpdate: EventUpdated, ActionSend: EventSent, ActionCancel: EventCanceled, ActionExpire: EventExpired, ActionEnd: EventCanceled,
	ActionDecline: EventDeclined, ActionUndo: EventDeclineUndone,
}

// waysIntoPending has every action of a user that makes an invitation pending, with the state it starts from, and whether
// the way is open to users who are not staff where only staff may invite. Approving is not listed: it is open to staff
// alone, by their token. A pending invitation was approved, or needed no approval.
var waysIntoPending = map[way]bool{
	{ActionCreate, ""}:      false,
	{ActionSend, Pending}:   true,
	{ActionSend, Expired}:   false,
	{ActionSend, Canceled}:  false,
	{ActionUpdate, Pending}: false,
	{ActionUndo, Canceled}:  true, // what the invitee declined was pending
}

// A way is an action in a state.
type way struct {
	action Action
	from   State
}

// Where only staff may invite, nothing becomes pending that staff did not approve, by any action in any state.
func TestWaysIntoPending(t *testing.T) {
	t.Parallel()
	eachPolicy(func(p Policy, policy string) {
		for _, user := range []directory.User{people.staff, people.creator} {
			want, found := map[way]bool{}, map[way]bool{}
			for each, open := range waysIntoPending {
				if open || user.IsStaff || !p.OnlyStaffCanInvite {
					want[each] = true
				}
			}
			if p.newInvitation(Draft{}, testProject(), testRole, user, testTime).StoredState == Pending {
				found[way{ActionCreate, ""}] = true
			}
			for _, s := range situations {
				for action, decide := range decisions {
					change, err := decide(p, p.view(s.row, testTime), user)
					if action != ActionApprove && err == nil && change.After.StoredState == Pending {
						found[way{action, s.state}] = true
					}
				}
			}
			require.Equal(t, want, found, "%s; %s", user.FullName, policy)
		}
	})
}

// Every action of a user has its one effect, or is refused, in every situation, whoever the user is and whichever
// policies are on.
func TestDecisionsOfUsersInEverySituation(t *testing.T) {
	t.Parallel()
	for _, s := range situations {
		for action, decide := range decisions {
			for _, user := range []directory.User{people.staff, people.guest} {
				eachPolicy(func(p Policy, policy string) {
					name := fmt.Sprintf("%s: %s by %s; %s", s.name, action, user.FullName, policy)
					v := p.view(s.row, testTime)
					require.Equal(t, s.state, v.State, name)
					if action == ActionSend {
						v, _ = p.recordExpiry(v, testTime)
					}
					change, err := decide(p, v, user)
					want, allowed := s.allows[action]
					if allowed && action == ActionSend && s.state != Pending && p.OnlyStaffCanInvite && !user.IsStaff {
						want = effect{to: Requested, change: want.change, jobs: isAskedFor.jobs}
					}
					switch {
					case action == ActionUpdate && p.OnlyStaffCanInvite && !user.IsStaff:
						require.Equal(t, error(fault.Forbidden()), err, name)
						require.Equal(t, Change{}, change, name)
					case !allowed:
						require.Equal(t, s.refusal(action), err, name)
						require.Equal(t, Change{}, change, name)
					default:
						require.NoError(t, err, name)
						require.Equal(t, want.wantChange(action, p, v.Invitation, &user), withoutRandom(t, change, v.Invitation), name)
					}
				})
			}
		}
	}
}

// The sweep starts and expires the invitations for which that is due, whichever policies are on.
func TestDecisionsOfTimeInEverySituation(t *testing.T) {
	t.Parallel()
	for _, s := range situations {
		for action, each := range decisionsOfTime {
			eachPolicy(func(p Policy, policy string) {
				name := fmt.Sprintf("%s: %s; %s", s.name, action, policy)
				v := p.view(s.row, testTime)
				want, allowed := s.allows[action]
				require.Equal(t, each.due(v), allowed, name)
				if allowed {
					require.Equal(t, want.wantChange(action, p, s.row, nil), each.decide(p, v), name)
				}
			})
		}
	}
}

// eachPolicy calls f with every combination of the policies on which the state or the jobs of a decision depend.
func eachPolicy(f func(p Policy, name string)) {
	for _, onlyStaff := range onOff {
		for _, webhooks := range onOff {
			p := testPolicy
			p.OnlyStaffCanInvite, p.UseWebhooks = onlyStaff, webhooks
			f(p, fmt.Sprintf("only staff can invite: %t, webhooks: %t", onlyStaff, webhooks))
		}
	}
}

// wantChange returns the Change of an action that has this effect on a row. user is who acts; nil: the server.
func (e effect) wantChange(action Action, p Policy, row Invitation, user *directory.User) Change {
	after := row
	after.StoredState = e.to
	if e.change != nil {
		e.change(&after)
	}
	if action == ActionUpdate || (action == ActionSend && row.StoredState != Pending) {
		after.OfferedByUUID = &user.UUID
	}
	c := Change{Before: &row, After: &after, Event: wantEvent(eventTypes[action], user, row.StoredState, e.to, after)}
	if (e.to == Pending || e.to == Project) && action != ActionUndo { // the other actions that lead there mail the invitee
		c.Event = mailing(c.Event, after)
	}
	if action == ActionReject || action == ActionDecline {
		c.Event.Reason = testReason
	}
	for _, job := range e.jobs {
		if d, ok := job.(Deliver); ok {
			d.Webhook = p.UseWebhooks && row.Scope.Type == directory.Project
			job = d
		}
		c.Jobs = append(c.Jobs, job)
	}
	if action == ActionAccept {
		c.Member = &directory.Membership{
			UUID: randomUUID, UserUUID: user.UUID, RoleUUID: row.RoleUUID, ScopeUUID: row.ScopeUUID,
			CreatedByUUID: row.CreatedByUUID, Created: testTime, Expires: row.MembershipExpires,
		}
	}
	return c
}

// randomUUID stands for any random UUID.
var randomUUID = testID(99)

// withoutRandom returns a change with randomUUID in place of its random UUIDs, which have to be random indeed.
func withoutRandom(t *testing.T, c Change, before Invitation) Change {
	t.Helper()
	if c.After != nil && c.After.LinkUUID != nil && c.After.LinkUUID != before.LinkUUID {
		after := *c.After
		requireRandom(t, *after.LinkUUID)
		after.LinkUUID = &randomUUID
		c.After = &after
	}
	if c.Member != nil {
		member := *c.Member
		requireRandom(t, member.UUID)
		member.UUID = randomUUID
		c.Member = &member
	}
	return c
}

func requireRandom(t *testing.T, id uuid.UUID) {
	t.Helper()
	require.EqualValues(t, 4, id.Version(), "not random: %s", id)
	require.NotEqual(t, testInvitation(Pending, testTime, testProject()).UUID, id)
}

// Transitions and the situations above agree: an action is possible in a state if and only if the table has a row for
// the two, each effect leads to a state of that row, and each state of a row is the effect of the action in some
// situation.
func TestTransitionsAndDecisionsAgree(t *testing.T) {
	t.Parallel()
	type step struct {
		Action   Action
		From, To State
	}
	listed, taken := map[step]bool{}, map[step]bool{}
	for _, transition := range Transitions {
		require.NotEmpty(t, transition.To, "%s from %q", transition.Action, transition.From)
		for _, to := range transition.To {
			require.False(t, listed[step{transition.Action, transition.From, to}], "%v is listed twice", transition)
			listed[step{transition.Action, transition.From, to}] = true
		}
	}
	for _, c := range creations {
		taken[step{ActionCreate, "", c.state}] = true
	}
	// TestDecisionsOfUsersInEverySituation has this effect where only staff may invite.
	taken[step{ActionSend, Expired, isAskedFor.to}] = true
	taken[step{ActionSend, Canceled, isAskedFor.to}] = true
	for _, s := range situations {
		for action := range decisions {
			_, allowed := s.allows[action]
			refused := slices.Contains(s.refuses, action)
			require.False(t, allowed && refused, "%s: %s", s.name, action)
			require.Equal(t, CanDo(action, s.state), allowed || refused, "%s: %s", s.name, action)
		}
		for action, want := range s.allows {
			from := s.state
			if _, byTime := decisionsOfTime[action]; byTime {
				from = s.row.StoredState
			}
			taken[step{action, from, want.to}] = true
		}
	}
	require.Equal(t, listed, taken)
	for _, state := range States {
		require.True(t, slices.ContainsFunc(situations, func(s situation) bool { return s.state == state }), "%s", state)
	}
}

// An update that leaves the address as it is, case aside, leaves the link, the reminder and the delivery as they are.
func TestUpdateOfTheSameAddress(t *testing.T) {
	t.Parallel()
	link := testID(31)
	for _, former := range []*uuid.UUID{nil, &link} {
		row := pendingInvitation()
		row.LinkUUID = former
		v := viewNow(row)

		respelled := row
		respelled.Email = "GIL@acme.example"
		require.Equal(t, Change{
			Before: &row, After: &respelled, Event: wantEvent(EventUpdated, &people.creator, Pending, Pending, respelled),
		}, testPolicy.update(v, respelled, people.creator, testTime))

		otherRole := row
		otherRole.Role.UUID, otherRole.Role.Name = testID(11), "PROJECT.MEMBER"
		otherRole.RoleUUID = otherRole.Role.UUID
		offered := otherRole
		offered.OfferedByUUID = &people.creator.UUID
		require.Equal(t, Change{
			Before: &row, After: &offered, Event: wantEvent(EventUpdated, &people.creator, Pending, Pending, offered),
		}, testPolicy.update(v, otherRole, people.creator, testTime))
	}
}

// An update of the address makes another link each time.
func TestUpdateReplacesTheLink(t *testing.T) {
	t.Parallel()
	row, former := pendingInvitation(), testID(31)
	row.LinkUUID = &former
	edited := row
	edited.Email, edited.EmailFolded = otherEmail, directory.FoldEmail(otherEmail)
	first := testPolicy.update(viewNow(row), edited, people.creator, testTime).After.LinkUUID
	second := testPolicy.update(viewNow(row), edited, people.creator, testTime).After.LinkUUID
	requireRandom(t, *first)
	requireRandom(t, *second)
	require.NotEqual(t, *first, *second)
	require.NotEqual(t, former, *first)
	require.Equal(t, testID(31), former, "the former link's value is left alone")
}

// Expiry is recorded once, without a notice, and only of an invitation that time has ended.
func TestRecordExpiry(t *testing.T) {
	t.Parallel()
	for _, s := range situations {
		v := viewNow(s.row)
		recorded, changes := testPolicy.recordExpiry(v, testTime)
		require.Equal(t, v.State, recorded.State, s.name)
		require.Equal(t, v.Expires, recorded.Expires, s.name)
		if s.state != Expired || s.row.StoredState == Expired {
			require.Equal(t, v, recorded, s.name)
			require.Empty(t, changes, s.name)
			continue
		}
		expired := s.row
		expired.StoredState = Expired
		require.Equal(t, expired, recorded.Invitation, s.name)
		require.Equal(t, []Change{{
			Before: &s.row, After: &expired, Event: wantEvent(EventExpired, nil, s.row.StoredState, Expired, expired),
		}}, changes, s.name)
	}
}

// A reminder changes nothing but the mark that it was asked for.
func TestRemind(t *testing.T) {
	t.Parallel()
	row := pendingInvitation()
	row.Reminded = false
	reminded := row
	reminded.Reminded = true
	require.Equal(t, Change{
		Before: &row, After: &reminded, Event: mailing(wantEvent(EventReminded, nil, Pending, Pending, reminded), reminded),
		Jobs: []Job{Notify{Notice: NoticeReminder, Invitation: row.UUID, Delivery: 3}},
	}, remind(row, testTime))
}

// An invitation is deleted in every state. The event has the last row.
func TestRemove(t *testing.T) {
	t.Parallel()
	for _, s := range situations {
		require.Equal(t, Change{
			Before: &s.row, Event: wantEvent(EventDeleted, &people.staff, s.row.StoredState, "", s.row),
		}, remove(viewNow(s.row), people.staff), s.name)
	}
}

// Only a pending invitation is announced to its invitee, and only a requested one to staff.
func TestAnnounce(t *testing.T) {
	t.Parallel()
	staff := []directory.User{people.staff, people.creator}
	for _, state := range States {
		var want []Job
		switch state {
		case Pending:
			want = deliver(3)
		case Requested:
			want = []Job{
				Notify{Notice: NoticeRequested, Invitation: testID(30), Delivery: 3, User: people.staff.UUID, Gathered: true},
				Notify{Notice: NoticeRequested, Invitation: testID(30), Delivery: 3, User: people.creator.UUID, Gathered: true},
			}
		default:
			want = nil
		}
		require.Equal(t, want, testPolicy.announce(testInvitation(state, testTime, testProject()), staff), "%s", state)
	}
}
