package invitation

import (
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"invited/internal/directory"
	"invited/internal/fault"
)

// Action is something that a person or time does to an invitation and that can change its state.
type Action string

// The actions.
const (
	ActionCreate  Action = "create"
	ActionStart   Action = "start" // the project starts
	ActionApprove Action = "approve"
	ActionReject  Action = "reject"
	ActionAccept  Action = "accept"
	ActionUpdate  Action = "update"
	ActionSend    Action = "send"
	ActionCancel  Action = "cancel"
	ActionDecline Action = "decline" // the invitee does not want the role
	ActionUndo    Action = "undo"    // the invitee takes a decline back
	ActionEnd     Action = "end"     // the scope, or its organization, was removed
	ActionExpire  Action = "expire"  // the lifetime ends
)

// Transition lists the states to which an action can lead from a state.
type Transition struct {
	Action Action
	From   State // empty: there was no invitation
	To     []State
}

// Transitions lists the actions that are possible in each state, and the states that they lead to. An action without a
// row for a state is refused in that state. The functions of this file choose between the states of a row. One test
// compares these functions with the table, another one the package's documentation.
var Transitions = []Transition{
	{ActionCreate, "", []State{Requested, Project, Pending}},

	{ActionApprove, Requested, []State{Project, Pending}},
	{ActionReject, Requested, []State{Rejected}},
	{ActionEnd, Requested, []State{Canceled}},
	{ActionExpire, Requested, []State{Expired}},

	{ActionStart, Project, []State{Pending}},
	{ActionUpdate, Project, []State{Project}},
	{ActionCancel, Project, []State{Canceled}},
	{ActionEnd, Project, []State{Canceled}},
	{ActionExpire, Project, []State{Expired}},

	{ActionAccept, Pending, []State{Accepted}},
	{ActionUpdate, Pending, []State{Pending}},
	{ActionSend, Pending, []State{Project, Pending}},
	{ActionCancel, Pending, []State{Canceled}},
	{ActionDecline, Pending, []State{Canceled}},
	{ActionEnd, Pending, []State{Canceled}},
	{ActionExpire, Pending, []State{Expired}},

	{ActionSend, Expired, []State{Requested, Project, Pending}},
	{ActionSend, Canceled, []State{Requested, Project, Pending}},
	{ActionUndo, Canceled, []State{Pending}},
}

// CanDo reports whether an action is possible in a state.
func CanDo(action Action, state State) bool {
	return slices.ContainsFunc(Transitions, func(t Transition) bool { return t.Action == action && t.From == state })
}

// startState returns the state of an invitation that may go out: it waits for its project to start, or for its invitee.
func startState(scope directory.Scope, now time.Time) State {
	if scope.StartsAfter(now) {
		return Project
	}
	return Pending
}

// change returns the Change of an invitation for a cause, with the jobs that follow from the change.
func change(before, after Invitation, c cause, jobs ...Job) Change {
	return Change{
		Before: &before, After: &after, Event: c.record(after, before.StoredState, after.StoredState), Jobs: jobs,
	}
}

// announce returns the jobs that tell people of an invitation's new state: the invitee of a pending invitation, and
// staff of a requested one. staff are the users to tell; only a requested invitation needs them.
func (p Policy) announce(i Invitation, staff []directory.User) []Job {
	var jobs []Job
	switch i.StoredState {
	case Pending:
		jobs = append(jobs, Deliver{Invitation: i.UUID, Delivery: i.Delivery, Webhook: p.byWebhook(i.Scope)})
	case Requested:
		for _, user := range staff {
			jobs = append(jobs, Notify{
				Notice: NoticeRequested, Invitation: i.UUID, Delivery: i.Delivery, User: user.UUID, Gathered: true,
			})
		}
	default: // nobody waits for the other states
	}
	return jobs
}

// noticeToInviter returns the job that sends a notice to the inviter, unless their user was deleted.
func noticeToInviter(i Invitation, notice Notice) []Job {
	inviter := i.InviterUUID()
	if inviter == nil {
		return nil
	}
	return []Job{Notify{Notice: notice, Invitation: i.UUID, Delivery: i.Delivery, User: *inviter}}
}

// newInvitation returns the invitation that a draft asks for.
func (p Policy) newInvitation(
	d Draft, scope directory.Scope, role directory.Role, creator directory.User, now time.Time,
) Invitation {
	allowed := func(field, value string) string {
		if p.Allows(field) {
			return value
		}
		return ""
	}
	i := Invitation{
		// Random, never ordered by time: whoever knows the UUID of an invitation can check it.
		UUID:                uuid.New(),
		StoredState:         startState(scope, now),
		Created:             now,
		ExpiresAt:           d.Expires,
		MembershipExpires:   d.MembershipExpires,
		ExecutionState:      Scheduled,
		RoleUUID:            role.UUID,
		Role:                role,
		ScopeUUID:           scope.UUID,
		Scope:               scope,
		CustomerUUID:        scope.CustomerUUID,
		CreatedByUUID:       &creator.UUID,
		CreatedBy:           &creator,
		Email:               d.Email,
		EmailFolded:         directory.FoldEmail(d.Email),
		FullName:            allowed("full_name", d.FullName),
		NativeName:          allowed("native_name", d.NativeName),
		PhoneNumber:         allowed("phone_number", d.PhoneNumber),
		Organization:        allowed("organization", d.Organization),
		JobTitle:            allowed("job_title", d.JobTitle),
		CivilNumber:         allowed("civil_number", d.CivilNumber),
		ExtraInvitationText: d.ExtraInvitationText,
	}
	if p.needsApproval(creator) {
		i.StoredState = Requested
	}
	if p.LinkSecret {
		i.LinkUUID = newLink()
	}
	i.Reminded = p.needsNoReminder(i, now)
	return i
}

// newLink returns a link of an invitation's own. It is random, as the UUID is.
func newLink() *uuid.UUID {
	link := uuid.New()
	return &link
}

// create returns the change that writes a new invitation. staff are the users to tell of one that waits for approval.
func (p Policy) create(i Invitation, creator directory.User, staff []directory.User) Change {
	return Change{
		After: &i, Event: byUser(creator, EventCreated).record(i, "", i.StoredState), Jobs: p.announce(i, staff),
	}
}

// offered reports whether a user can accept an invitation at all. byLink: the user has the invitation's link, and not
// only its UUID. The rules about the membership itself are accept's.
func (p Policy) offered(v View, byLink bool, user directory.User) bool {
	return CanDo(ActionAccept, v.State) && p.meantFor(v.Invitation, byLink, user) && !v.Scope.Removed()
}

// accept returns the change by which an invitation that is offered to a user becomes their membership, or fault.KindRejected,
// with the reason, where a rule forbids the membership. refusing is the type of the scope whose e-mail patterns refuse the user's
// address; it is empty where none does. hasManager: the invitation is for a project manager, and the project has the only one
// that the policy allows.
func (p Policy) accept(
	v View, user directory.Actor, refusing directory.ScopeType, hasManager bool, now time.Time,
) (Change, error) {
	if refusal := p.refusal(v, user, refusing, hasManager); refusal != "" {
		return Change{}, fault.Rejected(string(refusal))
	}
	accepted := v.Invitation
	accepted.StoredState = Accepted
	c := change(v.Invitation, accepted, byUser(user.User, EventAccepted))
	if inviter := v.InviterUUID(); p.NotifyAccepted && inviter != nil && *inviter != user.UUID {
		c.Jobs = noticeToInviter(accepted, NoticeAccepted)
	}
	c.Member = &directory.Membership{
		UUID:          uuid.New(),
		UserUUID:      user.UUID,
		RoleUUID:      v.RoleUUID,
		ScopeUUID:     v.ScopeUUID,
		CreatedByUUID: v.CreatedByUUID,
		Created:       now,
		Expires:       v.MembershipExpires,
	}
	return c, nil
}

// Refusal is why an invitation can't be accepted, as Accept says it.
type Refusal string

// The refusals.
const (
	RefusedHeld       Refusal = "User has already the same role in this scope."
	RefusedAddress    Refusal = "User’s email and email of the invitation are not equal."
	RefusedSecond     Refusal = "User already has role within this scope."
	RefusedByCustomer Refusal = "User email, affiliation, or identity source does not match the customer restrictions."
	RefusedByProject  Refusal = "User email, affiliation, or identity source does not match the project restrictions."
	RefusedRole       Refusal = "Role is not active."
	RefusedManager    Refusal = msgOneManager
	RefusedInviter    Refusal = "Whoever invited you may not invite into this scope any more. Ask for another invitation."
)

// refusal returns the rule that forbids a membership to a user whom an invitation is offered to; empty: none does. The
// arguments are those of accept.
func (p Policy) refusal(v View, user directory.Actor, refusing directory.ScopeType, hasManager bool) Refusal {
	switch {
	case holdsRole(user, v.Invitation):
		return RefusedHeld
	case p.StrictCheck && v.EmailFolded != user.EmailFolded:
		return RefusedAddress
	case p.DisableMultipleRoles && user.HoldsRoleIn(v.ScopeUUID):
		return RefusedSecond
	case refusing == directory.Customer:
		return RefusedByCustomer
	case refusing != "":
		return RefusedByProject
	case !v.Role.IsActive:
		return RefusedRole
	case hasManager:
		return RefusedManager
	}
	return ""
}

// refuseAccept returns the change that records that a user could not accept because the inviter may not invite any more,
// and tells the inviter. The change is empty where the inviter was told in the present life of the invitation.
func refuseAccept(v View, user directory.User) Change {
	if v.InviterNotified {
		return Change{}
	}
	refused := v.Invitation
	refused.InviterNotified = true
	return change(v.Invitation, refused, byUser(user, EventRefused), noticeToInviter(refused, NoticeRefused)...)
}

// holdsRole reports whether a user holds the role that an invitation offers, in its scope.
func holdsRole(user directory.Actor, i Invitation) bool {
	return slices.ContainsFunc(user.Grants, func(g directory.Grant) bool {
		return g.ScopeUUID == i.ScopeUUID && g.RoleUUID == i.RoleUUID
	})
}

func alreadyMember() error { return fault.Rejected(string(RefusedHeld)) }

// approve returns the change by which staff let a requested invitation go out.
func (p Policy) approve(v View, staff directory.User, now time.Time) (Change, error) {
	if !CanDo(ActionApprove, v.State) || v.Scope.Removed() {
		return Change{}, notRequested()
	}
	approved := v.Invitation
	approved.StoredState = startState(v.Scope, now)
	approved.ExecutionState, approved.ErrorMessage = Scheduled, "" // see noStaff
	if v.ExpiresAt == nil && !now.Before(v.Created.Add(p.Lifetime)) {
		approved.Created = now // the request waited for a project that starts later, and longer than an invitation lives
	}
	approved.Reminded = approved.Reminded || p.needsNoReminder(approved, now)
	return change(v.Invitation, approved, byUser(staff, EventApproved), p.announce(approved, nil)...), nil
}

// reject returns the change by which staff end a requested invitation. The reason may be empty.
func reject(v View, staff directory.User, reason string) (Change, error) {
	if !CanDo(ActionReject, v.State) {
		return Change{}, notRequested()
	}
	rejected := v.Invitation
	rejected.StoredState = Rejected
	return change(v.Invitation, rejected, byUser(staff, EventRejected).because(reason), noticeToInviter(rejected, NoticeRejected)...), nil
}

func notRequested() error { return fault.Rejected("Invalid invitation UUID.") }

// cancel returns the change by which a user takes an invitation back.
func cancel(v View, user directory.User) (Change, error) {
	if !CanDo(ActionCancel, v.State) {
		return Change{}, fault.Rejected("Only pending or planned invitations can be canceled.")
	}
	canceled := v.Invitation
	canceled.StoredState = Canceled
	canceled.DeclinedAt, canceled.DeclineReason = nil, "" // see IsDeclined
	return change(v.Invitation, canceled, byUser(user, EventCanceled)), nil
}

// send returns the change by which a user asks for another delivery. An invitation that is expired or canceled is
// reopened with a whole new life (see beginLife), and waits for approval if the user is not staff and only staff may
// invite. A pending one whose project was given a start date in the future has a whole new life too: the invitation
// waits for the start. staff are the users to tell of an invitation that waits for approval.
func (p Policy) send(v View, user directory.User, staff []directory.User, now time.Time) (Change, error) {
	if !CanDo(ActionSend, v.State) {
		return Change{}, fault.Rejected("Only pending, expired and canceled invitations can be resent.")
	}
	sent := v.Invitation
	sent.StoredState = startState(v.Scope, now)
	if v.State != Pending && p.needsApproval(user) {
		sent.StoredState = Requested
	}
	if v.State != Pending || sent.StoredState == Project {
		var err error
		if sent, err = p.beginLife(sent, now); err != nil {
			return Change{}, err
		}
	}
	if v.State != Pending {
		sent.OfferedByUUID = &user.UUID
		sent.DeclinedAt, sent.DeclineReason, sent.RenewalAskedAt = nil, "", nil
	}
	if p.LinkSecret && sent.LinkUUID == nil {
		sent.LinkUUID = newLink()
	}
	sent.EmailFolded = directory.FoldEmail(sent.Email) // the migration to the form of FoldEmail left duplicates as they were
	scheduleDelivery(&sent)
	markUnasked(&sent, staff)
	return change(v.Invitation, sent, byUser(user, EventSent), p.announce(sent, staff)...), nil
}

// scheduleDelivery gives an invitation another delivery. The jobs of earlier deliveries do nothing from then on.
func scheduleDelivery(i *Invitation) {
	i.Delivery++
	i.ExecutionState, i.ErrorMessage = Scheduled, ""
}

// canUpdate returns fault.KindForbidden or fault.KindRejected where the policy or the state forbids to edit an
// invitation.
func (p Policy) canUpdate(v View, user directory.User) error {
	if p.needsApproval(user) {
		return fault.Forbidden() // staff approved the invitation as it is
	}
	if !CanDo(ActionUpdate, v.State) {
		return fault.Rejected("Only pending invitations can be edited.")
	}
	return nil
}

// update returns the change by which a user gives an invitation another address, role or end. Another address gets a link
// and a delivery of its own, and the former link is dead. Another spelling of the same address is no other address. Another
// end alone sends nothing: the invitee is told by the reminder, which is due again where the end has moved away from it.
func (p Policy) update(v View, edited Invitation, user directory.User, now time.Time) Change {
	if edited.EmailFolded != v.EmailFolded || edited.RoleUUID != v.RoleUUID {
		edited.OfferedByUUID, edited.InviterNotified = &user.UUID, false
	}
	// An invitee who first hears of the invitation when the reminder is due, or later, needs no reminder.
	end := p.view(edited, now).Expires
	reminderIsPast := !now.Before(end.Add(-ReminderPeriod))
	if edited.EmailFolded == v.EmailFolded {
		if !end.Equal(v.Expires) {
			edited.Reminded = v.Reminded && reminderIsPast
		}
		return change(v.Invitation, edited, byUser(user, EventUpdated))
	}
	edited.LinkUUID = newLink()
	edited.Reminded = reminderIsPast
	scheduleDelivery(&edited)
	readdressed := byUser(user, EventUpdated)
	readdressed.newAddress = true
	return change(v.Invitation, edited, readdressed, p.announce(edited, nil)...)
}

// remove returns the change by which a user deletes an invitation for good.
func remove(v View, user directory.User) Change {
	return Change{Before: &v.Invitation, Event: byUser(user, EventDeleted).record(v.Invitation, v.StoredState, "")}
}

// recordExpiry makes the stored state of an expired invitation say so: it returns the view after that, and the change
// that writes it; no change where the row says so already, or the invitation is not expired. Whatever else is done to
// the invitation comes after that change, so that its events tell the whole life. The inviter gets no notice: somebody
// is at work on the invitation.
func (p Policy) recordExpiry(v View, now time.Time) (View, []Change) {
	if v.State != Expired || v.StoredState == Expired {
		return v, nil
	}
	expired := v.Invitation
	expired.StoredState = Expired
	return p.view(expired, now), []Change{change(v.Invitation, expired, byServer(EventExpired))}
}

// expire returns the change that records that time has ended an invitation, and tells its creator.
func expire(i Invitation, _ time.Time) Change {
	expired := i
	expired.StoredState = Expired
	return change(i, expired, byServer(EventExpired), noticeToInviter(expired, NoticeExpired)...)
}

// end returns the change by which an open invitation ends whose scope was removed, and tells its creator. The invitee gets no
// mail: there is nothing for them to do.
func end(i Invitation, _ time.Time) Change {
	ended := i
	ended.StoredState = Canceled
	ended.DeclinedAt, ended.DeclineReason = nil, "" // see IsDeclined
	return change(i, ended, byServer(EventCanceled), noticeToInviter(ended, NoticeScopeRemoved)...)
}

// start returns the change by which an invitation goes out whose project has started. Its life begins now, however long the
// project was waited for. A fixed end stays.
func (p Policy) start(i Invitation, now time.Time) Change {
	started := i
	started.StoredState, started.Created = Pending, now
	started.Reminded = started.Reminded || p.needsNoReminder(started, now)
	return change(i, started, byServer(EventActivated), p.announce(started, nil)...)
}

// remind returns the change by which an invitee is reminded.
func remind(i Invitation, _ time.Time) Change {
	reminded := i
	reminded.Reminded = true
	return change(i, reminded, byServer(EventReminded),
		Notify{Notice: NoticeReminder, Invitation: i.UUID, Delivery: i.Delivery})
}

// awaits reports whether an invitation waits for its invitee and for the delivery of a job.
func (v View) awaits(job Deliver) bool {
	return v.Delivery == job.Delivery && v.ExecutionState != OK && v.State == Pending && !v.Scope.Removed()
}

// beginDelivery returns the change by which a job begins the delivery that it was enqueued for, and whether the
// invitation is to be sent. An invitation that does not wait for its invitee any more, or whose scope was removed, is
// not sent: the change writes the reason into the row. obstacle is the reason why accept would refuse everybody; it is empty
// where accept would not. An invitation with an obstacle is not sent either, and the inviter gets a notice. The change is
// empty where there is nothing to do, because the invitation was delivered or has a newer delivery, or because the row already
// has the reason.
func (p Policy) beginDelivery(v View, job Deliver, obstacle Refusal) (c Change, send bool) {
	if v.Delivery != job.Delivery || v.ExecutionState == OK {
		return Change{}, false
	}
	begun := v.Invitation
	reason := reasonNotToSend(v, obstacle)
	if reason == "" {
		begun.ExecutionState = Processing
		return Change{Before: &v.Invitation, After: &begun}, true
	}
	if v.ExecutionState == Erred && (obstacle == "" || v.ErrorMessage == reason) {
		return Change{}, false // the row says why the last attempt failed, which explains more
	}
	failed := byServer(EventDeliveryFailed)
	if v.ExecutionState == Processing { // an attempt was cut off
		reason = "The server stopped while it sent the invitation: it may have arrived or not."
		failed.channel, failed.recipient = p.channel(v.Scope), v.Email
	}
	begun.ExecutionState, begun.ErrorMessage = Erred, reason
	if obstacle == "" {
		return change(v.Invitation, begun, failed), false
	}
	return change(v.Invitation, begun, failed, noticeToInviter(begun, NoticeUndeliverable)...), false
}

// channel returns how invitations into a scope are delivered.
func (p Policy) channel(scope directory.Scope) Channel {
	if p.byWebhook(scope) {
		return ByWebhook
	}
	return ByMail
}

// reasonNotToSend returns why an invitation is not to be delivered; empty: it is.
func reasonNotToSend(v View, obstacle Refusal) string {
	switch {
	case obstacle != "":
		return notSent + string(obstacle)
	case v.Scope.Removed():
		return "Not sent: " + v.Scope.Name + " was removed. Invite into another scope."
	case v.State == Pending:
		return ""
	default:
		return fmt.Sprintf("Not sent: the invitation was %s before it could be delivered.", v.State)
	}
}

// discarded is the ErrorMessage of a delivery whose job an operator has dropped, which may have been done before a restore.
const discarded = "Not sent: the operator of the server dropped what was waiting. The invitation may have arrived before; send it again if it did not."

// discardDelivery returns the change that records that the job's delivery is not made; an empty one where there is nothing to
// record.
func discardDelivery(found Invitation, job Deliver) Change {
	if found.Delivery != job.Delivery || found.ExecutionState == OK || found.StoredState != Pending {
		return Change{}
	}
	after := found
	after.ExecutionState, after.ErrorMessage = Erred, discarded
	return change(found, after, byServer(EventDeliveryFailed))
}

// finishDelivery returns the change that records how an attempt at the job's delivery ended. found is the invitation as
// it is now; nil: it was deleted. Where the invitation was deleted or has a newer delivery, the change is an event
// alone: the message may have arrived all the same. The change is empty where the outcome is recorded already.
func finishDelivery(found *Invitation, job Deliver, m *Message, o Outcome) Change {
	ended := byServer(EventDelivered)
	if o.Failed {
		ended.event = EventDeliveryFailed
	}
	ended.channel, ended.recipient = ByMail, m.To
	if m.Webhook {
		ended.channel = ByWebhook
	}
	if found != nil {
		ended, o = ended.hide(*found), o.hide(*found)
	}
	switch {
	case found == nil:
		return Change{Event: ended.record(o.apply(m.Invitation.Invitation), "", "")}
	case found.Delivery != job.Delivery:
		return Change{Event: ended.record(o.apply(*found), found.StoredState, found.StoredState)}
	case found.ExecutionState != Processing: // recorded, and the database's answer to that was lost
		return Change{}
	}
	finished := o.apply(*found)
	if o.Failed && !o.Final && finished.ErrorMessage == found.ErrorMessage {
		// The same failure again has no event: there can be an attempt an hour for weeks.
		return Change{Before: found, After: &finished}
	}
	if o.Final && found.StoredState == Pending {
		return change(*found, finished, ended, noticeToInviter(finished, NoticeUndeliverable)...)
	}
	return change(*found, finished, ended)
}
