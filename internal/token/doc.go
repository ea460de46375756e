// Package token makes and checks the two kinds of secret that people carry: approval tokens, which are signed
// and hold all they say, and API keys, which are random and stored only as a digest. It knows nothing of who
// carries them or of what they allow.
package token
