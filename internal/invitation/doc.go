// Package invitation owns the life of an invitation: its states and the actions that change them, the policies of an
// installation, the use case behind each operation of the API, and the delivery as far as the invitation's row shows it.
//
// The package declares the [Store] that it needs and the jobs that it enqueues. It knows nothing of HTTP, SQL, job queues
// and mail: packages api, store, jobs and mail depend on it, not the other way round. Users, scopes and roles, and who may
// see and manage what, belong to package directory.
//
// # States
//
// An invitation offers one role in one scope to one e-mail address. These are all changes of its state:
//
//	from       action   to
//	(none)     create   requested, project or pending
//	requested  approve  project or pending
//	           reject   rejected
//	project    start    pending
//	           update   project
//	           cancel   canceled
//	           expire   expired
//	pending    accept   accepted
//	           update   pending
//	           send     project or pending
//	           cancel   canceled
//	           expire   expired
//	expired    send     project or pending
//	canceled   send     project or pending
//	rejected   –        final
//	accepted   –        final
//
// The table is [Transitions], and a test compares the two. An action that is not listed for a state is refused in that
// state. Where an action can lead to several states, these decide:
//
//   - requested: only staff may invite ([Policy]), and the creator is not staff. Staff approve or reject.
//   - project: the scope is a project whose start date is in the future. Nothing is sent before the project starts.
//   - pending: otherwise. The invitation is delivered, and its invitee may accept it.
//
// An invitation can also be deleted, in every state.
//
// # Time
//
// An invitation is expired from the moment that [Invitation.Expires] returns, whatever its row says: the state is computed
// from the row and the present time, by [Invitation.StateAt]. The [Service.Sweep] only writes down later what time has
// done, and sends what follows from it. No answer depends on whether a sweep has run. The store's filters compute the same
// state in SQL, and a test compares the two.
//
// The present time is that of the database ([Tx]), so that replicas agree.
//
// # The shape of a use case
//
// A use case is a method of [Service] with three steps:
//
//   - Read: a function reads through [Tx] what the decision needs.
//   - Decide: functions of values, in life.go, return a refusal or a [Change]. They use no database, no clock and no
//     context. Their tests take microseconds.
//   - Save: Store.Change writes the [Change] in one transaction: the row, an [Event], the jobs, a membership.
//
// A row is written only if it is still what the decision was made from. Otherwise the store makes the three steps once
// more, with the row locked: the caller who loses a race gets the answer that they would have got a moment later.
//
// Every change has an [Event], except that of an attempt at a delivery that begins, or fails as the one before it did.
// Events outlive their invitation.
//
// # Delivery
//
// A delivery takes three steps, because no transaction stays open while a mail server answers: BeginDelivery writes that an
// attempt is being made and returns the [Message], package jobs sends the message, FinishDelivery writes the [Outcome].
// Invitation.Delivery counts the deliveries that were asked for: the job of an earlier delivery finds a higher count and
// sends nothing. Notices, which are mails to staff, to the creator and reminders, have BeginNotice and FinishNotice.
package invitation
