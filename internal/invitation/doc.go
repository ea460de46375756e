// Package invitation owns the life of an invitation: its states and what moves it between them, the policies of
// an installation, the use case behind every operation, and the delivery as it shows in the row. It declares
// the Store that it needs and the jobs that it asks for; it knows nothing of HTTP, SQL, job queues or mail
// programs.
//
//	(new) ──create──▶ requested ──approve──▶ pending | project        requested ──reject──▶ rejected
//	(new) ──create──▶ project ──the project starts──▶ pending         (new) ──create──▶ pending
//	pending ──accept──▶ accepted
//	project, pending ──cancel──▶ canceled        project, pending ──time──▶ expired
//	expired, canceled ──send──▶ pending | project
//
// Every change is an Event, written in the same transaction and kept when the invitation is gone: the store takes no
// change without one.
//
// What time decides is computed: an invitation is expired from the second its time is over, whatever its row
// says. See StateAt.
package invitation
