// Package invitation owns the life of an invitation: its states and the actions that change them, the policies of an
// installation, the use case behind each operation of the API, and the state of each delivery.
//
// The package declares the [Store] that it needs and the jobs that it enqueues. It knows nothing of HTTP, SQL, job
// queues and mail: packages api, store and jobs import it, never the other way round. Users, scopes and roles, and
// who may see and manage what, belong to package directory.
//
// # States
//
// An invitation offers one role in one scope to one e-mail address. These actions change an invitation, from these
// states to these:
//
//	from       action   to
//	(none)     create   requested, project or pending
//	requested  approve  project or pending
//	           reject   rejected
//	           end      canceled
//	           expire   expired
//	project    start    pending
//	           update   project
//	           cancel   canceled
//	           end      canceled
//	           expire   expired
//	pending    accept   accepted
//	           update   pending
//	           send     project or pending
//	           cancel   canceled
//	           decline  canceled
//	           end      canceled
//	           expire   expired
//	expired    send     requested, project or pending
//	canceled   send     requested, project or pending
//	           undo     pending
//	rejected   –        final
//	accepted   –        final
//
// The table is [Transitions], and a test compares the two. An action that is not listed for a state is refused in that
// state. Where an action can lead to several states, the invitation becomes
//
//   - requested where only staff may invite (see [Policy]) and the user who creates or reopens it is not staff: staff
//     approve or reject it;
//   - else project where the scope is a project that starts in the future: nothing is sent before the start;
//   - else pending: the invitation is delivered, and its invitee may accept it.
//
// Only the invitee declines, and only what they declined can be undone, for [UndoPeriod]: to everybody else the invitation
// is canceled, as Waldur's clients know it. In every state an invitation can also be deleted.
//
// # Time
//
// A pending or requested invitation is expired from the moment that [Invitation.Expires] returns, whatever its row says:
// [Invitation.StateAt] computes the state from the row and the present time. The store's filters compute the same in
// SQL, and a test compares the two. [Service.Sweep] writes the expiry into the row later and tells the creator.
//
// The start of a project is another matter: an invitation that waits for it stays in state project until a sweep lets
// it go out, and its life begins then. So somebody who changes the start date ends no invitation. Reminders are a sweep's
// work too, and so is the end of invitations whose scope was removed.
//
// A fixed end is an end that somebody gave to the one invitation, or the end of the membership that it offers. It ends the
// invitation in every open state, also while its project has not started and while staff have not approved.
//
// The present time is that of the database (Now of [Tx]), so that replicas agree.
//
// # The shape of a use case
//
// A use case is a method of [Service] with three steps:
//
//   - Read: the method reads through [Tx] what the decision needs.
//   - Decide: functions of values return a refusal, which is a *fault.Error, or a [Change]. They are in life.go and policy.go, and
//     use no database, no clock and no context, so that their tests take microseconds.
//   - Save: the method returns the changes, and Store.Change writes them in the same transaction: the row, an [Event], the
//     jobs, a membership.
//
// A row is written only if it is still what the decision was made from. Otherwise the store makes the three steps once
// more, with the row locked: a caller who loses a race gets the answer that they would have got a moment later.
//
// Every change has an event, except two: an attempt at a delivery begins, or fails for the same reason as the one
// before it. Events outlive their invitation.
//
// # Delivery
//
// A delivery takes three steps, because no transaction stays open while a mail server answers: BeginDelivery writes
// that an attempt is being made and returns the [Message], package jobs sends the message, FinishDelivery writes the
// [Outcome]. Invitation.Delivery counts the deliveries that were asked for: the job of an earlier delivery finds a
// higher count and sends nothing.
//
// A [Notice] is every mail about an invitation but the one that invites. BeginNotice and FinishNotice are its steps. Notices of
// requests are gathered: a staff user gets one mail in an interval about all that wait.
package invitation
