package api_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"invited/internal/database"
	"invited/internal/invitation"
	"invited/internal/store"
	"invited/internal/storetest"
)

// addApprovers gives n more users a role in Acme by which they decide about requests.
func (e *env) addApprovers(n int) {
	e.t.Helper()
	users, members := "users:\n", "customers:\n  - name: Acme\n    uuid: "+acme+"\n    members:\n"
	for i := range n {
		users += fmt.Sprintf("  - {username: approver%d, email: approver%d@acme.example}\n", i, i)
		members += fmt.Sprintf("      - {user: approver%d, role: CUSTOMER.DEPUTY}\n", i)
	}
	e.apply(deputies)
	e.apply(users + members)
}

// A request takes a number of statements that does not grow with the number of rows.
func TestStatementsOfRequests(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, engine storetest.Engine) {
		statements := &storetest.Statements{}
		e := newEnv(t, engine, envConfig{
			open: func(clock func() time.Time) *store.Store {
				return statements.Open(t, engine.Fresh(t), database.Options{Clock: clock})
			},
			policies: []func(*invitation.Policy){limits(times(50, time.Hour), times(50, time.Hour), times(50, time.Hour))},
		})
		takes := func(count int, method, path, user string, body any, status int) response {
			t.Helper()
			statements.Take()
			answer := e.request(method, path, user, body).is(status, "")
			texts := statements.Take()
			require.Len(t, texts, count, "%s %s: %q", method, path, texts)
			return answer
		}
		for _, many := range []int{1, 40} {
			for i := range many {
				e.create("owner", fmt.Sprintf("guest.%d.%d@example.org", many, i), member, apollo)
			}
			address := fmt.Sprintf("one.%d@example.org", many)
			var made struct{ UUID string }
			// All limits are one statement.
			takes(8, "POST", base, "owner", draft(address, member, apollo), http.StatusCreated).decode(&made)
			// With a key: the answer is looked for, and kept; on PostgreSQL the key is locked. A user's answers are counted once.
			keyed := func(count int, key string) {
				t.Helper()
				statements.Take()
				e.sendKeyed(key, e.newRequest("POST", base, "owner", draft("keyed."+key+address, member, apollo))).is(http.StatusCreated, "")
				texts := statements.Take()
				require.Len(t, texts, count, "%q", texts)
			}
			more := map[string]int{"sqlite": 2, "postgres": 3}[engine.Name]
			keyed(8+more+either(many == 1, 1, 0), fmt.Sprint("first", many))
			keyed(8+more, fmt.Sprint("second", many))
			keyed(2, fmt.Sprint("second", many))
			// The duplicate is looked for after the database has refused one.
			takes(8, "POST", base, "owner", draft(address, member, apollo), http.StatusBadRequest)
			takes(2, "GET", at(made.UUID), "owner", nil, http.StatusOK)
			takes(3, "GET", bulks, "owner", nil, http.StatusOK)
			takes(3, "HEAD", bulks, "owner", nil, http.StatusOK)
			takes(1, "POST", at(made.UUID, "check"), "", nil, http.StatusOK)
			takes(2, "GET", at(made.UUID, "details"), "invitee", nil, http.StatusOK)
			for _, query := range []string{
				"", "page=1&page_size=40", "state=pending&o=-created", "email=guest", "scope_name=apo&role_name=PROJECT.MEMBER",
				"o=created_by&o=state&state=pending&state=expired", "field=uuid", "cursor=start&page_size=1", "q=guest&created_after=2026-01-01T00:00:00Z",
				"cursor=start&state=pending&state=expired",
			} {
				for _, user := range []string{"owner", "manager", "staff", "invitee"} {
					takes(2, "GET", base+"?"+query, user, nil, http.StatusOK)
				}
			}
			takes(2, "HEAD", base, "owner", nil, http.StatusOK)
			takes(2, "GET", minePath, "invitee", nil, http.StatusOK)
			takes(2, "HEAD", minePath, "invitee", nil, http.StatusOK)
			for range many {
				e.group("owner", member, apollo)
			}
			var group struct{ UUID string }
			takes(5, "POST", groups, "owner", groupDraft(member, apollo), http.StatusCreated).decode(&group)
			takes(1, "GET", groups+"?is_active=true&scope_type=project", "", nil, http.StatusOK)
			takes(2, "GET", groups, "owner", nil, http.StatusOK)
			takes(2, "GET", groupAt(group.UUID), "invitee", nil, http.StatusOK)
			takes(5, "PATCH", groupAt(group.UUID), "owner", map[string]any{"custom_text": "x"}, http.StatusOK)
			takes(5, "POST", groupAt(group.UUID, "cancel"), "owner", nil, http.StatusOK)
			takes(3, "GET", groupAt(group.UUID, "events"), "owner", nil, http.StatusOK)
			for range many {
				e.submit("rival", e.group("staff", member, apollo, "allow_multiple_requests", true).UUID.String())
			}
			e.addApprovers(many)
			var asked struct{ UUID string }
			once := e.group("staff", member, apollo, "allow_multiple_requests", true).UUID.String()
			takes(7, "POST", groupAt(once, "submit_request"), "rival", nil, http.StatusOK).decode(&asked)
			takes(2, "GET", requestAt(asked.UUID), "rival", nil, http.StatusOK)
			for _, query := range []string{
				"", "page=1&page_size=40", "state=pending&o=state", "state=pending&state=rejected&o=created", "invitation=" + once,
				"customer_uuid=" + acme + "&created_by=" + e.userID("rival").String(), "scope=" + scopeURL(apollo), "state=draft",
			} {
				for _, user := range []string{"owner", "staff", "rival", "invitee"} {
					takes(2, "GET", permissionRequests+"?"+query, user, nil, http.StatusOK)
					takes(2, "HEAD", permissionRequests+"?"+query, user, nil, http.StatusOK)
				}
			}
			for _, query := range []string{"", "o=created&is_active=true", "is_public=true&scope_type=project", "customer_uuid=" + acme} {
				for _, user := range []string{"owner", "staff", "rival", "invitee"} {
					takes(2, "GET", groups+"?"+query, user, nil, http.StatusOK)
					takes(2, "HEAD", groups+"?"+query, user, nil, http.StatusOK)
				}
				takes(1, "GET", groups+"?"+query, "", nil, http.StatusOK)
				takes(1, "HEAD", groups+"?"+query, "", nil, http.StatusOK)
			}
			takes(3, "GET", groupAt(e.publicGroup().UUID.String(), "projects"), "rival", nil, http.StatusOK)
			takes(7, "POST", requestAt(asked.UUID, "approve"), "owner", nil, http.StatusOK)
			e.exec("DELETE FROM permission_requests")
			e.exec("DELETE FROM memberships WHERE user_uuid = '" + e.userID("rival").String() + "'")
			takes(1, "GET", rolesPath, "", nil, http.StatusOK)
			for path, count := range map[string]int{
				customersPath: 2, projectsPath: 2, rolesPath: 2, permissionsPath: 2, customersPath + acme + "/": 2, // counts included
				customersPath + acme + "/list_users/": 3, projectsPath + apollo + "/list_users/": 3,
				projectsPath + "?user_uuid=" + e.userID("manager").String(): 3,
			} {
				for _, user := range []string{"owner", "staff", "manager"} {
					takes(count, "GET", path, user, nil, http.StatusOK)
				}
			}
			takes(5, "POST", exchangePath, "", map[string]string{"code": e.ticket("owner")}, http.StatusOK)
			takes(1, "POST", exchangePath, "", map[string]string{"code": acme}, http.StatusBadRequest) // waits for no lock
			// All pages are one statement, and so have one plan.
			var pages [2][]string
			for i := range pages {
				statements.Take()
				e.list("owner", fmt.Sprintf("page_size=1&page=%d", i+1))
				pages[i] = statements.Take()
			}
			require.Equal(t, pages[0], pages[1])
			takes(7, "POST", at(made.UUID, "send"), "owner", nil, http.StatusOK)
			takes(8, "POST", bulkAction, "owner", map[string]any{"action": "send", "uuids": []string{made.UUID}}, http.StatusOK)
			takes(2, "POST", bulkAction, "owner", map[string]any{"action": "send", "filter": map[string]any{}, "expected": 0}, http.StatusConflict)
			takes(2, "GET", at(made.UUID, "link"), "owner", nil, http.StatusOK)
			takes(7, "POST", at(made.UUID, "accept"), map[int]string{1: "invitee", 40: "stranger"}[many], nil, http.StatusOK)
			takes(3, "GET", at(made.UUID, "events"), "owner", nil, http.StatusOK)
			takes(3, "GET", feedPath, "staff", nil, http.StatusOK)
			takes(3, "GET", feedPath+"?customer_uuid="+acme, "owner", nil, http.StatusOK)
			takes(1, "GET", feedPath, "owner", nil, http.StatusForbidden)
		}
	})
}
