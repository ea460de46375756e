// Package lifecycle tells other programs what happened to invitations: by a feed that they read, and by a webhook that
// is posted to them.
//
// Its events are those in the life of an invitation, hence its name. The command, the configuration and the
// documentation say events; in the program that word alone would also mean the events of sign-ins and of group
// invitations.
//
// The package owns the types of event that other programs see ([TypeOf]), who may read the feed, the position of an
// event in the feed, and what becomes of an event that is sent to the webhook: pending, sent, or given up. The events
// themselves belong to package invitation, which writes each with its change. The package sends nothing: package jobs
// posts the events and calls [Service.Finish].
//
// # Positions
//
// The id of an event is no position in a feed. PostgreSQL takes ids from a sequence, and of two transactions the one
// with the higher id may commit first: a reader who asks for what came after that id would never see the other event.
// So an event is written without a position. [Service.AssignPositions] gives positions to events that are committed, in
// one transaction at a time, and the feed shows the events that have one. Each position that a reader can see is higher
// than those that were seen before. Events of one invitation have positions in the order of their changes: a change
// locks the invitation's row before it writes its event.
//
// # The webhook
//
// The transaction that gives an event its position also writes a [Delivery] where the event has a type, and a job for
// each invitation that has no pending delivery yet. The job sends the pending deliveries of its invitation, one after
// the other. So the events of an invitation arrive in their order, and those of different invitations don't wait for
// each other. A process that dies between a request and [Service.Finish] makes the request again, with the same
// webhook-id. [Service.Sweep] writes the jobs that are lost.
package lifecycle
