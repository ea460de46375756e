package api_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"invited/internal/directory"
	"invited/internal/store"
)

// forgetful looks up every caller for every request, before anything else.
type forgetful struct{ *store.DB }

func (forgetful) Cached(ctx context.Context, _ string) (context.Context, *directory.Owner) {
	return ctx, nil
}

// Whatever has changed of a caller since their last request, each operation answers and does what it would had it never
// heard of them, whether or not the request is a good one.
func TestWhatIsRememberedOfACallerIsWorthNothing(t *testing.T) {
	inEachWorld(t, func(w *world) {
		if _, found := w.db.Cached(w.t.Context(), "x"); w.engine.Name == "sqlite" {
			require.Nil(w.t, found) // nor is there anybody else
			return
		}
		other := httptest.NewServer(w.withKeys(forgetful{w.db}))
		defer other.Close()
		const its = " WHERE user_uuid = (SELECT uuid FROM users WHERE username = 'owner')"
		changes := map[string]struct{ change, undo string }{
			"the key is gone":        {"UPDATE api_tokens SET digest = 'x' || digest" + its, "UPDATE api_tokens SET digest = substr(digest, 2)" + its},
			"the key is over":        {"UPDATE api_tokens SET expires = '2020-01-01T00:00:00.000000Z'" + its, "UPDATE api_tokens SET expires = NULL" + its},
			"the user is inactive":   {"UPDATE users SET is_active = FALSE WHERE username = 'owner'", "UPDATE users SET is_active = TRUE WHERE username = 'owner'"},
			"the user is staff":      {"UPDATE users SET is_staff = TRUE WHERE username = 'owner'", "UPDATE users SET is_staff = FALSE WHERE username = 'owner'"},
			"the role is taken":      {"UPDATE memberships SET revoked = created" + its, "UPDATE memberships SET revoked = NULL" + its},
			"the role is over":       {"UPDATE memberships SET expires = created" + its, "UPDATE memberships SET expires = NULL" + its},
			"the role allows little": {"UPDATE roles SET permissions = '[]' WHERE name = 'CUSTOMER.OWNER'", `UPDATE roles SET permissions = '["CUSTOMER.CREATE_PERMISSION", "INVITATION.LIST"]' WHERE name = 'CUSTOMER.OWNER'`},
			"the name is another":    {"UPDATE users SET full_name = 'Ottilie' WHERE username = 'owner'", "UPDATE users SET full_name = 'Olivia Owner' WHERE username = 'owner'"},
			"the role is of another": {"UPDATE memberships SET scope_uuid = '" + globex + "'" + its, "UPDATE memberships SET scope_uuid = '" + acme + "'" + its},
			"nothing has changed":    {"UPDATE users SET username = username", "UPDATE users SET username = username"},
		}
		requests := map[string]func(id, email string) *http.Request{}
		request := func(name, method, action string, body any) {
			requests[name] = func(id, _ string) *http.Request {
				path := at(id)
				if action != "" {
					path = at(id, action)
				}
				return w.newRequest(method, path, "owner", body)
			}
		}
		request("retrieve", "GET", "", nil)
		request("details", "GET", "details", nil)
		request("events", "GET", "events", nil)
		request("update", "PATCH", "", map[string]string{"full_name": "x"})
		request("update nothing good", "PATCH", "", `{"email": "no address"}`)
		request("destroy", "DELETE", "", nil)
		for _, action := range []string{"accept", "cancel", "send", "delete"} {
			request(action, "POST", action, nil)
		}
		for name, path := range map[string]string{
			"list": base, "a list of nothing": base + "?state=odd", "no page": base + "?page=99", "no uuid": at("x"),
			"customers": customersPath, "me": me, "role": rolesPath + admin + "/",
		} {
			requests[name] = func(string, string) *http.Request { return w.newRequest("GET", path, "owner", nil) }
		}
		requests["create"] = func(_, email string) *http.Request {
			return w.newRequest("POST", base, "owner", draft("new."+email, admin, apollo))
		}
		requests["create again"] = func(_, email string) *http.Request {
			return w.newRequest("POST", base, "owner", draft(email, admin, apollo))
		}
		requests["create nothing good"] = func(string, string) *http.Request {
			return w.newRequest("POST", base, "owner", `{"email": `)
		}

		round := 0
		for change, statements := range changes {
			for name, request := range requests {
				asked := func(server string) string {
					round++
					email := fmt.Sprintf("guest%d@university.example", round)
					first := w.newRequest("POST", base, "staff", draft(email, admin, apollo))
					first.Header.Set("X-Request-ID", "the-first")
					var made struct{ UUID uuid.UUID }
					w.send(first).is(http.StatusCreated, "").into(&made)
					before := w.count("invitations")
					w.request("GET", me, "owner", nil).is(http.StatusOK, "")
					w.exec(statements.change)
					defer w.exec(statements.undo)
					r := request(made.UUID.String(), email)
					r.URL.Host = strings.TrimPrefix(server, "http://")
					r.Header.Set("X-Request-ID", "the-second")
					logged := len(w.log.String())
					answer := w.send(r)
					if answer.Status == http.StatusUnauthorized {
						require.NotContains(w.t, w.log.String()[logged:], "user=owner", "%s, and %s", change, name)
					}
					if name == "list" { // has more the second time
						answer.Body, answer.Header = "", http.Header{}
					}
					what := w.count("invitations") == before
					events := w.value("SELECT '' || count(*) FROM invitation_events WHERE invitation_uuid = '" + made.UUID.String() + "'")
					names := w.value("SELECT COALESCE(MAX(user_full_name), '') FROM invitation_events WHERE invitation_uuid = '" + made.UUID.String() + "'")
					hidden := strings.NewReplacer(made.UUID.String(), "UUID", email, "EMAIL", server, "SERVER")
					text := fmt.Sprint(answer.Status, hidden.Replace(answer.Body), answer.Header.Get("WWW-Authenticate"), what, events, names)
					if name == "create" { // its own uuid
						text = fmt.Sprint(answer.Status, len(answer.Body), what, events)
					}
					w.exec("DELETE FROM memberships WHERE role_uuid = '" + admin + "'")
					return text
				}
				require.Equal(w.t, asked(other.URL), asked(w.server.URL), "%s, and %s", change, name)
			}
		}
	})
}

// A member whose role runs out on its own is out at that moment.
func TestARoleThatRunsOutIsNotRemembered(t *testing.T) {
	inEachWorld(t, func(w *world) {
		made := w.create("owner", "a@x.example", admin, apollo)
		ends := w.clock.Now().Add(time.Hour)
		w.exec("UPDATE memberships SET expires = '" + ends.Format("2006-01-02T15:04:05.000000Z") + "' WHERE user_uuid = '" +
			w.userID("owner").String() + "'")
		for range 2 {
			w.request("GET", at(made.UUID.String()), "owner", nil).is(http.StatusOK, "")
		}
		w.wait(ends)
		w.request("GET", at(made.UUID.String()), "owner", nil).is(http.StatusNotFound, "")
		w.do("owner", made.UUID, "cancel").is(http.StatusNotFound, "")
		require.Equal(w.t, "pending", w.state(made.UUID))
	})
}

// Whatever many ask at once, from the moment that a user is shut out none of their requests is answered but with 401, and
// from the moment that they are let in again all are.
func TestACallerWhoIsShutOutAndLetInAgain(t *testing.T) {
	inEachWorld(t, func(w *world) {
		var told atomic.Int64   // how many answers were judged
		var moment atomic.Int64 // even: nothing is being changed; of these every other one is of a user who is shut out
		ask := func() {
			r := w.newRequest("GET", base, "owner", nil)
			before := moment.Load()
			answer, err := w.server.Client().Do(r)
			if !assert.NoError(w.t, err) {
				return
			}
			assert.NoError(w.t, answer.Body.Close())
			if before%2 == 0 && moment.Load() == before {
				assert.Equal(w.t, map[bool]int{false: http.StatusOK, true: http.StatusUnauthorized}[before%4 == 2], answer.StatusCode)
				told.Add(1)
			}
		}
		const times, askers = 20, 4
		for i := range 2 * times {
			asked := make(chan struct{}, askers)
			over := make(chan struct{})
			var all sync.WaitGroup
			for range askers {
				all.Go(func() {
					for {
						ask()
						select {
						case <-over:
							return
						case asked <- struct{}{}:
						default:
						}
					}
				})
			}
			for range askers {
				<-asked
			}
			moment.Add(1)
			w.exec(fmt.Sprintf("UPDATE users SET is_active = %t WHERE username = 'owner'", i%2 == 1))
			moment.Add(1)
			for range askers {
				<-asked
			}
			close(over)
			all.Wait()
		}
		require.Greater(w.t, told.Load(), int64(times))
	})
}
