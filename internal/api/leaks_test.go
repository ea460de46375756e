package api_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	_ "github.com/ncruces/go-sqlite3/driver" // to break databases with
	"github.com/stretchr/testify/require"

	"invited/internal/api"
	"invited/internal/directory"
	"invited/internal/storetest"
	"invited/internal/token"
)

// inside is what must stay inside: the words of drivers, of SQL, of Go and of this program's own files.
var inside = regexp.MustCompile(`(?i)\bpq\b|pgx|pgconn|sqlite|gorm|river|sqlstate|(?-i:SELECT|INSERT|UPDATE|DELETE|FROM|WHERE)|` +
	`constraint|violat|relation |column|syntax error|no such table|database|transaction|goroutine|panic|runtime|\.go\b|` +
	`0x[0-9a-f]{6}|nil pointer|interface \{|\*?\b(fault|uuid|openapi3|openapi3filter|jsontext|echo|strconv|json|http|sql|url|time)\.[A-Za-z]|` +
	`/home/|/root/|/tmp/|/usr/|/srv/|/internal/|stack|secret|context (canceled|deadline)|connection refused|127\.0\.0\.1:`)

// tells asserts that an answer tells nothing from inside, and that the log has what happened under the answer's id.
func (w *world) tells(answer response, cause string) {
	w.t.Helper()
	require.NotRegexp(w.t, inside, answer.Body)
	for name, values := range answer.Header {
		if name != "Date" {
			require.NotRegexp(w.t, inside, strings.Join(values, " "), name)
		}
	}
	if cause == "" {
		return
	}
	id := answer.Header.Get("X-Request-ID")
	for _, line := range strings.Split(w.log.String(), "\n") {
		if strings.Contains(line, "request_id="+id) && strings.Contains(line, "error=") && strings.Contains(line, cause) {
			return
		}
	}
	require.Fail(w.t, "the log does not tell why", "request %s, looking for %q in:\n%s", id, cause, w.log.String())
}

// inABrokenWorld runs a test on both engines in a world whose database can be reached behind its back.
func inABrokenWorld(t *testing.T, test func(w *world, behind *sql.DB)) {
	t.Helper()
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		t.Helper()
		address := e.Fresh(t)
		w := newWorld(t, storetest.Engine{Name: e.Name, Fresh: func(testing.TB) string { return address }})
		driver, name := "pgx", address
		if path, ok := strings.CutPrefix(address, "sqlite://"); ok {
			driver, name = "sqlite3", "file:"+path
		}
		behind, err := sql.Open(driver, name)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, behind.Close()) })
		test(w, behind)
	})
}

// everyOperation calls each operation once, as staff, on an invitation.
func (w *world) everyOperation(id string) map[string]response {
	w.t.Helper()
	all := map[string]response{
		"list":     w.request("GET", base+"?email=x&o=state,created_by", "staff", nil),
		"retrieve": w.request("GET", at(id), "staff", nil),
		"create":   w.request("POST", base, "staff", draft("new@example.org", admin, apollo)),
		"approve": w.request("POST", base+"approve/", "", map[string]string{"token": w.service.Signer.Sign(token.Approval{
			Purpose: token.Approve, User: uuid.New(), Invitation: uuid.MustParse(id), Issued: w.clock.Now(),
		})}),
		"details":    w.request("GET", at(id, "details"), "staff", nil),
		"duplicates": w.request("POST", base+"check-duplicates/", "staff", pairs(apollo, "new@example.org", admin)),
		"update":     w.request("PATCH", at(id), "staff", map[string]string{"email": "other@example.org"}),
		"events":     w.request("GET", at(id, "events"), "staff", nil),

		"customers":   w.request("GET", customersPath+"?query=a&o=created", "staff", nil),
		"customer":    w.request("GET", customersPath+acme+"/", "staff", nil),
		"projects":    w.request("GET", projectsPath+"?customer_name=a&o=-start_date", "staff", nil),
		"project":     w.request("GET", projectsPath+apollo+"/", "staff", nil),
		"roles":       w.request("GET", rolesPath+"?name=a", "staff", nil),
		"role":        w.request("GET", rolesPath+owner+"/", "staff", nil),
		"permissions": w.request("GET", permissionsPath+"?full_name=a&o=role", "staff", nil),
		"me":          w.request("GET", me, "staff", nil),
	}
	for _, action := range []string{"check", "send", "accept", "cancel", "delete"} {
		all[action] = w.request("POST", at(id, action), "staff", nil)
	}
	all["destroy"] = w.request("DELETE", at(id), "staff", nil)
	return all
}

// A closed database is a failure of every operation, and none says of what.
func TestClosedDatabase(t *testing.T) {
	inABrokenWorld(t, func(w *world, _ *sql.DB) {
		made := w.create("owner", "a@example.org", admin, apollo)
		require.NoError(w.t, w.db.Close())
		for name, answer := range w.everyOperation(made.UUID.String()) {
			require.Contains(w.t, []int{500, 503}, answer.Status, "%s: %s", name, answer.Body)
			w.tells(answer, "closed")
		}
	})
}

// What a driver says of a table that is not there, or of a row that can't be read, is for the log.
func TestBrokenDatabase(t *testing.T) {
	for name, each := range map[string]struct {
		breaks []string
		fails  map[string]bool // nil: all but spared
		spared map[string]bool
		cause  map[string]string
	}{
		"no users": {
			[]string{"ALTER TABLE users RENAME TO people"},
			nil,
			map[string]bool{"check": true},
			map[string]string{"sqlite": "no such table", "postgres": "42P01"},
		},
		"no invitations": {
			[]string{"ALTER TABLE invitations RENAME TO gone"},
			map[string]bool{
				"list": true, "retrieve": true, "create": true, "details": true, "check": true, "send": true, "accept": true,
				"cancel": true, "delete": true, "destroy": true, "update": true, "duplicates": true,
			},
			nil,
			map[string]string{"sqlite": "no such table", "postgres": "42P01"},
		},
		"no events": {
			[]string{"ALTER TABLE invitation_events RENAME TO gone"},
			map[string]bool{"events": true, "create": true, "send": true, "update": true, "accept": true, "delete": true},
			nil,
			map[string]string{"sqlite": "no such table", "postgres": "42P01"},
		},
		"no folded names": {
			[]string{
				"ALTER TABLE scopes RENAME COLUMN name_folded TO gone", "ALTER TABLE roles RENAME COLUMN name_folded TO gone",
				"ALTER TABLE users RENAME COLUMN full_name_folded TO gone",
			},
			map[string]bool{"customers": true, "projects": true, "roles": true, "permissions": true},
			nil,
			map[string]string{"sqlite": "no such column", "postgres": "42703"},
		},
		"no queue": {
			[]string{"ALTER TABLE river_job RENAME TO gone"},
			map[string]bool{"create": true, "send": true, "update": true},
			nil,
			map[string]string{"sqlite": "no such table", "postgres": "42P01"},
		},
		"patterns that are no JSON": {
			[]string{"UPDATE scopes SET user_email_patterns = 'SELECT {'"},
			map[string]bool{
				"create": true, "send": true, "accept": true, "cancel": true, "delete": true, "destroy": true, "update": true,
			},
			nil,
			map[string]string{"sqlite": "invalid character", "postgres": "invalid character"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			inABrokenWorld(t, func(w *world, behind *sql.DB) {
				made := w.create("owner", "a@example.org", admin, apollo)
				for _, statement := range each.breaks {
					_, err := behind.ExecContext(w.t.Context(), statement)
					require.NoError(w.t, err)
				}
				for name, answer := range w.everyOperation(made.UUID.String()) {
					if each.fails[name] || (each.fails == nil && !each.spared[name]) {
						require.Equal(w.t, 500, answer.Status, "%s: %s\n%.2000s", name, answer.Body, w.log)
						answer.is(500, `{"detail": "Internal server error."}`)
						w.tells(answer, each.cause[w.engine.Name])
					}
					w.tells(answer, "")
				}
			})
		})
	}
}

// badKeys is a look-up of callers that fails.
type badKeys func(ctx context.Context) (directory.User, error)

func (f badKeys) Owner(ctx context.Context, _ string) (directory.Owner, error) {
	user, err := f(ctx)
	return directory.Owner{User: user}, err
}

func (badKeys) Cached(ctx context.Context, _ string) (context.Context, *directory.Owner) {
	return ctx, nil
}

func (badKeys) Revalidate(context.Context) (bool, error) { return true, nil }

// withKeys is a server like the world's but for how it looks up callers.
func (w *world) withKeys(keys directory.Keys) http.Handler {
	w.t.Helper()
	handler, err := api.New(api.Config{
		Service: w.service, Directory: &directory.Reader{Store: w.db.Shelf()}, Keys: keys, PublicURL: "https://api.example/",
		Logger: slog.New(slog.NewTextHandler(w.log, nil)),
		Ready: func(context.Context) map[string]error {
			return map[string]error{"database": errors.New("pq: SELECT failed at /srv/x.go:1"), "workers": nil}
		},
	})
	require.NoError(w.t, err)
	return handler
}

// Panics and errors of whatever wording end in one sentence, under one id.
func TestFailuresWithin(t *testing.T) {
	inEachWorld(t, func(w *world) {
		for cause, fail := range map[string]func(context.Context) (directory.User, error){
			"a panic with a secret":   func(context.Context) (directory.User, error) { panic("a panic with a secret") },
			"a panic with an error":   func(context.Context) (directory.User, error) { panic(errors.New("a panic with an error")) },
			"nil pointer dereference": func(context.Context) (directory.User, error) { var none *directory.User; return *none, nil }, //nolint:govet // nilness: that is what is tested
			"pq: relation does not": func(context.Context) (directory.User, error) {
				return directory.User{}, errors.New("pq: relation does not exist")
			},
			"SELECT * FROM users": func(context.Context) (directory.User, error) {
				return directory.User{}, fmt.Errorf("SELECT * FROM users: %w", sql.ErrTxDone)
			},
			"an http.Error of its own ": func(context.Context) (directory.User, error) {
				return directory.User{}, fmt.Errorf("an http.Error of its own %w", http.ErrHandlerTimeout)
			},
		} {
			server := httptest.NewServer(w.withKeys(badKeys(fail)))
			for _, path := range []string{base, base + "?page=x", at(uuid.NewString()), at(uuid.NewString(), "details")} {
				r := w.newRequest("GET", path, "owner", nil)
				r.URL.Host = strings.TrimPrefix(server.URL, "http://")
				r.Header.Set("X-Request-ID", "the-request-1")
				answer := w.send(r).is(500, `{"detail": "Internal server error."}`)
				require.Equal(w.t, "the-request-1", answer.Header.Get("X-Request-ID"))
				w.tells(answer, cause)
			}
			r := w.newRequest("GET", "/readyz", "", nil)
			r.URL.Host = strings.TrimPrefix(server.URL, "http://")
			w.send(r).is(503, `{"status": "unavailable", "checks": {"database": "failed", "workers": "ok"}}`)
			require.Contains(w.t, w.log.String(), "pq: SELECT failed")
			server.Close()
		}
	})
}

// A client that went away, and a request whose time is over, leave nothing behind but a line in the log.
func TestRequestsThatEnd(t *testing.T) {
	inEachWorld(t, func(w *world) {
		handler := w.withKeys(w.db)
		for name, end := range map[string]func(context.Context) (context.Context, context.CancelFunc){
			"canceled": func(ctx context.Context) (context.Context, context.CancelFunc) {
				ctx, cancel := context.WithCancel(ctx)
				cancel()
				return ctx, cancel
			},
			"deadline exceeded": func(ctx context.Context) (context.Context, context.CancelFunc) {
				return context.WithDeadline(ctx, time.Now().Add(-time.Second))
			},
		} {
			ctx, cancel := end(w.t.Context())
			for _, r := range []*http.Request{
				w.newRequest("GET", base, "owner", nil),
				w.newRequest("POST", base, "owner", draft("a@example.org", admin, apollo)),
				w.newRequest("POST", at(acme, "check"), "", nil),
				w.newRequest("POST", base+"approve/", "", map[string]string{"token": w.service.Signer.Sign(token.Approval{
					Purpose: token.Approve, Issued: w.clock.Now(),
				})}),
			} {
				recorder := httptest.NewRecorder()
				ended := r.Clone(ctx)
				if ended.Body == nil {
					ended.Body = http.NoBody // as a server sees it
				}
				handler.ServeHTTP(recorder, ended)
				result := recorder.Result()
				conforms(w.t, r, result, recorder.Body.Bytes())
				require.GreaterOrEqual(w.t, result.StatusCode, 500)
				w.tells(response{w.t, result.StatusCode, result.Header, recorder.Body.String()}, name)
			}
			cancel()
		}
		require.Zero(w.t, w.rows())
	})
}

// cutShort is a body that ends before it should.
type cutShort struct{}

func (cutShort) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
func (cutShort) Close() error             { return nil }

// A request that can't be read, whichever operation it is for, is refused as the contract says of that operation.
func TestRequestsThatCannotBeRead(t *testing.T) {
	inEachWorld(t, func(w *world) {
		id := w.create("owner", "a@example.org", admin, apollo).UUID.String()
		handler := w.withKeys(w.db)
		for path, method := range map[string]string{
			base + " ": "GET", base: "POST", at(id): "GET", at(id, "details"): "GET", at(id, "events"): "GET", at(id, "check"): "POST", at(id, "accept"): "POST",
			at(id, "cancel"): "POST", at(id, "send"): "POST", at(id, "delete"): "POST", base + "approve/": "POST", base + "reject/": "POST",
			customersPath: "GET", projectsPath: "GET", rolesPath: "GET", permissionsPath: "GET", me: "GET", customersPath + acme + "/": "GET",
			projectsPath + apollo + "/": "GET", rolesPath + owner + "/": "GET",
		} {
			path = strings.TrimSpace(path)
			for _, query := range []string{"%zz", "a;b", "a=%ff"} {
				answer := w.request(method, path+"?"+query, "stranger", nil) // conforms, or the harness says so
				require.Less(w.t, answer.Status, 500)
				w.tells(answer, "")
			}
			r := w.newRequest(method, path, "stranger", "{}")
			recorder, cut := httptest.NewRecorder(), r.Clone(w.t.Context())
			cut.Body = cutShort{}
			handler.ServeHTTP(recorder, cut)
			result := recorder.Result()
			require.Less(w.t, result.StatusCode, 500, "%s %s\n%.3000s", method, path, w.log)
			conforms(w.t, r, result, recorder.Body.Bytes())
		}
	})
}

// No refusal says how it was found out.
func TestRefusalsTellNothing(t *testing.T) {
	inEachWorld(t, func(w *world) {
		made := w.create("owner", "a@example.org", admin, apollo)
		for _, body := range []string{
			"", "{", "[]", "null", `{"role": 5, "scope": 5, "email": 5}`, `{"role": "x", "scope": "x", "email": "x"}`,
			`{"a": 1, "a": 2}`, `{"role": "` + "\xff" + `"}`, good(`, "full_name": "` + "\\u0000" + `"`), good(`, "full_name": {}`),
			`{"email": "` + strings.Repeat("x", 10_000) + `"}`, strings.Repeat("[", 20_000), "{}{}", `{"role": 1e999999}`,
			good(`, "job_title": "` + strings.Repeat("x", 121) + `"`), good(`, "email": "x"`), `{"\ud800": 1}`, "tru", "-", `"\x"`,
		} {
			for _, path := range []string{base, base + "approve/", base + "reject/"} {
				answer := w.request("POST", path, "owner", body)
				require.Equal(w.t, 400, answer.Status)
				w.tells(answer, "")
			}
		}
		for _, query := range []string{
			"o=x", "state=x", "page_size=x", "page=x", "customer_uuid=x", "role_uuid=%00", "email=%ff", "%", "o=a,b,c,d,e,f,g,h,i",
			"page_size=99999999999999999999x", "email=a&email=b", "scope_type=" + strings.Repeat("x", 3000), "page=99999999999999999999",
		} {
			answer := w.request("GET", base+"?"+query, "owner", nil)
			require.Contains(w.t, []int{400, 404}, answer.Status, query)
			w.tells(answer, "")
		}
		for _, answer := range []response{
			w.request("GET", "/x", "", nil), w.request("PUT", base, "", nil), w.request("GET", base, "x", nil),
			w.request("GET", base, "inactive", nil), w.request("POST", at(made.UUID.String(), "delete"), "owner", nil),
			w.request("POST", base, "rival", draft("a@example.org", admin, apollo)),
			w.request("POST", base, "owner", draft("a@example.org", admin, apollo)),
		} {
			require.GreaterOrEqual(w.t, answer.Status, 400)
			w.tells(answer, "")
		}
		require.NotContains(w.t, w.log.String(), "owner-key")
		require.NotContains(w.t, w.log.String(), "a@example.org")
	})
}

// A request's id is the client's only where it is harmless.
func TestRequestIDs(t *testing.T) {
	inEachWorld(t, func(w *world) {
		for _, id := range []string{
			"", " ", "a b", `a"b`, "a=b", "<script>", "a\tb", "ä", "\xff", "a,b", "a:b", "a/b", "%00", "${jndi:ldap://x}", "{}", "a\\nb",
			strings.Repeat("a", 65), strings.Repeat("a", 10_000),
		} {
			r := w.newRequest("GET", base, "owner", nil)
			r.Header["X-Request-Id"] = []string{id}
			got := w.send(r).is(200, "").Header.Values("X-Request-Id")
			require.Len(w.t, got, 1)
			_, err := uuid.Parse(got[0])
			require.NoError(w.t, err, "%q", id)
			require.Contains(w.t, w.log.String(), "request_id="+got[0])
		}
		for _, id := range []string{"a", "A-z_0.9", strings.Repeat("a", 64)} {
			r := w.newRequest("GET", base+"x/", "owner", nil)
			r.Header.Set("X-Request-ID", id)
			require.Equal(w.t, id, w.send(r).is(404, notFound).Header.Get("X-Request-ID"))
		}
		// What the server can't read as HTTP never comes so far.
		for _, head := range []string{
			"GET " + base + " HTTP/1.1\r\nHost: x\r\nX-Request-ID: a\x00b\r\n\r\n",
			"GET " + base + "\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
			"GET " + base + "?%zz HTTP/1.1\r\nHost: x\r\nX-A\x00: b\r\n\r\n",
			"GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n",
			"GET " + base + " HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
			"POST " + base + " HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
		} {
			require.Equal(w.t, 400, w.raw(head).StatusCode, "%q", head)
		}
	})
}

// Whatever host a client speaks to, or says that it speaks to, URLs are built on the configured one.
func TestHostsThatAClientMadeUp(t *testing.T) {
	inEachWorld(t, func(w *world) {
		poison := map[string]string{
			"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "gopher", "X-Forwarded-Prefix": "/evil", "X-Host": "evil.example",
			"X-Forwarded-Server": "evil.example", "Forwarded": "host=evil.example;proto=gopher", "X-Original-URL": "/evil",
			"X-Rewrite-URL": "/evil", "X-Forwarded-For": "6.6.6.6", "X-Real-IP": "6.6.6.6", "Origin": "https://evil.example",
			"Referer": "https://evil.example/",
		}
		send := func(method, path string, body any) response {
			r := w.newRequest(method, path, "owner", body)
			r.Host = "evil.example"
			for name, value := range poison {
				r.Header.Set(name, value)
			}
			answer := w.send(r)
			said := answer.Body + fmt.Sprint(answer.Header)
			for _, each := range []string{"evil.example", "evil/", "gopher", "6.6.6.6"} {
				require.NotContains(w.t, said, each, path)
			}
			for name := range answer.Header {
				require.NotContains(w.t, name, "Access-Control", "cross-origin requests are off")
			}
			return answer
		}
		made := send("POST", base, draft("a@example.org", admin, apollo)).is(201, "")
		require.Regexp(w.t, `^https://api\.example/api/user-invitations/[0-9a-f-]{36}/$`, made.Header.Get("Location"))
		require.Contains(w.t, made.Body, `"url":"`+made.Header.Get("Location")+`"`)
		seen := send("GET", base+"?page_size=1&email=example&x=%0d%0aLocation:x%3E", nil).is(200, "")
		require.Regexp(w.t, `^(<https://api\.example/api/user-invitations/\?[^<>\s]*>; rel="[a-z]+"(, )?)+$`, seen.Header.Get("Link"))
		send("GET", base+"x/", nil).is(404, notFound)
		send("PUT", base, nil).is(405, "")
		require.NotContains(w.t, w.log.String(), "6.6.6.6", "nobody's X-Forwarded-For is believed")

		answer := w.raw("GET http://evil.example" + base + " HTTP/1.1\r\nHost: evil.example\r\nAuthorization: Token owner-key\r\n\r\n")
		require.Equal(w.t, 200, answer.StatusCode)
		require.NotContains(w.t, answer.Header.Get("Link"), "evil")
	})
}
