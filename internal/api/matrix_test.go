package api_test

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/gen/server"
	"invited/internal/invitation"
	"invited/internal/token"
)

// Two more people, for what the others do not show: a role in a customer that carries one create permission but not
// INVITATION.LIST lets its holder manage what they do not see in the list.
const deputies = `
roles:
  - {name: CUSTOMER.DEPUTY, scope_type: customer, permissions: [CUSTOMER.CREATE_PERMISSION]}
  - {name: CUSTOMER.CLERK, scope_type: customer, permissions: [PROJECT.CREATE_PERMISSION]}
users:
  - {username: deputy, email: deputy@acme.example, tokens: [deputy-key]}
  - {username: clerk, email: clerk@acme.example, tokens: [clerk-key]}
customers:
  - name: Acme
    uuid: ` + acme + `
    members: [{user: deputy, role: CUSTOMER.DEPUTY}, {user: clerk, role: CUSTOMER.CLERK}]
`

// Where there are invitations, and what role they offer. All are for the user "invitee"; the one of Artemis, whose
// project has not started, is in state project, the others are pending.
var (
	where = []string{acme, apollo, artemis, hydra, nodes, call, paper}
	offer = []string{reader, admin, admin, admin, seller, reviewer, author}
)

// Who may what, by the rules of behaviour:
//
//	s  can see the scope: holds a role in it, in its customer, or, of a customer, in any of its scopes
//	v  sees the invitation: holds INVITATION.LIST in the customer, or the scope type's create permission in the
//	   scope, or it is addressed to them and open
//	m  may manage: holds the scope type's create permission in the scope or its customer, or
//	   CUSTOMER.CREATE_PERMISSION in the customer
//	h  holds a role in exactly this scope
//	r  holds the very role that is offered
//
// Staff and support see all, and staff manage all. Nobody else is known: inactive users, and those who say nothing.
var rights = strings.TrimSpace(`
            acme   apollo artemis hydra nodes call  paper
staff       svm    svm    svm     svm   svm   svm   svm
support     sv     sv     sv      sv    sv    sv    sv
owner       svmh   svm    svm     -     svm   svm   svm
reader      svhr   sv     sv      -     sv    sv    sv
deputy      svmh   sm     sm      -     sm    sm    sm
clerk       sh     sm     sm      -     s     s     s
manager     s      svmh   -       -     -     -     -
member      s      sh     -       -     -     -     -
sibling     s      -      svmh    -     -     -     -
rival       -      -      -       svm   -     -     -
invitee     v      v      v       v     v     v     v
stranger    -      -      -       -     -     -     -
inactive    ?      ?      ?       ?     ?     ?     ?
-           ?      ?      ?       ?     ?     ?     ?
`)

// A persona is one line of the table.
type persona struct {
	name   string // empty: nobody
	rights []string
}

func (p persona) known() bool { return p.rights[0] != "?" }

func (p persona) may(scope int, right string) bool { return strings.Contains(p.rights[scope], right) }

func personas() []persona {
	var all []persona
	for _, line := range strings.Split(rights, "\n")[1:] {
		fields := strings.Fields(line)
		all = append(all, persona{strings.Trim(fields[0], "-"), fields[1:]})
	}
	return all
}

// An operation of the matrix: what it answers to somebody, said anew from the rules, and how it is called.
type operation struct {
	name string
	want func(p persona, scope int) int
	do   func(w *world, p persona, scope int, id string) response
}

func planned(scope int) bool { return where[scope] == artemis }

func onOne(method, action string) func(*world, persona, int, string) response {
	return func(w *world, p persona, _ int, id string) response {
		if action == "" {
			return w.request(method, at(id), p.name, nil)
		}
		return w.request(method, at(id, action), p.name, nil)
	}
}

func withToken(path string, purpose token.Purpose) func(*world, persona, int, string) response {
	return func(w *world, p persona, _ int, id string) response {
		return w.request("POST", base+path+"/", p.name, map[string]string{"token": w.approval(purpose, id)})
	}
}

var operations = []operation{
	{
		"list", known(func(persona, int) int { return 200 }),
		func(w *world, p persona, scope int, id string) response {
			answer := w.request("GET", base+"?page_size=300", p.name, nil)
			if answer.Status == 200 {
				require.Equal(w.t, p.may(scope, "v"), strings.Contains(answer.Body, `"uuid":"`+id+`"`),
					"%q in the list of %q", segments[where[scope]], p.name)
			}
			return answer
		},
	},
	{"retrieve", known(func(p persona, scope int) int {
		return first(p.may(scope, "v"), 200, 404)
	}), onOne("GET", "")},
	{"details", known(func(p persona, scope int) int {
		seesAll := p.name == "staff" || p.name == "support"
		return first(!planned(scope) || seesAll || p.may(scope, "h") || p.may(scope, "m"), 200, 404)
	}), onOne("GET", "details")},
	{"events", known(func(p persona, scope int) int {
		return first(p.may(scope, "v") && p.may(scope, "m"), 200, 404)
	}), onOne("GET", "events")},
	{"check", func(_ persona, scope int) int {
		return first(planned(scope), 404, 200)
	}, onOne("POST", "check")},
	{"approve", func(persona, int) int { return 400 }, withToken("approve", token.Approve)},
	{"reject", func(persona, int) int { return 400 }, withToken("reject", token.Reject)},
	{"create", known(func(p persona, scope int) int {
		return first(!p.may(scope, "s"), 400, first(p.may(scope, "m"), 201, 404))
	}), func(w *world, p persona, scope int, _ string) response {
		answer := w.request("POST", base, p.name, draft("new@example.org", offer[scope], where[scope]))
		if answer.Status == 201 {
			var made server.Invitation
			answer.into(&made)
			w.request("POST", at(made.UUID.String(), "delete"), "staff", nil).is(200, "")
		}
		return answer
	}},
	{"cancel", known(func(p persona, scope int) int {
		return first(p.may(scope, "v") && p.may(scope, "m"), 200, 404)
	}), onOne("POST", "cancel")},
	{"send", known(func(p persona, scope int) int {
		return first(p.may(scope, "v") && p.may(scope, "m"), first(planned(scope), 400, 200), 404)
	}), onOne("POST", "send")},
	{"delete", known(func(p persona, scope int) int {
		return first(!p.may(scope, "v"), 404, first(p.name == "staff", 200, 403))
	}), onOne("POST", "delete")},
	{"update", known(func(p persona, scope int) int {
		return first(p.may(scope, "v") && p.may(scope, "m"), 200, 404)
	}), func(w *world, p persona, scope int, id string) response {
		return w.request("PUT", at(id), p.name, map[string]string{"email": "other@example.org", "role": offer[scope]})
	}},
	{"partial update", known(func(p persona, scope int) int {
		return first(p.may(scope, "v") && p.may(scope, "m"), 200, 404)
	}), func(w *world, p persona, _ int, id string) response {
		return w.request("PATCH", at(id), p.name, map[string]string{"email": "other@example.org"})
	}},
	{"check duplicates", known(func(p persona, scope int) int {
		return first(!p.may(scope, "s"), 400, first(p.may(scope, "m"), 200, 404))
	}), func(w *world, p persona, scope int, id string) response {
		answer := w.request("POST", base+"check-duplicates/", p.name, pairs(where[scope], "invitee@university.example", offer[scope]))
		require.Equal(w.t, answer.Status == 200, strings.Contains(answer.Body, id), "%q is told of %s", p.name, answer.Body)
		return answer
	}},
	{"destroy", known(func(p persona, scope int) int {
		return first(p.may(scope, "v") && p.may(scope, "m"), 204, 404)
	}), onOne("DELETE", "")},
	{"directory retrieve", known(func(p persona, scope int) int {
		return first(listOf(scope) != "" && p.may(scope, "s"), 200, 404)
	}), func(w *world, p persona, scope int, _ string) response {
		return w.request("GET", cmp.Or(listOf(scope), customersPath)+where[scope]+"/", p.name, nil)
	}},
	{"directory list", known(func(persona, int) int { return 200 }), func(w *world, p persona, scope int, _ string) response {
		answer := w.request("GET", cmp.Or(listOf(scope), projectsPath)+"?page_size=300", p.name, nil)
		if answer.Status == 200 {
			require.Equal(w.t, listOf(scope) != "" && p.may(scope, "s"), strings.Contains(answer.Body, `"uuid":"`+where[scope]+`"`),
				"%q in the list of %q", where[scope], p.name)
		}
		return answer
	}},
	{"directory count", known(func(persona, int) int { return 200 }), func(w *world, p persona, scope int, _ string) response {
		answer := w.request("HEAD", cmp.Or(listOf(scope), projectsPath)+"?query="+where[scope], p.name, nil)
		if answer.Status == 200 {
			require.Equal(w.t, itoa(first(listOf(scope) != "" && p.may(scope, "s"), 1, 0)), answer.Header.Get("X-Result-Count"))
		}
		return answer
	}},
	{"permissions", known(func(persona, int) int { return 200 }), func(w *world, p persona, scope int, _ string) response {
		answer := w.request("GET", permissionsPath+"?scope_uuid="+where[scope], p.name, nil)
		if answer.Status == 200 {
			var seen []server.Permission
			answer.into(&seen)
			own, others := 0, 0
			for _, each := range seen {
				if *each.UserUsername == p.name {
					own++
				} else {
					others++
				}
			}
			require.Equal(w.t, p.may(scope, "h"), own > 0, "own roles of %q in %q", p.name, where[scope])
			there := map[string]int{acme: 4, apollo: 2, artemis: 1}[where[scope]]
			require.Equal(w.t, first(p.may(scope, "m") || p.name == "support", there, own), own+others,
				"others' roles in %q, for %q", where[scope], p.name)
		}
		return answer
	}},
	{"roles", known(func(persona, int) int { return 200 }), func(w *world, p persona, _ int, _ string) response {
		return w.request("GET", rolesPath+"?page_size=300", p.name, nil)
	}},
	{"me", known(func(persona, int) int { return 200 }), func(w *world, p persona, scope int, _ string) response {
		answer := w.request("GET", me, p.name, nil)
		if answer.Status == 200 {
			require.Equal(w.t, p.may(scope, "h"), strings.Contains(answer.Body, `"scope_uuid":"`+where[scope]+`"`))
		}
		return answer
	}},
	// The last, for whoever accepts has a role more.
	{"accept", known(func(p persona, scope int) int {
		return first(planned(scope), 404, first(p.may(scope, "r"), 400, 200))
	}), onOne("POST", "accept")},
}

// reads are the operations that change nothing.
var reads = []string{
	"list", "check", "check duplicates", "events", "directory retrieve", "directory list", "directory count", "permissions", "roles", "me",
}

// listOf is the list of the directory that has a scope; empty: none has.
func listOf(scope int) string {
	return map[string]string{acme: customersPath, apollo: projectsPath, artemis: projectsPath, hydra: projectsPath}[where[scope]]
}

// known makes it 401 to whom the API does not know.
func known(want func(persona, int) int) func(persona, int) int {
	return func(p persona, scope int) int { return first(p.known(), want(p, scope), 401) }
}

func first(condition bool, yes, no int) int {
	if condition {
		return yes
	}
	return no
}

// What a status says, where it says nothing else.
var bodies = map[int]string{http.StatusForbidden: forbidden, http.StatusNotFound: notFound}

// Every persona, every operation, every scope.
func TestWhoMayWhatWhere(t *testing.T) {
	inEachWorld(t, func(w *world) {
		w.apply(deputies)
		for _, each := range operations {
			for scope := range where {
				var made server.Invitation
				for _, p := range personas() {
					if made.UUID == uuid.Nil {
						made = w.create("staff", "Invitee@University.example", offer[scope], where[scope])
					}
					id := made.UUID
					answer := each.do(w, p, scope, id.String())
					want := each.want(p, scope)
					require.Equal(w.t, want, answer.Status,
						"%s by %q in the %s %s: %s", each.name, p.name, made.ScopeType, made.ScopeName, answer.Body)
					if body := bodies[want]; body != "" {
						require.JSONEq(w.t, body, answer.Body)
					}
					switch {
					case want == 204 || (want == 200 && each.name == "delete"):
						w.request("GET", at(id.String()), "staff", nil).is(404, notFound)
						made = server.Invitation{}
					case want != 200 || slices.Contains(reads, each.name):
						require.Equal(w.t, made, w.see(id), "%s by %q changed something", each.name, p.name)
					default:
						w.request("POST", at(id.String(), "delete"), "staff", nil).is(200, "")
						made = server.Invitation{}
					}
				}
				if made.UUID != uuid.Nil {
					w.request("POST", at(made.UUID.String(), "delete"), "staff", nil).is(200, "")
				}
			}
		}
	})
}

// Whoever has the token approves and rejects: who else they are is of no account.
func TestApprovalAsksForNobody(t *testing.T) {
	inEachWorld(t, func(w *world) {
		for _, p := range personas() {
			if p.name == "deputy" || p.name == "clerk" {
				continue
			}
			for _, each := range []struct {
				path    string
				purpose token.Purpose
				state   server.InvitationState
			}{{"approve", token.Approve, "pending"}, {"reject", token.Reject, "rejected"}} {
				made := w.create("owner", "for-"+p.name+"+"+each.path+"@example.org", admin, apollo)
				require.EqualValues(w.t, "requested", made.State)
				withToken(each.path, each.purpose)(w, p, 0, made.UUID.String()).is(200, "")
				require.Equal(w.t, each.state, w.see(made.UUID).State, "%s by %q", each.path, p.name)
			}
		}
	}, func(p *invitation.Policy) { p.OnlyStaffCanInvite = true })
}

// What is not exactly one key after one of the two schemes is none.
func TestCredentials(t *testing.T) {
	inEachWorld(t, func(w *world) {
		invalid := `{"detail": "Invalid token."}`
		for want, headers := range map[string][][]string{
			noCredential: {
				nil,
				{""},
				{" "},
				{"owner-key"},
				{"Basic b3duZXI6b3duZXIta2V5"},
				{"Basic owner-key"},
				{"Digest owner-key"},
				{"JWT owner-key"},
				{"Tokenowner-key"},
				{"Token:owner-key"},
				{"Token=owner-key"},
				{"Token\towner-key"},
				{`"Token" owner-key`},
				{"Tokens owner-key"},
				{"\u0054oken\u00a0owner-key"},
				{"ＴＯＫＥＮ owner-key"},
			},
			invalid: {
				{"Token"},
				{"Token "},
				{"Bearer"},
				{"Token x"},
				{"Token owner-key x"},
				{"Token owner- key"},
				{"Token Owner-key"},
				{"Token owner-ke"},
				{"Token owner-key,"},
				{`Token "owner-key"`},
				{"Token owner-key, Token staff-key"},
				{"Token \xff"},
				{"Token owner-key", "Token owner-key"},
				{"Token owner-key", "Token staff-key"},
				{"Token owner-key", "Basic x"},
				{"Token " + strings.Repeat("x", 10_000)},
				{"Token " + strings.Repeat("owner-key", 57)},
				{"Token %"},
				{"Token ' OR 1=1"},
				{"Token Token owner-key"},
				{"Token owner-key\tx"},
				{"Token " + token.Digest("owner-key")},
			},
		} {
			for _, each := range headers {
				for _, path := range []string{base, at(acme), at(acme, "details")} {
					r := w.newRequest("GET", path, "", nil)
					r.Header["Authorization"] = each
					answer := w.send(r)
					require.Equal(w.t, 401, answer.Status, "%.50q: %s", each, answer.Body)
					require.JSONEq(w.t, want, answer.Body, "%.50q", each)
					require.Equal(w.t, []string{"Token"}, answer.Header["Www-Authenticate"])
				}
			}
		}
		for _, each := range []string{"Token owner-key", "Bearer owner-key", "token owner-key", "BEARER owner-key", "Token  owner-key "} {
			r := w.newRequest("GET", base, "", nil)
			r.Header.Set("Authorization", each)
			w.send(r).is(200, "[]")
		}
		// A key is nowhere else.
		for name, value := range map[string]string{"X-Auth-Token": "owner-key", "Cookie": "token=owner-key; sessionid=owner-key"} {
			r := w.newRequest("GET", base+"?token=owner-key&access_token=owner-key", "", nil)
			r.Header.Set(name, value)
			w.send(r).is(401, noCredential)
		}
		// Who is nobody is told so before anything that they sent is looked at.
		w.request("POST", base, "", "{").is(401, noCredential)
		w.request("GET", base+"?page=0&o=x", "", nil).is(401, noCredential)
		w.request("GET", base+"x/", "", nil).is(401, noCredential)
		require.NotContains(w.t, w.log.String(), "owner-key", "a key in the log")
	})
}

// What a user who lost their rights could do, they can do no more: rights are looked up anew for every request.
func TestRightsEndWithTheRole(t *testing.T) {
	inEachWorld(t, func(w *world) {
		made := w.create("manager", "new@example.org", admin, apollo)
		w.apply("roles: [{name: PROJECT.MANAGER, scope_type: project, permissions: []}]")
		for _, path := range []string{at(made.UUID.String(), "cancel"), at(made.UUID.String(), "send")} {
			w.request("POST", path, "manager", nil).is(404, notFound)
		}
		w.request("GET", at(made.UUID.String()), "manager", nil).is(404, notFound)
		w.request("POST", base, "manager", draft("other@example.org", admin, apollo)).is(404, notFound)
		w.apply("users: [{username: owner, is_active: false}]")
		w.request("GET", base, "owner", nil).is(401, `{"detail": "User inactive or deleted."}`)
		require.Equal(w.t, made, w.see(made.UUID))
	})
}
