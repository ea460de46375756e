package api_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"invited/internal/joining"
)

// A joiningCase describes one group invitation of the matrix.
type joiningCase struct {
	name   string
	scope  string // of the group invitation
	rights int    // the column of rights that has who may manage it, and who holds its role
	offer  int    // the column that has who may offer its role
	role   string
	making bool // makes projects
}

var joiningCases = []joiningCase{
	{"Acme", acme, 0, 0, reader, false},
	{"Apollo", apollo, 1, 1, admin, false},
	{"Hydra", hydra, 3, 3, admin, false},
	{"projects of Acme", acme, 0, 1, admin, true},
}

// sees reports whether a persona sees the requests of others: staff, support, and who holds a role in the customer itself.
func (c joiningCase) sees(p persona) bool {
	members := map[string][]string{acme: {"owner", "reader", "deputy", "clerk"}, apollo: {"owner", "reader", "deputy", "clerk"}, hydra: {"rival"}}
	return p.seesAll() || p.name == asking || slices.Contains(members[c.scope], p.name)
}

// lists reports whether a persona sees the group invitation in the list: staff, support, and who has INVITATION.LIST in the
// customer.
func (c joiningCase) lists(p persona) bool {
	readers := map[string][]string{acme: {"owner", "reader"}, apollo: {"owner", "reader"}, hydra: {"rival"}}
	return p.seesAll() || slices.Contains(readers[c.scope], p.name)
}

// manages reports whether a persona may manage the group invitation.
func (c joiningCase) manages(p persona) bool { return p.may(c.rights, "m") }

// offers reports whether a persona may make or edit the group invitation in a profile.
func (c joiningCase) offers(p persona, secure bool) bool {
	return c.manages(p) && (!secure || p.may(c.offer, "o"))
}

// reviews reports whether a persona decides about the requests.
func (c joiningCase) reviews(p persona) bool {
	if c.making {
		return p.name == "staff" || p.name == "clerk" // who has PROJECT.CREATE_PERMISSION in the customer
	}
	return c.sees(p) && c.manages(p)
}

// asking is the user whose request the matrix is about.
const asking = "invitee"

// A joiningOperation is an operation with the status that each persona who has a key gets. want states the rules of the API
// again, independently of the code.
type joiningOperation struct {
	id   string // in the contract
	body func(c joiningCase) any
	want func(p persona, c joiningCase, secure bool) int
	// nobody is the status of a caller without a key; 0: 401.
	nobody int
	// ended: the group invitation is canceled before.
	ended bool
}

// always returns a want that does not depend on who calls.
func always(status int) func(persona, joiningCase, bool) int {
	return func(persona, joiningCase, bool) int { return status }
}

// ifManages returns a want of who may manage the group invitation; all others get 404.
func ifManages(status int) func(persona, joiningCase, bool) int {
	return func(p persona, c joiningCase, _ bool) int { return either(c.manages(p), status, 404) }
}

func ifOffers(p persona, c joiningCase, secure bool) int {
	return either(c.offers(p, secure), 200, 404)
}

func asksFor(p persona, c joiningCase, _ bool) int {
	return either(!c.making && p.may(c.rights, "r"), 400, 200)
}

func sendsText(joiningCase) any { return map[string]string{"custom_text": "edited"} }

var joiningOperations = []joiningOperation{
	{id: "user_group_invitations_list", want: always(200), nobody: 200},
	{id: "user_group_invitations_count", want: always(200), nobody: 200},
	{id: "user_group_invitations_create", body: func(c joiningCase) any {
		return groupDraft(c.role, c.scope, "auto_create_project", c.making)
	}, want: func(p persona, c joiningCase, secure bool) int {
		return either(!p.may(c.rights, "s"), 400, either(c.offers(p, secure), 201, 404))
	}},
	{id: "user_group_invitations_retrieve", want: always(200), nobody: 404},
	{id: "user_group_invitations_update", body: sendsText, want: ifOffers},
	{id: "user_group_invitations_partial_update", body: sendsText, want: ifOffers},
	{id: "user_group_invitations_projects_list", want: func(_ persona, c joiningCase, _ bool) int {
		return either(c.scope == acme, 200, 404)
	}},
	{id: "user_group_invitations_events_list", want: ifManages(200)},
	{id: "user_group_invitations_cancel", want: ifManages(200)},
	{id: "user_group_invitations_cancel", want: ifManages(400), ended: true},
	{id: "user_group_invitations_destroy", want: ifManages(400)},
	{id: "user_group_invitations_destroy", want: ifManages(204), ended: true},
	{id: "user_group_invitations_submit_request", want: asksFor},
	{id: "user_group_invitations_request", want: asksFor},
	{id: "user_permission_requests_list", want: always(200)},
	{id: "user_permission_requests_count", want: always(200)},
	{id: "user_permission_requests_retrieve", want: func(p persona, c joiningCase, _ bool) int {
		return either(c.sees(p), 200, 404)
	}},
	{id: "user_permission_requests_destroy", want: func(p persona, c joiningCase, _ bool) int {
		return either(c.sees(p), either(p.name == "staff", 204, 403), 404)
	}},
	{id: "user_permission_requests_cancel_request", want: func(p persona, c joiningCase, _ bool) int {
		return either(c.sees(p), either(p.name == "staff" || p.name == asking, 200, 403), 404)
	}},
	{id: "user_permission_requests_reject", want: func(p persona, c joiningCase, _ bool) int {
		return either(c.reviews(p), 200, 404)
	}},
	{id: "user_permission_requests_approve", want: func(p persona, c joiningCase, secure bool) int {
		return either(c.reviews(p) && (!secure || p.may(c.offer, "o")), 200, 404)
	}},
}

// Every persona calls every operation on group invitations and permission requests, of each kind, in both profiles.
func TestJoiningMatrix(t *testing.T) {
	calls := map[string]string{} // method and path, by id
	for _, each := range contractOperations(t) {
		if strings.HasPrefix(each.path, groups) || strings.HasPrefix(each.path, permissionRequests) {
			calls[each.OperationID] = each.method + " " + each.path
		}
	}
	tried := map[string]bool{}
	for _, each := range joiningOperations {
		require.NotEmpty(t, calls[each.id], each.id)
		tried[each.id] = true
	}
	require.Len(t, tried, len(calls), "an operation of the contract is missing")
	for profile, secure := range map[string]bool{"waldur": false, "secure": true} {
		t.Run(profile, func(t *testing.T) {
			onEachEngine(t, func(e *env) {
				e.apply(deputies)
				if secure {
					e.joining.Policy = joining.Policy{RoleCeiling: true, RecheckInviter: true, RestrictAutoApprove: true}
				}
				for _, c := range joiningCases {
					for _, each := range joiningOperations {
						testJoining(e, c, each, calls[each.id], secure)
					}
				}
			})
		})
	}
}

// testJoining has every persona call an operation. What is changed is made again for the next one.
func testJoining(e *env, c joiningCase, o joiningOperation, call string, secure bool) {
	method, path, _ := strings.Cut(call, " ")
	var group, request string
	for _, p := range personas() {
		if group == "" {
			group = e.group("staff", c.role, c.scope, "auto_create_project", c.making, "project_name_template", "Workshop",
				"allow_multiple_requests", true).UUID.String()
			request = e.submit(asking, group).UUID.String()
			if o.ended {
				e.request("POST", groupAt(group, "cancel"), "staff", nil).is(http.StatusOK, "")
			}
		}
		id := either(strings.HasPrefix(path, groups), group, request)
		var body any
		if o.body != nil {
			body = o.body(c)
		}
		before := e.seesRequest("staff", request)
		answer := e.request(method, strings.ReplaceAll(path, "{uuid}", id), p.name, body)
		want := 401
		switch {
		case p.known():
			want = o.want(p, c, secure)
		case p.name == "" && o.nobody != 0:
			want = o.nobody
		}
		require.Equal(e.t, want, answer.Status, "%s by %q in %s: %s", o.id, p.name, c.name, answer.Body)
		switch {
		case want == 403 || want == 404:
			if method != http.MethodHead {
				require.JSONEq(e.t, either(o.id == "user_permission_requests_cancel_request" && want == 403,
					`{"detail": "You can only cancel your own permission requests."}`, bodyOfStatus[want]), answer.Body)
			}
		case o.id == "user_group_invitations_list":
			require.Equal(e.t, p.known() && want == 200 && c.lists(p), strings.Contains(answer.Body, group), "%q in %s", p.name, c.name)
		case o.id == "user_permission_requests_list":
			require.Equal(e.t, p.known() && c.sees(p), strings.Contains(answer.Body, request), "%q in %s", p.name, c.name)
		}
		if want >= 300 {
			require.Equal(e.t, before, e.seesRequest("staff", request), "%s by %q changed something", o.id, p.name)
			continue
		}
		if method != http.MethodGet && method != http.MethodHead {
			e.exec("DELETE FROM memberships WHERE user_uuid = '" + e.userID(asking).String() + "'")
			group = ""
		}
	}
	e.exec("DELETE FROM permission_requests")
	e.exec("DELETE FROM group_invitations")
}
