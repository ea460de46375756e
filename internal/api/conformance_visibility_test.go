package api_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// moreRoles are roles that carry one permission each, and those who hold them.
const moreRoles = `
roles:
  - {name: CUSTOMER.FOUNDER, scope_type: customer, permissions: [CUSTOMER.CREATE_PERMISSION]}
  - {name: CUSTOMER.PLANNER, scope_type: customer, permissions: [PROJECT.CREATE_PERMISSION]}
  - {name: PROJECT.LISTER, scope_type: project, permissions: [INVITATION.LIST]}
  - {name: PROJECT.INVITER, scope_type: project, permissions: [CUSTOMER.CREATE_PERMISSION, OFFERING.CREATE_PERMISSION]}
users:
  - {username: founder, tokens: [founder-key]}
  - {username: planner, tokens: [planner-key]}
  - {username: lister, tokens: [lister-key]}
  - {username: inviter, tokens: [inviter-key]}
  - {username: seller, tokens: [seller-key]}
  - {username: reviewer, tokens: [reviewer-key]}
  - {username: author, tokens: [author-key]}
  - {username: former, tokens: [former-key]}
  - {username: leaving, tokens: [leaving-key]}
customers:
  - name: Acme
    uuid: ` + acme + `
    description: Makers of things
    members:
      - {user: founder, role: CUSTOMER.FOUNDER}
      - {user: planner, role: CUSTOMER.PLANNER}
      - {user: former, role: CUSTOMER.OWNER, is_active: false}
      - {user: leaving, role: CUSTOMER.OWNER, expiration_time: 2026-11-23T10:30:00Z}
    projects:
      - name: Apollo
        uuid: ` + apollo + `
        description: To the moon
        members: [{user: lister, role: PROJECT.LISTER}, {user: inviter, role: PROJECT.INVITER}]
    scopes:
      - {type: offering, name: GPU nodes, uuid: ` + nodes + `, members: [{user: seller, role: OFFERING.MANAGER}]}
      - {type: call, name: Spring call, uuid: ` + call + `, members: [{user: reviewer, role: CALL.REVIEWER}]}
      - {type: proposal, name: A paper, uuid: ` + paper + `, members: [{user: author, role: PROPOSAL.AUTHOR}]}
`

// inEveryScope makes one invitation to each scope, and to the invitee one in each state that they could be in.
func inEveryScope(w *world) (inAcme, inGlobex []string) {
	w.t.Helper()
	for _, each := range []struct{ email, role, scope string }{
		{"acme@scopes.example", owner, acme},
		{"apollo@scopes.example", admin, apollo},
		{"artemis@scopes.example", admin, artemis},
		{"strict@acme.example", admin, strict},
		{"nodes@scopes.example", seller, nodes},
		{"call@scopes.example", reviewer, call},
		{"paper@scopes.example", author, paper},
		{"invitee@university.EXAMPLE", member, artemis}, // project
	} {
		w.create("staff", each.email, each.role, each.scope)
		inAcme = append(inAcme, each.email)
	}
	for _, each := range []struct{ email, role, scope string }{
		{"globex@scopes.example", owner, globex},
		{"hydra@scopes.example", admin, hydra},
		{"INVITEE@UNIVERSITY.EXAMPLE", admin, hydra},   // pending
		{"invitee@UNIVERSITY.example", member, hydra},  // canceled
		{"inviteE@university.example", manager, hydra}, // accepted
	} {
		made := w.create("staff", each.email, each.role, each.scope)
		switch each.role {
		case member:
			w.do("staff", made.UUID, "cancel").is(http.StatusOK, "")
		case manager:
			w.do("staff", made.UUID, "accept").is(http.StatusOK, "")
		}
		inGlobex = append(inGlobex, each.email)
	}
	return inAcme, inGlobex
}

func TestEverybodySeesWhatTheirRolesShow(t *testing.T) {
	inEachWorld(t, func(w *world) {
		inAcme, inGlobex := inEveryScope(w)
		w.apply(moreRoles)
		all := append(slices.Clone(inAcme), inGlobex...)
		ids := map[string]string{}
		rows, _ := w.list("staff", "page_size=300")
		for _, each := range rows {
			ids[string(each.Email)] = each.UUID.String()
		}
		require.Len(w.t, ids, len(all))

		for user, expected := range map[string][]string{
			"staff":    all,
			"support":  all,
			"owner":    inAcme,
			"reader":   inAcme,
			"manager":  {"apollo@scopes.example"},
			"member":   {},
			"sibling":  {"artemis@scopes.example", "invitee@university.EXAMPLE"},
			"rival":    inGlobex,
			"invitee":  {"INVITEE@UNIVERSITY.EXAMPLE", "invitee@university.EXAMPLE"},
			"stranger": {},
			// Each of these holds one permission.
			"founder":  {"acme@scopes.example"},  // of the customer as a scope, not of its projects
			"planner":  {},                       // another scope type's permission
			"lister":   {},                       // INVITATION.LIST counts in a customer only
			"inviter":  {},                       // the permissions of other scope types
			"seller":   {"nodes@scopes.example"}, //
			"reviewer": {"call@scopes.example"},  //
			"author":   {"paper@scopes.example"}, //
			"former":   {},                       // revoked
			"leaving":  inAcme,                   // not yet
		} {
			w.run(user, func(w *world) {
				require.ElementsMatch(w.t, expected, w.emails(user, "page_size=300"))
				for email, id := range ids {
					status := http.StatusNotFound
					if slices.Contains(expected, email) {
						status = http.StatusOK
					}
					require.Equal(w.t, status, w.request("GET", at(id), user, nil).Status, "retrieve %s", email)
				}
			})
		}
	})
}

func TestAMembershipShowsNothingOnceItsTimeIsOver(t *testing.T) {
	inEachWorld(t, func(w *world) {
		w.apply(moreRoles)
		made := w.create("staff", "anna@alpha.example", admin, apollo)
		w.wait(w.moment("2026-11-23T10:29:59.999999Z"))
		require.Len(w.t, w.emails("leaving", ""), 1)
		w.wait(w.moment("2026-11-23T10:30:00.000000Z"))
		require.Empty(w.t, w.emails("leaving", ""))
		w.request("GET", at(made.UUID.String()), "leaving", nil).is(http.StatusNotFound, notFound)
	})
}

func TestOnesOwnInvitationsShowWhileTheyWait(t *testing.T) {
	inEachWorld(t, func(w *world) {
		all := everyState(w)
		for state, id := range all {
			w.run(state, func(w *world) {
				w.rewrite("email: stranger@example.org", "email: "+state+"@STATES.example")
				status, seen := http.StatusNotFound, []string{}
				if state == "pending" || state == "project" {
					status, seen = http.StatusOK, []string{state + "@states.example"}
				}
				// The stranger has accepted one: they hold a role in apollo that carries nothing.
				require.Equal(w.t, seen, w.emails("stranger", ""))
				require.Equal(w.t, status, w.request("GET", at(id.String()), "stranger", nil).Status)
			})
		}
	}, onlyStaff)
}

func TestRetrieveOfWhatIsNotThere(t *testing.T) {
	inEachWorld(t, func(w *world) {
		for _, id := range []string{
			"0f5a9f2e-7a55-4c7e-9f0a-6b3a6a0c6a11", "0f5a9f2e7a554c7e9f0a6b3a6a0c6a11", "nonsense", "0",
			"%7B0f5a9f2e-7a55-4c7e-9f0a-6b3a6a0c6a11%7D", "urn:uuid:0f5a9f2e-7a55-4c7e-9f0a-6b3a6a0c6a11",
			"0f5a9f2e-7a554c7e9f0a-6b3a6a0c6a11", "%00",
		} {
			w.request("GET", at(id), "staff", nil).is(http.StatusNotFound, notFound)
		}
	})
}
