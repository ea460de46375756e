// Package signin finds out who sends a request. [Chain] is the one place where the API and the pages authenticate: by an API
// token, an access token of an issuer, the cookie of a session, or the headers of a trusted proxy.
//
// The package speaks OpenID Connect with issuers elsewhere: it sends a browser to one and finds out who came back, and checks
// the access tokens that clients of the API carry.
//
// The package knows what an issuer says about a person ([identity.Person]), and not which user that is: package identity
// decides that. It knows nothing of pages, and keeps an [Attempt] in the browser for those who do.
//
// Only the libraries read tokens and signatures. What this package adds to them is when keys are fetched: once at start,
// again by the issuer's Cache-Control, and at most once in 30 seconds for a key that nobody knows. While an issuer can't be
// reached, its last keys serve on for a day. Requests to an issuer end after five seconds and one MiB.
package signin
