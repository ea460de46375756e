// Package signintest is a provider of OpenID Connect for tests: a server with keys of its own, where everybody who comes is
// signed in at once as the person whom the test chose.
//
// The provider is strict where it must be: a code works once, for the client and the callback that it was made for, and with
// the right verifier of PKCE.
package signintest
