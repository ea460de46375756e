package systemtest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"invited/internal/storetest"
	"invited/internal/systemtest/harness"
)

func TestHealth(t *testing.T) {
	harness.OnEachEngine(t, func(t *testing.T, env *harness.Env) {
		p := env.Serve()
		require.JSONEq(t, `{"status": "ok"}`, p.Do("GET", "/healthz", "", "").Is(200).Body)
		require.JSONEq(t, `{"status": "ok", "checks": {"database": "ok", "schema": "ok", "workers": "ok", "mail": "ok", "clock": "ok"}}`,
			p.Do("GET", "/readyz", "", "").Is(200).Body)

		// Orchestrators and load balancers check many replicas often, and no check may wait for another.
		other := env.Serve()
		var all sync.WaitGroup
		for i := range 24 {
			all.Go(func() {
				start := time.Now()
				got, err := []*harness.Process{p, other}[i%2].TryDo("GET", "/readyz", "", "")
				if err != nil {
					t.Error(err)
					return
				}
				assert.Equal(t, 200, got.Status, got.Body)
				assert.Less(t, time.Since(start), 4*time.Second)
			})
		}
		all.Wait()

		withoutWorkers := env.With("INVITED_WORKERS=false").Serve()
		require.JSONEq(t, `{"status": "ok", "checks": {"database": "ok", "schema": "ok"}}`,
			withoutWorkers.Do("GET", "/readyz", "", "").Is(200).Body)
	})
}

func TestRequestID(t *testing.T) {
	t.Parallel()
	p := harness.New(t, "").Set("INVITED_WORKERS=false").Serve()
	forwarded := p.Do("GET", harness.InvitationsPath, "", "", "X-Request-ID", "from-the-gateway.1").Is(401)
	require.Equal(t, "from-the-gateway.1", forwarded.Header.Get("X-Request-ID"))
	p.WaitLog("request_id=from-the-gateway.1")
	own := p.Do("GET", harness.InvitationsPath+"?email=ina@university.example", "", "", "X-Request-ID", "with space\tor worse").Is(401)
	require.Len(t, own.Header.Get("X-Request-ID"), 36)
	p.WaitLog("request_id=" + own.Header.Get("X-Request-ID"))
	require.NotContains(t, p.Stderr.String(), "or worse")
	require.NotContains(t, p.Stderr.String(), "ina@university.example", "query strings have addresses of people")
}

// Each line of the log is one JSON object, whatever happens.
func TestJSONLog(t *testing.T) {
	harness.OnEachEngine(t, func(t *testing.T, env *harness.Env) {
		env.Apply()
		// No mail server listens on port 1, so the log has errors too.
		env.Set("INVITED_LOG_FORMAT=json", "INVITED_LOG_LEVEL=debug", "INVITED_SMTP_URL=smtp://user:pa55word@127.0.0.1:1",
			"INVITED_SWEEP_INTERVAL=1s")
		p := env.Serve()
		id := p.Create("ina@university.example").UUID
		p.WaitUntil("the delivery fails", func() bool { return p.Get(id).ExecutionState == "Erred" })
		require.Equal(t, "The mail server can't be reached. It is tried again by itself.", p.Get(id).ErrorMessage)
		p.Do("POST", harness.InvitationsPath, "olivia", "no JSON").Is(400)
		p.Do("GET", harness.InvitationsPath+"line%0Abreak/", "sam", "").Is(404)
		p.Do("GET", "/healthz", "", "").Is(200)
		p.WaitUntil("the failure is logged", func() bool { return strings.Contains(p.Stderr.String(), "not delivered") })
		p.Stop()
		messages := map[string]int{}
		for line := range strings.Lines(p.Stderr.String()) {
			var entry struct{ Time, Level, Msg string }
			require.NoError(t, json.Unmarshal([]byte(line), &entry), line)
			_, err := time.Parse(time.RFC3339Nano, entry.Time)
			require.NoError(t, err, line)
			messages[entry.Msg]++
		}
		for _, each := range []string{"serving", "request", "not delivered, and tried again later", "shutting down: finishing requests and jobs"} {
			require.NotZero(t, messages[each], each)
		}
		for _, secret := range []string{"pa55word", harness.SecretKey, harness.Key("olivia"), harness.Key("sam")} {
			require.NotContains(t, p.Stderr.String(), secret)
		}
	})
}

func TestServeWithoutMigratingNeedsCurrentSchema(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		env := harness.New(t, e.Empty(t))
		env.Run("", "serve", "--migrate=false").Fails("invited migrate up")
		env.Run("", "migrate", "up").OK()
		env.Serve("--migrate=false").Do("GET", "/readyz", "", "").Is(200)
	})
}

func TestAddressInUse(t *testing.T) {
	t.Parallel()
	p := harness.New(t, "").Serve()
	harness.New(t, "").Set("INVITED_LISTEN_ADDR="+p.Address).Run("", "serve").Fails("INVITED_LISTEN_ADDR", p.Address)
	p.Do("GET", "/healthz", "", "").Is(200)
}

func TestDatabaseOutage(t *testing.T) {
	harness.OnEachEngine(t, func(t *testing.T, env *harness.Env) {
		if env.OnSQLite() {
			return // SQLite is in the process
		}
		env.Apply()
		p := env.Serve()
		p.WaitDelivered(p.Create("before@university.example").UUID)

		env.SetReachable(false)
		p.Do("GET", "/healthz", "", "").Is(200)
		require.JSONEq(t, `{"status": "unavailable", "checks": {"database": "failed", "schema": "failed", "workers": "ok",
			"mail": "ok", "clock": "ok"}}`,
			p.Do("GET", "/readyz", "", "").Is(503).Body)
		for range 25 { // more than the pool has connections
			response := p.Do("POST", harness.InvitationsPath, "olivia", harness.InvitationBody("lost@university.example")).Is(503)
			require.JSONEq(t, `{"detail": "Service temporarily unavailable."}`, response.Body)
			require.NotEmpty(t, response.Header.Get("Retry-After"))
		}

		env.SetReachable(true)
		p.WaitUntil("it is ready again, by itself", func() bool { return p.Do("GET", "/readyz", "", "").Status == 200 })
		p.WaitDelivered(p.Create("after@university.example").UUID)
		require.Len(t, env.Mails(), 2)
		p.Stop()
	})
}

// A server whose database is unreachable still shuts down.
func TestStopDuringDatabaseOutage(t *testing.T) {
	harness.OnEachEngine(t, func(t *testing.T, env *harness.Env) {
		if env.OnSQLite() {
			return
		}
		p := env.Serve()
		env.SetReachable(false)
		p.Do("GET", "/readyz", "", "").Is(503)
		p.Signal(os.Interrupt)
		p.WaitExit()
	})
}

func TestHeaderLimit(t *testing.T) {
	t.Parallel()
	p := harness.New(t, "").Set("INVITED_WORKERS=false").Serve()
	p.Do("GET", harness.InvitationsPath, "", "", "X-Padding", strings.Repeat("x", 32<<10)).Is(401)
	p.Do("GET", harness.InvitationsPath, "", "", "X-Padding", strings.Repeat("x", 80<<10)).Is(http.StatusRequestHeaderFieldsTooLarge)
	p.Do("POST", harness.InvitationsPath+"approve/", "", strings.Repeat("x", 2<<20)).Is(http.StatusRequestEntityTooLarge)
}

// A client that sends a whole body before it reads the response, as gateways do, gets the response even where the server
// does not read the body.
func TestResponseToLargeBodyArrives(t *testing.T) {
	t.Parallel()
	p := harness.New(t, "").Set("INVITED_WORKERS=false").Serve()
	const size = 15 << 20 // more than the kernel buffers
	content := strings.Repeat("x", size)
	sized := fmt.Sprintf("Content-Length: %d\r\n\r\n%s", size, content)
	chunked := fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", size, content)
	for _, each := range []struct {
		request string
		status  int
	}{
		{"POST " + harness.InvitationsPath + "approve/", http.StatusRequestEntityTooLarge},
		{"POST " + harness.InvitationsPath, http.StatusUnauthorized},
		{"POST /nowhere", http.StatusNotFound},
		{"DELETE " + harness.InvitationsPath, http.StatusMethodNotAllowed},
		{"GET /healthz", http.StatusOK},
	} {
		for _, body := range []string{sized, chunked} {
			t.Run(each.request+body[:9], func(t *testing.T) {
				conn, err := net.Dial("tcp", p.Address)
				require.NoError(t, err)
				defer func() { _ = conn.Close() }()
				require.NoError(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
				_, err = fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: %s\r\n%s", each.request, p.Address, body)
				require.NoError(t, err)
				response, err := http.ReadResponse(bufio.NewReader(conn), nil)
				require.NoError(t, err)
				require.NoError(t, response.Body.Close())
				require.Equal(t, each.status, response.StatusCode)
			})
		}
	}
	// A client that expects 100-continue gets the response without sending. A client that sends nothing gets it soon.
	for header, limit := range map[string]time.Duration{"Expect: 100-continue": time.Second, "X-Expect: nothing": 10 * time.Second} {
		t.Run(header, func(t *testing.T) {
			conn, err := net.Dial("tcp", p.Address)
			require.NoError(t, err)
			defer func() { _ = conn.Close() }()
			require.NoError(t, conn.SetDeadline(time.Now().Add(limit)))
			_, err = fmt.Fprintf(conn, "POST %sapprove/ HTTP/1.1\r\nHost: %s\r\n%s\r\nContent-Length: %d\r\n\r\n", harness.InvitationsPath, p.Address, header, size)
			require.NoError(t, err)
			response, err := http.ReadResponse(bufio.NewReader(conn), nil)
			require.NoError(t, err)
			require.NoError(t, response.Body.Close())
			require.Equal(t, http.StatusRequestEntityTooLarge, response.StatusCode)
		})
	}
}

// A client that sends a header line by line holds a connection for some seconds only.
func TestSlowHeaderIsCutOff(t *testing.T) {
	t.Parallel()
	p := harness.New(t, "").Set("INVITED_WORKERS=false").Serve()
	conn, err := net.Dial("tcp", p.Address)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	start := time.Now()
	_, err = fmt.Fprintf(conn, "GET /healthz HTTP/1.1\r\nHost: %s\r\n", p.Address)
	require.NoError(t, err)
	require.NoError(t, conn.SetReadDeadline(start.Add(15*time.Second)))
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		for scanner := bufio.NewScanner(conn); scanner.Scan(); { // until the server closes the connection
			continue
		}
	}()
	for i := 0; ; i++ {
		select {
		case <-closed:
			require.Less(t, time.Since(start), 10*time.Second)
			return
		case <-time.After(500 * time.Millisecond):
			_, _ = fmt.Fprintf(conn, "X-More-%d: x\r\n", i)
		}
	}
}
