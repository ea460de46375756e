// Package webhook posts an invitation to an endpoint of the operator's, which brings it to the invitee in the place of
// a mail.
//
// It owns the payload, the login at the endpoint (OAuth 2 client credentials), the signature (Standard Webhooks), the
// bounds on what an endpoint may cost in time and bytes, and the difference between a failure that may pass, one that
// won't, and one that is the operator's to mend ([delivery.Failure]).
//
// It doesn't own which invitations go this way, when one is due, how often a failed one is tried again, or where its
// state is kept; and it knows nothing of the environment variables its settings come from.
package webhook
