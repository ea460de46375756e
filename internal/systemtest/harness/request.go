package harness

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// HTTPClient is the client of all requests.
var HTTPClient = &http.Client{Timeout: 30 * time.Second}

// Response is a response that was read to its end.
type Response struct {
	T      testing.TB
	Status int
	Header http.Header
	Body   string
}

// NewRequest returns a request with a user's API key, or without one where user is empty. headers are names and values in
// turn; a name may be there more than once, and "Host" sets the request's host.
func NewRequest(ctx context.Context, method, url, user, body string, headers ...string) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if user != "" {
		r.Header.Set("Authorization", "Token "+Key(user))
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
		} else {
			r.Header.Add(headers[i], headers[i+1])
		}
	}
	return r, nil
}

// Send sends a request and reads the response.
func Send(t testing.TB, client *http.Client, r *http.Request) (Response, error) {
	t.Helper()
	response, err := client.Do(r)
	if err != nil {
		return Response{}, err
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	return Response{t, response.StatusCode, response.Header, string(content)}, err
}

// Do sends a request to the process, as NewRequest makes it, and asserts that a response comes.
func (p *Process) Do(method, path, user, body string, headers ...string) Response {
	p.T.Helper()
	response, err := p.TryDo(method, path, user, body, headers...)
	require.NoError(p.T, err)
	return response
}

// TryDo sends a request to the process, as NewRequest makes it. The request ends with the test. TryDo may be called from
// any goroutine.
func (p *Process) TryDo(method, path, user, body string, headers ...string) (Response, error) {
	r, err := NewRequest(p.T.Context(), method, "http://"+p.Address+path, user, body, headers...)
	if err != nil {
		return Response{}, err
	}
	return Send(p.T, HTTPClient, r)
}

// Is asserts the status, and returns the response.
func (r Response) Is(status int) Response {
	r.T.Helper()
	require.Equal(r.T, status, r.Status, r.Body)
	return r
}

// Invitation has the fields of an invitation that tests need.
type Invitation struct {
	UUID           string `json:"uuid"`
	URL            string `json:"url"`
	State          string `json:"state"`
	ExecutionState string `json:"execution_state"`
	ErrorMessage   string `json:"error_message"`
}

// Invitation decodes the body.
func (r Response) Invitation() (i Invitation) {
	r.T.Helper()
	require.NoError(r.T, json.Unmarshal([]byte(r.Body), &i), r.Body)
	return i
}

// Create invites email into Apollo as olivia.
func (p *Process) Create(email string) Invitation {
	p.T.Helper()
	return p.Do("POST", InvitationsPath, "olivia", InvitationBody(email)).Is(http.StatusCreated).Invitation()
}

// Get retrieves an invitation as sam, who is staff.
func (p *Process) Get(uuid string) Invitation {
	p.T.Helper()
	return p.Do("GET", InvitationsPath+uuid+"/", "sam", "").Is(http.StatusOK).Invitation()
}

// WaitDelivered waits until an invitation is delivered.
func (p *Process) WaitDelivered(uuid string) {
	p.T.Helper()
	p.WaitUntil(uuid+" is delivered", func() bool { return p.Get(uuid).ExecutionState == "OK" })
}
