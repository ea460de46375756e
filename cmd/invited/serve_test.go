package main

import (
	"bufio"
	"database/sql"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"invited/internal/api"
	"invited/internal/storetest"
)

func TestHealth(t *testing.T) {
	onEach(t, func(t *testing.T, s *site) {
		p := s.serve()
		require.JSONEq(t, `{"status": "ok"}`, p.ask("GET", "/healthz", "", "").is(200).body)
		require.JSONEq(t, `{"status": "ok", "checks": {"database": "ok", "schema": "ok", "workers": "ok", "mail": "ok", "clock": "ok"}}`,
			p.ask("GET", "/readyz", "", "").is(200).body)

		// Orchestrators and balancers ask often, of many replicas, and none may wait for another.
		other := s.serve()
		var all sync.WaitGroup
		for i := range 24 {
			all.Go(func() {
				begun := time.Now()
				got, err := []*served{p, other}[i%2].try("GET", "/readyz", "", "")
				if err != nil {
					t.Error(err)
					return
				}
				assert.Equal(t, 200, got.status, got.body)
				assert.Less(t, time.Since(begun), 4*time.Second)
			})
		}
		all.Wait()

		only := s.with("INVITED_WORKERS=false").serve()
		require.JSONEq(t, `{"status": "ok", "checks": {"database": "ok", "schema": "ok"}}`,
			only.ask("GET", "/readyz", "", "").is(200).body)
	})
}

// logs waits until a text stands in the log: a request's line is written when it has been answered.
func (p *served) logs(text string) {
	p.t.Helper()
	p.until("the log has "+text, func() bool {
		select {
		case <-p.ended: // there will be no more of it
			require.Contains(p.t, p.stderr.String(), text)
		default:
		}
		return strings.Contains(p.stderr.String(), text)
	})
}

func TestRequestID(t *testing.T) {
	t.Parallel()
	p := newSite(t, "").set("INVITED_WORKERS=false").serve()
	kept := p.ask("GET", invitations, "", "", "X-Request-ID", "from-the-gateway.1").is(401)
	require.Equal(t, "from-the-gateway.1", kept.header.Get("X-Request-ID"))
	p.logs("request_id=from-the-gateway.1")
	own := p.ask("GET", invitations+"?email=ina@university.example", "", "", "X-Request-ID", "with space\tor worse").is(401)
	require.Len(t, own.header.Get("X-Request-ID"), 36)
	p.logs("request_id=" + own.header.Get("X-Request-ID"))
	require.NotContains(t, p.stderr.String(), "or worse")
	require.NotContains(t, p.stderr.String(), "ina@university.example", "queries hold people's addresses")
}

// Machines read the log: each line is one JSON object, whatever happens.
func TestJSONLog(t *testing.T) {
	onEach(t, func(t *testing.T, s *site) {
		s.apply()
		// Nobody takes mail at port 1, so there are errors in the log as well.
		s.set("INVITED_LOG_FORMAT=json", "INVITED_LOG_LEVEL=debug", "INVITED_SMTP_URL=smtp://user:pa55word@127.0.0.1:1",
			"INVITED_SWEEP_INTERVAL=1s")
		p := s.serve()
		id := p.create("ina@university.example").UUID
		p.until("the delivery fails", func() bool { return p.see(id).ExecutionState == "Erred" })
		require.Equal(t, "The mail server can't be reached. It is tried again by itself.", p.see(id).ErrorMessage)
		p.ask("POST", invitations, "olivia", "no JSON").is(400)
		p.ask("GET", invitations+"line%0Abreak/", "sam", "").is(404)
		p.ask("GET", "/healthz", "", "").is(200)
		p.until("the failure is logged", func() bool { return strings.Contains(p.stderr.String(), "not delivered") })
		p.stop()
		messages := map[string]int{}
		for line := range strings.Lines(p.stderr.String()) {
			var entry struct{ Time, Level, Msg string }
			require.NoError(t, json.Unmarshal([]byte(line), &entry), line)
			_, err := time.Parse(time.RFC3339Nano, entry.Time)
			require.NoError(t, err, line)
			messages[entry.Msg]++
		}
		for _, each := range []string{"serving", "request", "not delivered, and tried again later", "shutting down: finishing requests and jobs"} {
			require.NotZero(t, messages[each], each)
		}
		for _, secret := range []string{"pa55word", secretKey, "olivia-key", "sam-key"} {
			require.NotContains(t, p.stderr.String(), secret)
		}
	})
}

func TestServeNeedsACurrentSchemaWhereItMayNotMigrate(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		s := newSite(t, e.Empty(t))
		s.run("", "serve", "--migrate=false").fails("invited migrate up")
		s.run("", "migrate", "up").ok()
		s.serve("--migrate=false").ask("GET", "/readyz", "", "").is(200)
	})
}

func TestAddressInUse(t *testing.T) {
	t.Parallel()
	p := newSite(t, "").serve()
	newSite(t, "").set("INVITED_LISTEN_ADDR="+p.address).run("", "serve").fails("INVITED_LISTEN_ADDR", p.address)
	p.ask("GET", "/healthz", "", "").is(200)
}

// database is the name in the URL of a site's database, and a way to the server beside it.
func (s *site) database() (name string, admin *sql.DB) {
	s.t.Helper()
	for _, each := range s.environ {
		if address, ok := strings.CutPrefix(each, "INVITED_DATABASE_URL="); ok {
			parsed, err := url.Parse(address)
			require.NoError(s.t, err)
			name = strings.TrimPrefix(parsed.Path, "/")
		}
	}
	admin, err := sql.Open("pgx", os.Getenv(storetest.PostgresURL))
	require.NoError(s.t, err)
	s.t.Cleanup(func() { require.NoError(s.t, admin.Close()) })
	return name, admin
}

// outage makes a database unreachable, or reachable again.
func (s *site) outage(begins bool) {
	s.t.Helper()
	name, admin := s.database()
	_, err := admin.Exec(fmt.Sprintf("ALTER DATABASE %s ALLOW_CONNECTIONS %t", name, !begins))
	require.NoError(s.t, err)
	if begins {
		_, err = admin.Exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
		require.NoError(s.t, err)
	}
}

func TestDatabaseOutage(t *testing.T) {
	onEach(t, func(t *testing.T, s *site) {
		if s.onSQLite() {
			return // it is in the process
		}
		s.apply()
		p := s.serve()
		p.delivered(p.create("before@university.example").UUID)

		s.outage(true)
		p.ask("GET", "/healthz", "", "").is(200)
		require.JSONEq(t, `{"status": "unavailable", "checks": {"database": "failed", "schema": "failed", "workers": "ok",
			"mail": "ok", "clock": "ok"}}`,
			p.ask("GET", "/readyz", "", "").is(503).body)
		for range 25 { // more than there are connections
			down := p.ask("POST", invitations, "olivia", draft("lost@university.example")).is(503)
			require.JSONEq(t, `{"detail": "Service temporarily unavailable."}`, down.body)
			require.NotEmpty(t, down.header.Get("Retry-After"))
		}

		s.outage(false)
		p.until("it is ready again, by itself", func() bool { return p.ask("GET", "/readyz", "", "").status == 200 })
		p.delivered(p.create("after@university.example").UUID)
		require.Len(t, s.mails(), 2)
		p.stop()
	})
}

// A server whose database is gone ends all the same.
func TestStopInAnOutage(t *testing.T) {
	onEach(t, func(t *testing.T, s *site) {
		if s.onSQLite() {
			return
		}
		p := s.serve()
		s.outage(true)
		p.ask("GET", "/readyz", "", "").is(503)
		p.signal(os.Interrupt)
		p.until("it ends", func() bool {
			select {
			case <-p.ended:
				return true
			default:
				return false
			}
		})
	})
}

func TestHeaderLimit(t *testing.T) {
	t.Parallel()
	p := newSite(t, "").set("INVITED_WORKERS=false").serve()
	p.ask("GET", invitations, "", "", "X-Padding", strings.Repeat("x", 32<<10)).is(401)
	p.ask("GET", invitations, "", "", "X-Padding", strings.Repeat("x", 80<<10)).is(http.StatusRequestHeaderFieldsTooLarge)
	p.ask("POST", invitations+"approve/", "", strings.Repeat("x", 2<<20)).is(http.StatusRequestEntityTooLarge)
}

// Who sends all of a body before reading the answer, as gateways do, gets the answer whatever becomes of the body.
func TestTheAnswerToALargeBodyGetsThrough(t *testing.T) {
	t.Parallel()
	p := newSite(t, "").set("INVITED_WORKERS=false").serve()
	const size = 15 << 20 // more than the kernel holds
	content := strings.Repeat("x", size)
	sized := fmt.Sprintf("Content-Length: %d\r\n\r\n%s", size, content)
	chunked := fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", size, content)
	for _, each := range []struct {
		request string
		status  int
	}{
		{"POST " + invitations + "approve/", http.StatusRequestEntityTooLarge},
		{"POST " + invitations, http.StatusUnauthorized},
		{"POST /nowhere", http.StatusNotFound},
		{"DELETE " + invitations, http.StatusMethodNotAllowed},
		{"GET /healthz", http.StatusOK},
	} {
		for _, body := range []string{sized, chunked} {
			t.Run(each.request+body[:9], func(t *testing.T) {
				conn, err := net.Dial("tcp", p.address)
				require.NoError(t, err)
				defer func() { _ = conn.Close() }()
				require.NoError(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
				_, err = fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: %s\r\n%s", each.request, p.address, body)
				require.NoError(t, err)
				response, err := http.ReadResponse(bufio.NewReader(conn), nil)
				require.NoError(t, err)
				require.NoError(t, response.Body.Close())
				require.Equal(t, each.status, response.StatusCode)
			})
		}
	}
	// Who asks before sending is not made to send, and who sends nothing is not waited for as if it did.
	for header, patience := range map[string]time.Duration{"Expect: 100-continue": time.Second, "X-Expect: nothing": 10 * time.Second} {
		t.Run(header, func(t *testing.T) {
			conn, err := net.Dial("tcp", p.address)
			require.NoError(t, err)
			defer func() { _ = conn.Close() }()
			require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
			_, err = fmt.Fprintf(conn, "POST %sapprove/ HTTP/1.1\r\nHost: %s\r\n%s\r\nContent-Length: %d\r\n\r\n", invitations, p.address, header, size)
			require.NoError(t, err)
			response, err := http.ReadResponse(bufio.NewReader(conn), nil)
			require.NoError(t, err)
			require.NoError(t, response.Body.Close())
			require.Equal(t, http.StatusRequestEntityTooLarge, response.StatusCode)
		})
	}
}

// A client that sends a header bit by bit holds a connection for seconds, not for as long as it likes.
func TestSlowHeaderIsCutOff(t *testing.T) {
	t.Parallel()
	p := newSite(t, "").set("INVITED_WORKERS=false").serve()
	conn, err := net.Dial("tcp", p.address)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	begun := time.Now()
	_, err = fmt.Fprintf(conn, "GET /healthz HTTP/1.1\r\nHost: %s\r\n", p.address)
	require.NoError(t, err)
	require.NoError(t, conn.SetReadDeadline(begun.Add(15*time.Second)))
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		for scanner := bufio.NewScanner(conn); scanner.Scan(); { // until the server has enough
			continue
		}
	}()
	for i := 0; ; i++ {
		select {
		case <-closed:
			require.Less(t, time.Since(begun), 10*time.Second)
			return
		case <-time.After(500 * time.Millisecond):
			_, _ = fmt.Fprintf(conn, "X-More-%d: x\r\n", i)
		}
	}
}

// The other times that a connection may take are too long to wait for here.
func TestEveryTimeoutIsSet(t *testing.T) {
	t.Parallel()
	web := newWeb(http.NotFoundHandler(), slog.New(slog.DiscardHandler))
	for _, each := range []time.Duration{web.ReadHeaderTimeout, web.ReadTimeout, web.WriteTimeout, web.IdleTimeout} {
		require.Positive(t, each)
	}
	require.Positive(t, web.MaxHeaderBytes)
	require.Less(t, web.ReadHeaderTimeout, web.ReadTimeout)
	require.Less(t, web.ReadTimeout+api.RequestTimeout, web.WriteTimeout)
}
