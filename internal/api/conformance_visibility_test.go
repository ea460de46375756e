package api_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// moreRoles has roles with one or two permissions, and users who hold them.
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

// inviteToEveryScope creates an invitation to each scope, and invitations to the invitee in several states.
func inviteToEveryScope(e *env) (inAcme, inGlobex []string) {
	e.t.Helper()
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
		e.create("staff", each.email, each.role, each.scope)
		inAcme = append(inAcme, each.email)
	}
	for _, each := range []struct{ email, role, scope string }{
		{"globex@scopes.example", owner, globex},
		{"hydra@scopes.example", admin, hydra},
		{"INVITEE@UNIVERSITY.EXAMPLE", admin, hydra},   // pending
		{"invitee@UNIVERSITY.example", member, hydra},  // canceled
		{"inviteE@university.example", manager, hydra}, // accepted
	} {
		made := e.create("staff", each.email, each.role, each.scope)
		switch each.role {
		case member:
			e.do("staff", made.UUID, "cancel").is(http.StatusOK, "")
		case manager:
			e.do("staff", made.UUID, "accept").is(http.StatusOK, "")
		}
		inGlobex = append(inGlobex, each.email)
	}
	return inAcme, inGlobex
}

func TestVisibilityByUser(t *testing.T) {
	onEachEngine(t, func(e *env) {
		inAcme, inGlobex := inviteToEveryScope(e)
		e.apply(moreRoles)
		all := append(slices.Clone(inAcme), inGlobex...)
		ids := map[string]string{}
		rows, _ := e.list("staff", "page_size=300")
		for _, each := range rows {
			ids[string(each.Email)] = each.UUID.String()
		}
		require.Len(e.t, ids, len(all))

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
			// These are the users of moreRoles.
			"founder":  inAcme,                                                                                                   // who may manage sees
			"planner":  {"apollo@scopes.example", "artemis@scopes.example", "strict@acme.example", "invitee@university.EXAMPLE"}, // projects
			"lister":   {},                                                                                                       // INVITATION.LIST has an effect in a customer only
			"inviter":  {},                                                                                                       // the permissions of other scope types
			"seller":   {"nodes@scopes.example"},                                                                                 //
			"reviewer": {"call@scopes.example"},                                                                                  //
			"author":   {"paper@scopes.example"},                                                                                 //
			"former":   {},                                                                                                       // revoked
			"leaving":  inAcme,                                                                                                   // not yet
		} {
			e.run(user, func(e *env) {
				require.ElementsMatch(e.t, expected, e.emails(user, "page_size=300"))
				for email, id := range ids {
					status := http.StatusNotFound
					if slices.Contains(expected, email) {
						status = http.StatusOK
					}
					require.Equal(e.t, status, e.request("GET", at(id), user, nil).Status, "retrieve %s", email)
				}
			})
		}
	})
}

func TestExpiredMembershipShowsNothing(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.apply(moreRoles)
		made := e.create("staff", "anna@alpha.example", admin, apollo)
		e.setClock(e.parseTime("2026-11-23T10:29:59.999999Z"))
		require.Len(e.t, e.emails("leaving", ""), 1)
		e.setClock(e.parseTime("2026-11-23T10:30:00.000000Z"))
		require.Empty(e.t, e.emails("leaving", ""))
		e.request("GET", at(made.UUID.String()), "leaving", nil).is(http.StatusNotFound, notFound)
	})
}

func TestInviteeSeesOpenInvitations(t *testing.T) {
	onEachEngine(t, func(e *env) {
		all := oneInEachState(e)
		for state, id := range all {
			e.run(state, func(e *env) {
				e.applyReplaced("email: stranger@example.org", "email: "+state+"@STATES.example")
				status, seen := http.StatusNotFound, []string{}
				if state == "pending" || state == "project" {
					status, seen = http.StatusOK, []string{state + "@states.example"}
				}
				// The stranger accepted one, and holds a role without permissions in apollo.
				require.Equal(e.t, seen, e.emails("stranger", ""))
				require.Equal(e.t, status, e.request("GET", at(id.String()), "stranger", nil).Status)
			})
		}
	}, onlyStaff)
}

func TestRetrieveNotFound(t *testing.T) {
	onEachEngine(t, func(e *env) {
		for _, id := range []string{
			"0f5a9f2e-7a55-4c7e-9f0a-6b3a6a0c6a11", "0f5a9f2e7a554c7e9f0a6b3a6a0c6a11", "nonsense", "0",
			"%7B0f5a9f2e-7a55-4c7e-9f0a-6b3a6a0c6a11%7D", "urn:uuid:0f5a9f2e-7a55-4c7e-9f0a-6b3a6a0c6a11",
			"0f5a9f2e-7a554c7e9f0a-6b3a6a0c6a11", "%00",
		} {
			e.request("GET", at(id), "staff", nil).is(http.StatusNotFound, notFound)
		}
	})
}
