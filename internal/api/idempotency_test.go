package api_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/internal/api"
	"invited/internal/bulk"
	"invited/internal/idempotency"
	"invited/internal/invitation"
	"invited/internal/token"
)

// sendKeyed sends a request, any number of times, with an Idempotency-Key.
func (e *env) sendKeyed(key string, r *http.Request) response {
	e.t.Helper()
	return e.send(withKey(key, r))
}

// withKey returns a copy of a request with an Idempotency-Key.
func withKey(key string, r *http.Request) *http.Request {
	again := r.Clone(r.Context())
	if r.GetBody != nil {
		again.Body, _ = r.GetBody()
	}
	again.Header.Set("Idempotency-Key", key)
	return again
}

// isReplay asserts that a response is that of an earlier request.
func (r response) isReplay(of response) {
	r.t.Helper()
	require.Equal(r.t, "true", r.Header.Get("Idempotent-Replayed"))
	require.Empty(r.t, of.Header.Get("Idempotent-Replayed"))
	require.Equal(r.t, of.Status, r.Status)
	require.Equal(r.t, of.Body, r.Body)
	for _, header := range []string{"Content-Type", "Location", "Link"} {
		require.Equal(r.t, of.Header.Values(header), r.Header.Values(header), header)
	}
	require.NotEqual(r.t, of.Header.Get("X-Request-ID"), r.Header.Get("X-Request-ID"))
}

const sameKeyUsed = `{"detail": "This Idempotency-Key was used for another request. Use a new key for each new request."}`

// content is the number of rows of each table that requests write, and the events.
func (e *env) content() string {
	var all strings.Builder
	for _, table := range []string{
		"invitations", "invitation_events", "memberships", "api_tokens", "river_job", "group_invitations", "permission_requests",
		"sign_in_events", "idempotency_keys",
	} {
		fmt.Fprintln(&all, table, e.countRows(table))
	}
	return all.String()
}

// keyedRequests returns a request that succeeds for each operation that takes a key, by operation id.
func (e *env) keyedRequests() map[string]*http.Request {
	e.t.Helper()
	states := oneInEachState(e)
	e.prepareGroups()
	e.prepareTokens()
	act := func(user, action string, id uuid.UUID) *http.Request {
		return e.newRequest("POST", at(id.String(), action), user, nil)
	}
	offer := func() uuid.UUID { return e.create("staff", "invitee@university.example", member, apollo).UUID }
	all := map[string]*http.Request{
		"user_invitations_create":           e.newRequest("POST", base, "staff", draft("new@university.example", member, apollo)),
		"user_invitations_check_duplicates": e.newRequest("POST", base+"check-duplicates/", "staff", pairs(apollo, "a@example.org", admin)),
		"user_invitations_send":             act("staff", "send", states["canceled"]),
		"user_invitations_cancel":           act("staff", "cancel", states["pending"]),
		"user_invitations_delete":           act("staff", "delete", states["project"]),
		"user_invitations_ask_again":        act("rival", "ask-again", states["expired"]),
		"user_invitations_approve_request":  act("staff", "approve-request", states["requested"]),
	}
	other := e.create("owner", "other@states.example", admin, apollo).UUID
	all["user_invitations_bulk_action"] = e.newRequest("POST", bulkAction, "staff", map[string]any{
		"action": "send", "uuids": []uuid.UUID{e.create("staff", "many@states.example", admin, apollo).UUID},
	})
	all["user_invitations_bulk_create"] = e.newRequest("POST", bulks, "staff", map[string]any{"rows": []any{
		draft("bulk1@university.example", member, apollo), draft("bulk2@university.example", member, apollo),
	}})
	var rows []any
	for n := range bulk.DirectRows + 1 {
		rows = append(rows, draft(fmt.Sprintf("waits%d@university.example", n), member, apollo))
	}
	queued := e.request("POST", bulks, "staff", map[string]any{"rows": rows}).is(http.StatusAccepted, "")
	all["user_invitations_bulk_cancel"] = e.newRequest("POST", bulkAt(queued.invitation().UUID.String(), "cancel"), "staff", nil)
	all["user_invitations_reject_request"] = act("staff", "reject-request", other)
	id := offer()
	e.do("invitee", id, "decline").is(http.StatusOK, "")
	all["user_invitations_undo_decline"] = act("invitee", "undo-decline", id)
	declined := e.create("staff", "invitee@university.example", admin, apollo).UUID
	all["user_invitations_decline"] = e.newRequest("POST", at(declined.String(), "decline"), "invitee", map[string]string{"reason": "No time."})
	all["user_invitations_accept"] = act("stranger", "accept", e.create("staff", "stranger@example.org", member, apollo).UUID)
	groups, tokens := e.groupRequests(), e.tokenRequests()
	for operation, name := range map[string]string{
		"user_group_invitations_create":           "create group",
		"user_group_invitations_cancel":           "cancel group",
		"user_group_invitations_submit_request":   "submit request",
		"user_permission_requests_approve":        "approve request by group",
		"user_permission_requests_reject":         "reject request by group",
		"user_permission_requests_cancel_request": "cancel request",
	} {
		all[operation] = groups[name]
	}
	all["user_group_invitations_request"] = e.newRequest("POST", groupAt(leakedGroup(0), "request"), "staff", nil)
	all["personal_access_tokens_create"] = tokens["create token"]
	all["users_token_create"] = tokens["user token"]
	return all
}

// Every operation with authentication that is a POST takes a key, and does its work once.
func TestRepeatedRequestsOfEveryOperation(t *testing.T) {
	onEachEngine(t, func(e *env) {
		requests := e.keyedRequests()
		for _, operation := range contractOperations(e.t.(*testing.T)) {
			authenticated := operation.Security == nil || len(*operation.Security) > 0
			takesKey := operation.Parameters.GetByInAndName("header", "Idempotency-Key") != nil
			require.Equal(e.t, authenticated && operation.method == http.MethodPost, takesKey, operation.OperationID)
			if !takesKey {
				continue
			}
			for _, status := range []string{"409", "422"} {
				require.NotNil(e.t, operation.Responses.Value(status), "%s %s", operation.OperationID, status)
			}
			require.Contains(e.t, requests, operation.OperationID)
		}
		for i, operation := range slices.Sorted(maps.Keys(requests)) {
			e.run(operation, func(e *env) {
				key, r := fmt.Sprint("key-", i), requests[operation]
				before := e.content()
				first := e.sendKeyed(key, r)
				require.Less(e.t, first.Status, 300, first.Body)
				after := e.content()
				require.NotEqual(e.t, before, after)
				e.sendKeyed(key, r).isReplay(first)
				e.sendKeyed(`"`+key+`"`, r).isReplay(first)
				require.Equal(e.t, after, e.content())

				other := r.Clone(r.Context())
				other.URL.RawQuery = "x=1"
				e.sendKeyed(key, other).is(http.StatusUnprocessableEntity, sameKeyUsed)
				require.Equal(e.t, after, e.content())
			})
		}
	}, onlyStaff)
}

// A key is of one request of one user.
func TestKeyIsOfOneRequest(t *testing.T) {
	onEachEngine(t, func(e *env) {
		create := func(user, email string) *http.Request {
			return e.newRequest("POST", base, user, draft(email, member, apollo))
		}
		first := e.sendKeyed("k", create("owner", "ina@university.example")).is(http.StatusCreated, "")
		e.sendKeyed("k", create("owner", "eva@university.example")).is(http.StatusUnprocessableEntity, sameKeyUsed)
		id := first.invitation().UUID.String()
		e.sendKeyed("k", e.newRequest("POST", at(id, "send"), "owner", nil)).is(http.StatusUnprocessableEntity, sameKeyUsed)
		e.sendKeyed("K", create("owner", "eva@university.example")).is(http.StatusCreated, "")
		other := e.sendKeyed("k", create("manager", "max@university.example")).is(http.StatusCreated, "").invitation().UUID.String()
		e.sendKeyed("k", create("owner", "ina@university.example")).isReplay(first)
		require.Equal(e.t, "3", e.countRows("invitations"))

		// Other methods ignore the header, and so does an operation without authentication.
		for range 2 {
			e.sendKeyed("k", e.newRequest("PATCH", at(id), "owner", map[string]string{"email": "new@university.example"})).is(http.StatusOK, "")
			e.sendKeyed("not a key", e.newRequest("GET", at(id), "owner", nil)).is(http.StatusOK, "")
			e.sendKeyed("not a key", e.newRequest("POST", at(other, "check"), "", nil)).is(http.StatusOK, "")
		}
		e.sendKeyed("d", e.newRequest("DELETE", at(id), "staff", nil)).is(http.StatusNoContent, "")
		e.sendKeyed("d", e.newRequest("DELETE", at(id), "staff", nil)).is(http.StatusNotFound, "")
	})
}

func TestBadKeys(t *testing.T) {
	onEachEngine(t, func(e *env) {
		r := e.newRequest("POST", base, "owner", draft("ina@university.example", member, apollo))
		for _, key := range []string{"", " ", `"`, `""`, `"a`, `a"`, `a"b`, `"a" "b"`, `"a";p=1`, "a b", "ä", `a\b`, strings.Repeat("k", 256), `"` + strings.Repeat("k", 256) + `"`} {
			e.sendKeyed(key, r).is(http.StatusUnprocessableEntity, detailBody(
				`This is no Idempotency-Key: send 1 to 255 visible ASCII characters other than " and \, such as a UUID, with or without quotes around them.`))
		}
		twice := withKey("a", r)
		twice.Header.Add("Idempotency-Key", "a")
		e.send(twice).is(http.StatusUnprocessableEntity, detailBody("There is more than one Idempotency-Key: send one key, in one header field."))
		require.Equal(e.t, "0", e.countRows("invitations"))
		first := e.sendKeyed(strings.Repeat("k", 255), r).is(http.StatusCreated, "")
		e.sendKeyed(`"`+strings.Repeat("k", 255)+`"`, r).isReplay(first)
	})
}

// What the caller did wrong is answered again, too. What is wrong with the request itself, and what may pass, uses no key up.
func TestRefusedRequestsWithKeys(t *testing.T) {
	onEachEngine(t, func(e *env) {
		create := func(user string, body any) *http.Request { return e.newRequest("POST", base, user, body) }
		ina := draft("ina@university.example", member, apollo)
		made := e.create("owner", "ina@university.example", member, apollo)
		refused := e.sendKeyed("refused", create("owner", ina)).is(http.StatusBadRequest, "")
		e.do("owner", made.UUID, "cancel").is(http.StatusOK, "")
		e.sendKeyed("refused", create("owner", ina)).isReplay(refused)
		send := e.newRequest("POST", at(uuid.NewString(), "send"), "owner", nil)
		hidden := e.sendKeyed("hidden", send).is(http.StatusNotFound, notFound)
		e.sendKeyed("hidden", send).isReplay(hidden)

		e.sendKeyed("free", create("owner", "{")).is(http.StatusBadRequest, "")
		e.sendKeyed("free", create("owner", draft("no address", member, apollo))).is(http.StatusBadRequest, "")
		e.sendKeyed("free", create("", ina)).is(http.StatusUnauthorized, "")
		e.sendKeyed("free", create("owner", `{"email": "`+strings.Repeat("x", 65<<10)+`"}`)).is(http.StatusRequestEntityTooLarge, "")
		require.Equal(e.t, "2", e.countRows("idempotency_keys"))
		e.sendKeyed("free", create("owner", ina)).is(http.StatusCreated, "")
	})
}

// What a refused request writes on purpose is committed, once, with the refusal.
func TestRefusalThatIsRecorded(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "invitee@university.example", member, apollo)
		e.deleteOwner()
		accept := e.acceptRequest(made.UUID, "invitee")
		first := e.sendKeyed("k", accept).is(http.StatusBadRequest, "")
		e.sendKeyed("k", accept).isReplay(first)
		require.Equal(e.t, "1", e.value("SELECT count(*) FROM invitation_events WHERE event_type = 'refused'"))
	}, func(p *invitation.Policy) { p.RecheckInviter = true })
}

// A request beyond a limit uses no key up, so that the client can send it again as Retry-After says.
func TestThrottledRequestsWithKeys(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "ina@university.example", member, apollo)
		send := e.newRequest("POST", at(made.UUID.String(), "send"), "owner", nil)
		throttled := e.sendKeyed("k", send).is(http.StatusTooManyRequests, "")
		require.Equal(e.t, "3600", throttled.Header.Get("Retry-After"))
		e.sendKeyed("k", send).is(http.StatusTooManyRequests, "")
		require.Equal(e.t, "0", e.countRows("idempotency_keys"))
		e.clock.Advance(time.Hour)
		sent := e.sendKeyed("k", send).is(http.StatusOK, "")
		e.sendKeyed("k", send).isReplay(sent)
	}, limits(times(1, time.Hour), unlimited, unlimited))
}

// Answers are kept for a day, and then deleted.
func TestKeysExpire(t *testing.T) {
	onEachEngine(t, func(e *env) {
		create := e.newRequest("POST", base, "owner", draft("ina@university.example", member, apollo))
		first := e.sendKeyed("k", create).is(http.StatusCreated, "")
		e.sendKeyed("later", e.newRequest("POST", at(uuid.NewString(), "send"), "owner", nil)).is(http.StatusNotFound, "")
		e.clock.Advance(idempotency.Kept - time.Microsecond)
		e.sendKeyed("k", create).isReplay(first)
		require.NoError(e.t, e.keys.Sweep(e.context()))
		require.Equal(e.t, "2", e.countRows("idempotency_keys"))

		e.clock.Advance(time.Microsecond)
		again := e.sendKeyed("k", create).is(http.StatusBadRequest, "") // the row is still there, and is written over
		e.sendKeyed("k", create).isReplay(again)
		require.NoError(e.t, e.keys.Sweep(e.context()))
		require.Equal(e.t, "1", e.countRows("idempotency_keys"))
		e.sendKeyed("k", create).isReplay(again)
	})
}

// Neither keys nor answers, which may have tokens and addresses, are in the database or in the log.
func TestKeptAnswersAreSecret(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.prepareTokens()
		made := e.sendKeyed("the-key-of-the-client", e.tokenRequests()["create token"]).is(http.StatusCreated, "")
		secret := randomKey.FindString(made.Body)
		require.NotEmpty(e.t, secret)
		e.sendKeyed("the-key-of-the-client", e.tokenRequests()["create token"]).isReplay(made)
		rows := e.value("SELECT digest || ' ' || " +
			map[string]string{"sqlite": "hex(answer) || CAST(answer AS TEXT)", "postgres": "encode(answer, 'escape')"}[e.engine.Name] +
			" FROM idempotency_keys")
		for _, text := range []string{rows, e.log.String()} {
			require.NotContains(e.t, text, secret)
			require.NotContains(e.t, text, "the-key-of-the-client")
		}
		require.NotContains(e.t, rows, "status")
		// Another secret of the server opens nothing, a former one does.
		for _, each := range []struct {
			signer *token.Signer
			status int
		}{
			{token.NewSigner("another"), http.StatusUnprocessableEntity},
			{token.NewSigner("another", "the secret of the tests"), http.StatusCreated},
		} {
			*e.keys = idempotency.Service{Store: e.db.Idempotency(), Signer: each.signer}
			e.sendKeyed("the-key-of-the-client", e.tokenRequests()["create token"]).is(each.status, "")
		}
	})
}

// Of two requests with one key at once, one runs. The other learns that it runs.
func TestSameKeyAtOnce(t *testing.T) {
	onEachEngine(t, func(e *env) {
		create := e.newRequest("POST", base, "owner", draft("ina@university.example", member, apollo))
		id := idempotency.ID{UserUUID: e.userID("owner"), Digest: token.Digest("k")}
		err := e.keys.Store.WriteTogether(e.context(), id, func(ctx context.Context) error {
			require.NoError(e.t, e.keys.Store.Save(ctx, idempotency.ID{UserUUID: id.UserUUID}, []byte("x"))) // begins the transaction
			if e.engine.Name == "postgres" {                                                                 // as if it were of another process
				e.sendKeyed("k", create).is(http.StatusConflict, sameKeyRuns)
			}
			return errors.New("undone")
		})
		require.ErrorContains(e.t, err, "undone")
		require.Equal(e.t, "0", e.countRows("idempotency_keys"))

		runs := make(chan response, 1)
		_, _, err = e.keys.Do(e.context(), idempotency.Request{UserUUID: id.UserUUID, Key: "k"}, func(context.Context) (idempotency.Answer, error) {
			runs <- e.sendKeyed("k", create)
			return idempotency.Answer{}, errors.New("undone")
		})
		require.ErrorContains(e.t, err, "undone")
		(<-runs).is(http.StatusConflict, sameKeyRuns)
		e.sendKeyed("k", create).is(http.StatusCreated, "")
	})
}

const sameKeyRuns = `{"detail": "A request with this Idempotency-Key is still running. Send it again when that one has its answer."}`

// Any number of clients that repeat a request until it is answered make one invitation, with one event and one delivery. The
// API is there twice, as two processes are.
func TestCrowdOfSameKey(t *testing.T) {
	onEachEngine(t, func(e *env) {
		second := httptest.NewServer(e.handler(func(c *api.Config) {
			c.Idempotency = &idempotency.Service{Store: e.db.Idempotency(), Signer: signer}
		}))
		e.t.Cleanup(second.Close)
		for round := range rounds {
			body := draft(fmt.Sprintf("ina%d@university.example", round), member, apollo)
			var requests []*http.Request
			for n := range 12 {
				r := withKey(fmt.Sprint("k", round), e.newRequest("POST", base, "owner", body))
				if n%2 == 1 {
					r.URL.Host = second.Listener.Addr().String()
				}
				requests = append(requests, r)
			}
			answers := e.sendAtOnce(requests...)
			made := map[string]int{}
			for i, answer := range answers {
				for answer.Status == http.StatusConflict {
					require.JSONEq(e.t, sameKeyRuns, answer.Body)
					answer = e.send(withKey(fmt.Sprint("k", round), requests[i]))
				}
				require.Equal(e.t, http.StatusCreated, answer.Status, answer.Body)
				made[answer.Body]++
			}
			require.Len(e.t, made, 1)
		}
		for table, want := range map[string]int{"invitations": rounds, "invitation_events": rounds, "river_job": rounds, "idempotency_keys": rounds} {
			require.Equal(e.t, fmt.Sprint(want), e.countRows(table), table)
		}
	})
}

// keepAnswers fills the database with answers to a user's requests with keys.
func (e *env) keepAnswers(user string, now time.Time, count, size int) {
	e.t.Helper()
	e.exec(fmt.Sprintf("INSERT INTO idempotency_keys (user_uuid, digest, created, size, answer)"+
		" WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < %d)"+
		" SELECT (SELECT uuid FROM users WHERE username = '%s'), 'kept ' || n, CAST('%s' AS %s), %d, '%s' FROM numbers WHERE %[1]d > 0",
		count, user, formatTime(now), map[string]string{"sqlite": "TEXT", "postgres": "timestamptz"}[e.engine.Name], size, strings.Repeat("x", min(size, 1_500))))
}

// Of a user no more than the limits is kept. Repeated requests are answered all the same, and so are those of others.
func TestKeysOfAUserAreLimited(t *testing.T) {
	for name, full := range map[string][2]int{"keys": {9_998, 100}, "bytes": {63, 1 << 20}} {
		t.Run(name, func(t *testing.T) {
			onEachEngine(t, func(e *env) {
				e.keepAnswers("owner", e.clock.Now(), full[0], full[1])
				create := func(user string, n int) *http.Request {
					return e.newRequest("POST", base, user, draft(fmt.Sprintf("%s%d@university.example", user, n), member, apollo))
				}
				if name == "bytes" {
					e.exec("UPDATE idempotency_keys SET size = size + 1048575 WHERE digest = 'kept 1'") // a byte is left
				} else {
					e.sendKeyed("k0", create("owner", 0)).is(http.StatusCreated, "")
				}
				e.clock.Advance(time.Hour)
				first := e.sendKeyed("k1", create("owner", 1)).is(http.StatusCreated, "")
				refused := e.sendKeyed("k2", create("owner", 2)).is(http.StatusTooManyRequests, "")
				require.Equal(e.t, "82800", refused.Header.Get("Retry-After"))
				e.sendKeyed("k1", create("owner", 1)).isReplay(first)
				e.sendKeyed("k2", create("manager", 2)).is(http.StatusCreated, "")
				e.request("POST", base, "owner", draft("plain@university.example", member, apollo)).is(http.StatusCreated, "")
				e.clock.Advance(23 * time.Hour)
				e.sendKeyed("k2", create("owner", 2)).is(http.StatusCreated, "")
			})
		})
	}
}
