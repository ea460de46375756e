// Package idempotency makes a request that a client repeats have one effect: the client gives the request an
// Idempotency-Key, and gets the first request's answer again (draft-ietf-httpapi-idempotency-key-header).
//
// The package owns what a key may look like, when a repeated request is the same request, which answers are kept, for
// how long, and how they are encrypted. It does not know what the requests do: [Service.Do] gets a function for that.
// The function's changes and its answer are written in one transaction.
package idempotency
