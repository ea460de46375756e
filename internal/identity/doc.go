// Package identity owns how a person becomes a caller: the codes that prove a mailbox, the sessions of those who signed
// in, and which user of the directory a person is.
//
// The package declares the [Store] that it needs. It knows nothing of HTTP, cookies and mail servers: package web carries the
// secrets of [Service.RequestCode] and [Service.RedeemCode] in cookies, and package jobs mails the codes.
//
// # Codes
//
// A code has six digits, works once, for ten minutes and five tries, and only in the browser that asked for it. No code is
// stored: it is computed from the uuid of the request and a key of the server ([token.Signer.Code]).
//
// Asking for a code takes the same time and gets the same answer whether or not anybody knows the address. Whether a mail
// goes out is decided later, by [Service.CodeMessage].
//
// # Tokens
//
// People make and revoke API tokens of their own ([Service.CreateToken]), and a service user asks for short ones of others
// ([Service.CreateUserToken]). What a token reaches, [directory.Actor.CheckScope] decides.
//
// # Sessions
//
// A session is 256 random bits in a cookie, of which the database has a digest. It ends after eight hours, after an hour
// without a request, when its user signs out, ends it from another browser, or is made inactive, and when the operator signs
// the user out.
//
// # Front ends
//
// Who signs in for a front end on another site gets no cookie for it. The front end gets a [Ticket], a one-time code for a
// minute, and exchanges it for an API token that works as long as a session.
package identity
