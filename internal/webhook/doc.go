// Package webhook posts an invitation to an endpoint of the operator's, which brings it to the invitee in place of a mail.
//
// The package owns the payload, the access token (OAuth 2.0 client credentials), the signature (Standard Webhooks), the
// limits on the time and the bytes that an endpoint may cost, and the classification of failures ([delivery.Failure]).
//
// It doesn't decide which invitations are posted, when, or how often a failed one is tried again. It stores nothing, and
// doesn't know the environment variables of its settings.
package webhook
