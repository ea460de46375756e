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
	"invited/internal/api"
	"invited/internal/directory"
	"invited/internal/idempotency"
	"invited/internal/invitation"
	"invited/internal/signin"
	"invited/internal/storetest"
	"invited/internal/token"
)

// Ids in the examples of the contract: the demo's directory, and an invitation.
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

// exampleEnv is an environment with the demo's directory.
type exampleEnv struct {
	*env
	made []string // random uuids that the example has another value for
}

var demoUser = regexp.MustCompile(`(?m)^  - username: (\w+)$`)

func newExamples(t *testing.T, policy func(*invitation.Policy)) *exampleEnv {
	t.Helper()
	demo, err := os.ReadFile("../app/demo.yaml")
	require.NoError(t, err)
	file := demoUser.ReplaceAllString(string(demo), "$0\n    tokens: [$1-key]")
	file = strings.Replace(file, "users:\n", "users:\n"+
		"  - {username: ida, is_active: false, tokens: [ida-key]}\n"+
		"  - {username: alice, email: alice@example.com, full_name: Alice Example, tokens: [alice-key]}\n", 1)
	config := envConfig{directory: file}
	if policy != nil {
		config.policies = append(config.policies, policy)
	}
	// One engine is enough: the other tests of this package compare the two.
	x := &exampleEnv{env: newEnv(t, storetest.Engines[0], config)}
	x.service.FrontendURL = "https://portal.example.com/"
	x.useIssuer(func(*api.Config) {})
	return x
}

func (x *exampleEnv) draft(more ...any) map[string]any {
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

// invite creates the invitation of the examples. more has pairs of field and value that differ.
func (x *exampleEnv) invite(more ...any) (uuid.UUID, response) {
	x.t.Helper()
	answer := x.request("POST", base, "olivia", x.draft(more...)).is(http.StatusCreated, "")
	var made server.Invitation
	answer.decode(&made)
	x.made = append(x.made, made.UUID.String())
	return made.UUID, answer
}

// deliver delivers an invitation.
func (x *exampleEnv) deliver(id uuid.UUID) {
	x.t.Helper()
	job := invitation.Deliver{Invitation: id}
	message, err := x.service.BeginDelivery(x.context(), job)
	require.NoError(x.t, err)
	require.NoError(x.t, x.service.FinishDelivery(x.context(), job, message, invitation.Outcome{}))
}

// act posts an action on an invitation.
func (x *exampleEnv) act(user string, id uuid.UUID, action string) response {
	x.t.Helper()
	return x.request("POST", at(id.String(), action), user, nil)
}

// edit updates an invitation as Olivia. fields has pairs of field and value.
func (x *exampleEnv) edit(method string, id uuid.UUID, fields ...string) response {
	x.t.Helper()
	body := map[string]string{}
	for i := 0; i+1 < len(fields); i += 2 {
		body[fields[i]] = fields[i+1]
	}
	return x.request(method, at(id.String()), "olivia", body)
}

func (x *exampleEnv) duplicates(user string, body any) response {
	x.t.Helper()
	return x.request("POST", base+"check-duplicates/", user, body)
}

// exampleRequest returns the example of an operation's request body.
func (x *exampleEnv) exampleRequest(operationID string) any {
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

// token returns the body of approve or reject.
func (x *exampleEnv) token(purpose token.Purpose, staff string, id uuid.UUID) map[string]string {
	return map[string]string{"token": x.sign(purpose, uuid.MustParse(staff), id)}
}

const exampleSam = "9b2e6d10-4c7f-4f5a-8d33-1e0a7c5b6f01" // staff

// exampleRequests has, by the name of each example, the request whose response is the example, and the policy that the
// request needs.
var exampleRequests = map[string]struct {
	policy func(*invitation.Policy)
	send   func(x *exampleEnv) response
}{
	"SameKeyRuns": {nil, func(x *exampleEnv) (answer response) {
		running := idempotency.Request{UserUUID: x.userID("olivia"), Key: "k"}
		_, _, err := x.keys.Do(x.context(), running, func(context.Context) (idempotency.Answer, error) {
			answer = x.sendKeyed("k", x.newRequest("POST", base, "olivia", x.draft()))
			return idempotency.Answer{}, nil
		})
		require.NoError(x.t, err)
		return answer
	}},
	"SameKeyUsed": {nil, func(x *exampleEnv) response {
		x.sendKeyed("k", x.newRequest("POST", at(uuid.NewString(), "send"), "olivia", nil)).is(http.StatusNotFound, "")
		return x.sendKeyed("k", x.newRequest("POST", base, "olivia", x.draft()))
	}},
	"user_invitations_list 200 one": {nil, func(x *exampleEnv) response {
		id, _ := x.invite()
		x.deliver(id)
		return x.request("GET", base+"?page=1", "olivia", nil)
	}},
	"user_invitations_mine_list 200 pending": {nil, func(x *exampleEnv) response {
		x.invite()
		return x.request("GET", minePath, "alice", nil)
	}},
	"user_invitations_mine_list 400": {nil, func(x *exampleEnv) response {
		return x.request("GET", minePath+"?page_size=x", "alice", nil)
	}},
	"user_invitations_mine_list 404": {nil, func(x *exampleEnv) response {
		return x.request("GET", minePath+"?page=2", "alice", nil)
	}},
	"user_invitations_list 400": {nil, func(x *exampleEnv) response {
		return x.request("GET", base+"?page_size=x", "olivia", nil)
	}},
	"user_invitations_list 404": {nil, func(x *exampleEnv) response {
		return x.request("GET", base+"?page=2", "olivia", nil)
	}},
	"user_invitations_events_list 200 delivered": {nil, func(x *exampleEnv) response {
		r := x.newRequest("POST", base, "olivia", x.draft())
		r.Header.Set("X-Request-ID", "4f9d1c2b7a6e4d0f8b3a5c1e9d7f2a60")
		var made server.Invitation
		x.send(r).is(http.StatusCreated, "").decode(&made)
		x.made = append(x.made, made.UUID.String())
		x.clock.Advance(2 * time.Second)
		x.deliver(made.UUID)
		return x.request("GET", at(made.UUID.String(), "events")+"?page=1", "olivia", nil)
	}},
	"events_list 200 created": {nil, func(x *exampleEnv) response {
		r := x.newRequest("POST", base, "olivia", x.draft())
		r.Header.Set("X-Request-ID", "4f9d1c2b7a6e4d0f8b3a5c1e9d7f2a60")
		var made server.Invitation
		x.send(r).is(http.StatusCreated, "").decode(&made)
		x.made = append(x.made, made.UUID.String())
		x.clock.Advance(2 * time.Second)
		x.deliver(made.UUID)
		x.request("POST", at(made.UUID.String(), "cancel"), "olivia", nil).is(http.StatusOK, "")
		x.assignPositions()
		return x.request("GET", feedPath+"?page_size=2", "sam", nil)
	}},
	"events_list 403 all": {nil, func(x *exampleEnv) response {
		return x.request("GET", feedPath, "olivia", nil)
	}},
	"events_list 404": {nil, func(x *exampleEnv) response {
		return x.request("GET", feedPath+"?customer_uuid="+exampleInvitation, "olivia", nil)
	}},
	"user_invitations_events_list 400": {nil, func(x *exampleEnv) response {
		return x.request("GET", at(exampleInvitation, "events")+"?page_size=x", "olivia", nil)
	}},
	"user_invitations_events_list 404 invitation": {nil, func(x *exampleEnv) response {
		return x.request("GET", at(exampleInvitation, "events"), "olivia", nil)
	}},
	"user_invitations_events_list 404 page": {nil, func(x *exampleEnv) response {
		id, _ := x.invite()
		return x.request("GET", at(id.String(), "events")+"?page=2", "olivia", nil)
	}},
	"user_invitations_create 201 created": {nil, func(x *exampleEnv) response {
		_, answer := x.invite()
		return answer
	}},
	"user_invitations_create 400 fields": {nil, func(x *exampleEnv) response {
		return x.request("POST", base, "olivia", map[string]any{"email": "alice", "scope": x.draft()["scope"]})
	}},
	"user_invitations_create 400 scope": {nil, func(x *exampleEnv) response {
		return x.request("POST", base, "ina", x.draft())
	}},
	"user_invitations_create 400 role": {nil, func(x *exampleEnv) response {
		return x.request("POST", base, "olivia", x.draft("role", "3c5e2f80-0b9d-4a7e-9c21-6f4d8a1b7e01"))
	}},
	"user_invitations_create 400 unknownRole": {nil, func(x *exampleEnv) response {
		return x.request("POST", base, "olivia", x.draft("role", "3c5e2f80-0b9d-4a7e-9c21-6f4d8a1b7e99"))
	}},
	"user_invitations_create 400 manager": {oneManager, func(x *exampleEnv) response {
		return x.request("POST", base, "olivia", x.draft("role", exampleManager))
	}},
	"user_invitations_create 400 duplicate": {nil, func(x *exampleEnv) response {
		x.invite()
		return x.request("POST", base, "olivia", x.draft())
	}},
	"user_invitations_create 400 pattern": {nil, func(x *exampleEnv) response {
		x.pattern()
		return x.request("POST", base, "olivia", x.draft())
	}},
	"user_invitations_create 400 ends": {nil, func(x *exampleEnv) response {
		return x.request("POST", base, "olivia", x.draft("expires", formatTime(x.clock.Now()), "membership_expires", formatTime(x.clock.Now())))
	}},
	"user_invitations_bulk_list 200 one": {nil, func(x *exampleEnv) response {
		x.runBulk(x.bulk120())
		return x.request("GET", bulks, "olivia", nil)
	}},
	"user_invitations_bulk_create 200 done": {nil, func(x *exampleEnv) response {
		answer := x.sendTable("olivia", x.bulkDefaults(), "email\nada@example.com\nben@example\n")
		x.made = append(x.made, answer.report().Results[0].UUID.String())
		return answer
	}},
	"user_invitations_bulk_create 202 taken": {nil, func(x *exampleEnv) response {
		answer := x.sendTable("olivia", x.bulkDefaults(), table120())
		x.made = append(x.made, uuidOf(answer))
		return answer
	}},
	"user_invitations_bulk_create 400 many": {nil, func(x *exampleEnv) response {
		return x.request("POST", bulks, "olivia", map[string]any{"rows": make([]int, 10_001)})
	}},
	"user_invitations_bulk_create 400 quote": {nil, func(x *exampleEnv) response {
		return x.sendTable("olivia", "", "email\nada@example.com\n\"ben@example.com\n")
	}},
	"user_invitations_bulk_create 400 header": {nil, func(x *exampleEnv) response {
		return x.sendTable("olivia", "", "Name;Mail\nAda;ada@example.com\n")
	}},
	"user_invitations_bulk_retrieve 200 done": {nil, func(x *exampleEnv) response {
		id := x.bulk120()
		x.runBulk(id)
		return x.request("GET", bulkAt(id.String())+"?result=invalid", "olivia", nil)
	}},
	"user_invitations_bulk_cancel 200": {nil, func(x *exampleEnv) response {
		return x.request("POST", bulkAt(x.bulk120().String(), "cancel"), "olivia", nil)
	}},
	"user_invitations_bulk_cancel 400": {nil, func(x *exampleEnv) response {
		id := x.bulk120()
		x.runBulk(id)
		return x.request("POST", bulkAt(id.String(), "cancel"), "olivia", nil)
	}},
	"user_invitations_retrieve 200 delivered": {nil, func(x *exampleEnv) response {
		id, _ := x.invite()
		x.deliver(id)
		return x.request("GET", at(id.String()), "olivia", nil)
	}},
	"user_invitations_details_retrieve 200 pending": {nil, func(x *exampleEnv) response {
		id, _ := x.invite()
		x.deliver(id)
		return x.request("GET", at(id.String(), "details"), "alice", nil)
	}},
	"user_invitations_accept 200": {nil, func(x *exampleEnv) response {
		id, _ := x.invite()
		return x.act("alice", id, "accept")
	}},
	"user_invitations_accept 400 held": {nil, func(x *exampleEnv) response {
		id, _ := x.invite("role", exampleManager)
		return x.act("max", id, "accept")
	}},
	"user_invitations_accept 400 email": {strictCheck, func(x *exampleEnv) response {
		id, _ := x.invite()
		return x.act("ina", id, "accept")
	}},
	"user_invitations_accept 400 roles": {disableMultiple, func(x *exampleEnv) response {
		id, _ := x.invite()
		return x.act("max", id, "accept")
	}},
	"user_invitations_accept 400 pattern": {nil, func(x *exampleEnv) response {
		id, _ := x.invite()
		x.pattern()
		return x.act("alice", id, "accept")
	}},
	"user_invitations_accept 400 role": {nil, func(x *exampleEnv) response {
		id, _ := x.invite()
		x.apply("roles: [{name: PROJECT.ADMIN, scope_type: project, is_active: false}]")
		return x.act("alice", id, "accept")
	}},
	"user_invitations_accept 400 manager": {oneManager, func(x *exampleEnv) response {
		x.manage("false")
		id, _ := x.invite("role", exampleManager)
		x.manage("true")
		return x.act("alice", id, "accept")
	}},
	"user_invitations_cancel 200": {nil, func(x *exampleEnv) response {
		id, _ := x.invite()
		return x.act("olivia", id, "cancel")
	}},
	"user_invitations_cancel 400": {nil, func(x *exampleEnv) response {
		id, _ := x.invite()
		x.act("alice", id, "accept").is(http.StatusOK, "")
		return x.act("olivia", id, "cancel")
	}},
	"user_invitations_check 200 open": {nil, func(x *exampleEnv) response {
		id, _ := x.invite()
		return x.act("", id, "check")
	}},
	"user_invitations_check 200 civil": {nil, func(x *exampleEnv) response {
		id, _ := x.invite("civil_number", "1234")
		return x.act("", id, "check")
	}},
	"user_invitations_delete 200": {nil, func(x *exampleEnv) response {
		id, _ := x.invite()
		return x.act("sam", id, "delete")
	}},
	"user_invitations_update 200 edited": {nil, func(x *exampleEnv) response {
		id, _ := x.invite()
		return x.edit("PUT", id, "email", "alice@example.org", "role", exampleMember)
	}},
	"user_invitations_update 400 state": {nil, func(x *exampleEnv) response {
		id, _ := x.invite()
		x.act("alice", id, "accept").is(http.StatusOK, "")
		return x.edit("PUT", id, "email", "alice@example.org", "role", exampleMember)
	}},
	"user_invitations_update 400 fields": {nil, func(x *exampleEnv) response {
		id, _ := x.invite()
		return x.edit("PUT", id, "email", "alice", "role", "admin")
	}},
	"user_invitations_update 400 role": {nil, func(x *exampleEnv) response {
		id, _ := x.invite()
		return x.edit("PUT", id, "email", "alice@example.com", "role", "3c5e2f80-0b9d-4a7e-9c21-6f4d8a1b7e01")
	}},
	"user_invitations_update 400 unknownRole": {nil, func(x *exampleEnv) response {
		id, _ := x.invite()
		return x.edit("PUT", id, "email", "alice@example.com", "role", "3c5e2f80-0b9d-4a7e-9c21-6f4d8a1b7e99")
	}},
	"user_invitations_update 400 manager": {oneManager, func(x *exampleEnv) response {
		id, _ := x.invite()
		return x.edit("PUT", id, "email", "alice@example.com", "role", exampleManager)
	}},
	"user_invitations_update 400 duplicate": {nil, func(x *exampleEnv) response {
		x.invite("email", "alice@example.org")
		id, _ := x.invite()
		return x.edit("PUT", id, "email", "alice@example.org", "role", exampleAdmin)
	}},
	"user_invitations_update 400 pattern": {nil, func(x *exampleEnv) response {
		id, _ := x.invite()
		x.pattern()
		return x.edit("PUT", id, "email", "alice@example.org", "role", exampleAdmin)
	}},
	"user_invitations_partial_update 200 readdressed": {nil, func(x *exampleEnv) response {
		id, _ := x.invite()
		return x.edit("PATCH", id, "email", "alice@example.org")
	}},
	"user_invitations_partial_update 400 state": {nil, func(x *exampleEnv) response {
		id, _ := x.invite()
		x.act("olivia", id, "cancel").is(http.StatusOK, "")
		return x.edit("PATCH", id, "email", "alice@example.org")
	}},
	"user_invitations_partial_update 400 duplicate": {nil, func(x *exampleEnv) response {
		x.invite("email", "alice@example.org")
		id, _ := x.invite()
		return x.edit("PATCH", id, "email", "alice@example.org")
	}},
	"user_invitations_bulk_action 200 mixed": {nil, func(x *exampleEnv) response {
		id, _ := x.invite()
		return x.actOn("olivia", "cancel", id, uuid.MustParse("3c5e2f80-0b9d-4a7e-9c21-6f4d8a1b7e99"))
	}},
	"user_invitations_bulk_action 400 fields": {nil, func(x *exampleEnv) response {
		return x.request("POST", bulkAction, "olivia", map[string]any{"action": "accept", "uuids": []string{"x"}})
	}},
	"user_invitations_bulk_action 400 neither": {nil, func(x *exampleEnv) response {
		return x.request("POST", bulkAction, "olivia", map[string]any{"action": "cancel"})
	}},
	"user_invitations_bulk_action 400 expected": {nil, func(x *exampleEnv) response {
		return x.request("POST", bulkAction, "olivia", map[string]any{"action": "cancel", "filter": map[string]any{}})
	}},
	"user_invitations_bulk_action 400 unknown": {nil, func(x *exampleEnv) response {
		return x.actOnAll("olivia", "cancel", 1, map[string]any{"sate": []string{"pending"}})
	}},
	"user_invitations_bulk_action 400 many": {nil, func(x *exampleEnv) response {
		x.insertMany(exampleApollo, exampleAdmin, 0, invitation.MaxMany+1)
		return x.actOnAll("olivia", "cancel", 1, map[string]any{})
	}},
	"user_invitations_bulk_action 400 keyed": {nil, func(x *exampleEnv) response {
		ids := x.insertMany(exampleApollo, exampleAdmin, 0, invitation.MaxManyTogether+1)
		return x.sendKeyed("k", x.newRequest("POST", bulkAction, "olivia", map[string]any{"action": "cancel", "uuids": ids}))
	}},
	"user_invitations_bulk_action 409": {nil, func(x *exampleEnv) response {
		x.invite()
		x.invite("email", "ada@example.com")
		return x.actOnAll("olivia", "cancel", 1, map[string]any{"scope_name": "Apollo"})
	}},
	"user_invitations_check_duplicates 200 both": {nil, func(x *exampleEnv) response {
		x.invite()
		return x.duplicates("olivia", x.exampleRequest("user_invitations_check_duplicates"))
	}},
	"user_invitations_check_duplicates 200 member": {nil, func(x *exampleEnv) response {
		return x.duplicates("olivia", map[string]any{
			"scope": x.draft()["scope"], "invitations": []map[string]string{{"email": "max@acme.example", "role": exampleAdmin}},
		})
	}},
	"user_invitations_check_duplicates 200 none": {nil, func(x *exampleEnv) response {
		return x.duplicates("olivia", map[string]any{"scope": x.draft()["scope"], "invitations": []any{}})
	}},
	"user_invitations_check_duplicates 400 items": {nil, func(x *exampleEnv) response {
		return x.duplicates("olivia", map[string]any{"scope": x.draft()["scope"], "invitations": []map[string]string{
			{"email": "alice", "role": exampleAdmin}, {"email": "bob@example.com", "role": exampleAdmin}, {"email": "carol@example.com"},
		}})
	}},
	"user_invitations_check_duplicates 400 many": {nil, func(x *exampleEnv) response {
		return x.duplicates("olivia", map[string]any{"scope": x.draft()["scope"], "invitations": make([]int, 1001)})
	}},
	"user_invitations_check_duplicates 400 scope": {nil, func(x *exampleEnv) response {
		return x.duplicates("ina", map[string]any{"scope": x.draft()["scope"], "invitations": []any{}})
	}},
	"user_invitations_send 200": {nil, func(x *exampleEnv) response {
		id, _ := x.invite()
		return x.act("olivia", id, "send")
	}},
	"user_invitations_send 400 state": {nil, func(x *exampleEnv) response {
		id, _ := x.invite()
		x.act("alice", id, "accept").is(http.StatusOK, "")
		return x.act("olivia", id, "send")
	}},
	"user_invitations_send 400 ends": {nil, func(x *exampleEnv) response {
		id, _ := x.invite("membership_expires", formatTime(x.clock.Now().Add(time.Hour)))
		x.clock.Advance(time.Hour)
		return x.act("olivia", id, "send")
	}},
	"user_invitations_send 400 duplicate": {nil, func(x *exampleEnv) response {
		id, _ := x.invite()
		x.act("olivia", id, "cancel").is(http.StatusOK, "")
		x.invite()
		return x.act("olivia", id, "send")
	}},
	"user_invitations_approve 200": {onlyStaff, func(x *exampleEnv) response {
		id, _ := x.invite()
		return x.request("POST", base+"approve/", "", x.token(token.Approve, exampleSam, id))
	}},
	"user_invitations_reject 200": {onlyStaff, func(x *exampleEnv) response {
		id, _ := x.invite()
		return x.request("POST", base+"reject/", "", x.token(token.Reject, exampleSam, id))
	}},
	"user_invitations_decline 200": {nil, func(x *exampleEnv) response {
		id, _ := x.invite()
		return x.request("POST", at(id.String(), "decline"), "alice", x.exampleRequest("user_invitations_decline"))
	}},
	"user_invitations_decline 400 reason": {nil, func(x *exampleEnv) response {
		id, _ := x.invite()
		return x.request("POST", at(id.String(), "decline"), "alice", map[string]string{"reason": strings.Repeat("x", 1001)})
	}},
	"user_invitations_undo_decline 200": {nil, func(x *exampleEnv) response {
		id, _ := x.invite()
		x.act("alice", id, "decline").is(http.StatusOK, "")
		return x.act("alice", id, "undo-decline")
	}},
	"user_invitations_undo_decline 400 late": {nil, func(x *exampleEnv) response {
		id, _ := x.invite()
		x.act("alice", id, "decline").is(http.StatusOK, "")
		x.clock.Advance(10 * time.Minute)
		return x.act("alice", id, "undo-decline")
	}},
	"user_invitations_undo_decline 400 expired": {nil, func(x *exampleEnv) response {
		id, _ := x.invite()
		x.clock.Advance(lifetime - time.Minute)
		x.act("alice", id, "decline").is(http.StatusOK, "")
		x.clock.Advance(time.Minute)
		return x.act("alice", id, "undo-decline")
	}},
	"user_invitations_undo_decline 400 duplicate": {nil, func(x *exampleEnv) response {
		id, _ := x.invite()
		x.act("alice", id, "decline").is(http.StatusOK, "")
		x.invite()
		return x.act("alice", id, "undo-decline")
	}},
	"user_invitations_ask_again 200": {nil, func(x *exampleEnv) response {
		id, _ := x.invite()
		x.clock.Advance(lifetime)
		return x.act("alice", id, "ask-again")
	}},
	"user_invitations_approve_request 200": {onlyStaff, func(x *exampleEnv) response {
		id, _ := x.invite()
		return x.act("sam", id, "approve-request")
	}},
	"user_invitations_approve_request 400 state": {onlyStaff, func(x *exampleEnv) response {
		id, _ := x.invite()
		x.act("sam", id, "approve-request").is(http.StatusOK, "")
		return x.act("sam", id, "approve-request")
	}},
	"user_invitations_approve_request 400 scope": {onlyStaff, func(x *exampleEnv) response {
		id, _ := x.invite()
		x.apply("customers: [{name: Acme, projects: [{name: Apollo, uuid: " + exampleApollo + ", is_removed: true}]}]")
		return x.act("sam", id, "approve-request")
	}},
	"user_invitations_reject_request 200": {onlyStaff, func(x *exampleEnv) response {
		id, _ := x.invite()
		return x.request("POST", at(id.String(), "reject-request"), "sam", x.exampleRequest("user_invitations_reject_request"))
	}},
	"user_invitations_reject_request 400 state": {nil, func(x *exampleEnv) response {
		id, _ := x.invite()
		return x.act("sam", id, "reject-request")
	}},
	"user_invitations_reject_request 400 reason": {onlyStaff, func(x *exampleEnv) response {
		id, _ := x.invite()
		return x.request("POST", at(id.String(), "reject-request"), "sam", map[string]string{"reason": strings.Repeat("x", 1001)})
	}},
	"user_invitations_link_retrieve 200": {nil, func(x *exampleEnv) response {
		id, _ := x.invite()
		return x.request("GET", at(id.String(), "link"), "olivia", nil)
	}},
	"customers_list 200": {nil, func(x *exampleEnv) response {
		return x.request("GET", "/api/customers/", "olivia", nil)
	}},
	"customers_retrieve 200": {nil, func(x *exampleEnv) response {
		return x.request("GET", "/api/customers/"+exampleAcme+"/", "olivia", nil)
	}},
	"customers_list_users_list 200": {nil, func(x *exampleEnv) response {
		x.membershipOf("olivia")
		return x.request("GET", "/api/customers/"+exampleAcme+"/list_users/?role=CUSTOMER.OWNER", "olivia", nil)
	}},
	"projects_list_users_list 200": {nil, func(x *exampleEnv) response {
		x.member()
		return x.request("GET", "/api/projects/"+exampleApollo+"/list_users/", "max", nil)
	}},
	"projects_list 200": {nil, func(x *exampleEnv) response {
		return x.request("GET", "/api/projects/?name=apo", "olivia", nil)
	}},
	"projects_retrieve 200": {nil, func(x *exampleEnv) response {
		return x.request("GET", "/api/projects/"+exampleArtemis+"/", "olivia", nil)
	}},
	"roles_list 200": {nil, func(x *exampleEnv) response {
		return x.request("GET", "/api/roles/?content_type=project&name=manager", "olivia", nil)
	}},
	"roles_retrieve 200": {nil, func(x *exampleEnv) response {
		return x.request("GET", "/api/roles/"+exampleAdmin+"/", "olivia", nil)
	}},
	"users_me_retrieve 200": {nil, func(x *exampleEnv) response {
		x.member()
		return x.request("GET", "/api/users/me/", "max", nil)
	}},
	"configuration_retrieve 200":  {nil, func(x *exampleEnv) response { return x.request("GET", "/api/configuration/", "", nil) }},
	"identity_providers_list 200": {nil, func(x *exampleEnv) response { return x.request("GET", "/api/identity-providers/", "", nil) }},
	"identity_providers_retrieve 200": {nil, func(x *exampleEnv) response {
		return x.request("GET", "/api/identity-providers/campus/", "", nil)
	}},
	"api_auth_init_retrieve 400": {nil, func(x *exampleEnv) response {
		return x.request("GET", "/api-auth/campus/init/?state="+strings.Repeat("x", 256), "", nil)
	}},
	"api_auth_token_exchange 200": {nil, func(x *exampleEnv) response {
		return x.request("POST", "/api-auth/token-exchange/", "", map[string]string{"code": x.ticket("olivia")})
	}},
	"api_auth_create 200": {nil, func(x *exampleEnv) response {
		return x.request("POST", "/api-auth/campus/", "", map[string]string{"code": x.ticket("olivia")})
	}},
	"BadCode missing": {nil, func(x *exampleEnv) response {
		return x.request("POST", "/api-auth/token-exchange/", "", map[string]string{})
	}},
	"BadCode ended": {nil, func(x *exampleEnv) response {
		return x.request("POST", "/api-auth/token-exchange/", "", x.exampleRequest("api_auth_token_exchange"))
	}},
	"user_permissions_list 200": {nil, func(x *exampleEnv) response {
		x.member()
		return x.request("GET", "/api/user-permissions/", "max", nil)
	}},
	"BadParameter": {nil, func(x *exampleEnv) response { return x.request("GET", "/api/projects/?customer_uuid=x", "olivia", nil) }},
	"NoSuchPage":   {nil, func(x *exampleEnv) response { return x.request("GET", "/api/projects/?page=2", "olivia", nil) }},
	"BadToken missing": {nil, func(x *exampleEnv) response {
		return x.request("POST", base+"approve/", "", map[string]string{})
	}},
	"BadToken signature": {nil, func(x *exampleEnv) response {
		return x.request("POST", base+"approve/", "", map[string]string{"token": "x"})
	}},
	"BadToken payload": {nil, func(x *exampleEnv) response {
		return x.request("POST", base+"approve/", "", x.token(token.Reject, exampleSam, uuid.New()))
	}},
	"BadToken user": {nil, func(x *exampleEnv) response {
		return x.request("POST", base+"approve/", "", x.token(token.Approve, exampleAdmin, uuid.New()))
	}},
	"BadToken invitation": {nil, func(x *exampleEnv) response {
		return x.request("POST", base+"approve/", "", x.token(token.Approve, exampleSam, uuid.New()))
	}},
	"Unauthorized absent":   {nil, func(x *exampleEnv) response { return x.request("GET", base, "", nil) }},
	"Unauthorized unknown":  {nil, func(x *exampleEnv) response { return x.request("GET", base, "nobody", nil) }},
	"Unauthorized inactive": {nil, func(x *exampleEnv) response { return x.request("GET", base, "ida", nil) }},
	"Unauthorized expired": {nil, func(x *exampleEnv) response {
		key, err := directory.IssueToken(x.context(), x.db.FileStore(), "olivia", time.Hour, "")
		require.NoError(x.t, err)
		x.clock.Advance(time.Hour)
		return x.requestWith("Token "+key, "GET", base, nil)
	}},
	"personal_access_tokens_list 200": {nil, func(x *exampleEnv) response {
		x.exec("DELETE FROM api_tokens")
		person := x.person("olivia")
		x.makeToken(person)
		return person("GET", tokensPath+"?page=1", nil)
	}},
	"personal_access_tokens_retrieve 200": {nil, func(x *exampleEnv) response {
		person := x.person("olivia")
		return person("GET", tokensPath+x.makeToken(person).UUID.String()+"/", nil)
	}},
	"personal_access_tokens_create 201": {nil, func(x *exampleEnv) response {
		answer := x.person("olivia")("POST", tokensPath, x.exampleRequest("personal_access_tokens_create"))
		return x.hideToken(answer)
	}},
	"personal_access_tokens_create 400 fields": {nil, func(x *exampleEnv) response {
		return x.person("olivia")("POST", tokensPath, map[string]any{"scopes": []string{"everything"}})
	}},
	"personal_access_tokens_create 400 expiry": {nil, func(x *exampleEnv) response {
		return x.person("olivia")("POST", tokensPath, map[string]any{
			"name": "x", "scopes": []string{"invitations:read"}, "expires_at": formatTime(x.clock.Now().Add(366 * 24 * time.Hour)),
		})
	}},
	"personal_access_tokens_create 400 many": {nil, func(x *exampleEnv) response {
		keys := make([]string, 99) // and the token of the directory file
		for i := range keys {
			keys[i] = fmt.Sprintf("olivia-key-%d", i)
		}
		x.apply("users: [{username: olivia, uuid: " + x.userID("olivia").String() + ", email: olivia@acme.example, tokens: [olivia-key, " +
			strings.Join(keys, ", ") + "]}]")
		return x.person("olivia")("POST", tokensPath, x.exampleRequest("personal_access_tokens_create"))
	}},
	"users_token_create 201": {nil, func(x *exampleEnv) response {
		return x.hideToken(x.portal()("POST", userTokenPath(x.userID("max")), nil))
	}},
	"users_token_create 403 scope": {nil, func(x *exampleEnv) response {
		return x.request("POST", userTokenPath(x.userID("max")), "sam", nil)
	}},
	"users_token_create 403 user": {nil, func(x *exampleEnv) response {
		return x.portal()("POST", userTokenPath(x.userID("sam")), nil)
	}},
	"NoToken": {nil, func(x *exampleEnv) response { return x.request("GET", tokensPath, "olivia", nil) }},
	"TokenScope": {nil, func(x *exampleEnv) response {
		key, err := directory.IssueToken(x.context(), x.db.FileStore(), "olivia", 0, "", directory.ReadDirectory)
		require.NoError(x.t, err)
		return x.requestWith("Token "+key, "GET", base, nil)
	}},
	"Forbidden": {nil, func(x *exampleEnv) response {
		id, _ := x.invite()
		return x.act("olivia", id, "delete")
	}},
	"MayInviteNowhere": {nil, func(x *exampleEnv) response {
		return x.request("POST", bulks, "ina", map[string]any{"rows": []any{map[string]any{"email": "ada@example.com"}}})
	}},
	"NotFound":         {nil, func(x *exampleEnv) response { return x.request("GET", at(exampleInvitation), "olivia", nil) }},
	"MethodNotAllowed": {nil, func(x *exampleEnv) response { return x.request("PUT", base+"approve/", "", nil) }},
	"NotAcceptable": {nil, func(x *exampleEnv) response {
		r := x.newRequest("GET", base, "olivia", nil)
		r.Header.Set("Accept", "text/html")
		return x.send(r)
	}},
	"ContentTooLarge": {nil, func(x *exampleEnv) response {
		return x.request("POST", base+"approve/", "", strings.Repeat(" ", 16<<10+1))
	}},
	"URITooLong": {nil, func(x *exampleEnv) response {
		return x.request("GET", base+"?email="+strings.Repeat("x", 4096), "olivia", nil)
	}},
	"UnsupportedMediaType": {nil, func(x *exampleEnv) response {
		r := x.newRequest("POST", base, "olivia", "hello")
		r.Header.Set("Content-Type", "text/plain")
		return x.send(r)
	}},
	"TooManyRequests": {nil, func(x *exampleEnv) response {
		server := httptest.NewServer(x.handler(func(c *api.Config) {
			c.Callers = x.callers(func(c *signin.ChainConfig) { c.UnknownKeys = signin.Limit{Count: 30, Per: time.Minute} })
		}))
		defer server.Close()
		var last response
		for range 31 {
			r := x.newRequest("GET", base, "nobody", nil)
			r.URL.Host = strings.TrimPrefix(server.URL, "http://")
			last = x.send(r)
		}
		return last
	}},
	"InternalServerError": {nil, func(x *exampleEnv) response {
		x.exec("DROP TABLE invitation_counts")
		return x.request("GET", base, "sam", nil)
	}},
	"ServiceUnavailable": {nil, func(x *exampleEnv) response {
		r := x.newRequest("GET", base, "olivia", nil)
		ctx, cancel := context.WithDeadline(x.context(), time.Now().Add(-time.Second))
		defer cancel()
		recorder := httptest.NewRecorder()
		asServed := r.Clone(ctx)
		asServed.Body = http.NoBody
		x.withKeys(x.db).ServeHTTP(recorder, asServed)
		return response{x.t, recorder.Code, recorder.Header(), recorder.Body.String()}
	}},
}

// bulkDefaults is the query of the examples of bulk invitations.
func (x *exampleEnv) bulkDefaults() string {
	return "role=PROJECT.MEMBER&scope=" + exampleServer + "api/projects/" + exampleApollo + "/"
}

// table120 returns a table of 120 rows, of which the seventh is not valid.
func table120() string {
	table := "email\n"
	for i := range 120 {
		table += either(i == 6, "ada@example\n", fmt.Sprintf("guest%d@example.com\n", i))
	}
	return table
}

// bulk120 sends table120, and lets six seconds pass.
func (x *exampleEnv) bulk120() uuid.UUID {
	x.t.Helper()
	id := uuidOf(x.sendTable("olivia", x.bulkDefaults(), table120()).is(http.StatusAccepted, ""))
	x.made = append(x.made, id)
	x.clock.Advance(6 * time.Second)
	return uuid.MustParse(id)
}

// uuidOf returns the uuid in a response.
func uuidOf(answer response) string {
	answer.t.Helper()
	var made struct{ UUID string }
	answer.decode(&made)
	return made.UUID
}

// makeToken makes the token of the examples.
func (x *exampleEnv) makeToken(person sender) (made server.PersonalAccessTokenCreated) {
	x.t.Helper()
	person("POST", tokensPath, x.exampleRequest("personal_access_tokens_create")).is(http.StatusCreated, "").decode(&made)
	x.made = append(x.made, made.UUID.String())
	return made
}

// hideToken returns a response with the token's id and key of the examples.
func (x *exampleEnv) hideToken(answer response) response {
	x.t.Helper()
	var made server.PersonalAccessTokenCreated
	answer.is(http.StatusCreated, "").decode(&made)
	x.made = append(x.made, made.UUID.String())
	answer.Body = strings.ReplaceAll(answer.Body, made.Token, "inv_YOUR_NEW_TOKEN")
	return answer
}

// pattern lets Apollo admit only other addresses.
func (x *exampleEnv) pattern() {
	x.apply(fmt.Sprintf(`customers: [{name: Acme, description: An organization that runs things, projects: [
		{name: Apollo, uuid: %s, description: A project that has started, user_email_patterns: ['.*@acme\.example']}]}]`, exampleApollo))
}

// member leaves Max with one membership, the one in Apollo.
func (x *exampleEnv) member() {
	x.exec("DELETE FROM memberships WHERE scope_uuid = '" + exampleArtemis + "'")
	x.membershipOf("max")
}

// membershipOf notes that the uuid of a user's only membership is random.
func (x *exampleEnv) membershipOf(user string) {
	x.made = append(x.made, x.value("SELECT m.uuid FROM memberships m JOIN users u ON u.uuid = m.user_uuid WHERE u.username = '"+user+"'"))
}

// manage activates or revokes the role of Max as manager of Apollo.
func (x *exampleEnv) manage(is string) {
	x.apply(fmt.Sprintf(`customers: [{name: Acme, description: An organization that runs things, projects: [
		{name: Apollo, uuid: %s, description: A project that has started,
		members: [{user: max, role: PROJECT.MANAGER, is_active: %s}]}]}]`, exampleApollo, is))
}

// Every example of a response in the contract is a real response, to the letter but for random uuids.
func TestContractExamplesAreRealResponses(t *testing.T) {
	t.Parallel()
	documented := documentedExamples(t)
	for _, name := range slices.Sorted(maps.Keys(documented)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			request, known := exampleRequests[name]
			require.True(t, known, "there is no request for this example")
			x := newExamples(t, request.policy)
			got, want := request.send(x), documented[name]
			seen := strings.NewReplacer("https://api.example/", exampleServer)
			if len(x.made) > 0 {
				seen = strings.NewReplacer("https://api.example/", exampleServer, x.made[len(x.made)-1], exampleInvitation)
			}
			require.Equal(t, want.status, fmt.Sprint(got.Status))
			require.JSONEq(t, want.body, randomKey.ReplaceAllString(seen.Replace(got.Body), "inv_EXAMPLE"))
			for header, value := range want.headers {
				if header == "ETag" { // a digest of random uuids too
					require.Len(t, got.Header.Get(header), len(value))
					continue
				}
				require.Equal(t, value, seen.Replace(got.Header.Get(header)), header)
			}
		})
	}
	for name := range exampleRequests {
		require.Contains(t, documented, name, "the contract has no such example")
	}
}

// randomKey matches an API key.
var randomKey = regexp.MustCompile(`inv_[A-Z2-7]{26}`)

type documentedExample struct {
	status, body string
	headers      map[string]string
}

// documentedExamples returns the examples of responses in the contract. The key of an operation's example is the
// operation id, the status and the example's name; the key of a shared example is the response's and the example's name.
func documentedExamples(t *testing.T) map[string]documentedExample {
	t.Helper()
	all := map[string]documentedExample{}
	for _, item := range loadContract(t).Paths.Map() {
		for _, operation := range item.Operations() {
			for status, described := range operation.Responses.Map() {
				key := operation.OperationID + " " + status
				if shared, ok := strings.CutPrefix(described.Ref, "#/components/responses/"); ok {
					key = shared
				}
				one := documentedExample{status: status, headers: map[string]string{}}
				for name, header := range described.Value.Headers {
					if name != "X-Request-ID" && header.Value.Example != nil {
						one.headers[name] = fmt.Sprint(header.Value.Example)
					}
				}
				for example, value := range mediaExamples(described.Value.Content.Get("application/json")) {
					body, err := json.Marshal(value)
					require.NoError(t, err)
					one.body = string(body)
					all[strings.TrimSpace(key+" "+example)] = one
				}
			}
		}
	}
	return all
}

func mediaExamples(media *openapi3.MediaType) map[string]any {
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
