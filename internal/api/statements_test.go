package api_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"invited/internal/store"
	"invited/internal/storetest"
)

// What a request costs the database is a number of statements that does not grow with what there is, sent to PostgreSQL in one
// to three messages where the caller is cached, and nothing is in the way. On SQLite rows of several tables are written by as many statements: to ask its
// engine costs nothing, and it knows no way to do that in one.
func TestStatementsOfRequests(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		statements := &storetest.Statements{}
		w := newWorldOver(t, e, worldFile, func(clock func() time.Time) *store.DB {
			return statements.Open(t, e.Fresh(t), store.Options{Clock: clock})
		})
		writes := map[string]int{"sqlite": 1, "postgres": 0}[e.Name]
		costs := func(count, trips int, method, path, user string, body any, status int) response {
			t.Helper()
			if user != "" {
				w.request("GET", me, user, nil)
			}
			statements.Take()
			answer := w.request(method, path, user, body).is(status, "")
			messages, texts := statements.Messages(), statements.Take()
			require.Len(t, texts, count, "%s %s: %q", method, path, texts)
			if e.Name == "postgres" {
				require.Equal(t, trips, messages, "%s %s: %q", method, path, texts)
			}
			return answer
		}
		for _, many := range []int{1, 40} {
			for i := range many {
				w.create("owner", fmt.Sprintf("guest.%d.%d@example.org", many, i), member, apollo)
			}
			address := fmt.Sprintf("one.%d@example.org", many)
			var made struct{ UUID string }
			costs(4+writes, 2, "POST", base, "owner", draft(address, member, apollo), http.StatusCreated).into(&made)
			// One more to find what is in the way; PostgreSQL has been sent the job by then, which it does not write.
			costs(5-writes, 4, "POST", base, "owner", draft(address, member, apollo), http.StatusBadRequest)
			costs(2, 1, "GET", at(made.UUID), "owner", nil, http.StatusOK)
			costs(1, 1, "POST", at(made.UUID, "check"), "", nil, http.StatusOK)
			costs(2, 1, "GET", at(made.UUID, "details"), "invitee", nil, http.StatusOK)
			for _, query := range []string{
				"", "page=1&page_size=40", "state=pending&o=-created", "email=guest", "scope_name=apo&role_name=PROJECT.MEMBER",
				"o=created_by&o=state&state=pending&state=expired", "field=uuid",
			} {
				for _, user := range []string{"owner", "manager", "staff", "invitee"} {
					costs(2, 1, "GET", base+"?"+query, user, nil, http.StatusOK)
				}
			}
			costs(2, 1, "HEAD", base, "owner", nil, http.StatusOK)
			// A statement for each page would have the database keep as many plans.
			var pages [2][]string
			for i := range pages {
				statements.Take()
				w.list("owner", fmt.Sprintf("page_size=1&page=%d", i+1))
				pages[i] = statements.Take()
			}
			require.Equal(t, pages[0], pages[1])
			costs(5+writes, 3, "POST", at(made.UUID, "send"), "owner", nil, http.StatusOK)
			costs(3+2*writes, 2, "POST", at(made.UUID, "accept"), map[int]string{1: "invitee", 40: "stranger"}[many], nil, http.StatusOK)
			costs(3, 2, "GET", at(made.UUID, "events"), "owner", nil, http.StatusOK)
		}
	})
}
