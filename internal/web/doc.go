// Package web serves the pages for people: it signs them in with a code by mail, shows the invitation behind a link, and what
// a join link offers, the link of a group invitation; lets staff approve and reject, has a console to invite, send again and
// take back, to make join links and to decide about requests to join, and shows people their own requests, tokens and sessions.
//
// A page translates a form into a use case of packages invitation, joining and identity, and the result into HTML. The package
// has no rules of its own and does not import package api. Every path that has no page goes to another handler.
//
// GET and HEAD change nothing, so that mail scanners that open links do no harm: what acts is a POST, and a POST from
// another origin is refused (http.CrossOriginProtection). Pages work without scripts, and load nothing from other servers.
package web
