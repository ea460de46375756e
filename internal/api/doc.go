// Package api speaks HTTP. What is generated from the contract routes and binds; a request is checked against the
// contract before a handler sees it; a handler translates, calls one use case and translates back. Every error,
// the router's and a panic's included, leaves through one writer in a shape that the contract knows. It has no
// rules of its own: who may do what is decided by packages invitation and directory.
package api
