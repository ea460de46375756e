package api_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"regexp"
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
)

// response is a response of the API that conforms to the contract.
type response struct {
	t      testing.TB
	Status int
	Header http.Header
	Body   string
}

// request sends a request as a user, without credentials where user is empty, and checks the response against the
// contract. A string is sent as it is, any other body as JSON.
func (e *env) request(method, path, user string, body any) response {
	e.t.Helper()
	return e.send(e.newRequest(method, path, user, body))
}

func (e *env) newRequest(method, path, user string, body any) *http.Request {
	e.t.Helper()
	var content io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		content = strings.NewReader(b)
	default:
		encoded, err := json.Marshal(b)
		require.NoError(e.t, err)
		content = bytes.NewReader(encoded)
	}
	r, err := http.NewRequestWithContext(e.context(), method, e.server.URL+path, content)
	require.NoError(e.t, err)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if user != "" {
		r.Header.Set("Authorization", "Token "+user+"-key")
	}
	return r
}

func (e *env) send(r *http.Request) response {
	e.t.Helper()
	answer, err := e.server.Client().Do(r)
	require.NoError(e.t, err)
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	require.NoError(e.t, err)
	conforms(e.t, r, answer, body)
	return response{e.t, answer.StatusCode, answer.Header, string(body)}
}

// is asserts the status, and the body as JSON where body is not empty.
func (r response) is(status int, body string) response {
	r.t.Helper()
	require.Equal(r.t, status, r.Status, r.Body)
	if body != "" {
		require.JSONEq(r.t, body, r.Body)
	}
	return r
}

// decode decodes the body.
func (r response) decode(v any) {
	r.t.Helper()
	require.NoError(r.t, json.Unmarshal([]byte(r.Body), v))
}

// Bodies of errors.
const (
	notFound     = `{"detail": "Not found."}`
	forbidden    = `{"detail": "You do not have permission to perform this action."}`
	noCredential = `{"detail": "Authentication credentials were not provided."}`
)

const base = "/api/user-invitations/"

// at returns the path of an invitation, or of an action on it.
func at(id string, action ...string) string {
	path := base + id + "/"
	if len(action) > 0 {
		path += action[0] + "/"
	}
	return path
}

// draft returns the body of a create request. more has pairs of field and value.
func draft(email, role, scope string, more ...string) map[string]any {
	body := map[string]any{"email": email, "role": role, "scope": scopeURL(scope)}
	for i := 0; i+1 < len(more); i += 2 {
		body[more[i]] = more[i+1]
	}
	return body
}

// create creates an invitation through the API.
func (e *env) create(user, email, role, scope string, more ...string) server.Invitation {
	e.t.Helper()
	return e.request("POST", base, user, draft(email, role, scope, more...)).is(http.StatusCreated, "").invitation()
}

// retrieve returns an invitation as staff sees it.
func (e *env) retrieve(id uuid.UUID) server.Invitation {
	e.t.Helper()
	return e.request("GET", at(id.String()), "staff", nil).is(http.StatusOK, "").invitation()
}

// list returns the list of invitations as a user sees it.
func (e *env) list(user, query string) ([]server.Invitation, response) {
	e.t.Helper()
	var seen []server.Invitation
	answer := e.request("GET", base+"?"+query, user, nil).is(http.StatusOK, "")
	answer.decode(&seen)
	return seen, answer
}

// emails returns the e-mails of the list of invitations as a user sees it, in its order.
func (e *env) emails(user, query string) []string {
	e.t.Helper()
	seen, _ := e.list(user, query)
	all := make([]string, 0, len(seen))
	for _, each := range seen {
		all = append(all, string(each.Email))
	}
	return all
}

// state returns the state of an invitation as staff sees it.
func (e *env) state(id uuid.UUID) string {
	e.t.Helper()
	return string(e.retrieve(id).State)
}

// do posts an action on an invitation.
func (e *env) do(user string, id uuid.UUID, action string) response {
	e.t.Helper()
	return e.request("POST", at(id.String(), action), user, nil)
}

// decide approves or rejects with a token.
func (e *env) decide(action, text string) response {
	e.t.Helper()
	return e.request("POST", base+action+"/", "", map[string]string{"token": text})
}

// requestTimeout bounds every request of a test, so that a failing test ends.
const requestTimeout = time.Minute

// sendAtOnce sends requests at the same time and checks every response against the contract. It opens the connections
// to the server and to the database first: opening one takes longer than the race that the test is about.
func (e *env) sendAtOnce(requests ...*http.Request) []response {
	e.t.Helper()
	client := &http.Client{
		Timeout:   requestTimeout,
		Transport: &http.Transport{MaxIdleConnsPerHost: len(requests)},
	}
	defer client.CloseIdleConnections()
	answers, bodies, errs := make([]*http.Response, len(requests)), make([][]byte, len(requests)), make([]error, len(requests))
	var all, ready sync.WaitGroup
	for i, r := range requests {
		warmUp := e.newRequest("GET", base, "staff", nil)
		ready.Add(1)
		all.Go(func() {
			if answer, err := client.Do(warmUp); err == nil {
				_, _ = io.Copy(io.Discard, answer.Body)
				_ = answer.Body.Close()
			}
			ready.Done()
			ready.Wait()
			if answers[i], errs[i] = client.Do(r); errs[i] == nil {
				bodies[i], errs[i] = io.ReadAll(answers[i].Body)
				_ = answers[i].Body.Close()
			}
		})
	}
	all.Wait()
	responses := make([]response, len(requests))
	for i := range requests {
		require.NoError(e.t, errs[i])
		conforms(e.t, requests[i], answers[i], bodies[i])
		responses[i] = response{e.t, answers[i].StatusCode, answers[i].Header, string(bodies[i])}
	}
	return responses
}

// reviewPath matches the paths of the operations whose success has no body, as Waldur's clients expect.
var reviewPath = regexp.MustCompile(`^/api/user-permission-requests/[^/]+/(approve|reject)/$`)

var contract = sync.OnceValues(func() (routers.Router, error) {
	document, err := openapi3.NewLoader().LoadFromFile("../../openapi.yaml")
	if err != nil {
		return nil, err
	}
	document.Servers = nil // the test server may have any address
	return gorillamux.NewRouter(document)
})

// conforms checks a response against the contract. Where there is no such path or method, the response has the body
// that the contract has for its status in every operation.
func conforms(t testing.TB, r *http.Request, answer *http.Response, body []byte) {
	t.Helper()
	if strings.HasSuffix(r.URL.Path, "z") { // /healthz and /readyz are not in the contract
		return
	}
	if strings.HasPrefix(r.URL.Path, "/docs") || strings.HasPrefix(r.URL.Path, "/openapi.") { // nor is its documentation
		require.NotEmpty(t, answer.Header.Get("X-Request-ID"))
		return
	}
	require.NotEmpty(t, answer.Header.Get("X-Request-ID"))
	if r.Method == http.MethodHead || answer.StatusCode == http.StatusNoContent || answer.StatusCode == http.StatusSeeOther || answer.StatusCode == http.StatusNotModified ||
		answer.StatusCode == http.StatusPermanentRedirect ||
		(answer.StatusCode == http.StatusOK && len(body) == 0 && reviewPath.MatchString(r.URL.Path)) {
		require.Empty(t, body)
	} else if answer.StatusCode == http.StatusOK && strings.HasSuffix(r.URL.Path, "/csv/") {
		require.Contains(t, answer.Header.Get("Content-Type"), "text/csv", string(body))
	} else {
		require.Contains(t, answer.Header.Get("Content-Type"), "application/json", string(body))
	}
	router, err := contract()
	require.NoError(t, err)
	route, parameters, err := router.FindRoute(r)
	switch {
	case err != nil && r.Method == http.MethodHead && answer.StatusCode < http.StatusInternalServerError:
		return // as GET, without a body
	case err != nil && answer.StatusCode == http.StatusPermanentRedirect:
		require.False(t, strings.HasSuffix(r.URL.Path, "/"))
		return
	}
	if err != nil || answer.StatusCode == http.StatusMethodNotAllowed {
		require.Contains(t, []int{http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusPermanentRedirect, http.StatusOK, http.StatusUnauthorized}, answer.StatusCode)
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

// ruleError returns the body of a 400 by a rule.
func ruleError(message string) string { return toJSON([]string{message}) }

// fieldError returns the body of a 400 about one field.
func fieldError(name, message string) string { return toJSON(map[string][]string{name: {message}}) }

// detailBody returns a body with a detail.
func detailBody(message string) string { return toJSON(map[string]string{"detail": message}) }

func toJSON(v any) string {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		panic(err)
	}
	return out.String()
}

// invalidFields returns the fields that a 400 is about.
func (r response) invalidFields() []string {
	r.t.Helper()
	require.Equal(r.t, http.StatusBadRequest, r.Status, r.Body)
	var fields map[string][]string
	r.decode(&fields)
	all := make([]string, 0, len(fields))
	for name := range fields {
		all = append(all, name)
	}
	return all
}

const (
	msgDuplicate = "Pending invitation already exists for this email and role."
	msgRole      = "Role and scope should belong to the same content type."
	msgManager   = "Project already has an active project manager."
	msgPatterns  = "Email does not match the membership restrictions of the project."
	msgBadEmail  = "Enter a valid email address."
	msgRequired  = "This field is required."
	msgSignature = "Invalid signature."
	msgPayload   = "Invalid payload."
	msgBadUser   = "Invalid user UUID."
	msgBadID     = "Invalid invitation UUID."
)

// scopeError returns the body of a 400 about a scope that does not exist or that the caller can't see.
func scopeError(address string) string {
	return fieldError("scope", "Can't restore object from url: "+address)
}

// encodeQuery encodes one parameter.
func encodeQuery(name, value string) string { return url.Values{name: {value}}.Encode() }

// invitation decodes an invitation.
func (r response) invitation() server.Invitation {
	r.t.Helper()
	var decoded server.Invitation
	r.decode(&decoded)
	return decoded
}
