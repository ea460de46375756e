package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync/atomic"
)

const api = "/api/user-invitations/"

// workload is a kind of request, or a mix of kinds.
type workload struct {
	name   string
	writes bool
	offers int // number of invitations to accept that a second needs
	next   func(w *writing, r *rand.Rand) (request, bool)
	// against, where it is set, takes the place of next on the other server, which then is the same one.
	against func(w *writing, r *rand.Rand) (request, bool)
}

// writing numbers the requests that can be sent only once.
type writing struct {
	data   size
	run    string   // in the addresses of created invitations, different for each run
	jwts   []string // access tokens of the owners
	made   atomic.Int64
	taken  atomic.Int64
	offers int64
}

func (w *writing) retrieve(r *rand.Rand) (request, bool) {
	return w.retrieveBy(r, func(owner int) string { return keyOf("owner", owner) })
}

// retrieveBy retrieves an invitation by a credential of its owner.
func (w *writing) retrieveBy(r *rand.Rand, credential func(owner int) string) (request, bool) {
	i := r.IntN(owners * inView)
	return request{method: http.MethodGet, path: api + uuidOf(ofInvitation, i).String() + "/", key: credential(i % owners), status: http.StatusOK}, true
}

func (w *writing) list(r *rand.Rand) (request, bool) {
	return request{method: http.MethodGet, path: api, key: keyOf("owner", r.IntN(owners)), status: http.StatusOK}, true
}

func (w *writing) create(r *rand.Rand) (request, bool) {
	i, owner := w.made.Add(1), r.IntN(owners)
	return request{
		method: http.MethodPost, path: api, key: keyOf("owner", owner), status: http.StatusCreated,
		body: fmt.Sprintf(`{"email": "new.%s.%d%s", "role": "%s", "scope": "%sapi/projects/%s/", "full_name": "New Person", `+
			`"organization": "University", "extra_invitation_text": "Please join us: there is a lot to do."}`,
			w.run, i, made, uuidOf(ofRole, roleMember), publicURL, uuidOf(ofProject, owner)),
	}, true
}

func (w *writing) accept() (request, bool) {
	i := w.taken.Add(1) - 1
	if i >= w.offers {
		return request{}, false
	}
	return request{
		method: http.MethodPost, path: api + uuidOf(ofOffer, int(i)).String() + "/accept/",
		key: keyOf("invitee", int(i)%invitees), status: http.StatusOK,
	}, true
}

func (w *writing) staff(r *rand.Rand, query string) (request, bool) {
	return request{method: http.MethodGet, path: api + "?" + query, key: keyOf("staff", r.IntN(staff)), status: http.StatusOK}, true
}

func (w *writing) email(r *rand.Rand) (request, bool) {
	return w.staff(r, "email="+url.QueryEscape(emailOf(r.IntN(w.data.invitations))))
}

// check asks for a pending invitation: see stateOf.
func (w *writing) check(r *rand.Rand) (request, bool) {
	for {
		i := r.IntN(w.data.invitations)
		if uint32(uint64(i)*scatter)/65536%100 >= 92 { //nolint:gosec // overflow is intended, as in uuidOf
			return request{method: http.MethodPost, path: api + uuidOf(ofInvitation, i).String() + "/check/", status: http.StatusOK}, true
		}
	}
}

// mostAccepts is more than any server accepts in a second on any machine that bench has run on.
const mostAccepts = 12_000

var workloads = []workload{
	{name: "retrieve", next: (*writing).retrieve},
	{name: "list", next: (*writing).list},
	{name: "staff", next: func(w *writing, r *rand.Rand) (request, bool) { return w.staff(r, "state=pending&o=-created") }},
	{name: "email", next: (*writing).email},
	{name: "check", next: (*writing).check},
	{name: "create", writes: true, next: (*writing).create},
	{name: "accept", writes: true, offers: mostAccepts, next: func(w *writing, _ *rand.Rand) (request, bool) { return w.accept() }},
	{name: "mix", writes: true, offers: mostAccepts / 20, next: func(w *writing, r *rand.Rand) (request, bool) {
		switch n := r.IntN(100); {
		case n < 70:
			return w.list(r)
		case n < 90:
			return w.retrieve(r)
		case n < 98:
			return w.create(r)
		default:
			return w.accept()
		}
	}},
}
