package api_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"invited/internal/invitation"
	"invited/internal/token"
)

func oneManager(p *invitation.Policy) { p.OneProjectManager = true }

func TestAScopeThatTheCallerCannotSeeIsNotThere(t *testing.T) {
	inEachWorld(t, func(w *world) {
		w.apply(moreRoles)
		for _, each := range []struct{ user, scope, role string }{
			{"rival", apollo, admin},
			{"rival", acme, owner},
			{"owner", hydra, admin},
			{"owner", globex, owner},
			{"manager", artemis, admin},
			{"manager", nodes, seller},
			{"member", strict, admin},
			{"stranger", apollo, admin},
			{"invitee", acme, owner},
			{"former", acme, owner},
			{"seller", call, reviewer},
			// Nobody sees a removed scope, nor a scope of a removed customer.
			{"staff", dropped, admin},
			{"owner", dropped, admin},
			{"support", dropped, admin},
			{"staff", gone, owner},
		} {
			w.run(each.user+" "+each.scope, func(w *world) {
				w.request("POST", base, each.user, draft("a@x.example", each.role, each.scope)).
					is(http.StatusBadRequest, noScope(scopeURL(each.scope)))
			})
		}
	})
}

func TestAScopeOfARemovedCustomerIsNotThere(t *testing.T) {
	inEachWorld(t, func(w *world) {
		w.rewrite("description: 100% others_", "description: 100% others_\n    is_removed: true")
		for _, user := range []string{"staff", "rival"} {
			w.request("POST", base, user, draft("a@x.example", admin, hydra)).is(http.StatusBadRequest, noScope(scopeURL(hydra)))
			w.request("POST", base, user, draft("a@x.example", owner, globex)).is(http.StatusBadRequest, noScope(scopeURL(globex)))
		}
	})
}

func TestWhoMayInvite(t *testing.T) {
	inEachWorld(t, func(w *world) {
		w.apply(moreRoles)
		scopes := map[string]string{acme: reader, apollo: admin, artemis: admin, nodes: seller, call: reviewer, paper: author}
		for user, may := range map[string][]string{
			"staff":    {acme, apollo, artemis, nodes, call, paper},
			"support":  {},
			"owner":    {acme, apollo, artemis, nodes, call, paper},
			"reader":   {},
			"manager":  {apollo},
			"member":   {},
			"sibling":  {artemis},
			"founder":  {acme, apollo, artemis, nodes, call, paper}, // CUSTOMER.CREATE_PERMISSION in the customer
			"planner":  {apollo, artemis},                           // PROJECT.CREATE_PERMISSION in the customer
			"lister":   {},
			"inviter":  {}, // in a project, the permissions of other types are worth nothing
			"seller":   {nodes},
			"reviewer": {call},
			"author":   {paper},
		} {
			w.run(user, func(w *world) {
				for scope, role := range scopes {
					answer := w.request("POST", base, user, draft(user+"@x.example", role, scope))
					switch {
					case contains(may, scope):
						answer.is(http.StatusCreated, "")
					case answer.Status == http.StatusNotFound: // seen, but not managed
						answer.is(http.StatusNotFound, notFound)
					default:
						answer.is(http.StatusBadRequest, noScope(scopeURL(scope)))
					}
				}
			})
		}
		for _, each := range []struct{ user, scope, role string }{ // those who see, but may not
			{"reader", apollo, admin},
			{"reader", acme, owner},
			{"support", hydra, admin},
			{"member", apollo, admin},
			{"member", acme, owner},
			{"manager", acme, owner},
			{"seller", acme, owner},
			{"planner", nodes, seller},
			{"lister", apollo, admin},
			{"inviter", acme, owner},
		} {
			w.request("POST", base, each.user, draft("z@x.example", each.role, each.scope)).is(http.StatusNotFound, notFound)
		}
	})
}

func contains(all []string, one string) bool {
	for _, each := range all {
		if each == one {
			return true
		}
	}
	return false
}

func TestTheRoleMustFitTheScope(t *testing.T) {
	inEachWorld(t, func(w *world) {
		misfit := field("non_field_errors", msgRole)
		for _, each := range []struct{ role, scope string }{
			{owner, apollo}, {admin, acme}, {seller, call}, {author, nodes}, {retired, apollo},
		} {
			w.request("POST", base, "staff", draft("a@x.example", each.role, each.scope)).is(http.StatusBadRequest, misfit)
		}
		require.Equal(w.t, []string{"role"}, w.request("POST", base, "staff",
			draft("a@x.example", "40000000-0000-4000-8000-0000000000ff", apollo)).names())
	})
}

func TestOnlyOneProjectManager(t *testing.T) {
	inEachWorld(t, func(w *world) {
		taken := field("non_field_errors", msgManager)
		w.request("POST", base, "owner", draft("a@x.example", manager, apollo)).is(http.StatusBadRequest, taken)
		w.create("owner", "a@x.example", admin, apollo)
		w.create("owner", "a@acme.example", manager, strict) // has none
		w.create("owner", "b@acme.example", manager, strict) // an invitation is no manager yet
		// Gone is the manager whose membership was revoked.
		w.rewrite("{user: manager, role: PROJECT.MANAGER}", "{user: manager, role: PROJECT.MANAGER, is_active: false}")
		w.create("owner", "a@x.example", manager, apollo)
	}, oneManager)
	t.Run("not unless the policy says so", func(t *testing.T) {
		inEachWorld(t, func(w *world) { w.create("owner", "a@x.example", manager, apollo) })
	})
}

func TestPatternsOfScopeAndCustomer(t *testing.T) {
	inEachWorld(t, func(w *world) {
		misfit := field("email", msgPatterns)
		// Strict takes .*@(acme|university)\.example
		for _, email := range []string{
			"a@x.example", "a@acme.example.evil.example", "a@xacme.example", "a@acmexexample.example", "a@acme.examples",
		} {
			w.request("POST", base, "owner", draft(email, admin, strict)).is(http.StatusBadRequest, misfit)
		}
		w.create("owner", "a@acme.example", admin, strict)
		w.create("owner", "B@UNIVERSITY.Example", admin, strict)

		w.rewrite("description: Makers of things", "description: Makers of things\n    user_email_patterns: ['.*@acme\\.example', 'boss@.*']")
		w.create("owner", "c@acme.example", admin, strict)
		w.create("owner", "boss@university.example", admin, strict)
		w.create("owner", "Boss@elsewhere.example", admin, apollo)
		w.create("owner", "boss@elsewhere.example", owner, acme)
		w.request("POST", base, "owner", draft("d@university.example", admin, strict)).is(http.StatusBadRequest, misfit)
		w.request("POST", base, "owner", draft("boss@elsewhere.example", admin, strict)).is(http.StatusBadRequest, misfit)
		w.request("POST", base, "owner", draft("d@university.example", admin, apollo)).is(http.StatusBadRequest, misfit)
		w.request("POST", base, "staff", draft("d@university.example", owner, acme)).is(http.StatusBadRequest, misfit)
	})
}

// TestOrderOfTheChecksOnCreate breaks two rules at a time: the earlier one is the one that is reported.
func TestOrderOfTheChecksOnCreate(t *testing.T) {
	inEachWorld(t, func(w *world) {
		check := func(name string, test func(w *world)) { w.run(name, test) }
		check("fields before the scope", func(w *world) {
			w.request("POST", base, "rival", draft("nonsense", admin, apollo)).is(http.StatusBadRequest, field("email", msgBadEmail))
		})
		check("the scope before its fit with the role", func(w *world) {
			w.request("POST", base, "rival", draft("a@x.example", owner, apollo)).is(http.StatusBadRequest, noScope(scopeURL(apollo)))
			w.request("POST", base, "rival", draft("a@x.example", retired, apollo)).is(http.StatusBadRequest, noScope(scopeURL(apollo)))
		})
		check("the one manager before the open invitation", func(w *world) {
			w.create("owner", "sibling@acme.example", manager, strict)
			w.rewrite("name: Strict, uuid: "+strict, "name: Strict, uuid: "+strict+", members: [{user: sibling, role: PROJECT.MANAGER}]")
			w.request("POST", base, "owner", draft("sibling@acme.example", manager, strict)).
				is(http.StatusBadRequest, field("non_field_errors", msgManager))
		})
		check("the one manager before the patterns and the permission", func(w *world) {
			w.request("POST", base, "sibling", draft("a@x.example", manager, strict)).
				is(http.StatusBadRequest, field("non_field_errors", msgManager))
			w.request("POST", base, "member", draft("a@x.example", manager, apollo)).
				is(http.StatusBadRequest, field("non_field_errors", msgManager))
		})
		check("the open invitation before the patterns and the permission", func(w *world) {
			w.create("owner", "a@x.example", admin, apollo)
			w.request("POST", base, "member", draft("A@X.EXAMPLE", admin, apollo)).is(http.StatusBadRequest, field("email", msgTwice))
			w.rewrite(apolloHead, apolloPicky)
			w.request("POST", base, "owner", draft("a@x.example", admin, apollo)).is(http.StatusBadRequest, field("email", msgTwice))
		})
		check("the patterns before the permission", func(w *world) {
			w.request("POST", base, "member", draft("b@x.example", admin, apollo)).is(http.StatusBadRequest, field("email", msgPatterns))
			w.request("POST", base, "member", draft("b@acme.example", admin, apollo)).is(http.StatusNotFound, notFound)
		})
		check("the role before the open invitation", func(w *world) {
			w.rewrite(adminRole, adminRoleRetired)
			w.request("POST", base, "owner", draft("a@x.example", admin, apollo)).
				is(http.StatusBadRequest, field("non_field_errors", msgRole))
		})
	}, oneManager)
}

func TestOneOpenInvitationForEachEmailRoleAndScope(t *testing.T) {
	inEachWorld(t, func(w *world) {
		twice := field("email", msgTwice)
		again := func(w *world, email, role, scope string) response {
			w.t.Helper()
			return w.request("POST", base, "staff", draft(email, role, scope))
		}
		w.create("staff", "a@x.example", admin, apollo)
		w.create("staff", "a@x.example", admin, artemis) // project
		w.create("owner", "b@x.example", admin, apollo)  // requested
		for _, email := range []string{"a@x.example", "A@X.example", " a@x.EXAMPLE "} {
			again(w, email, admin, apollo).is(http.StatusBadRequest, twice)
			again(w, email, admin, artemis).is(http.StatusBadRequest, twice)
		}
		again(w, "B@x.example", admin, apollo).is(http.StatusBadRequest, twice)
		// Another role, another scope, another address.
		again(w, "a@x.example", member, apollo).is(http.StatusCreated, "")
		again(w, "a@x.example", admin, hydra).is(http.StatusCreated, "")
		again(w, "a+b@x.example", admin, apollo).is(http.StatusCreated, "")
		// Beyond ASCII.
		again(w, "a@École.example", admin, apollo).is(http.StatusCreated, "")
		again(w, "a@éCOLE.example", admin, apollo).is(http.StatusBadRequest, twice)
		again(w, "a@ecole.example", admin, apollo).is(http.StatusCreated, "")
	}, onlyStaff)
}

func TestWhatIsOverDoesNotStandInTheWay(t *testing.T) {
	inEachWorld(t, func(w *world) {
		all := everyState(w)
		for _, state := range []string{"expired", "canceled", "accepted", "rejected"} {
			w.run(state, func(w *world) {
				made := w.create("staff", strings.ToUpper(state)+"@states.example", admin, apollo)
				require.NotEqual(w.t, all[state], made.UUID)
				require.Equal(w.t, "pending", string(made.State))
				require.Equal(w.t, state, w.state(all[state]))
				require.Len(w.t, w.deliveries(made.UUID), 1)
			})
		}
		for _, each := range []struct{ state, scope string }{{"pending", apollo}, {"requested", apollo}, {"project", artemis}} {
			w.request("POST", base, "staff", draft(each.state+"@states.example", admin, each.scope)).
				is(http.StatusBadRequest, field("email", msgTwice))
		}
	}, onlyStaff)
}

func TestAPlannedInvitationThatTimeHasEndedDoesNotStandInTheWay(t *testing.T) {
	inEachWorld(t, func(w *world) {
		old := w.create("owner", "a@x.example", admin, artemis)
		w.wait(w.moment(old.Expires).Add(-time.Microsecond))
		w.request("POST", base, "owner", draft("a@x.example", admin, artemis)).is(http.StatusBadRequest, field("email", msgTwice))
		w.wait(w.moment(old.Expires))
		require.Equal(w.t, "pending", string(w.create("owner", "a@x.example", admin, artemis).State))
		require.Equal(w.t, "expired", w.state(old.UUID))
	})
}

func TestARequestThatIsOldStillStandsInTheWay(t *testing.T) {
	inEachWorld(t, func(w *world) {
		made := w.create("owner", "a@x.example", admin, apollo)
		w.clock.Advance(3 * lifetime)
		require.Equal(w.t, "requested", w.state(made.UUID))
		w.request("POST", base, "staff", draft("a@x.example", admin, apollo)).is(http.StatusBadRequest, field("email", msgTwice))
		w.decide("reject", w.sign(token.Reject, w.userID("staff"), made.UUID)).is(http.StatusOK, "")
		w.create("staff", "a@x.example", admin, apollo)
	}, onlyStaff)
}
