package api_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"invited/internal/database"
	"invited/internal/store"
	"invited/internal/storetest"
)

// What costs more the more rows there are waits for its turn among lists, and nothing else does.
func TestWhatIsAList(t *testing.T) {
	onEachEngine(t, func(e *env) {
		id := e.create("owner", "guest@example.org", member, apollo).UUID
		group := e.group("owner", reader, acme).UUID
		var lists, others []*http.Request
		add := func(to *[]*http.Request, method, path string, body any) {
			*to = append(*to, e.newRequest(method, path, "owner", body))
		}
		for path, operations := range loadContract(e.t).Paths.Map() {
			if path == tokensPath { // a user's own tokens are few, and only who has signed in reads them
				continue
			}
			for _, method := range []string{"GET", "HEAD"} {
				operation := operations.Operations()[method]
				if operation == nil || operation.Responses.Value("200") == nil {
					continue
				}
				if operation.Responses.Value("200").Value.Headers["X-Result-Count"] != nil {
					of := either(strings.HasPrefix(path, groups), group, id)
					add(&lists, method, strings.ReplaceAll(path, "{uuid}", of.String()), nil)
				}
			}
		}
		require.Len(e.t, lists, 26, "the lists of the contract")
		add(&lists, "POST", base+"check-duplicates/", pairs(apollo, "a@example.org", member))
		add(&lists, "POST", bulkAction, map[string]any{"action": "cancel", "filter": map[string]any{"email": "nobody"}, "expected": 0})
		add(&others, "POST", bulkAction, map[string]any{"action": "send", "uuids": []string{id.String()}})
		add(&lists, "GET", "/api/users/me/", nil)
		add(&others, "GET", at(id.String()), nil)
		add(&others, "GET", at(id.String(), "details"), nil)
		add(&others, "POST", at(id.String(), "check"), nil)
		add(&others, "GET", "/api/customers/"+acme+"/", nil)
		add(&others, "GET", "/api/projects/"+apollo+"/", nil)
		add(&others, "GET", "/api/roles/"+member+"/", nil)
		add(&others, "POST", at(id.String(), "send"), nil)
		add(&others, "GET", groupAt(group.String()), nil)
		add(&others, "POST", base, draft("other@example.org", member, apollo))

		letGo := e.holdLists(e.userID("owner"))
		for _, r := range others {
			require.Less(e.t, e.send(r).Status, 300, r.URL)
		}
		for _, r := range lists {
			e.waits(r)
		}
		e.request("GET", base, "rival", nil).is(http.StatusOK, "") // another caller
		letGo()
	})
}

// Everybody without a key is one caller: the lists of strangers do not keep callers waiting.
func TestListsOfStrangers(t *testing.T) {
	onEachEngine(t, func(e *env) {
		letGo := e.holdLists(uuid.Nil)
		e.waits(e.newRequest("GET", rolesPath, "", nil))
		e.waits(e.newRequest("HEAD", rolesPath, "", nil))
		e.request("GET", rolesPath, "owner", nil).is(http.StatusOK, "")
		letGo()
		e.request("GET", rolesPath, "", nil).is(http.StatusOK, "")
	})
}

// holdLists takes a caller's share by so many lists that others of the caller wait, until letGo is called.
func (e *env) holdLists(caller uuid.UUID) (letGo func()) {
	e.t.Helper()
	holding, end := make(chan struct{}, 16), make(chan struct{})
	ended := make(chan error, cap(holding))
	for range cap(holding) {
		go func() {
			ended <- e.db.ReadList(e.context(), caller, func(*gorm.DB, time.Time) error {
				holding <- struct{}{}
				<-end
				return nil
			})
		}()
	}
	<-holding
	<-holding
	return func() {
		e.t.Helper()
		close(end)
		var errs []error
		for range cap(ended) {
			errs = append(errs, <-ended)
		}
		require.NoError(e.t, errors.Join(errs...))
	}
}

// waits asserts that a request is not answered soon.
func (e *env) waits(r *http.Request) {
	e.t.Helper()
	ctx, cancel := context.WithTimeout(e.t.Context(), 150*time.Millisecond)
	defer cancel()
	answer, err := e.server.Client().Do(r.WithContext(ctx))
	if err == nil {
		_ = answer.Body.Close()
	}
	require.ErrorIs(e.t, err, context.DeadlineExceeded, "%s %s did not wait", r.Method, r.URL)
}

func TestSixteenListsAtOnce(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.insertPending(50)
		requests := make([]*http.Request, 16)
		for i := range requests {
			requests[i] = e.newRequest("GET", base+"?email=fill&o=created_by", "owner", nil)
		}
		for _, answer := range e.sendAtOnce(requests...) {
			require.Equal(e.t, "50", answer.is(http.StatusOK, "").Header.Get("X-Result-Count"))
		}
	})
}

func TestListTakesTooLong(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, engine storetest.Engine) {
		e := newEnv(t, engine, envConfig{open: func(clock func() time.Time) *store.Store {
			return (&storetest.Statements{}).Open(t, engine.Fresh(t), database.Options{Clock: clock, ListTimeout: time.Nanosecond})
		}})
		answer := e.request("GET", base, "owner", nil).is(http.StatusServiceUnavailable,
			`{"detail": "The list took too long: ask for fewer rows with filters, or leave out the order."}`)
		require.Equal(t, "5", answer.Header.Get("Retry-After"))
		e.create("owner", "guest@example.org", member, apollo)
	})
}
