package api_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/gen/server"
	"invited/internal/directory"
	"invited/internal/invitation"
	"invited/internal/store"
	"invited/internal/storetest"
)

const bulkAction = base + "bulk-action/"

// actOn does something to invitations, and returns the response.
func (e *env) actOn(user, action string, ids ...uuid.UUID) response {
	e.t.Helper()
	return e.request("POST", bulkAction, user, map[string]any{"action": action, "uuids": ids})
}

// actOnAll does something to the invitations that match a filter, and returns the response.
func (e *env) actOnAll(user, action string, expected int, filter map[string]any) response {
	e.t.Helper()
	return e.request("POST", bulkAction, user, map[string]any{"action": action, "filter": filter, "expected": expected})
}

// manyReport returns the results of a response.
func manyReport(r response) (report server.BulkInvitationActionReport) {
	r.is(http.StatusOK, "").decode(&report)
	return report
}

// inBulk does something to one invitation as one of many, and returns what the operation on it would have answered.
func (e *env) inBulk(action, user, id string) response {
	e.t.Helper()
	answer := e.actOn(user, action, uuid.MustParse(id))
	switch result := manyReport(answer).Results[0]; result.Result {
	case server.BulkInvitationActionDone:
		answer.Body = map[string]string{
			"cancel": detailBody("Invitation has been successfully canceled."), "send": detailBody("Invitation sending has been successfully scheduled."),
		}[action]
	case server.BulkInvitationActionRefused:
		answer.Status, answer.Body = http.StatusBadRequest, toJSON(result.Errors)
		if words := result.Errors["non_field_errors"]; words != nil {
			answer.Body = toJSON(words)
		}
	default:
		answer.Status, answer.Body = http.StatusNotFound, detailBody("Not found.")
	}
	return answer
}

// insertMany inserts pending invitations, delivered, with the addresses guest<n>@example.org.
func (e *env) insertMany(into, with string, from, to int) (ids []uuid.UUID) {
	e.t.Helper()
	require.NoError(e.t, e.db.Invitations().Change(e.context(), func(tx invitation.Tx) (changes []invitation.Change, err error) {
		ids = nil
		scope, role, err := tx.FindTarget(directory.Project, uuid.MustParse(into), uuid.MustParse(with))
		for i := from; i < to; i++ {
			email := fmt.Sprintf("guest%d@example.org", i)
			made := invitation.Invitation{
				UUID: uuid.New(), StoredState: invitation.Pending, Created: tx.Now(), ExecutionState: invitation.OK,
				RoleUUID: role.UUID, ScopeUUID: scope.UUID, CustomerUUID: scope.CustomerUUID, Email: email, EmailFolded: email,
			}
			ids = append(ids, made.UUID)
			changes = append(changes, invitation.Change{After: &made})
		}
		return changes, err
	}))
	return ids
}

// Each row has what the operation on one invitation would have answered, in the order of the request, and does the same.
func TestBulkActionOnUUIDs(t *testing.T) {
	onEachEngine(t, func(e *env) {
		first, second := e.create("owner", "first@example.org", admin, apollo), e.create("owner", "second@example.org", admin, apollo)
		foreign := e.create("rival", "foreign@example.org", admin, hydra)
		unknown := uuid.New()
		jobs := e.countJobs(deliverKind)

		report := manyReport(e.actOn("owner", "cancel", first.UUID, foreign.UUID, unknown, first.UUID, second.UUID))
		require.Equal(e.t, server.BulkInvitationActionCounts{Done: 2, NotFound: 2}, report.Counts)
		require.Equal(e.t, 4, report.Total, "one that is named twice is taken once")
		notFound := server.BulkInvitationErrors{"non_field_errors": {"Not found."}}
		require.Equal(e.t, []server.BulkInvitationActionResult{
			{UUID: first.UUID, Email: new("first@example.org"), Result: "done", Errors: server.BulkInvitationErrors{}},
			{UUID: foreign.UUID, Result: "not_found", Errors: notFound},
			{UUID: unknown, Result: "not_found", Errors: notFound},
			{UUID: second.UUID, Email: new("second@example.org"), Result: "done", Errors: server.BulkInvitationErrors{}},
		}, report.Results)
		require.EqualValues(e.t, "canceled", e.retrieve(first.UUID).State)
		require.EqualValues(e.t, "pending", e.retrieve(foreign.UUID).State)
		require.Equal(e.t, "canceled", e.value("SELECT event_type FROM invitation_events WHERE invitation_uuid = '"+second.UUID.String()+"' ORDER BY id DESC LIMIT 1"))

		report = manyReport(e.actOn("owner", "cancel", first.UUID))
		require.Equal(e.t, server.BulkInvitationErrors{"non_field_errors": {"Only pending or planned invitations can be canceled."}}, report.Results[0].Errors)
		require.EqualValues(e.t, "refused", report.Results[0].Result)

		again := e.create("owner", "first@example.org", admin, apollo)
		jobs++
		report = manyReport(e.actOn("owner", "send", first.UUID, second.UUID, again.UUID))
		require.Equal(e.t, server.BulkInvitationActionCounts{Done: 2, Refused: 1}, report.Counts)
		require.Equal(e.t, server.BulkInvitationErrors{"email": {"Pending invitation already exists for this email and role."}}, report.Results[0].Errors)
		require.Equal(e.t, jobs+2, e.countJobs(deliverKind))

		// Only staff delete, as by the operation on one invitation.
		report = manyReport(e.actOn("owner", "delete", first.UUID, foreign.UUID))
		require.Equal(e.t, server.BulkInvitationActionCounts{Refused: 1, NotFound: 1}, report.Counts)
		require.Equal(e.t, server.BulkInvitationErrors{"non_field_errors": {"You do not have permission to perform this action."}}, report.Results[0].Errors)
		report = manyReport(e.actOn("staff", "delete", first.UUID, foreign.UUID))
		require.Equal(e.t, server.BulkInvitationActionCounts{Done: 2}, report.Counts)
		e.request("GET", at(first.UUID.String()), "staff", nil).is(http.StatusNotFound, "")

		// An invitee sees their own invitation, and may do nothing with it.
		own := e.create("owner", "invitee@university.example", admin, apollo)
		report = manyReport(e.actOn("invitee", "cancel", own.UUID, second.UUID))
		require.Equal(e.t, server.BulkInvitationActionCounts{NotFound: 2}, report.Counts)
		require.Equal(e.t, "invitee@university.example", *report.Results[0].Email)
		require.Nil(e.t, report.Results[1].Email)
	})
}

// Each row counts for the limits, and says how long to wait.
func TestBulkActionLimits(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "guest@example.org", admin, apollo)
		for range 2 {
			require.Equal(e.t, 1, manyReport(e.actOn("owner", "send", made.UUID)).Counts.Done)
		}
		report := manyReport(e.actOn("owner", "send", made.UUID))
		require.EqualValues(e.t, "refused", report.Results[0].Result)
		require.Equal(e.t, server.BulkInvitationErrors{"non_field_errors": {"Request was throttled. Expected available in 3600 seconds."}}, report.Results[0].Errors)
	}, limits(times(3, time.Hour), invitation.Limit{}, invitation.Limit{}))
}

// A filter selects what the list with the same parameters shows to the caller, if that is as many as they were told.
func TestBulkActionOnAFilter(t *testing.T) {
	onEachEngine(t, func(e *env) {
		ids := e.insertMany(apollo, admin, 0, 3)
		other := e.create("rival", "guest9@example.org", admin, hydra)
		changed := func(words string) string {
			return detailBody("The list has changed: " + words + " now. Look again. Nothing was changed.")
		}
		for _, expected := range []int{0, 2, 4, 1000} {
			e.actOnAll("owner", "cancel", expected, map[string]any{"email": "guest"}).is(http.StatusConflict, changed("3 invitations match"))
		}
		e.actOnAll("owner", "cancel", 0, map[string]any{"email": "guest1"}).is(http.StatusConflict, changed("1 invitation matches"))
		require.Len(e.t, e.emails("owner", "state=pending"), 3)

		require.Zero(e.t, manyReport(e.actOnAll("owner", "cancel", 0, map[string]any{"state": []string{"accepted"}})).Total)
		require.Zero(e.t, manyReport(e.actOnAll("owner", "cancel", 0, map[string]any{"role_uuid": member})).Total)
		require.Zero(e.t, manyReport(e.actOnAll("owner", "cancel", 0, map[string]any{"execution_state": []string{"Erred"}})).Total)
		require.Zero(e.t, manyReport(e.actOnAll("owner", "cancel", 0, map[string]any{"expires_before": "2026-11-24T00:00:00Z"})).Total)
		report := manyReport(e.actOnAll("owner", "cancel", 3, map[string]any{
			"email": " GUEST", "q": "apoLLo", "created_before": "2026-11-23T09:30:00Z", "state": []string{"pending", "project"}, "scope": scopeURL(apollo), "scope_type": "project", "customer_uuid": acme, "email_exact": "",
		}))
		require.Equal(e.t, server.BulkInvitationActionCounts{Done: 3}, report.Counts)
		require.ElementsMatch(e.t, ids, []uuid.UUID{report.Results[0].UUID, report.Results[1].UUID, report.Results[2].UUID})
		require.EqualValues(e.t, "pending", e.retrieve(other.UUID).State)
		require.Equal(e.t, 4, manyReport(e.actOnAll("staff", "delete", 4, map[string]any{})).Counts.Done)
		require.Empty(e.t, e.emails("staff", ""))
	})
}

// More than can be done in the time of a request is refused.
func TestBulkActionOnTooMany(t *testing.T) {
	onEachEngine(t, func(e *env) {
		ids := e.insertMany(apollo, admin, 0, invitation.MaxMany+1)
		e.actOnAll("owner", "cancel", len(ids), map[string]any{}).is(http.StatusBadRequest,
			`{"filter":["More than 1000 invitations match. Narrow the filter. Nothing was changed."]}`)
		e.actOn("owner", "cancel", ids...).is(http.StatusBadRequest, `{"uuids":["Ensure this field has no more than 1000 elements."]}`)
		require.Len(e.t, e.emails("owner", "state=pending&page_size=300&page=4"), 101)
		// As many as are taken fit into a request.
		unknown := make([]uuid.UUID, invitation.MaxMany)
		for i := range unknown {
			unknown[i] = uuid.New()
		}
		require.Equal(e.t, invitation.MaxMany, manyReport(e.actOn("invitee", "cancel", unknown...)).Counts.NotFound)
	})
}

// With a key all is one transaction, of fewer invitations. Two that act on the same ones, whatever their order, wait for
// each other and not in a circle.
func TestBulkActionWithAKey(t *testing.T) {
	onEachEngine(t, func(e *env) {
		ids := e.insertMany(apollo, admin, 0, invitation.MaxManyTogether+1)
		keyed := func(key, action string, body map[string]any) *http.Request {
			body["action"] = action
			return withKey(key, e.newRequest("POST", bulkAction, "owner", body))
		}
		const tooMany = "With an Idempotency-Key, one request acts on at most 100 invitations. Nothing was changed."
		e.send(keyed("k", "cancel", map[string]any{"uuids": ids})).is(http.StatusBadRequest, fieldError("uuids", tooMany))
		e.send(keyed("l", "cancel", map[string]any{"filter": map[string]any{}, "expected": len(ids)})).
			is(http.StatusBadRequest, fieldError("filter", tooMany))
		require.Len(e.t, e.emails("owner", "state=pending&page_size=300"), len(ids))

		ids = ids[:invitation.MaxManyTogether]
		for round := range 2 {
			backwards := slices.Clone(ids)
			slices.Reverse(backwards)
			for i, answer := range e.sendAtOnce(
				keyed(fmt.Sprint("forwards", round), "send", map[string]any{"uuids": ids}),
				keyed(fmt.Sprint("backwards", round), "send", map[string]any{"uuids": backwards}),
			) {
				report := manyReport(answer)
				require.Equal(e.t, len(ids), report.Counts.Done)
				require.Equal(e.t, either(i == 0, ids[0], backwards[0]), report.Results[0].UUID)
			}
		}
	})
}

// A request that is not clear does nothing.
func TestBulkActionBadRequests(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "guest@example.org", admin, apollo)
		id := made.UUID.String()
		for name, test := range map[string]struct{ body, want string }{
			"nothing":            {`{}`, `{"action":["This field is required."]}`},
			"no action":          {`{"uuids":["` + id + `"]}`, `{"action":["This field is required."]}`},
			"another action":     {`{"action":"accept","uuids":["` + id + `"]}`, `{"action":["Select a valid choice. accept is not one of the available choices."]}`},
			"neither":            {`{"action":"cancel"}`, `{"non_field_errors":["Give either uuids or filter."]}`},
			"both":               {`{"action":"cancel","uuids":["` + id + `"],"filter":{},"expected":1}`, `{"non_field_errors":["Give either uuids or filter."]}`},
			"no uuid":            {`{"action":"cancel","uuids":[]}`, `{"uuids":["This list may not be empty."]}`},
			"a bad uuid":         {`{"action":"cancel","uuids":["` + id + `","x"]}`, `{"uuids":["Item 2: Must be a valid UUID."]}`},
			"no number":          {`{"action":"cancel","filter":{}}`, `{"expected":["This field is required."]}`},
			"no such number":     {`{"action":"cancel","filter":{},"expected":-1}`, `{"expected":["A valid integer is required."]}`},
			"an unknown filter":  {`{"action":"cancel","filter":{"sate":["accepted"],"email":"guest"},"expected":1}`, `{"filter":["sate: There is no such field."]}`},
			"an order":           {`{"action":"cancel","filter":{"o":["email"]},"expected":1}`, `{"filter":["o: There is no such field."]}`},
			"a bad state":        {`{"action":"cancel","filter":{"state":["x"]},"expected":1}`, ``},
			"a bad time":         {`{"action":"cancel","filter":{"expires_before":"tomorrow"},"expected":1}`, ``},
			"no scope's URL":     {`{"action":"cancel","filter":{"scope":"https://example.org/"},"expected":1}`, `{"filter":["scope: This is not the URL of a scope."]}`},
			"a filter as a list": {`{"action":"cancel","filter":["pending"],"expected":1}`, `{"filter":["Invalid data. Expected a dictionary."]}`},
			"a long filter":      {`{"action":"cancel","filter":{"email":"` + strings.Repeat("x", 2001) + `"},"expected":1}`, `{"filter":["email: Ensure this field has no more than 2000 characters."]}`},
			"a NUL in a filter":  {`{"action":"cancel","filter":{"email":"\u0000"},"expected":1}`, ``},
		} {
			e.run(name, func(e *env) {
				e.request("POST", bulkAction, "owner", test.body).is(http.StatusBadRequest, test.want)
			})
		}
		e.request("POST", bulkAction, "", map[string]any{"action": "cancel", "uuids": []string{id}}).is(http.StatusUnauthorized, "")
		require.EqualValues(e.t, "pending", e.retrieve(made.UUID).State)
		// A uuid in either form.
		require.Equal(e.t, 1, manyReport(e.request("POST", bulkAction, "owner", map[string]any{
			"action": "cancel", "uuids": []string{strings.ReplaceAll(id, "-", ""), id},
		})).Total)
	})
}

// The filters are those of the list, with the same values.
func TestBulkActionHasTheFiltersOfTheList(t *testing.T) {
	t.Parallel()
	contract := loadContract(t)
	var filters []string
	properties := contract.Components.Schemas["BulkInvitationActionFilter"].Value.Properties
	for _, parameter := range contract.Paths.Value(base).Head.Parameters { // counting takes the filters only
		p := parameter.Value
		if p.In != "query" {
			continue
		}
		filters = append(filters, p.Name)
		property := properties[p.Name]
		require.NotNil(t, property, p.Name)
		got := property.Value
		if len(got.AllOf) == 1 {
			got = got.AllOf[0].Value
		}
		want := p.Schema.Value
		require.Equal(t, []any{want.Type, want.Format, want.Pattern, want.MaxLength, want.MaxItems}, []any{got.Type, got.Format, got.Pattern, got.MaxLength, got.MaxItems}, p.Name)
		require.Equal(t, want.Items, got.Items, p.Name)
	}
	require.ElementsMatch(t, filters, slices.Collect(maps.Keys(properties)))
}

// The server stops at the first invitation that it fails on, and says which it has not tried.
func TestBulkActionEndsEarly(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, engine storetest.Engine) {
		reads, failAt := 0, -1
		ctx, cancel := context.WithCancel(t.Context())
		e := newEnv(t, engine, envConfig{open: func(clock func() time.Time) *store.Store {
			return engine.Open(t, func() time.Time { // is called by each transaction
				if reads++; reads == failAt {
					cancel()
				}
				return clock()
			})
		}})
		e.service.Logger = slog.New(slog.NewTextHandler(e.log, nil))
		ids := e.insertMany(apollo, admin, 0, 4)
		slices.SortFunc(ids, func(a, b uuid.UUID) int { return strings.Compare(a.String(), b.String()) }) // as they are acted on
		caller := e.actor("owner")
		reads = 0
		results, err := e.service.ActOnMany(ctx, caller, invitation.ManyCancel, ids[:1])
		require.NoError(t, err)
		require.Equal(t, invitation.ManyDone, results[0].Code)
		failAt, reads = reads+1, 0

		results, err = e.service.ActOnMany(ctx, caller, invitation.ManyCancel, ids[1:])
		require.NoError(t, err)
		require.Equal(t, []invitation.ManyCode{invitation.ManyDone, invitation.ManyFailed, invitation.ManyNotTried},
			[]invitation.ManyCode{results[0].Code, results[1].Code, results[2].Code})
		require.Contains(t, e.log.String(), "acting on many invitations ended early")
		require.EqualValues(t, "canceled", e.retrieve(ids[1]).State)
		require.EqualValues(t, "pending", e.retrieve(ids[2]).State)

		_, err = e.service.ActOnMany(ctx, caller, invitation.ManyCancel, ids[2:])
		require.Error(t, err, "nothing was done")
		late, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		results, err = e.service.ActOnMany(late, caller, invitation.ManyCancel, ids[2:3])
		require.NoError(t, err)
		require.Equal(t, invitation.ManyNotTried, results[0].Code, "the deadline is near")
	})
}
