package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/gen/server"
	"invited/internal/directory"
	"invited/internal/invitation"
	"invited/internal/storetest"
	"invited/internal/token"
)

// What the examples of the contract speak of: the demo's directory, and an invitation.
const (
	exampleServer     = "http://127.0.0.1:8080/"
	exampleInvitation = "0f5a9f2e-7a55-4c7e-9f0a-6b3a6a0c6a11"
	exampleAcme       = "7d1f4b62-5a3c-4e08-8f97-2b6c9d0e1a01"
	exampleArtemis    = "7d1f4b62-5a3c-4e08-8f97-2b6c9d0e1a03"
	exampleApollo     = "7d1f4b62-5a3c-4e08-8f97-2b6c9d0e1a02"
	exampleManager    = "3c5e2f80-0b9d-4a7e-9c21-6f4d8a1b7e03"
	exampleMember     = "3c5e2f80-0b9d-4a7e-9c21-6f4d8a1b7e05"
	exampleAdmin      = "3c5e2f80-0b9d-4a7e-9c21-6f4d8a1b7e04"
)

// examples is a world of them.
type examples struct {
	*world
	made []string // uuids of invitations, which are random
}

var demoUser = regexp.MustCompile(`(?m)^  - username: (\w+)$`)

func newExamples(t *testing.T, tune func(*invitation.Policy)) *examples {
	t.Helper()
	demo, err := os.ReadFile("../app/demo.yaml")
	require.NoError(t, err)
	file := demoUser.ReplaceAllString(string(demo), "$0\n    tokens: [$1-key]")
	file = strings.Replace(file, "users:\n", "users:\n"+
		"  - {username: ida, is_active: false, tokens: [ida-key]}\n"+
		"  - {username: alice, email: alice@example.com, full_name: Alice Example, tokens: [alice-key]}\n", 1)
	if tune == nil {
		tune = func(*invitation.Policy) {}
	}
	// One engine: what the two differ in, all other tests of this package look at.
	return &examples{world: newWorldOf(t, storetest.Engines[0], file, tune)}
}

func (x *examples) draft(more ...any) map[string]any {
	body := map[string]any{
		"role": exampleAdmin, "scope": exampleServer + "api/projects/" + exampleApollo + "/",
		"full_name": "Alice Example", "organization": "Example University", "job_title": "Researcher",
		"email":                 "alice@example.com",
		"extra_invitation_text": "We start on Monday and would love to have you with us.",
	}
	for i := 0; i+1 < len(more); i += 2 {
		body[more[i].(string)] = more[i+1]
	}
	return body
}

// invite makes the invitation of the examples, with some fields changed.
func (x *examples) invite(more ...any) (uuid.UUID, response) {
	x.t.Helper()
	answer := x.request("POST", base, "olivia", x.draft(more...)).is(http.StatusCreated, "")
	var made server.Invitation
	answer.into(&made)
	x.made = append(x.made, made.UUID.String())
	return made.UUID, answer
}

// deliver has the mail of an invitation sent.
func (x *examples) deliver(id uuid.UUID) {
	x.t.Helper()
	job := invitation.Deliver{Invitation: id}
	letter, err := x.service.BeginDelivery(x.t.Context(), job)
	require.NoError(x.t, err)
	require.NoError(x.t, x.service.FinishDelivery(x.t.Context(), job, letter, invitation.Outcome{}))
}

// act posts an action on an invitation as somebody.
func (x *examples) act(user string, id uuid.UUID, action string) response {
	x.t.Helper()
	return x.request("POST", at(id.String(), action), user, nil)
}

// edit changes an invitation as Olivia: pairs of field and value.
func (x *examples) edit(method string, id uuid.UUID, fields ...string) response {
	x.t.Helper()
	body := map[string]string{}
	for i := 0; i+1 < len(fields); i += 2 {
		body[fields[i]] = fields[i+1]
	}
	return x.request(method, at(id.String()), "olivia", body)
}

func (x *examples) duplicates(user string, body any) response {
	x.t.Helper()
	return x.request("POST", base+"check-duplicates/", user, body)
}

// requested is the example of a request of an operation.
func (x *examples) requested(operationID string) any {
	x.t.Helper()
	for _, item := range loadContract(x.t).Paths.Map() {
		for _, operation := range item.Operations() {
			if operation.OperationID == operationID {
				return operation.RequestBody.Value.Content.Get("application/json").Example
			}
		}
	}
	return nil
}

// token is a token to decide about an invitation with.
func (x *examples) token(purpose token.Purpose, staff string, id uuid.UUID) map[string]string {
	return map[string]string{"token": x.sign(purpose, uuid.MustParse(staff), id)}
}

const exampleSam = "9b2e6d10-4c7f-4f5a-8d33-1e0a7c5b6f01" // staff

// exampleRequests make the server give each example of a response, under its policy where it takes one of its own.
var exampleRequests = map[string]struct {
	tune func(*invitation.Policy)
	ask  func(x *examples) response
}{
	"user_invitations_list 200 one": {nil, func(x *examples) response {
		id, _ := x.invite()
		x.deliver(id)
		return x.request("GET", base+"?page=1", "olivia", nil)
	}},
	"user_invitations_list 400": {nil, func(x *examples) response {
		return x.request("GET", base+"?page_size=x", "olivia", nil)
	}},
	"user_invitations_list 404": {nil, func(x *examples) response {
		return x.request("GET", base+"?page=2", "olivia", nil)
	}},
	"user_invitations_events_list 200 delivered": {nil, func(x *examples) response {
		r := x.newRequest("POST", base, "olivia", x.draft())
		r.Header.Set("X-Request-ID", "4f9d1c2b7a6e4d0f8b3a5c1e9d7f2a60")
		var made server.Invitation
		x.send(r).is(http.StatusCreated, "").into(&made)
		x.made = append(x.made, made.UUID.String())
		x.clock.Advance(2 * time.Second)
		x.deliver(made.UUID)
		return x.request("GET", at(made.UUID.String(), "events")+"?page=1", "olivia", nil)
	}},
	"user_invitations_events_list 400": {nil, func(x *examples) response {
		return x.request("GET", at(exampleInvitation, "events")+"?page_size=x", "olivia", nil)
	}},
	"user_invitations_events_list 404 invitation": {nil, func(x *examples) response {
		return x.request("GET", at(exampleInvitation, "events"), "olivia", nil)
	}},
	"user_invitations_events_list 404 page": {nil, func(x *examples) response {
		id, _ := x.invite()
		return x.request("GET", at(id.String(), "events")+"?page=2", "olivia", nil)
	}},
	"user_invitations_create 201 created": {nil, func(x *examples) response {
		_, answer := x.invite()
		return answer
	}},
	"user_invitations_create 400 fields": {nil, func(x *examples) response {
		return x.request("POST", base, "olivia", map[string]any{"email": "alice", "scope": x.draft()["scope"]})
	}},
	"user_invitations_create 400 scope": {nil, func(x *examples) response {
		return x.request("POST", base, "ina", x.draft())
	}},
	"user_invitations_create 400 role": {nil, func(x *examples) response {
		return x.request("POST", base, "olivia", x.draft("role", "3c5e2f80-0b9d-4a7e-9c21-6f4d8a1b7e01"))
	}},
	"user_invitations_create 400 unknownRole": {nil, func(x *examples) response {
		return x.request("POST", base, "olivia", x.draft("role", "3c5e2f80-0b9d-4a7e-9c21-6f4d8a1b7e99"))
	}},
	"user_invitations_create 400 manager": {oneManager, func(x *examples) response {
		return x.request("POST", base, "olivia", x.draft("role", exampleManager))
	}},
	"user_invitations_create 400 duplicate": {nil, func(x *examples) response {
		x.invite()
		return x.request("POST", base, "olivia", x.draft())
	}},
	"user_invitations_create 400 pattern": {nil, func(x *examples) response {
		x.pattern()
		return x.request("POST", base, "olivia", x.draft())
	}},
	"user_invitations_retrieve 200 delivered": {nil, func(x *examples) response {
		id, _ := x.invite()
		x.deliver(id)
		return x.request("GET", at(id.String()), "olivia", nil)
	}},
	"user_invitations_details_retrieve 200 pending": {nil, func(x *examples) response {
		id, _ := x.invite()
		x.deliver(id)
		return x.request("GET", at(id.String(), "details"), "alice", nil)
	}},
	"user_invitations_accept 200": {nil, func(x *examples) response {
		id, _ := x.invite()
		return x.act("alice", id, "accept")
	}},
	"user_invitations_accept 400 held": {nil, func(x *examples) response {
		id, _ := x.invite("role", exampleManager)
		return x.act("max", id, "accept")
	}},
	"user_invitations_accept 400 email": {func(p *invitation.Policy) { p.StrictCheck = true }, func(x *examples) response {
		id, _ := x.invite()
		return x.act("ina", id, "accept")
	}},
	"user_invitations_accept 400 roles": {func(p *invitation.Policy) { p.DisableMultipleRoles = true }, func(x *examples) response {
		id, _ := x.invite()
		return x.act("max", id, "accept")
	}},
	"user_invitations_accept 400 pattern": {nil, func(x *examples) response {
		id, _ := x.invite()
		x.pattern()
		return x.act("alice", id, "accept")
	}},
	"user_invitations_accept 400 role": {nil, func(x *examples) response {
		id, _ := x.invite()
		x.apply("roles: [{name: PROJECT.ADMIN, scope_type: project, is_active: false}]")
		return x.act("alice", id, "accept")
	}},
	"user_invitations_accept 400 manager": {oneManager, func(x *examples) response {
		x.manage("false")
		id, _ := x.invite("role", exampleManager)
		x.manage("true")
		return x.act("alice", id, "accept")
	}},
	"user_invitations_cancel 200": {nil, func(x *examples) response {
		id, _ := x.invite()
		return x.act("olivia", id, "cancel")
	}},
	"user_invitations_cancel 400": {nil, func(x *examples) response {
		id, _ := x.invite()
		x.act("alice", id, "accept").is(http.StatusOK, "")
		return x.act("olivia", id, "cancel")
	}},
	"user_invitations_check 200 open": {nil, func(x *examples) response {
		id, _ := x.invite()
		return x.act("", id, "check")
	}},
	"user_invitations_check 200 civil": {nil, func(x *examples) response {
		id, _ := x.invite("civil_number", "1234")
		return x.act("", id, "check")
	}},
	"user_invitations_delete 200": {nil, func(x *examples) response {
		id, _ := x.invite()
		return x.act("sam", id, "delete")
	}},
	"user_invitations_update 200 edited": {nil, func(x *examples) response {
		id, _ := x.invite()
		return x.edit("PUT", id, "email", "alice@example.org", "role", exampleMember)
	}},
	"user_invitations_update 400 state": {nil, func(x *examples) response {
		id, _ := x.invite()
		x.act("alice", id, "accept").is(http.StatusOK, "")
		return x.edit("PUT", id, "email", "alice@example.org", "role", exampleMember)
	}},
	"user_invitations_update 400 fields": {nil, func(x *examples) response {
		id, _ := x.invite()
		return x.edit("PUT", id, "email", "alice")
	}},
	"user_invitations_update 400 role": {nil, func(x *examples) response {
		id, _ := x.invite()
		return x.edit("PUT", id, "email", "alice@example.com", "role", "3c5e2f80-0b9d-4a7e-9c21-6f4d8a1b7e01")
	}},
	"user_invitations_update 400 unknownRole": {nil, func(x *examples) response {
		id, _ := x.invite()
		return x.edit("PUT", id, "email", "alice@example.com", "role", "3c5e2f80-0b9d-4a7e-9c21-6f4d8a1b7e99")
	}},
	"user_invitations_update 400 manager": {oneManager, func(x *examples) response {
		id, _ := x.invite()
		return x.edit("PUT", id, "email", "alice@example.com", "role", exampleManager)
	}},
	"user_invitations_update 400 duplicate": {nil, func(x *examples) response {
		x.invite("email", "alice@example.org")
		id, _ := x.invite()
		return x.edit("PUT", id, "email", "alice@example.org", "role", exampleAdmin)
	}},
	"user_invitations_update 400 pattern": {nil, func(x *examples) response {
		id, _ := x.invite()
		x.pattern()
		return x.edit("PUT", id, "email", "alice@example.org", "role", exampleAdmin)
	}},
	"user_invitations_partial_update 200 readdressed": {nil, func(x *examples) response {
		id, _ := x.invite()
		return x.edit("PATCH", id, "email", "alice@example.org")
	}},
	"user_invitations_partial_update 400 state": {nil, func(x *examples) response {
		id, _ := x.invite()
		x.act("olivia", id, "cancel").is(http.StatusOK, "")
		return x.edit("PATCH", id, "email", "alice@example.org")
	}},
	"user_invitations_partial_update 400 duplicate": {nil, func(x *examples) response {
		x.invite("email", "alice@example.org")
		id, _ := x.invite()
		return x.edit("PATCH", id, "email", "alice@example.org")
	}},
	"user_invitations_check_duplicates 200 both": {nil, func(x *examples) response {
		x.invite()
		return x.duplicates("olivia", x.requested("user_invitations_check_duplicates"))
	}},
	"user_invitations_check_duplicates 200 none": {nil, func(x *examples) response {
		return x.duplicates("olivia", map[string]any{"scope": x.draft()["scope"], "invitations": []any{}})
	}},
	"user_invitations_check_duplicates 400 items": {nil, func(x *examples) response {
		return x.duplicates("olivia", map[string]any{"scope": x.draft()["scope"], "invitations": []map[string]string{
			{"email": "alice", "role": exampleAdmin}, {"email": "bob@example.com", "role": exampleAdmin}, {"email": "carol@example.com"},
		}})
	}},
	"user_invitations_check_duplicates 400 many": {nil, func(x *examples) response {
		return x.duplicates("olivia", map[string]any{"scope": x.draft()["scope"], "invitations": make([]int, 1001)})
	}},
	"user_invitations_check_duplicates 400 scope": {nil, func(x *examples) response {
		return x.duplicates("ina", map[string]any{"scope": x.draft()["scope"], "invitations": []any{}})
	}},
	"user_invitations_send 200": {nil, func(x *examples) response {
		id, _ := x.invite()
		return x.act("olivia", id, "send")
	}},
	"user_invitations_send 400 state": {nil, func(x *examples) response {
		id, _ := x.invite()
		x.act("alice", id, "accept").is(http.StatusOK, "")
		return x.act("olivia", id, "send")
	}},
	"user_invitations_send 400 duplicate": {nil, func(x *examples) response {
		id, _ := x.invite()
		x.act("olivia", id, "cancel").is(http.StatusOK, "")
		x.invite()
		return x.act("olivia", id, "send")
	}},
	"user_invitations_approve 200": {onlyStaff, func(x *examples) response {
		id, _ := x.invite()
		return x.request("POST", base+"approve/", "", x.token(token.Approve, exampleSam, id))
	}},
	"user_invitations_reject 200": {onlyStaff, func(x *examples) response {
		id, _ := x.invite()
		return x.request("POST", base+"reject/", "", x.token(token.Reject, exampleSam, id))
	}},
	"customers_list 200": {nil, func(x *examples) response {
		return x.request("GET", "/api/customers/", "olivia", nil)
	}},
	"customers_retrieve 200": {nil, func(x *examples) response {
		return x.request("GET", "/api/customers/"+exampleAcme+"/", "olivia", nil)
	}},
	"projects_list 200": {nil, func(x *examples) response {
		return x.request("GET", "/api/projects/?name=apo", "olivia", nil)
	}},
	"projects_retrieve 200": {nil, func(x *examples) response {
		return x.request("GET", "/api/projects/"+exampleArtemis+"/", "olivia", nil)
	}},
	"roles_list 200": {nil, func(x *examples) response {
		return x.request("GET", "/api/roles/?content_type=project&name=manager", "olivia", nil)
	}},
	"roles_retrieve 200": {nil, func(x *examples) response {
		return x.request("GET", "/api/roles/"+exampleAdmin+"/", "olivia", nil)
	}},
	"users_me_retrieve 200": {nil, func(x *examples) response {
		x.member()
		return x.request("GET", "/api/users/me/", "max", nil)
	}},
	"user_permissions_list 200": {nil, func(x *examples) response {
		x.member()
		return x.request("GET", "/api/user-permissions/", "max", nil)
	}},
	"BadParameter": {nil, func(x *examples) response { return x.request("GET", "/api/projects/?field=color", "olivia", nil) }},
	"NoSuchPage":   {nil, func(x *examples) response { return x.request("GET", "/api/projects/?page=2", "olivia", nil) }},
	"BadToken missing": {nil, func(x *examples) response {
		return x.request("POST", base+"approve/", "", map[string]string{})
	}},
	"BadToken signature": {nil, func(x *examples) response {
		return x.request("POST", base+"approve/", "", map[string]string{"token": "x"})
	}},
	"BadToken payload": {nil, func(x *examples) response {
		return x.request("POST", base+"approve/", "", x.token(token.Reject, exampleSam, uuid.New()))
	}},
	"BadToken user": {nil, func(x *examples) response {
		return x.request("POST", base+"approve/", "", x.token(token.Approve, exampleAdmin, uuid.New()))
	}},
	"BadToken invitation": {nil, func(x *examples) response {
		return x.request("POST", base+"approve/", "", x.token(token.Approve, exampleSam, uuid.New()))
	}},
	"Unauthorized absent":   {nil, func(x *examples) response { return x.request("GET", base, "", nil) }},
	"Unauthorized unknown":  {nil, func(x *examples) response { return x.request("GET", base, "nobody", nil) }},
	"Unauthorized inactive": {nil, func(x *examples) response { return x.request("GET", base, "ida", nil) }},
	"Unauthorized expired": {nil, func(x *examples) response {
		key, err := directory.IssueToken(x.t.Context(), x.db.Directory(), "olivia", time.Hour)
		require.NoError(x.t, err)
		x.clock.Advance(time.Hour)
		return x.with("Token "+key, "GET", base, nil)
	}},
	"Forbidden": {nil, func(x *examples) response {
		id, _ := x.invite()
		return x.act("olivia", id, "delete")
	}},
	"NotFound":         {nil, func(x *examples) response { return x.request("GET", at(exampleInvitation), "olivia", nil) }},
	"MethodNotAllowed": {nil, func(x *examples) response { return x.request("PUT", base+"approve/", "", nil) }},
	"NotAcceptable": {nil, func(x *examples) response {
		r := x.newRequest("GET", base, "olivia", nil)
		r.Header.Set("Accept", "text/html")
		return x.send(r)
	}},
	"ContentTooLarge": {nil, func(x *examples) response {
		return x.request("POST", base, "olivia", strings.Repeat(" ", 1<<20+1))
	}},
	"UnsupportedMediaType": {nil, func(x *examples) response {
		r := x.newRequest("POST", base, "olivia", "hello")
		r.Header.Set("Content-Type", "text/plain")
		return x.send(r)
	}},
	"InternalServerError": {nil, func(x *examples) response {
		x.exec("DROP TABLE invitation_counts")
		return x.request("GET", base, "sam", nil)
	}},
	"ServiceUnavailable": {nil, func(x *examples) response {
		r := x.newRequest("GET", base, "olivia", nil)
		ctx, cancel := context.WithDeadline(x.t.Context(), time.Now().Add(-time.Second))
		defer cancel()
		recorder := httptest.NewRecorder()
		asServed := r.Clone(ctx)
		asServed.Body = http.NoBody
		x.withKeys(x.db).ServeHTTP(recorder, asServed)
		return response{x.t, recorder.Code, recorder.Header(), recorder.Body.String()}
	}},
}

// pattern admits other addresses only to Apollo.
func (x *examples) pattern() {
	x.apply(fmt.Sprintf(`customers: [{name: Acme, description: An organization that runs things, projects: [
		{name: Apollo, uuid: %s, description: A project that has started, user_email_patterns: ['.*@acme\.example']}]}]`, exampleApollo))
}

// member leaves Max in Apollo alone, and notes by which uuid.
func (x *examples) member() {
	x.exec("DELETE FROM memberships WHERE scope_uuid = '" + exampleArtemis + "'")
	x.made = append(x.made, x.value("SELECT m.uuid FROM memberships m JOIN users u ON u.uuid = m.user_uuid WHERE u.username = 'max'"))
}

// manage gives Max the management of Apollo, or takes it from him.
func (x *examples) manage(is string) {
	x.apply(fmt.Sprintf(`customers: [{name: Acme, description: An organization that runs things, projects: [
		{name: Apollo, uuid: %s, description: A project that has started,
		members: [{user: max, role: PROJECT.MANAGER, is_active: %s}]}]}]`, exampleApollo, is))
}

// notOurs are responses that this server never gives, each with who does.
var notOurs = map[string]string{
	"TooManyRequests": "the gateways of deploy/gateway, which limit rates",
}

// Every example of a response in the contract is one, letter by letter but for the uuids of new invitations.
func TestExamplesAreRealResponses(t *testing.T) {
	t.Parallel()
	documented := documentedExamples(t)
	for _, name := range slices.Sorted(maps.Keys(documented)) {
		if notOurs[name] != "" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			request, known := exampleRequests[name]
			require.True(t, known, "the server is not asked for this example")
			x := newExamples(t, request.tune)
			got, want := request.ask(x), documented[name]
			seen := strings.NewReplacer("https://api.example/", exampleServer)
			if len(x.made) > 0 {
				seen = strings.NewReplacer("https://api.example/", exampleServer, x.made[len(x.made)-1], exampleInvitation)
			}
			require.Equal(t, want.status, fmt.Sprint(got.Status))
			require.JSONEq(t, want.body, seen.Replace(got.Body))
			for header, value := range want.headers {
				require.Equal(t, value, seen.Replace(got.Header.Get(header)), header)
			}
		})
	}
	for name := range exampleRequests {
		require.Contains(t, documented, name, "there is no such example")
	}
}

type documentedExample struct {
	status, body string
	headers      map[string]string
}

// documentedExamples are the examples of responses in the contract: those of an operation by its id, the status and
// their name, shared ones by the name of the response and their own.
func documentedExamples(t *testing.T) map[string]documentedExample {
	t.Helper()
	all := map[string]documentedExample{}
	for _, item := range loadContract(t).Paths.Map() {
		for _, operation := range item.Operations() {
			for status, response := range operation.Responses.Map() {
				name := operation.OperationID + " " + status
				if shared, ok := strings.CutPrefix(response.Ref, "#/components/responses/"); ok {
					name = shared
				}
				one := documentedExample{status: status, headers: map[string]string{}}
				for header, described := range response.Value.Headers {
					if header != "X-Request-ID" && described.Value.Example != nil {
						one.headers[header] = fmt.Sprint(described.Value.Example)
					}
				}
				for key, value := range examplesOf(response.Value.Content.Get("application/json")) {
					body, err := json.Marshal(value)
					require.NoError(t, err)
					one.body = string(body)
					all[strings.TrimSpace(name+" "+key)] = one
				}
			}
		}
	}
	return all
}

func examplesOf(media *openapi3.MediaType) map[string]any {
	all := map[string]any{}
	if media == nil {
		return all
	}
	if media.Example != nil {
		all[""] = media.Example
	}
	for name, each := range media.Examples {
		all[name] = each.Value.Value
	}
	return all
}
