// Package invite sends a table of people to a server's API, which invites them, and follows the server until it is done: the
// command `invited invite`.
//
// The package is a client of the API, as any other: it knows nothing of the server's database, and no rule. It sends a request
// again where the server does not answer. The request that invites has an Idempotency-Key, so that it invites once.
package invite
