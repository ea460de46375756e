// Package joining owns standing invitations and what people ask by them: group invitations, which offer one role in one
// scope to whoever opens their link, and permission requests, by which users take a group invitation up.
//
// The package declares the [Store] that it needs and the jobs that it enqueues. Users, scopes and roles, and who may see
// and manage what, belong to package directory; invitations to single addresses belong to package invitation, whose jobs,
// errors of a change and ids of requests are used here too.
//
// # Group invitations
//
// A group invitation has no addressee, admits any number of users, and grants nothing by itself. It is active until it
// is canceled, until [GroupInvitation.Expires], and while its scope is not removed: [GroupInvitation.IsActiveAt] computes
// this from the row and the present time, and the store's filters compute the same in SQL. After the removal of a scope
// [Service.Sweep] cancels its group invitations for good. A project-making one ([GroupInvitation.MakesProjects]) grants a role
// in a project that an approval finds or makes in the customer.
//
// # Permission requests
//
// These actions change a permission request, from these states to these; the table is [Transitions].
//
//	from     action   to
//	(none)   submit   pending, or approved where the group invitation approves by itself
//	pending  approve  approved
//	         reject   rejected
//	         cancel   canceled
//	draft    cancel   canceled
//
// The requests of one user wait for each other (LockUser), so that two that exclude each other are not both made.
// Submissions wait for a change of their group invitation, and it for them (FindGroupToTakeUp, FindGroupForChange). A decision
// is an update that is guarded by the state. Whether a request is still to be told of is decided when its mail is sent.
//
// # Made projects
//
// An approval can find or make a project. A made project remembers its group invitation, and is unique by its customer and
// folded name: who is late finds it. A name of which the requester controls a part leads only to projects of the same group
// invitation. The directory file takes over a made project that it renames or restores.
//
// # The shape of a use case
//
// As in package invitation: a method of [Service] reads through [Tx], decides with functions of values (rules.go, request.go),
// and returns the [Change] that Store.Change writes in the same transaction. A row is written only if it is still what the
// decision was made from; otherwise the store repeats the three steps, with the row locked.
package joining
