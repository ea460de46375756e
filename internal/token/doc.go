// Package token makes and checks the two kinds of secret that people carry.
//
// An approval token ([Signer]) is signed and holds all that it says; nothing is stored. An API key ([NewKey]) is
// random, and only its [Digest] is stored.
//
// The package does not know who carries a token or a key, or what it allows.
package token
