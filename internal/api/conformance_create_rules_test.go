package api_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"invited/internal/invitation"
	"invited/internal/joining"
)

func TestCreateInHiddenScope(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.apply(moreRoles)
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
			// Nobody sees a removed scope or a scope of a removed customer.
			{"staff", dropped, admin},
			{"owner", dropped, admin},
			{"support", dropped, admin},
			{"staff", gone, owner},
		} {
			e.run(each.user+" "+each.scope, func(e *env) {
				e.request("POST", base, each.user, draft("a@x.example", each.role, each.scope)).
					is(http.StatusBadRequest, scopeError(scopeURL(each.scope)))
			})
		}
	})
}

func TestCreateInScopeOfRemovedCustomer(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.applyReplaced("description: 100% others_", "description: 100% others_\n    is_removed: true")
		for _, user := range []string{"staff", "rival"} {
			e.request("POST", base, user, draft("a@x.example", admin, hydra)).is(http.StatusBadRequest, scopeError(scopeURL(hydra)))
			e.request("POST", base, user, draft("a@x.example", owner, globex)).is(http.StatusBadRequest, scopeError(scopeURL(globex)))
		}
	})
}

func TestWhoMayInvite(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.apply(moreRoles)
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
			"inviter":  {}, // holds permissions of other scope types in a project
			"seller":   {nodes},
			"reviewer": {call},
			"author":   {paper},
		} {
			e.run(user, func(e *env) {
				for scope, role := range scopes {
					answer := e.request("POST", base, user, draft(user+"@x.example", role, scope))
					switch {
					case slices.Contains(may, scope):
						answer.is(http.StatusCreated, "")
					case answer.Status == http.StatusNotFound: // sees the scope, but does not manage it
						answer.is(http.StatusNotFound, notFound)
					default:
						answer.is(http.StatusBadRequest, scopeError(scopeURL(scope)))
					}
				}
			})
		}
		for _, each := range []struct{ user, scope, role string }{ // see the scope, but do not manage it
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
			e.request("POST", base, each.user, draft("z@x.example", each.role, each.scope)).is(http.StatusNotFound, notFound)
		}
	})
}

func TestCreateChecksRoleType(t *testing.T) {
	onEachEngine(t, func(e *env) {
		misfit := fieldError("non_field_errors", msgRole)
		for _, each := range []struct{ role, scope string }{
			{owner, apollo}, {admin, acme}, {seller, call}, {author, nodes}, {retired, apollo},
		} {
			e.request("POST", base, "staff", draft("a@x.example", each.role, each.scope)).is(http.StatusBadRequest, misfit)
		}
		require.Equal(e.t, []string{"role"}, e.request("POST", base, "staff",
			draft("a@x.example", "40000000-0000-4000-8000-0000000000ff", apollo)).invalidFields())
	})
}

func TestCreateWithOneProjectManager(t *testing.T) {
	onEachEngine(t, func(e *env) {
		taken := fieldError("non_field_errors", msgManager)
		e.request("POST", base, "owner", draft("a@x.example", manager, apollo)).is(http.StatusBadRequest, taken)
		e.create("owner", "a@x.example", admin, apollo)
		e.create("owner", "a@acme.example", manager, strict) // has no manager
		e.create("owner", "b@acme.example", manager, strict) // an open invitation is no manager
		// A revoked membership does not count.
		e.applyReplaced("{user: manager, role: PROJECT.MANAGER}", "{user: manager, role: PROJECT.MANAGER, is_active: false}")
		e.create("owner", "a@x.example", manager, apollo)
	}, oneManager)
	t.Run("not unless the policy says so", func(t *testing.T) {
		onEachEngine(t, func(e *env) { e.create("owner", "a@x.example", manager, apollo) })
	})
}

func TestCreateChecksEmailPatterns(t *testing.T) {
	onEachEngine(t, func(e *env) {
		misfit := fieldError("email", msgPatterns)
		// The pattern of the project is .*@(acme|university)\.example
		for _, email := range []string{
			"a@x.example", "a@acme.example.evil.example", "a@xacme.example", "a@acmexexample.example", "a@acme.examples",
		} {
			e.request("POST", base, "owner", draft(email, admin, strict)).is(http.StatusBadRequest, misfit)
		}
		e.create("owner", "a@acme.example", admin, strict)
		e.create("owner", "B@UNIVERSITY.Example", admin, strict)

		ofOrganization := fieldError("email", "Email does not match the membership restrictions of the organization.")
		e.applyReplaced("description: Makers of things", "description: Makers of things\n    user_email_patterns: ['.*@acme\\.example', 'boss@.*']")
		e.create("owner", "c@acme.example", admin, strict)
		e.create("owner", "boss@university.example", admin, strict)
		e.create("owner", "Boss@elsewhere.example", admin, apollo)
		e.create("owner", "boss@elsewhere.example", owner, acme)
		e.request("POST", base, "owner", draft("d@university.example", admin, strict)).is(http.StatusBadRequest, ofOrganization)
		e.request("POST", base, "owner", draft("boss@elsewhere.example", admin, strict)).is(http.StatusBadRequest, misfit)
		e.request("POST", base, "owner", draft("d@university.example", admin, apollo)).is(http.StatusBadRequest, ofOrganization)
		e.request("POST", base, "staff", draft("d@university.example", owner, acme)).is(http.StatusBadRequest, ofOrganization)
	})
}

// Each request breaks two rules. The response reports the one that is checked first.
func TestCreateOrderOfChecks(t *testing.T) {
	onEachEngine(t, func(e *env) {
		check := func(name string, test func(e *env)) { e.run(name, test) }
		check("fields before the scope", func(e *env) {
			e.request("POST", base, "rival", draft("nonsense", admin, apollo)).is(http.StatusBadRequest,
				`{"email": ["`+msgBadEmail+`"], "scope": ["Can't restore object from url: `+scopeURL(apollo)+`"]}`)
		})
		check("the scope before its fit with the role", func(e *env) {
			e.request("POST", base, "rival", draft("a@x.example", owner, apollo)).is(http.StatusBadRequest, scopeError(scopeURL(apollo)))
			e.request("POST", base, "rival", draft("a@x.example", retired, apollo)).is(http.StatusBadRequest, scopeError(scopeURL(apollo)))
		})
		check("the one manager before the open invitation", func(e *env) {
			e.create("owner", "sibling@acme.example", manager, strict)
			e.applyReplaced("name: Strict, uuid: "+strict, "name: Strict, uuid: "+strict+", members: [{user: sibling, role: PROJECT.MANAGER}]")
			e.request("POST", base, "owner", draft("sibling@acme.example", manager, strict)).
				is(http.StatusBadRequest, fieldError("non_field_errors", msgManager))
		})
		check("the one manager before the patterns", func(e *env) {
			e.request("POST", base, "owner", draft("a@x.example", manager, strict)).
				is(http.StatusBadRequest, fieldError("non_field_errors", msgManager))
		})
		check("the open invitation before the patterns", func(e *env) {
			e.create("owner", "a@x.example", admin, apollo)
			e.applyReplaced(apolloUUID, apolloPatterns)
			e.request("POST", base, "owner", draft("a@x.example", admin, apollo)).is(http.StatusBadRequest, fieldError("email", msgDuplicate))
			e.request("POST", base, "owner", draft("b@x.example", admin, apollo)).is(http.StatusBadRequest, fieldError("email", msgPatterns))
		})
		check("the permission before everything but the scope", func(e *env) {
			for _, body := range []map[string]any{
				draft("a@x.example", manager, apollo), draft("A@X.EXAMPLE", admin, apollo), draft("b@x.example", admin, apollo),
				draft("b@acme.example", admin, apollo), draft("a@x.example", retired, apollo),
			} {
				e.request("POST", base, "member", body).is(http.StatusNotFound, notFound)
			}
		})
		check("the role before the open invitation", func(e *env) {
			e.applyReplaced(adminRole, adminRoleInactive)
			e.request("POST", base, "owner", draft("a@x.example", admin, apollo)).
				is(http.StatusBadRequest, fieldError("non_field_errors", msgRole))
		})
	}, oneManager)
}

func TestCreateRejectsDuplicates(t *testing.T) {
	onEachEngine(t, func(e *env) {
		again := func(e *env, email, role, scope string) response {
			e.t.Helper()
			return e.request("POST", base, "staff", draft(email, role, scope))
		}
		e.create("staff", "a@x.example", admin, apollo)
		e.create("staff", "a@x.example", admin, artemis) // project
		e.create("owner", "b@x.example", admin, apollo)  // requested
		for _, email := range []string{"a@x.example", "A@X.example", " a@x.EXAMPLE "} {
			again(e, email, admin, apollo).is(http.StatusBadRequest, duplicateError)
			again(e, email, admin, artemis).is(http.StatusBadRequest, duplicateError)
		}
		again(e, "B@x.example", admin, apollo).is(http.StatusBadRequest, duplicateError)
		// Another role, another scope, another address.
		again(e, "a@x.example", member, apollo).is(http.StatusCreated, "")
		again(e, "a@x.example", admin, hydra).is(http.StatusCreated, "")
		again(e, "a+b@x.example", admin, apollo).is(http.StatusCreated, "")
		// Letters beyond ASCII.
		again(e, "a@École.example", admin, apollo).is(http.StatusCreated, "")
		again(e, "a@éCOLE.example", admin, apollo).is(http.StatusBadRequest, duplicateError)
		again(e, "a@ecole.example", admin, apollo).is(http.StatusCreated, "")
	}, onlyStaff)
}

func TestCreateAfterClosedInvitation(t *testing.T) {
	onEachEngine(t, func(e *env) {
		all := oneInEachState(e)
		for _, state := range []string{"expired", "canceled", "accepted", "rejected"} {
			e.run(state, func(e *env) {
				made := e.create("staff", strings.ToUpper(state)+"@states.example", admin, apollo)
				require.NotEqual(e.t, all[state], made.UUID)
				require.Equal(e.t, "pending", string(made.State))
				require.Equal(e.t, state, e.state(all[state]))
				require.Len(e.t, e.deliveryJobs(made.UUID), 1)
			})
		}
		for _, each := range []struct{ state, scope string }{{"pending", apollo}, {"requested", apollo}, {"project", artemis}} {
			e.request("POST", base, "staff", draft(each.state+"@states.example", admin, each.scope)).
				is(http.StatusBadRequest, fieldError("email", msgDuplicate))
		}
	}, onlyStaff)
}

// An invitation that waits for its project stays open, however long the project is waited for.
func TestPlannedInvitationIsStillADuplicate(t *testing.T) {
	onEachEngine(t, func(e *env) {
		old := e.create("owner", "a@x.example", admin, artemis)
		e.setClock(e.parseTime(old.Expires))
		e.request("POST", base, "owner", draft("a@x.example", admin, artemis)).is(http.StatusBadRequest, fieldError("email", msgDuplicate))
		require.Equal(e.t, "project", e.state(old.UUID))
	})
}

// countingStore counts transactions that may write.
type countingStore struct {
	invitation.Store
	changes *atomic.Int64
}

func (s countingStore) Change(ctx context.Context, decide func(invitation.Tx) ([]invitation.Change, error)) error {
	s.changes.Add(1)
	return s.Store.Change(ctx, decide)
}

// E-mail patterns that can take long are evaluated outside of the transaction, which then begins again, however few they are.
// Others are evaluated within.
func TestSlowEmailPatternsHoldNobodyUp(t *testing.T) {
	onEachEngine(t, func(e *env) {
		var changes atomic.Int64
		e.service.Store = countingStore{e.service.Store, &changes}
		takes := func(want int64, do func()) {
			e.t.Helper()
			changes.Store(0)
			do()
			require.Equal(e.t, want, changes.Load())
		}
		setPatterns := func(patterns ...string) {
			e.apply(fmt.Sprintf("customers: [{uuid: %s, name: Acme, projects: [{uuid: %s, name: Apollo, user_email_patterns: [%s]}]}]",
				acme, apollo, strings.Join(patterns, ", ")))
		}
		domain := `".*@(a|b)\\.example"`
		for count, patterns := range [][]string{
			slices.Repeat([]string{domain}, 10), slices.Repeat([]string{domain}, 100), {`"(?:.?){990}(?:.?){990}@a\\.example"`, domain},
		} {
			transactions := int64(min(2, count+1))
			setPatterns(patterns...)
			address := fmt.Sprintf("%d@a.example", count)
			var made invitation.View
			takes(transactions, func() { made.UUID = e.create("owner", address, admin, apollo).UUID })
			takes(transactions, func() {
				e.request("POST", base, "owner", draft("x@c.example", admin, apollo)).is(http.StatusBadRequest, "")
			})
			takes(transactions, func() {
				e.edit("owner", made.UUID, "email", "y"+address).is(http.StatusOK, "")
			})
			takes(transactions, func() {
				e.edit("owner", made.UUID, "email", "x@c.example").is(http.StatusBadRequest, "")
			})
			e.do("owner", made.UUID, "cancel").is(http.StatusOK, "")
			// The stranger's address is not admitted.
			made.UUID = e.create("owner", "z"+address, admin, apollo).UUID
			takes(transactions, func() { e.do("stranger", made.UUID, "accept").is(http.StatusBadRequest, "") })
		}
	})
}

type countingJoiningStore struct {
	joining.Store
	changes *atomic.Int64
}

func (s countingJoiningStore) Change(ctx context.Context, decide func(joining.Tx) ([]joining.Change, error)) error {
	s.changes.Add(1)
	return s.Store.Change(ctx, decide)
}

// So are those of a group invitation: its refusals count towards no limit.
func TestSlowEmailPatternsOfGroupsHoldNobodyUp(t *testing.T) {
	onEachEngine(t, func(e *env) {
		var changes atomic.Int64
		e.joining.Store = countingJoiningStore{e.joining.Store, &changes}
		for pattern, transactions := range map[string]int64{`.*@(a|b)\.example`: 1, `(?:.?){990}(?:.?){990}(?:.?){990}@a\.example`: 2} {
			group := e.group("owner", member, apollo, "user_email_patterns", []string{pattern}).UUID.String()
			changes.Store(0)
			e.request("POST", groupAt(group, "submit_request"), "stranger", nil).is(http.StatusBadRequest, "")
			require.Equal(e.t, transactions, changes.Load(), pattern)
		}
	})
}
