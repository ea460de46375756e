package harness

import (
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Secrets of the webhook. Output of the program must have none of them.
const (
	WebhookSecret      = "whsec_c2VjcmV0LW9mLXRoZS13ZWJob29rLTAx"
	WebhookLoginSecret = "pa55word-of-the-webhook-client"
	WebhookAccessToken = "the-access-token"
	WebhookAnswer      = "chatter of the receiver" // the body of every response of the endpoint
)

// WebhookRecorder is a webhook endpoint with its OAuth 2 token server, which records the requests with a good login. A test
// can choose the status of each response.
type WebhookRecorder struct {
	t       testing.TB
	address string

	mu          sync.Mutex
	server      *http.Server
	status      func(id string) int
	loginSecret string // the client secret that a login needs
	requests    []WebhookRequest
}

// WebhookRequest is a request to the endpoint, with the status of the response.
type WebhookRequest struct {
	ID     string // the header webhook-id
	Body   string
	Header http.Header
	Status int
}

// NewWebhookRecorder starts a recorder that is closed when the test ends.
func NewWebhookRecorder(t testing.TB) *WebhookRecorder {
	t.Helper()
	r := &WebhookRecorder{t: t, address: "127.0.0.1:0", loginSecret: WebhookLoginSecret}
	r.Open()
	t.Cleanup(r.Close)
	return r
}

// Open makes a closed recorder listen again, at the same address as before.
func (r *WebhookRecorder) Open() {
	r.t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(r.t.Context(), "tcp", r.address)
	require.NoError(r.t, err)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /token", r.serveToken)
	mux.HandleFunc("POST /hook", r.serveHook)
	mux.HandleFunc("POST /events", r.serve)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	r.mu.Lock()
	r.server, r.address = server, listener.Addr().String()
	r.mu.Unlock()
	go func() { _ = server.Serve(listener) }()
}

// Close stops listening and closes all connections.
func (r *WebhookRecorder) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = r.server.Close()
}

// SetStatus makes f choose the status of each response by its webhook-id; 0 means 202. f may take its time, and is called
// from several goroutines. A nil f: 202.
func (r *WebhookRecorder) SetStatus(f func(id string) int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status = f
}

// Hold makes each request wait for its response until release is called or the test ends. arrived gets the webhook-id of
// each request that waits. release may be called more than once.
func (r *WebhookRecorder) Hold() (arrived <-chan string, release func()) {
	ids, released := make(chan string, 100), make(chan struct{})
	r.SetStatus(func(id string) int {
		select {
		case ids <- id:
		case <-released:
		}
		<-released
		return 0
	})
	release = sync.OnceFunc(func() { close(released) })
	r.t.Cleanup(release)
	return ids, release
}

// SetLoginSecret sets the client secret that a login needs.
func (r *WebhookRecorder) SetLoginSecret(secret string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.loginSecret = secret
}

func (r *WebhookRecorder) serveToken(w http.ResponseWriter, request *http.Request) {
	r.mu.Lock()
	loginSecret := r.loginSecret
	r.mu.Unlock()
	client, secret, isBasic := request.BasicAuth()
	if !isBasic {
		client, secret = request.PostFormValue("client_id"), request.PostFormValue("client_secret")
	}
	w.Header().Set("Content-Type", "application/json")
	if client != "the-client" || secret != loginSecret || request.PostFormValue("grant_type") != "client_credentials" {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"error": "invalid_client", "error_description": "not `+secret+`"}`)
		return
	}
	_, _ = io.WriteString(w, `{"access_token": "`+WebhookAccessToken+`", "token_type": "Bearer", "expires_in": 3600}`)
}

func (r *WebhookRecorder) serveHook(w http.ResponseWriter, request *http.Request) {
	if request.Header.Get("Authorization") != "Bearer "+WebhookAccessToken {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	r.serve(w, request)
}

func (r *WebhookRecorder) serve(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return // nobody waits for the response
	}
	r.mu.Lock()
	choose := r.status
	r.mu.Unlock()
	recorded := WebhookRequest{ID: request.Header.Get("Webhook-Id"), Body: string(body), Header: request.Header}
	if choose != nil {
		recorded.Status = choose(recorded.ID)
	}
	if recorded.Status == 0 {
		recorded.Status = http.StatusAccepted
	}
	r.mu.Lock()
	r.requests = append(r.requests, recorded)
	r.mu.Unlock()
	w.WriteHeader(recorded.Status)
	_, _ = io.WriteString(w, WebhookAnswer)
}

// Requests returns the requests that were answered, in their order.
func (r *WebhookRecorder) Requests() []WebhookRequest {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]WebhookRequest{}, r.requests...)
}

// Copies returns how often each delivery was accepted, by the Message-ID that its mail would have.
func (r *WebhookRecorder) Copies() map[string]int {
	copies := map[string]int{}
	for _, request := range r.Requests() {
		if request.Status < 300 {
			copies[request.ID+"@localhost"]++
		}
	}
	return copies
}

// UseWebhook makes the Env deliver invitations into projects to a recorder, and returns the Env.
func (env *Env) UseWebhook(r *WebhookRecorder) *Env {
	return env.Set("INVITED_INVITATION_USE_WEBHOOKS=true",
		"INVITED_INVITATION_WEBHOOK_URL=http://"+r.address+"/hook",
		"INVITED_INVITATION_WEBHOOK_TOKEN_URL=http://"+r.address+"/token",
		"INVITED_INVITATION_WEBHOOK_TOKEN_CLIENT_ID=the-client",
		"INVITED_INVITATION_WEBHOOK_TOKEN_SECRET="+WebhookLoginSecret,
		"INVITED_INVITATION_WEBHOOK_SECRET="+WebhookSecret,
		"INVITED_FRONTEND_URL=https://front.example/")
}

// UseEventsWebhook makes the Env send the events of invitations to a recorder, and returns the Env.
func (env *Env) UseEventsWebhook(r *WebhookRecorder) *Env {
	return env.Set("INVITED_EVENTS_WEBHOOK_URL=http://"+r.address+"/events", "INVITED_EVENTS_WEBHOOK_SECRET="+WebhookSecret)
}
