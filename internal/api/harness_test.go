package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/gen/server"
	"invited/internal/api"
	"invited/internal/directory"
	"invited/internal/directory/dirfile"
	"invited/internal/invitation"
	"invited/internal/store"
	"invited/internal/storetest"
	"invited/internal/token"
)

// The world that the tests of this package live in. Names are in the file below; a user's API key is the username
// and "-key".
const (
	lifetime = 7 * 24 * time.Hour
	maxAge   = 3 * 24 * time.Hour

	acme    = "10000000-0000-4000-8000-000000000001" // a customer
	globex  = "10000000-0000-4000-8000-000000000002" // another
	gone    = "10000000-0000-4000-8000-000000000003" // a removed one
	apollo  = "20000000-0000-4000-8000-000000000001" // a project of acme
	artemis = "20000000-0000-4000-8000-000000000002" // one that starts on 2026-12-24
	hydra   = "20000000-0000-4000-8000-000000000003" // a project of globex
	dropped = "20000000-0000-4000-8000-000000000004" // a removed project of acme
	strict  = "20000000-0000-4000-8000-000000000005" // a project of acme with e-mail patterns
	nodes   = "30000000-0000-4000-8000-000000000001" // an offering of acme
	call    = "30000000-0000-4000-8000-000000000002" // a call of acme
	paper   = "30000000-0000-4000-8000-000000000003" // a proposal of acme

	owner    = "40000000-0000-4000-8000-000000000001" // CUSTOMER.OWNER
	reader   = "40000000-0000-4000-8000-000000000002" // CUSTOMER.READER: only INVITATION.LIST
	manager  = "40000000-0000-4000-8000-000000000003" // PROJECT.MANAGER
	admin    = "40000000-0000-4000-8000-000000000004" // PROJECT.ADMIN: no permissions
	member   = "40000000-0000-4000-8000-000000000005" // PROJECT.MEMBER: no permissions
	retired  = "40000000-0000-4000-8000-000000000006" // PROJECT.RETIRED: not active
	seller   = "40000000-0000-4000-8000-000000000007" // OFFERING.MANAGER
	reviewer = "40000000-0000-4000-8000-000000000008" // CALL.REVIEWER
	author   = "40000000-0000-4000-8000-000000000009" // PROPOSAL.AUTHOR
)

const worldFile = `
roles:
  - {name: CUSTOMER.OWNER, uuid: ` + owner + `, description: Organization owner, scope_type: customer,
     permissions: [CUSTOMER.CREATE_PERMISSION, INVITATION.LIST]}
  - {name: CUSTOMER.READER, uuid: ` + reader + `, scope_type: customer, permissions: [INVITATION.LIST]}
  - {name: PROJECT.MANAGER, uuid: ` + manager + `, description: Project manager, scope_type: project,
     permissions: [PROJECT.CREATE_PERMISSION]}
  - {name: PROJECT.ADMIN, uuid: ` + admin + `, description: System administrator, scope_type: project}
  - {name: PROJECT.MEMBER, uuid: ` + member + `, scope_type: project}
  - {name: PROJECT.RETIRED, uuid: ` + retired + `, scope_type: project, is_active: false}
  - {name: OFFERING.MANAGER, uuid: ` + seller + `, scope_type: offering, permissions: [OFFERING.CREATE_PERMISSION]}
  - {name: CALL.REVIEWER, uuid: ` + reviewer + `, scope_type: call, permissions: [CALL.CREATE_PERMISSION]}
  - {name: PROPOSAL.AUTHOR, uuid: ` + author + `, scope_type: proposal, permissions: [PROPOSAL.MANAGE]}
users:
  - {username: staff, email: staff@example.com, full_name: Sam Staff, is_staff: true, tokens: [staff-key]}
  - {username: staff2, email: staff2@example.com, is_staff: true, notifications_enabled: false, tokens: [staff2-key]}
  - {username: support, email: support@example.com, is_support: true, tokens: [support-key]}
  - {username: owner, email: owner@acme.example, full_name: Olivia Owner, image: 'https://example.com/olivia.png', tokens: [owner-key]}
  - {username: reader, email: reader@acme.example, tokens: [reader-key]}
  - {username: manager, email: manager@acme.example, full_name: Max Manager, tokens: [manager-key]}
  - {username: member, email: member@acme.example, tokens: [member-key]}
  - {username: sibling, email: sibling@acme.example, tokens: [sibling-key]}
  - {username: rival, email: rival@globex.example, tokens: [rival-key]}
  - {username: invitee, email: Invitee@University.example, civil_number: '1234', tokens: [invitee-key]}
  - {username: stranger, email: stranger@example.org, tokens: [stranger-key]}
  - {username: inactive, email: inactive@example.com, is_staff: true, is_active: false, tokens: [inactive-key]}
customers:
  - name: Acme
    uuid: ` + acme + `
    description: Makers of things
    members: [{user: owner, role: CUSTOMER.OWNER}, {user: reader, role: CUSTOMER.READER}]
    projects:
      - name: Apollo
        uuid: ` + apollo + `
        description: To the moon
        members: [{user: manager, role: PROJECT.MANAGER}, {user: member, role: PROJECT.MEMBER}]
      - name: Artemis
        uuid: ` + artemis + `
        description: Back to the moon
        start_date: 2026-12-24
        members: [{user: sibling, role: PROJECT.MANAGER}]
      - {name: Dropped, uuid: ` + dropped + `, is_removed: true}
      - {name: Strict, uuid: ` + strict + `, user_email_patterns: ['.*@(acme|university)\.example']}
    scopes:
      - {type: offering, name: GPU nodes, uuid: ` + nodes + `}
      - {type: call, name: Spring call, uuid: ` + call + `}
      - {type: proposal, name: A paper, uuid: ` + paper + `}
  - name: Globex
    uuid: ` + globex + `
    description: 100% others_
    members: [{user: rival, role: CUSTOMER.OWNER}]
    projects:
      - {name: Hydra, uuid: ` + hydra + `}
  - {name: Gone, uuid: ` + gone + `, is_removed: true}
`

// segments are the paths of scopes by uuid.
var segments = map[string]string{
	acme: "customers", globex: "customers", gone: "customers",
	apollo: "projects", artemis: "projects", hydra: "projects", dropped: "projects", strict: "projects",
	nodes: "marketplace-provider-offerings", call: "proposal-protected-calls", paper: "proposal-proposals",
}

// scopeURL is the URL of a scope of the world.
func scopeURL(id string) string {
	return "https://anywhere.example/api/" + segments[id] + "/" + id + "/"
}

// world is the API on a real database of its own, with a clock that stands at 2026-11-23 09:30 UTC.
type world struct {
	t       *testing.T
	engine  storetest.Engine
	db      *store.DB
	clock   *storetest.Clock
	service *invitation.Service
	server  *httptest.Server
	log     *logBuffer
}

// inEachWorld runs a test on both engines, in a world each. The policy is the default one as changed by tune.
func inEachWorld(t *testing.T, test func(w *world), tune ...func(*invitation.Policy)) {
	t.Helper()
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) { test(newWorld(t, e, tune...)) })
}

func newWorld(t *testing.T, e storetest.Engine, tune ...func(*invitation.Policy)) *world {
	t.Helper()
	return newWorldOf(t, e, worldFile, tune...)
}

// newWorldOf is newWorld with another directory.
func newWorldOf(t *testing.T, e storetest.Engine, file string, tune ...func(*invitation.Policy)) *world {
	t.Helper()
	return newWorldOver(t, e, file, func(clock func() time.Time) *store.DB { return e.Open(t, clock) }, tune...)
}

// newWorldOver is newWorldOf with a database that is opened in another way.
func newWorldOver(
	t *testing.T, e storetest.Engine, file string, open func(clock func() time.Time) *store.DB, tune ...func(*invitation.Policy),
) *world {
	t.Helper()
	w := &world{
		t: t, engine: e, log: &logBuffer{},
		clock: storetest.NewClock(time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC)),
	}
	w.db = open(w.clock.Now)
	w.apply(file)
	w.service = &invitation.Service{
		Store: w.db.Invitations(),
		Policy: invitation.Policy{
			Lifetime: lifetime, MaxAge: maxAge,
			AllowedFields: []string{"full_name", "native_name", "phone_number", "organization", "job_title", "civil_number"},
		},
		Signer:      token.NewSigner("the secret of the tests"),
		FrontendURL: "https://front.example/",
	}
	for _, each := range tune {
		each(&w.service.Policy)
	}
	handler, err := api.New(api.Config{
		Service: w.service, Directory: &directory.Reader{Store: w.db.Shelf()}, Keys: w.db, PublicURL: "https://api.example/",
		Logger: slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Ready:  func(context.Context) map[string]error { return nil },
	})
	require.NoError(t, err)
	w.server = httptest.NewServer(handler)
	t.Cleanup(w.server.Close)
	return w
}

// apply applies a directory file.
func (w *world) apply(file string) {
	w.t.Helper()
	parsed, err := dirfile.Decode(strings.NewReader(file))
	require.NoError(w.t, err)
	_, err = dirfile.Apply(w.t.Context(), w.db.Directory(), parsed, nil)
	require.NoError(w.t, err)
}

// response is an answer of the API that was found to conform to the contract.
type response struct {
	t      *testing.T
	Status int
	Header http.Header
	Body   string
}

// request sends a request as a user ("" is nobody) and checks the answer against the contract. A body that is no
// string is sent as JSON.
func (w *world) request(method, path, user string, body any) response {
	w.t.Helper()
	return w.send(w.newRequest(method, path, user, body))
}

func (w *world) newRequest(method, path, user string, body any) *http.Request {
	w.t.Helper()
	var reader io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		reader = strings.NewReader(b)
	default:
		encoded, err := json.Marshal(b)
		require.NoError(w.t, err)
		reader = bytes.NewReader(encoded)
	}
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.server.URL+path, reader)
	require.NoError(w.t, err)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if user != "" {
		r.Header.Set("Authorization", "Token "+user+"-key")
	}
	return r
}

func (w *world) send(r *http.Request) response {
	w.t.Helper()
	answer, err := w.server.Client().Do(r)
	require.NoError(w.t, err)
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	require.NoError(w.t, err)
	conforms(w.t, r, answer, body)
	return response{w.t, answer.StatusCode, answer.Header, string(body)}
}

// is asserts status and body, the latter as JSON where it is not empty.
func (r response) is(status int, body string) response {
	r.t.Helper()
	require.Equal(r.t, status, r.Status, r.Body)
	if body != "" {
		require.JSONEq(r.t, body, r.Body)
	}
	return r
}

// into decodes the body.
func (r response) into(v any) {
	r.t.Helper()
	require.NoError(r.t, json.Unmarshal([]byte(r.Body), v))
}

// The refusals that say nothing but their status.
const (
	notFound     = `{"detail": "Not found."}`
	forbidden    = `{"detail": "You do not have permission to perform this action."}`
	noCredential = `{"detail": "Authentication credentials were not provided."}`
)

const base = "/api/user-invitations/"

// at is the path of an invitation or of an action on it.
func at(id string, action ...string) string {
	path := base + id + "/"
	if len(action) > 0 {
		path += action[0] + "/"
	}
	return path
}

// draft is the body of a create request.
func draft(email, role, scope string, more ...string) map[string]any {
	body := map[string]any{"email": email, "role": role, "scope": scopeURL(scope)}
	for i := 0; i+1 < len(more); i += 2 {
		body[more[i]] = more[i+1]
	}
	return body
}

// create makes an invitation by the API and returns it.
func (w *world) create(user, email, role, scope string, more ...string) server.Invitation {
	w.t.Helper()
	var made server.Invitation
	w.request("POST", base, user, draft(email, role, scope, more...)).is(http.StatusCreated, "").into(&made)
	return made
}

// see returns an invitation as staff sees it.
func (w *world) see(id uuid.UUID) server.Invitation {
	w.t.Helper()
	var seen server.Invitation
	w.request("GET", at(id.String()), "staff", nil).is(http.StatusOK, "").into(&seen)
	return seen
}

// list returns a list as a user sees it.
func (w *world) list(user, query string) ([]server.Invitation, response) {
	w.t.Helper()
	var seen []server.Invitation
	answer := w.request("GET", base+"?"+query, user, nil).is(http.StatusOK, "")
	answer.into(&seen)
	return seen, answer
}

// jobs counts the jobs of a kind that wait in the queue.
func (w *world) jobs(kind string) int {
	w.t.Helper()
	return len(storetest.Jobs(w.t, w.db, kind))
}

var contract = sync.OnceValues(func() (routers.Router, error) {
	document, err := openapi3.NewLoader().LoadFromFile("../../openapi.yaml")
	if err != nil {
		return nil, err
	}
	document.Servers = nil // any address
	return gorillamux.NewRouter(document)
})

// conforms checks an answer against the contract. One that belongs to no operation, because there is no such path
// or method, must have the body that the contract gives its status everywhere else.
func conforms(t *testing.T, r *http.Request, answer *http.Response, body []byte) {
	t.Helper()
	if strings.HasSuffix(r.URL.Path, "z") { // /healthz and /readyz are for operators, not in the contract
		return
	}
	if strings.HasPrefix(r.URL.Path, "/docs") || strings.HasPrefix(r.URL.Path, "/openapi.") { // nor what tells of it
		require.NotEmpty(t, answer.Header.Get("X-Request-ID"))
		return
	}
	require.NotEmpty(t, answer.Header.Get("X-Request-ID"))
	if r.Method == http.MethodHead || answer.StatusCode == http.StatusNoContent {
		require.Empty(t, body)
	} else {
		require.Contains(t, answer.Header.Get("Content-Type"), "application/json", string(body))
	}
	router, err := contract()
	require.NoError(t, err)
	route, parameters, err := router.FindRoute(r)
	if err != nil || answer.StatusCode == http.StatusMethodNotAllowed {
		require.Contains(t, []int{http.StatusNotFound, http.StatusMethodNotAllowed}, answer.StatusCode)
		if answer.StatusCode == http.StatusMethodNotAllowed {
			require.NotEmpty(t, answer.Header.Get("Allow"))
		}
		if r.Method != http.MethodHead {
			var detail map[string]string
			require.NoError(t, json.Unmarshal(body, &detail), string(body))
			require.Len(t, detail, 1)
			require.NotEmpty(t, detail["detail"])
		}
		return
	}
	err = openapi3filter.ValidateResponse(t.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: r, PathParams: parameters, Route: route},
		Status:                 answer.StatusCode,
		Header:                 answer.Header,
		Body:                   io.NopCloser(bytes.NewReader(body)),
		Options:                &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true},
	})
	require.NoError(t, err, "%s %s: %d does not conform to the contract: %s", r.Method, r.URL, answer.StatusCode, body)
	for name, header := range route.Operation.Responses.Status(answer.StatusCode).Value.Headers {
		if header.Value.Required {
			require.Contains(t, answer.Header, http.CanonicalHeaderKey(name), "a header that the contract requires")
		}
	}
}

// logBuffer is where the API of a test logs.
type logBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
