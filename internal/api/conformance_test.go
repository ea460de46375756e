package api_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/gen/server"
	"invited/internal/invitation"
	"invited/internal/store"
	"invited/internal/storetest"
	"invited/internal/token"
)

// The conformance tests hold the API against what it promises, operation by operation. Each rule is a test of its
// own or a row of a table, and every one runs on both engines.

// run runs a part of a test in the same world, under a name of its own.
func (w *world) run(name string, test func(w *world)) {
	w.t.Helper()
	w.t.Run(name, func(t *testing.T) {
		part := *w
		part.t = t
		test(&part)
	})
}

// rewrite applies the file of the world once more, with some of its texts replaced: pairs of old and new.
func (w *world) rewrite(pairs ...string) {
	w.t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		require.Contains(w.t, worldFile, pairs[i])
	}
	w.apply(strings.NewReplacer(pairs...).Replace(worldFile))
}

// Texts of the world's file to rewrite, and what they become.
const (
	apolloHead    = "uuid: " + apollo + "\n"
	apolloRemoved = apolloHead + "        is_removed: true\n"
	apolloPicky   = apolloHead + "        user_email_patterns: ['.*@acme\\.example']\n"
	apolloLater   = apolloHead + "        start_date: 2026-12-24\n"

	adminRole        = "description: System administrator, scope_type: project"
	adminRoleRetired = adminRole + ", is_active: false"
)

// exec changes the database behind the API's back.
func (w *world) exec(statement string) {
	w.t.Helper()
	require.NoError(w.t, w.db.Queue().GetExecutor().Exec(w.t.Context(), statement))
}

// value is the one text that a query finds.
func (w *world) value(query string) string {
	w.t.Helper()
	var found string
	require.NoError(w.t, w.db.Queue().GetExecutor().QueryRow(w.t.Context(), query).Scan(&found))
	return found
}

// userID is the uuid of a user.
func (w *world) userID(username string) uuid.UUID {
	w.t.Helper()
	return uuid.MustParse(w.value("SELECT uuid FROM users WHERE username = '" + username + "'"))
}

// wait moves the clock to a moment.
func (w *world) wait(until time.Time) {
	w.t.Helper()
	w.clock.Advance(until.Sub(w.clock.Now()))
}

// moment reads a timestamp of the API.
func (w *world) moment(text string) time.Time {
	w.t.Helper()
	at, err := time.Parse("2006-01-02T15:04:05.000000Z", text)
	require.NoError(w.t, err)
	return at
}

// emails lists the e-mails of the invitations in a list as a user sees it, in its order.
func (w *world) emails(user, query string) []string {
	w.t.Helper()
	seen, _ := w.list(user, query)
	all := make([]string, 0, len(seen))
	for _, each := range seen {
		all = append(all, string(each.Email))
	}
	return all
}

// state is the state of an invitation as staff sees it.
func (w *world) state(id uuid.UUID) string {
	w.t.Helper()
	return string(w.see(id).State)
}

// do posts an action on an invitation.
func (w *world) do(user string, id uuid.UUID, action string) response {
	w.t.Helper()
	return w.request("POST", at(id.String(), action), user, nil)
}

// deliveries are the delivery jobs in the queue, of one invitation.
func (w *world) deliveries(id uuid.UUID) []invitation.Deliver {
	w.t.Helper()
	var all []invitation.Deliver
	for _, each := range storetest.Jobs(w.t, w.db, invitation.Deliver{}.Kind()) {
		var job invitation.Deliver
		require.NoError(w.t, json.Unmarshal(each.EncodedArgs, &job))
		if job.Invitation == id {
			all = append(all, job)
		}
	}
	return all
}

// notices are the jobs in the queue that tell somebody of an invitation.
func (w *world) notices(id uuid.UUID) []invitation.Notify {
	w.t.Helper()
	var all []invitation.Notify
	for _, each := range storetest.Jobs(w.t, w.db, invitation.Notify{}.Kind()) {
		var job invitation.Notify
		require.NoError(w.t, json.Unmarshal(each.EncodedArgs, &job))
		if job.Invitation == id {
			all = append(all, job)
		}
	}
	return all
}

// signer mints the tokens that the API of a world believes.
var signer = token.NewSigner("the secret of the tests")

// sign is a token of this moment.
func (w *world) sign(purpose token.Purpose, user, id uuid.UUID) string {
	return signer.Sign(token.Approval{Purpose: purpose, User: user, Invitation: id, Issued: w.clock.Now()})
}

// decide posts a token to approve or reject.
func (w *world) decide(action, text string) response {
	w.t.Helper()
	return w.request("POST", base+action+"/", "", map[string]string{"token": text})
}

// onlyStaff is the policy under which staff approve the invitations of others.
func onlyStaff(p *invitation.Policy) { p.OnlyStaffCanInvite = true }

// everyState makes one invitation in each state, in a world where only staff may invite, and moves its clock by a
// lifetime. The e-mail of each is the name of its state at states.example; all but the one in project are to apollo.
// Nothing has written down that the expired one is.
func everyState(w *world) map[string]uuid.UUID {
	w.t.Helper()
	all := map[string]uuid.UUID{}
	add := func(user, state, scope string) {
		all[state] = w.create(user, state+"@states.example", admin, scope).UUID
	}
	add("staff", "expired", apollo)
	w.clock.Advance(lifetime)
	for _, each := range []string{"pending", "canceled", "accepted"} {
		add("staff", each, apollo)
	}
	add("staff", "project", artemis)
	add("owner", "requested", apollo)
	add("owner", "rejected", apollo)
	w.do("staff", all["canceled"], "cancel").is(http.StatusOK, "")
	w.do("stranger", all["accepted"], "accept").is(http.StatusOK, "")
	w.decide("reject", w.sign(token.Reject, w.userID("staff"), all["rejected"])).is(http.StatusOK, "")
	for state, id := range all {
		require.Equal(w.t, state, w.state(id))
	}
	return all
}

// fill writes n pending invitations to apollo, all of this moment.
func (w *world) fill(n int) {
	w.t.Helper()
	require.NoError(w.t, w.db.Write(w.t.Context(), func(tx *store.Tx) error {
		for i := range n {
			email := fmt.Sprintf("n%03d@fill.example", i)
			if err := tx.Insert(invitation.Invitation{
				UUID: uuid.New(), StoredState: invitation.Pending, Created: tx.Now(), ExecutionState: invitation.OK,
				RoleUUID: uuid.MustParse(admin), ScopeUUID: uuid.MustParse(apollo), CustomerUUID: uuid.MustParse(acme),
				Email: email, EmailFolded: email,
			}, invitation.Event{}); err != nil {
				return err
			}
		}
		return nil
	}))
}

// race sends requests at once.
func (w *world) race(requests ...*http.Request) []response {
	w.t.Helper()
	type result struct {
		answer *http.Response
		body   []byte
		err    error
	}
	client := &http.Client{Timeout: time.Minute}
	defer client.CloseIdleConnections()
	results := make([]result, len(requests))
	var all sync.WaitGroup
	for i, each := range requests {
		all.Go(func() {
			answer, err := client.Do(each)
			if err != nil {
				results[i].err = err
				return
			}
			defer func() { _ = answer.Body.Close() }()
			body, err := io.ReadAll(answer.Body)
			results[i] = result{answer, body, err}
		})
	}
	all.Wait()
	responses := make([]response, len(requests))
	for i, each := range results {
		require.NoError(w.t, each.err)
		conforms(w.t, requests[i], each.answer, each.body)
		responses[i] = response{w.t, each.answer.StatusCode, each.answer.Header, string(each.body)}
	}
	return responses
}

// rule is the body of a refusal by a rule.
func rule(message string) string { return encode([]string{message}) }

// field is the body of a refusal of one field.
func field(name, message string) string { return encode(map[string][]string{name: {message}}) }

// detail is the body of an answer in one sentence.
func detail(message string) string { return encode(map[string]string{"detail": message}) }

func encode(v any) string {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		panic(err)
	}
	return out.String()
}

// names are the fields that a refusal is about.
func (r response) names() []string {
	r.t.Helper()
	require.Equal(r.t, http.StatusBadRequest, r.Status, r.Body)
	var fields map[string][]string
	r.into(&fields)
	all := make([]string, 0, len(fields))
	for name := range fields {
		all = append(all, name)
	}
	return all
}

const (
	msgTwice     = "Pending invitation already exists for this email and role."
	msgRole      = "Role and scope should belong to the same content type."
	msgManager   = "Project already has an active project manager."
	msgPatterns  = "This email does not match the email patterns of the organization or the scope."
	msgBadEmail  = "Enter a valid email address."
	msgRequired  = "This field is required."
	msgSignature = "Invalid signature."
	msgPayload   = "Invalid payload."
	msgBadUser   = "Invalid user UUID."
	msgBadID     = "Invalid invitation UUID."
)

// noScope is the refusal of a scope that is not there for the caller.
func noScope(address string) string { return field("scope", "Can't restore object from url: "+address) }

// query encodes one parameter.
func query(name, value string) string { return url.Values{name: {value}}.Encode() }

// shown is what a response says of an invitation.
func (r response) shown() server.Invitation {
	r.t.Helper()
	var seen server.Invitation
	r.into(&seen)
	return seen
}

func TestEveryStateCanBeReached(t *testing.T) {
	inEachWorld(t, func(w *world) { require.Len(w.t, everyState(w), 7) }, onlyStaff)
}
