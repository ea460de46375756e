package api_test

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/gen/server"
	"invited/internal/invitation"
	"invited/internal/token"
)

// deputies has two more users. Their roles in a customer have a create permission without INVITATION.LIST, so that they
// manage invitations that they do not see in the list.
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

// The scopes of the matrix, and the role of the invitation to each. All invitations are to the user "invitee". The one to
// Artemis, a project that has not started, is in state project; the others are pending.
var (
	matrixScopes = []string{acme, apollo, artemis, hydra, nodes, call, paper}
	matrixRoles  = []string{reader, admin, admin, admin, seller, reviewer, author}
)

// rights has what each user may do in each scope:
//
//	s  can see the scope: holds a role in it, in its customer, or, of a customer, in any of its scopes
//	v  sees the invitation: may manage it, holds INVITATION.LIST in the customer, or it is addressed to them and open
//	m  may manage: holds the scope type's create permission in the scope or its customer, or
//	   CUSTOMER.CREATE_PERMISSION in the customer
//	o  may offer the role of the invitation under the role ceiling: holds the role's permissions
//	h  holds a role in exactly this scope
//	r  holds the very role that is offered
//
// Staff and support see everything, and staff manage everything. "?" stands for a caller who is not authenticated: an
// inactive user, and "-", who sends no key.
var rights = strings.TrimSpace(`
            acme    apollo  artemis hydra   nodes   call    paper
staff       svmo    svmo    svmo    svmo    svmo    svmo    svmo
support     sv      sv      sv      sv      sv      sv      sv
owner       svmoh   svmo    svmo    -       svmo    svmo    svmo
reader      svhr    sv      sv      -       sv      sv      sv
deputy      svmh    svmo    svmo    -       svmo    svmo    svmo
clerk       sh      svmo    svmo    -       s       s       s
manager     s       svmoh   -       -       -       -       -
member      s       sh      -       -       -       -       -
sibling     s       -       svmoh   -       -       -       -
rival       -       -       -       svmo    -       -       -
invitee     v       v       v       v       v       v       v
stranger    -       -       -       -       -       -       -
inactive    ?       ?       ?       ?       ?       ?       ?
-           ?       ?       ?       ?       ?       ?       ?
`)

// A persona is a line of rights.
type persona struct {
	name   string // empty: sends no key
	rights []string
}

func (p persona) known() bool { return p.rights[0] != "?" }

func (p persona) may(scope int, right string) bool { return strings.Contains(p.rights[scope], right) }

func (p persona) mayAnywhere(right string) bool {
	return strings.Contains(strings.Join(p.rights, " "), right)
}

func personas() []persona {
	var all []persona
	for _, line := range strings.Split(rights, "\n")[1:] {
		fields := strings.Fields(line)
		all = append(all, persona{strings.Trim(fields[0], "-"), fields[1:]})
	}
	return all
}

// A matrixOperation is an operation with the status that each persona gets. want states the rules of the API again,
// independently of the code; securely has those that differ in the profile secure.
type matrixOperation struct {
	name string
	want func(p persona, scope int) int
	do   func(e *env, p persona, scope int, id string) response
}

func startsLater(scope int) bool { return matrixScopes[scope] == artemis }

func callAction(method, action string) func(*env, persona, int, string) response {
	return func(e *env, p persona, _ int, id string) response {
		if action == "" {
			return e.request(method, at(id), p.name, nil)
		}
		return e.request(method, at(id, action), p.name, nil)
	}
}

// callInBulk does an action to the invitation as one of many, and returns the status that the result stands for.
func callInBulk(action string) func(*env, persona, int, string) response {
	return func(e *env, p persona, _ int, id string) response {
		answer := e.actOn(p.name, action, uuid.MustParse(id))
		if answer.Status != 200 {
			return answer
		}
		result := manyReport(answer).Results[0]
		seen := e.request("GET", at(id), "staff", nil).Status == 200 && e.request("GET", at(id), p.name, nil).Status == 200
		require.True(e.t, result.Email == nil || seen || action == "delete", "%q reads an address in %s", p.name, answer.Body)
		switch {
		case result.Result == server.BulkInvitationActionNotFound:
			answer.Status, answer.Body = 404, detailBody("Not found.")
		case slices.Contains(result.Errors["non_field_errors"], "You do not have permission to perform this action."):
			answer.Status, answer.Body = 403, forbidden
		case result.Result == server.BulkInvitationActionRefused:
			answer.Status = 400
		default:
			require.Equal(e.t, server.BulkInvitationActionDone, result.Result)
		}
		return answer
	}
}

// callByLink calls an action on the invitation's link rather than on its uuid. They are the same without a link of its own.
func callByLink(method, action string) func(*env, persona, int, string) response {
	return func(e *env, p persona, scope int, id string) response {
		if link := e.stored(uuid.MustParse(id)).LinkUUID; link != nil {
			id = link.String()
		}
		return callAction(method, action)(e, p, scope, id)
	}
}

func callWithToken(path string, purpose token.Purpose) func(*env, persona, int, string) response {
	return func(e *env, p persona, _ int, id string) response {
		return e.request("POST", base+path+"/", p.name, map[string]string{"token": e.approvalToken(purpose, id)})
	}
}

// askAgainExpired asks for a new invitation after the end of this one, by its uuid or else by its link. Who holds the role
// needs none. The invitation is as it was afterwards.
func askAgainExpired(by string) func(*env, persona, int, string) response {
	return func(e *env, p persona, _ int, id string) response {
		before := e.stored(uuid.MustParse(id))
		e.changeStored(before.UUID, func(i *invitation.Invitation) { i.StoredState = invitation.Expired })
		called := before.UUID
		if by == "link" && before.LinkUUID != nil {
			called = *before.LinkUUID
		}
		answer := e.request("POST", at(called.String(), "ask-again"), p.name, nil)
		e.changeStored(before.UUID, func(i *invitation.Invitation) {
			i.StoredState, i.RenewalAskedAt = before.StoredState, nil
		})
		return answer
	}
}

// asksAgain is the status of who asks for a new invitation: anybody but who holds the role, as they could accept.
func asksAgain(p persona, scope int) int { return either(p.may(scope, "r"), 404, 200) }

// seesAll reports whether a persona is staff or support.
func (p persona) seesAll() bool { return p.name == "staff" || p.name == "support" }

func seesDetails(p persona, scope int) int {
	return either(!startsLater(scope) || p.seesAll() || p.may(scope, "h") || p.may(scope, "m"), 200, 404)
}

func securelySeesDetails(p persona, scope int) int {
	isInvitee := p.name == "invitee" && !startsLater(scope)
	return either(isInvitee || p.seesAll() || p.may(scope, "h") || p.may(scope, "m"), 200, 404)
}

// securelyEdits is the status of an edit that the role ceiling limits.
func securelyEdits(p persona, scope int) int {
	return either(p.may(scope, "v") && p.may(scope, "m") && p.may(scope, "o"), 200, 404)
}

func securelyAccepts(p persona, scope int) int {
	return either(p.name == "invitee" && !startsLater(scope), 200, 404)
}

var matrixOperations = []matrixOperation{
	{
		"list", orUnauthorized(func(persona, int) int { return 200 }),
		func(e *env, p persona, scope int, id string) response {
			answer := e.request("GET", base+"?page_size=300", p.name, nil)
			if answer.Status == 200 {
				require.Equal(e.t, p.may(scope, "v"), strings.Contains(answer.Body, `"uuid":"`+id+`"`),
					"%q in the list of %q", scopeSegments[matrixScopes[scope]], p.name)
			}
			return answer
		},
	},
	{
		"mine", orUnauthorized(func(persona, int) int { return 200 }),
		func(e *env, p persona, scope int, id string) response {
			answer := e.request("GET", minePath+"?page_size=300", p.name, nil)
			require.Equal(e.t, p.name == "invitee", strings.Contains(answer.Body, `"uuid":"`+id+`"`),
				"%q in the own list of %q", scopeSegments[matrixScopes[scope]], p.name)
			return answer
		},
	},
	{"retrieve", orUnauthorized(func(p persona, scope int) int {
		return either(p.may(scope, "v"), 200, 404)
	}), callAction("GET", "")},
	{"details", orUnauthorized(seesDetails), callAction("GET", "details")},
	{"details by link", orUnauthorized(seesDetails), callByLink("GET", "details")},
	{"events", orUnauthorized(func(p persona, scope int) int {
		return either(p.may(scope, "v") && p.may(scope, "m"), 200, 404)
	}), callAction("GET", "events")},
	{"feed", orUnauthorized(func(p persona, scope int) int {
		if p.seesAll() {
			return 200
		}
		return either(seesCustomer(p, scope), 200, 404)
	}), func(e *env, p persona, scope int, id string) response {
		e.assignPositions()
		answer := e.request("GET", feedPath+"?page_size=300&customer_uuid="+customerOf(scope)+"&invitation_uuid="+id, p.name, nil)
		if answer.Status == 200 {
			require.Contains(e.t, answer.Body, `"event_type":"created"`)
		}
		return answer
	}},
	{
		"feed of all", orUnauthorized(func(p persona, _ int) int { return either(p.seesAll(), 200, 403) }),
		func(e *env, p persona, _ int, id string) response {
			return e.request("GET", feedPath+"?invitation_uuid="+id, p.name, nil)
		},
	},
	{"check", func(_ persona, scope int) int {
		return either(startsLater(scope), 404, 200)
	}, callAction("POST", "check")},
	{"check by link", func(_ persona, scope int) int {
		return either(startsLater(scope), 404, 200)
	}, callByLink("POST", "check")},
	{"approve", func(persona, int) int { return 400 }, callWithToken("approve", token.Approve)},
	{"reject", func(persona, int) int { return 400 }, callWithToken("reject", token.Reject)},
	{"create", orUnauthorized(func(p persona, scope int) int {
		return either(!p.may(scope, "s"), 400, either(p.may(scope, "m"), 201, 404))
	}), func(e *env, p persona, scope int, _ string) response {
		answer := e.request("POST", base, p.name, draft("new@example.org", matrixRoles[scope], matrixScopes[scope]))
		if answer.Status == 201 {
			var made server.Invitation
			answer.decode(&made)
			e.request("POST", at(made.UUID.String(), "delete"), "staff", nil).is(200, "")
		}
		return answer
	}},
	{"bulk create", orUnauthorized(func(p persona, _ int) int {
		return either(p.mayAnywhere("m"), 200, 403)
	}), func(e *env, p persona, scope int, _ string) response {
		body := draft("new@example.org", matrixRoles[scope], matrixScopes[scope])
		answer := e.request("POST", bulks+"?dry_run=true", p.name, map[string]any{"rows": []any{body}})
		if answer.Status == 200 {
			single := e.request("POST", base, p.name, body)
			if single.Status == 201 {
				e.request("POST", at(single.invitation().UUID.String(), "delete"), "staff", nil).is(200, "")
			}
			want := map[int]server.BulkInvitationResultCode{201: "created", 400: "invalid", 404: "refused"}[single.Status]
			require.Equal(e.t, want, answer.report().Results[0].Result, "%q in %q", p.name, matrixScopes[scope])
		}
		return answer
	}},
	{"cancel", orUnauthorized(func(p persona, scope int) int {
		return either(p.may(scope, "v") && p.may(scope, "m"), 200, 404)
	}), callAction("POST", "cancel")},
	{"send", orUnauthorized(func(p persona, scope int) int {
		return either(p.may(scope, "v") && p.may(scope, "m"), either(startsLater(scope), 400, 200), 404)
	}), callAction("POST", "send")},
	{"delete", orUnauthorized(func(p persona, scope int) int {
		return either(!p.may(scope, "v"), 404, either(p.name == "staff", 200, 403))
	}), callAction("POST", "delete")},
	{"cancel in bulk", orUnauthorized(func(p persona, scope int) int {
		return either(p.may(scope, "v") && p.may(scope, "m"), 200, 404)
	}), callInBulk("cancel")},
	{"send in bulk", orUnauthorized(func(p persona, scope int) int {
		return either(p.may(scope, "v") && p.may(scope, "m"), either(startsLater(scope), 400, 200), 404)
	}), callInBulk("send")},
	{"delete in bulk", orUnauthorized(func(p persona, scope int) int {
		return either(!p.may(scope, "v"), 404, either(p.name == "staff", 200, 403))
	}), callInBulk("delete")},
	// Nobody else declines what the invitee was offered, also not staff.
	{"decline", orUnauthorized(func(p persona, scope int) int {
		return either(p.name == "invitee" && !startsLater(scope), 200, 404)
	}), callAction("POST", "decline")},
	{"decline by link", orUnauthorized(func(p persona, scope int) int {
		return either(p.name == "invitee" && !startsLater(scope), 200, 404)
	}), callByLink("POST", "decline")},
	{"undo decline", orUnauthorized(func(p persona, scope int) int {
		return either(p.name == "invitee" && !startsLater(scope), 200, 404)
	}), func(e *env, p persona, _ int, id string) response {
		before := e.stored(uuid.MustParse(id))
		e.request("POST", at(id, "decline"), "invitee", nil)
		answer := e.request("POST", at(id, "undo-decline"), p.name, nil)
		if answer.Status != 200 {
			e.changeStored(before.UUID, func(i *invitation.Invitation) {
				i.StoredState, i.DeclinedAt, i.DeclineReason = before.StoredState, nil, ""
			})
		}
		return answer
	}},
	{"ask again", orUnauthorized(asksAgain), askAgainExpired("uuid")},
	{"ask again by link", orUnauthorized(asksAgain), askAgainExpired("link")},
	{"approve request", orUnauthorized(func(p persona, scope int) int {
		return either(!p.may(scope, "v"), 404, either(p.name == "staff", 400, 403))
	}), callAction("POST", "approve-request")},
	{"reject request", orUnauthorized(func(p persona, scope int) int {
		return either(!p.may(scope, "v"), 404, either(p.name == "staff", 400, 403))
	}), callAction("POST", "reject-request")},
	{"link", orUnauthorized(func(p persona, scope int) int {
		return either(p.may(scope, "v") && p.may(scope, "m"), 200, 404)
	}), func(e *env, p persona, _ int, id string) response {
		answer := e.request("GET", at(id, "link"), p.name, nil)
		if answer.Status == 200 {
			stored := e.stored(uuid.MustParse(id))
			link := stored.UUID
			if stored.LinkUUID != nil {
				link = *stored.LinkUUID
			}
			answer.is(200, fmt.Sprintf(`{"uuid": %q, "url": "https://front.example/invitation/%s/"}`, link, link))
		}
		return answer
	}},
	{"update", orUnauthorized(func(p persona, scope int) int {
		return either(p.may(scope, "v") && p.may(scope, "m"), 200, 404)
	}), func(e *env, p persona, scope int, id string) response {
		return e.request("PUT", at(id), p.name, map[string]string{"email": "other@example.org", "role": matrixRoles[scope]})
	}},
	{"partial update", orUnauthorized(func(p persona, scope int) int {
		return either(p.may(scope, "v") && p.may(scope, "m"), 200, 404)
	}), func(e *env, p persona, _ int, id string) response {
		return e.request("PATCH", at(id), p.name, map[string]string{"email": "other@example.org"})
	}},
	{"check duplicates", orUnauthorized(func(p persona, scope int) int {
		return either(!p.may(scope, "s"), 400, either(p.may(scope, "m"), 200, 404))
	}), func(e *env, p persona, scope int, id string) response {
		answer := e.request("POST", base+"check-duplicates/", p.name, pairs(matrixScopes[scope], "invitee@university.example", matrixRoles[scope]))
		require.Equal(e.t, answer.Status == 200, strings.Contains(answer.Body, id), "%q sees the duplicate in %s", p.name, answer.Body)
		return answer
	}},
	{"destroy", orUnauthorized(func(p persona, scope int) int {
		return either(p.may(scope, "v") && p.may(scope, "m"), 204, 404)
	}), callAction("DELETE", "")},
	{"directory retrieve", orUnauthorized(func(p persona, scope int) int {
		return either(directoryPath(scope) != "" && p.may(scope, "s"), 200, 404)
	}), func(e *env, p persona, scope int, _ string) response {
		return e.request("GET", cmp.Or(directoryPath(scope), customersPath)+matrixScopes[scope]+"/", p.name, nil)
	}},
	{"directory list", orUnauthorized(func(persona, int) int { return 200 }), func(e *env, p persona, scope int, _ string) response {
		answer := e.request("GET", cmp.Or(directoryPath(scope), projectsPath)+"?page_size=300", p.name, nil)
		if answer.Status == 200 {
			require.Equal(e.t, directoryPath(scope) != "" && p.may(scope, "s"), strings.Contains(answer.Body, `"uuid":"`+matrixScopes[scope]+`"`),
				"%q in the list of %q", matrixScopes[scope], p.name)
		}
		return answer
	}},
	{"directory count", orUnauthorized(func(persona, int) int { return 200 }), func(e *env, p persona, scope int, _ string) response {
		answer := e.request("HEAD", cmp.Or(directoryPath(scope), projectsPath)+"?query="+matrixScopes[scope], p.name, nil)
		if answer.Status == 200 {
			require.Equal(e.t, strconv.Itoa(either(directoryPath(scope) != "" && p.may(scope, "s"), 1, 0)), answer.Header.Get("X-Result-Count"))
		}
		return answer
	}},
	{"permissions", orUnauthorized(func(persona, int) int { return 200 }), func(e *env, p persona, scope int, _ string) response {
		answer := e.request("GET", permissionsPath+"?scope_uuid="+matrixScopes[scope], p.name, nil)
		if answer.Status == 200 {
			var seen []server.Permission
			answer.decode(&seen)
			own, others := 0, 0
			for _, each := range seen {
				if each.UserUsername == p.name {
					own++
				} else {
					others++
				}
			}
			require.Equal(e.t, p.may(scope, "h"), own > 0, "own roles of %q in %q", p.name, matrixScopes[scope])
			there := map[string]int{acme: 4, apollo: 2, artemis: 1}[matrixScopes[scope]]
			require.Equal(e.t, either(p.may(scope, "m") || p.name == "support", there, own), own+others,
				"others' roles in %q, for %q", matrixScopes[scope], p.name)
		}
		return answer
	}},
	{"list users", orUnauthorized(listsUsers), func(e *env, p persona, scope int, _ string) response {
		answer, counted := e.request("GET", usersPath(scope)+"?page_size=300", p.name, nil), e.request("HEAD", usersPath(scope), p.name, nil)
		require.Equal(e.t, answer.Status, counted.Status)
		require.Equal(e.t, answer.Header.Get("X-Result-Count"), counted.Header.Get("X-Result-Count"))
		if answer.Status == 200 {
			var seen []server.UserRoleDetails
			answer.decode(&seen)
			own := slices.ContainsFunc(seen, func(each server.UserRoleDetails) bool { return *each.UserUsername == p.name })
			require.Equal(e.t, p.may(scope, "h"), own, "own roles of %q in %q", p.name, matrixScopes[scope])
			there := map[string]int{acme: 4, apollo: 2, artemis: 1}[matrixScopes[scope]]
			require.Len(e.t, seen, either(p.may(scope, "m") || p.name == "support", there, either(own, 1, 0)),
				"others' roles in %q, for %q", matrixScopes[scope], p.name)
		}
		return answer
	}},
	{"roles", func(p persona, _ int) int {
		return either(p.known() || p.name == "", 200, 401) // needs no key, and takes no bad one
	}, func(e *env, p persona, _ int, _ string) response {
		return e.request("GET", rolesPath+"?page_size=300", p.name, nil)
	}},
	{"me", orUnauthorized(func(persona, int) int { return 200 }), func(e *env, p persona, scope int, _ string) response {
		answer := e.request("GET", me, p.name, nil)
		if answer.Status == 200 {
			require.Equal(e.t, p.may(scope, "h"), strings.Contains(answer.Body, `"scope_uuid":"`+matrixScopes[scope]+`"`))
		}
		return answer
	}},
	// The last ones, because an accept adds a membership.
	{"accept", orUnauthorized(func(p persona, scope int) int {
		return either(startsLater(scope), 404, either(p.may(scope, "r"), 400, 200))
	}), callAction("POST", "accept")},
}

// acceptByLink is tried in a matrix of its own, because the accept before it has made everybody a member.
var acceptByLink = []matrixOperation{
	{"accept by link", orUnauthorized(func(p persona, scope int) int {
		return either(startsLater(scope), 404, either(p.may(scope, "r"), 400, 200))
	}), callByLink("POST", "accept")},
}

// securely has the status of each operation that differs in the profile secure, for who is authenticated.
var securely = map[string]func(p persona, scope int) int{
	"details":         securelySeesDetails,
	"details by link": securelySeesDetails,
	"check":           func(persona, int) int { return 404 }, // the uuid is not the link; needs no key
	"create": func(p persona, scope int) int {
		return either(!p.may(scope, "s"), 400, either(p.may(scope, "m") && p.may(scope, "o"), 201, 404))
	},
	"send": func(p persona, scope int) int {
		return either(startsLater(scope) && securelyEdits(p, scope) == 200, 400, securelyEdits(p, scope))
	},
	"send in bulk": func(p persona, scope int) int {
		return either(startsLater(scope) && securelyEdits(p, scope) == 200, 400, securelyEdits(p, scope))
	},
	"update":            securelyEdits,
	"partial update":    securelyEdits,
	"accept":            securelyAccepts,
	"link":              securelyEdits,
	"ask again":         func(p persona, _ int) int { return either(p.name == "invitee", 200, 404) },
	"ask again by link": func(p persona, _ int) int { return either(p.name == "invitee", 200, 404) },
	"accept by link":    securelyAccepts,
}

// readOperations are the operations that change nothing.
var readOperations = []string{
	"list", "check", "check by link", "link", "undo decline", "ask again", "ask again by link", "check duplicates", "events", "feed", "feed of all", "directory retrieve", "directory list", "directory count", "permissions", "list users", "roles", "me",
}

// customerOf returns the customer of a scope.
func customerOf(scope int) string { return either(matrixScopes[scope] == hydra, globex, acme) }

// seesCustomer reports whether a persona sees every invitation of the customer of a scope.
func seesCustomer(p persona, scope int) bool {
	if customerOf(scope) == globex {
		return p.name == "rival"
	}
	return p.may(0, "v") && p.name != "invitee" // who sees one invitation, which is to them
}

// listsUsers is the status of a list of the users of a scope.
func listsUsers(p persona, scope int) int {
	return either(directoryPath(scope) != "" && p.may(scope, "s"), 200, 404)
}

// usersPath returns the path of the list of the users of a scope.
func usersPath(scope int) string {
	return cmp.Or(directoryPath(scope), projectsPath) + matrixScopes[scope] + "/list_users/"
}

// directoryPath returns the path of the directory's list that has a scope, empty where no list has it.
func directoryPath(scope int) string {
	return map[string]string{acme: customersPath, apollo: projectsPath, artemis: projectsPath, hydra: projectsPath}[matrixScopes[scope]]
}

// orUnauthorized makes the status 401 for a persona who is not authenticated.
func orUnauthorized(want func(persona, int) int) func(persona, int) int {
	return func(p persona, scope int) int { return either(p.known(), want(p, scope), 401) }
}

func either[T any](condition bool, yes, no T) T {
	if condition {
		return yes
	}
	return no
}

// bodyOfStatus has the body of the statuses that always have the same one.
var bodyOfStatus = map[int]string{http.StatusForbidden: forbidden, http.StatusNotFound: notFound}

// secureProfile sets the policies of the profile secure.
func secureProfile(p *invitation.Policy) {
	p.LinkSecret, p.ValidateEmail, p.RoleCeiling, p.RecheckInviter = true, true, true, true
}

// Every persona calls every operation in every scope.
func TestPermissionMatrix(t *testing.T) {
	for profile, policies := range map[string][]func(*invitation.Policy){"waldur": nil, "secure": {secureProfile}} {
		for part, operations := range map[string][]matrixOperation{"": matrixOperations, ", accept by link": acceptByLink} {
			t.Run(profile+part, func(t *testing.T) { testMatrix(t, operations, profile == "secure", policies) })
		}
	}
}

func testMatrix(t *testing.T, operations []matrixOperation, secure bool, policies []func(*invitation.Policy)) {
	onEachEngine(t, func(e *env) {
		e.apply(deputies)
		for _, each := range operations {
			if want := securely[each.name]; secure && want != nil {
				each.want = want
				if each.name != "check" {
					each.want = orUnauthorized(want)
				}
			}
			for scope := range matrixScopes {
				var made server.Invitation
				for _, p := range personas() {
					if made.UUID == uuid.Nil {
						made = e.create("staff", "Invitee@University.example", matrixRoles[scope], matrixScopes[scope])
					}
					id := made.UUID
					answer := each.do(e, p, scope, id.String())
					want := each.want(p, scope)
					require.Equal(e.t, want, answer.Status,
						"%s by %q in the %s %s: %s", each.name, p.name, made.ScopeType, made.ScopeName, answer.Body)
					if body := bodyOfStatus[want]; body != "" {
						require.JSONEq(e.t, body, answer.Body)
					}
					switch {
					case want == 204 || (want == 200 && strings.HasPrefix(each.name, "delete")):
						e.request("GET", at(id.String()), "staff", nil).is(404, notFound)
						made = server.Invitation{}
					case want != 200 || slices.Contains(readOperations, each.name):
						require.Equal(e.t, made, e.retrieve(id), "%s by %q changed something", each.name, p.name)
					default:
						e.request("POST", at(id.String(), "delete"), "staff", nil).is(200, "")
						made = server.Invitation{}
					}
				}
				if made.UUID != uuid.Nil {
					e.request("POST", at(made.UUID.String(), "delete"), "staff", nil).is(200, "")
				}
			}
		}
	}, policies...)
}

// Approve and reject depend on the token only, not on the caller.
func TestApprovalIgnoresCaller(t *testing.T) {
	onEachEngine(t, func(e *env) {
		for _, p := range personas() {
			if p.name == "deputy" || p.name == "clerk" {
				continue
			}
			for _, each := range []struct {
				path    string
				purpose token.Purpose
				state   server.InvitationState
			}{{"approve", token.Approve, "pending"}, {"reject", token.Reject, "rejected"}} {
				made := e.create("owner", "for-"+p.name+"+"+each.path+"@example.org", admin, apollo)
				require.EqualValues(e.t, "requested", made.State)
				callWithToken(each.path, each.purpose)(e, p, 0, made.UUID.String()).is(200, "")
				require.Equal(e.t, each.state, e.retrieve(made.UUID).State, "%s by %q", each.path, p.name)
			}
		}
	}, onlyStaff)
}

// Permissions are looked up for every request, so that they end with the role.
func TestRightsEndWithRole(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("manager", "new@example.org", admin, apollo)
		e.apply("roles: [{name: PROJECT.MANAGER, scope_type: project, permissions: []}]")
		for _, path := range []string{at(made.UUID.String(), "cancel"), at(made.UUID.String(), "send")} {
			e.request("POST", path, "manager", nil).is(404, notFound)
		}
		e.request("GET", at(made.UUID.String()), "manager", nil).is(404, notFound)
		e.request("POST", base, "manager", draft("other@example.org", admin, apollo)).is(404, notFound)
		e.apply("users: [{username: owner, is_active: false}]")
		e.request("GET", base, "owner", nil).is(401, `{"detail": "User inactive or deleted."}`)
		require.Equal(e.t, made, e.retrieve(made.UUID))
	})
}
