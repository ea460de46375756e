package webhook

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// What must be in no reason and no error, and what a test's servers say and are told.
const (
	urlKey       = "url-k3y"
	clientSecret = "cl1ent-s3cret:/&?"
	answerText   = "answer-t3xt"
	tokenPrefix  = "acc3ss-token-"
)

// received is one request as a server got it.
type received struct {
	method, path, host, proto string
	header                    http.Header
	body                      []byte
}

// server is a real HTTP server that keeps what it gets.
type server struct {
	*httptest.Server
	connections atomic.Int32

	mu       sync.Mutex
	requests []received
}

// answerer answers the nth request, counted from 1.
type answerer func(w http.ResponseWriter, r *http.Request, n int)

func newServer(t *testing.T, answer answerer) *server {
	t.Helper()
	s := newUnstarted(t, answer)
	s.Start()
	return s
}

func newUnstarted(t *testing.T, answer answerer) *server {
	t.Helper()
	s := &server{}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		s.mu.Lock()
		s.requests = append(s.requests, received{
			method: r.Method, path: r.URL.Path, host: r.Host, proto: r.Proto, header: r.Header, body: body,
		})
		n := len(s.requests)
		s.mu.Unlock()
		answer(w, r, n)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.connections.Add(1)
		}
	}
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s
}

func (s *server) got() []received {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]received(nil), s.requests...)
}

// hook is the URL to post to.
func (s *server) hook() string { return s.URL + "/hook/" + urlKey + "?key=" + urlKey }

// status answers with it and with a text that nobody must see.
func status(code int) answerer {
	return func(w http.ResponseWriter, _ *http.Request, _ int) {
		w.Header().Set("X-Answer", answerText)
		w.WriteHeader(code)
		if code != http.StatusNoContent && code != http.StatusNotModified {
			fmt.Fprint(w, answerText)
		}
	}
}

// token is the answer of a login server.
func token(w http.ResponseWriter, name string, expiresIn int) {
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"access_token":"%s%s","token_type":"bearer","expires_in":%d}`, tokenPrefix, name, expiresIn)
}

// numbered gives out tokens that last, each with the number of its request.
func numbered(w http.ResponseWriter, _ *http.Request, n int) { token(w, fmt.Sprint(n), 3600) }

// only takes one token, and nothing else.
func only(name string) answerer {
	return func(w http.ResponseWriter, r *http.Request, n int) {
		if r.Header.Get("Authorization") != "Bearer "+tokenPrefix+name {
			status(http.StatusUnauthorized)(w, r, n)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}
}

func redirect(code int, target string) answerer {
	return func(w http.ResponseWriter, _ *http.Request, _ int) {
		w.Header().Set("Location", target)
		w.WriteHeader(code)
		fmt.Fprint(w, answerText)
	}
}

// endless writes until it can't any more, and says how much that was.
func endless(code int, written *atomic.Int64) answerer {
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

// silent answers nothing until the client is gone.
func silent(_ http.ResponseWriter, r *http.Request, _ int) { <-r.Context().Done() }

// newRaw is a server that speaks for itself: it reads one request after the other, answers each as it is told, and
// then closes the connection where that ends. It counts requests over all connections from 1.
func newRaw(t *testing.T, answer func(conn net.Conn, n int) (goOn bool)) (url string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var group sync.WaitGroup
	var count atomic.Int32
	group.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			group.Go(func() {
				defer conn.Close()
				for buffered := bufio.NewReader(conn); ; {
					r, err := http.ReadRequest(buffered)
					if err != nil {
						return
					}
					if _, err := io.Copy(io.Discard, r.Body); err != nil || !answer(conn, int(count.Add(1))) {
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		group.Wait()
	})
	return "http://" + listener.Addr().String() + "/" + urlKey
}

// say writes text and closes the connection.
func say(text string) func(net.Conn, int) bool {
	return func(conn net.Conn, _ int) bool {
		_, _ = io.WriteString(conn, text)
		return false
	}
}

// nobody is an address, with its port, that nobody listens on.
func nobody(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	return listener.Addr().String()
}
