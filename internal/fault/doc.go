// Package fault holds the ways in which a request is refused. Whoever refuses says which of them it is, beside
// the rule; only package api turns it into a status and a body. An error that is none of them is internal: it
// is logged, and the client learns nothing of it.
package fault
