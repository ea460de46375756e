package webhook

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// maxWait bounds every wait of a test by the real clock, so that a failing test ends.
const maxWait = 10 * time.Second

// Texts that the servers send or receive, and that no reason and no error may contain.
const (
	urlKey       = "url-k3y"
	clientSecret = "cl1ent-s3cret:/&?"
	responseText = "response-t3xt"
	tokenPrefix  = "acc3ss-token-"
)

// request is a request as a server received it.
type request struct {
	method, path, host, proto string
	header                    http.Header
	body                      []byte
}

// testServer is an HTTP server that records its requests.
type testServer struct {
	*httptest.Server
	connections atomic.Int32

	mu       sync.Mutex
	requests []request
}

// handler responds to the nth request, counted from 1.
type handler func(w http.ResponseWriter, r *http.Request, n int)

func newServer(t *testing.T, respond handler) *testServer {
	t.Helper()
	s := newUnstarted(t, respond)
	s.Start()
	return s
}

func newUnstarted(t *testing.T, respond handler) *testServer {
	t.Helper()
	s := &testServer{}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		s.mu.Lock()
		s.requests = append(s.requests, request{
			method: r.Method, path: r.URL.Path, host: r.Host, proto: r.Proto, header: r.Header, body: body,
		})
		n := len(s.requests)
		s.mu.Unlock()
		respond(w, r, n)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Config.WriteTimeout = maxWait
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.connections.Add(1)
		}
	}
	t.Cleanup(func() {
		s.Listener.Close() // first: a client may connect again when its connection is closed
		s.CloseClientConnections()
		s.Close()
	})
	return s
}

// received returns the requests up to now.
func (s *testServer) received() []request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// first returns the first request.
func (s *testServer) first(t *testing.T) request {
	t.Helper()
	found := s.received()
	require.NotEmpty(t, found, "the server received no request")
	return found[0]
}

// hookURL is the URL to post to.
func (s *testServer) hookURL() string { return s.URL + "/hook/" + urlKey + "?key=" + urlKey }

// respondStatus responds with a status, and with texts that nobody may see.
func respondStatus(code int) handler {
	return func(w http.ResponseWriter, _ *http.Request, _ int) {
		w.Header().Set("X-Answer", responseText)
		w.WriteHeader(code)
		if code != http.StatusNoContent && code != http.StatusNotModified {
			fmt.Fprint(w, responseText)
		}
	}
}

// writeToken writes the response of a login server.
func writeToken(w http.ResponseWriter, name string, expiresIn int) {
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"access_token":"%s%s","token_type":"bearer","expires_in":%d}`, tokenPrefix, name, expiresIn)
}

// issueTokens issues tokens that are valid for an hour; each is named for the number of its request.
func issueTokens(w http.ResponseWriter, _ *http.Request, n int) { writeToken(w, fmt.Sprint(n), 3600) }

// requireToken accepts one token and refuses all others.
func requireToken(name string) handler {
	return func(w http.ResponseWriter, r *http.Request, n int) {
		if r.Header.Get("Authorization") != "Bearer "+tokenPrefix+name {
			respondStatus(http.StatusUnauthorized)(w, r, n)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}
}

func redirect(code int, target string) handler {
	return func(w http.ResponseWriter, _ *http.Request, _ int) {
		w.Header().Set("Location", target)
		w.WriteHeader(code)
		fmt.Fprint(w, responseText)
	}
}

// endless writes until a write fails, and counts the bytes.
func endless(code int, written *atomic.Int64) handler {
	return func(w http.ResponseWriter, _ *http.Request, _ int) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		chunk := make([]byte, 32<<10)
		for {
			n, err := w.Write(chunk)
			written.Add(int64(n))
			if err != nil {
				return
			}
		}
	}
}

// silent responds with nothing until the client closes the connection or the server is closed.
func silent(_ http.ResponseWriter, r *http.Request, _ int) { <-r.Context().Done() }

// listen calls serve for each connection to a new address. The connections are closed after serve returns, and when the
// test ends.
func listen(t *testing.T, serve func(net.Conn)) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var group sync.WaitGroup
	group.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			group.Go(func() {
				defer conn.Close()
				stop := context.AfterFunc(t.Context(), func() { conn.Close() }) // t.Context ends before the clean-up
				defer stop()
				serve(conn)
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		group.Wait()
	})
	return listener.Addr().String()
}

// newRaw starts a server that reads requests and lets respond write each response. A connection is closed when respond
// returns false. Requests are counted over all connections from 1.
func newRaw(t *testing.T, respond func(conn net.Conn, n int) (keepAlive bool)) (url string) {
	t.Helper()
	var count atomic.Int32
	return "http://" + listen(t, func(conn net.Conn) {
		for buffered := bufio.NewReader(conn); ; {
			r, err := http.ReadRequest(buffered)
			if err != nil {
				return
			}
			if _, err := io.Copy(io.Discard, r.Body); err != nil || !respond(conn, int(count.Add(1))) {
				return
			}
		}
	}) + "/" + urlKey
}

// rawResponse writes text and closes the connection.
func rawResponse(text string) func(net.Conn, int) bool {
	return func(conn net.Conn, _ int) bool {
		_, _ = io.WriteString(conn, text)
		return false
	}
}

// unusedAddress returns a host and port where nothing listens.
func unusedAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	return listener.Addr().String()
}

// receive returns the next value of a channel, and fails the test when there is none within maxWait.
func receive[T any](t *testing.T, from <-chan T, what string) (value T) {
	t.Helper()
	select {
	case value = <-from:
	case <-time.After(maxWait):
		require.FailNow(t, "timed out waiting for "+what)
	}
	return value
}
