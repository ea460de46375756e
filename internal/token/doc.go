// Package token makes and checks the secrets that people carry: approval tokens, sign-in codes, API keys and the secrets in
// cookies.
//
// An approval token ([Signer]) is signed and holds all that it says; nothing is stored. An API key ([NewKey]) is
// random, and only its [Digest] is stored.
//
// The package does not know who carries a token or a key, or what it allows.
package token
