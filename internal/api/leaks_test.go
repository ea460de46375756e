package api_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
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
	"invited/internal/identity"
	"invited/internal/joining"
	"invited/internal/signin"
	"invited/internal/storetest"
	"invited/internal/token"
)

// internals matches what a response must not contain: texts of drivers, of SQL, of Go and of this program's files.
var internals = regexp.MustCompile(`(?i)\bpq\b|pgx|pgconn|sqlite|gorm|river|sqlstate|(?-i:SELECT|INSERT|UPDATE|DELETE|FROM|WHERE)|` +
	`constraint|violat|relation |column|syntax error|no such table|database|transaction|goroutine|panic|runtime|\.go\b|` +
	`0x[0-9a-f]{6}|nil pointer|interface \{|\*?\b(fault|uuid|openapi3|openapi3filter|jsontext|echo|strconv|json|http|sql|url|time)\.[A-Za-z]|` +
	`/home/|/root/|/tmp/|/usr/|/srv/|/internal/|stack|secret|context (canceled|deadline)|connection refused|127\.0\.0\.1:`)

// requireNoLeak asserts that a response contains no internals, and that the log has the cause under the response's
// request id. An empty cause is not looked for.
func (e *env) requireNoLeak(answer response, cause string) {
	e.t.Helper()
	require.NotRegexp(e.t, internals, answer.Body)
	for name, values := range answer.Header {
		if name != "Date" {
			require.NotRegexp(e.t, internals, strings.Join(values, " "), name)
		}
	}
	if cause == "" {
		return
	}
	id := answer.Header.Get("X-Request-ID")
	for _, line := range strings.Split(e.log.String(), "\n") {
		if strings.Contains(line, "request_id="+id) && strings.Contains(line, "error=") && strings.Contains(line, cause) {
			return
		}
	}
	require.Fail(e.t, "the log does not have the cause", "request %s, looking for %q in:\n%s", id, cause, e.log.String())
}

// onEachBreakableEngine runs a test on both engines, with a second connection to the environment's database through
// which the test can break it.
func onEachBreakableEngine(t *testing.T, test func(e *env, direct *sql.DB)) {
	t.Helper()
	t.Parallel()
	storetest.Each(t, func(t *testing.T, engine storetest.Engine) {
		t.Helper()
		address := engine.Fresh(t)
		e := newEnv(t, storetest.Engine{Name: engine.Name, Fresh: func(testing.TB) string { return address }}, envConfig{})
		driver, name := "pgx", address
		if path, ok := strings.CutPrefix(address, "sqlite://"); ok {
			driver, name = "sqlite3", "file:"+path
		}
		direct, err := sql.Open(driver, name)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, direct.Close()) })
		test(e, direct)
	})
}

// everyOperation calls each operation once, as staff, and returns the responses by a short name of the operation.
func (e *env) everyOperation(id string) map[string]response {
	e.t.Helper()
	all := map[string]response{
		"list":     e.request("GET", base+"?email=x&o=state,created_by", "staff", nil),
		"retrieve": e.request("GET", at(id), "staff", nil),
		"mine":     e.request("GET", minePath, "staff", nil),
		"create":   e.request("POST", base, "staff", draft("new@example.org", admin, apollo)),
		"approve": e.request("POST", base+"approve/", "", map[string]string{"token": e.service.Signer.Sign(token.Approval{
			Purpose: token.Approve, User: uuid.New(), Invitation: uuid.MustParse(id), Issued: e.clock.Now(),
		})}),
		"details":     e.request("GET", at(id, "details"), "staff", nil),
		"duplicates":  e.request("POST", base+"check-duplicates/", "staff", pairs(apollo, "new@example.org", admin)),
		"update":      e.request("PATCH", at(id), "staff", map[string]string{"email": "other@example.org"}),
		"events":      e.request("GET", at(id, "events"), "staff", nil),
		"feed":        e.request("GET", feedPath+"?event_type=created", "staff", nil),
		"bulk action": e.actOn("staff", "send", uuid.MustParse(id)),

		"customers":               e.request("GET", customersPath+"?query=a&o=created", "staff", nil),
		"customer":                e.request("GET", customersPath+acme+"/", "staff", nil),
		"projects":                e.request("GET", projectsPath+"?customer_name=a&o=-start_date", "staff", nil),
		"project":                 e.request("GET", projectsPath+apollo+"/", "staff", nil),
		"roles":                   e.request("GET", rolesPath+"?name=a", "staff", nil),
		"role":                    e.request("GET", rolesPath+owner+"/", "staff", nil),
		"permissions":             e.request("GET", permissionsPath+"?full_name=a&o=role", "staff", nil),
		"list users":              e.request("GET", customersPath+acme+"/list_users/?search_string=a&o=email", "staff", nil),
		"list users of a project": e.request("GET", projectsPath+apollo+"/list_users/?role=PROJECT.MANAGER", "staff", nil),
		"me":                      e.request("GET", me, "staff", nil),
		"exchange":                e.request("POST", "/api-auth/token-exchange/", "", map[string]string{"code": id}),
	}
	for name, r := range e.groupRequests() {
		all[name] = e.send(r)
	}
	all["link"] = e.request("GET", at(id, "link"), "staff", nil)
	rows := map[string]any{"rows": []any{draft("bulk@example.org", admin, apollo)}}
	all["bulk dry run"] = e.request("POST", bulks+"?dry_run=true", "staff", rows)
	all["bulk"] = e.request("POST", bulks, "staff", rows)
	all["bulk list"] = e.request("GET", bulks, "staff", nil)
	all["bulk retrieve"] = e.request("GET", bulkAt(id), "staff", nil)
	all["bulk csv"] = e.request("GET", bulkAt(id, "csv"), "staff", nil)
	all["bulk cancel"] = e.request("POST", bulkAt(id, "cancel"), "staff", nil)
	for name, r := range e.tokenRequests() {
		all[name] = e.send(r)
	}
	for _, action := range []string{
		"check", "send", "decline", "undo-decline", "ask-again", "approve-request", "reject-request", "accept", "cancel", "delete",
	} {
		all[action] = e.request("POST", at(id, action), "staff", nil)
	}
	all["destroy"] = e.request("DELETE", at(id), "staff", nil)
	return all
}

// leakedGroup returns the uuid of a group invitation, or of a permission request, that prepareGroups makes. Each request that
// changes something has one of its own.
func leakedGroup(n int) string { return fmt.Sprintf("70000000-0000-4000-8000-%012d", n) }

// prepareGroups makes what the requests of groupRequests name.
func (e *env) prepareGroups() {
	e.t.Helper()
	now, stranger := e.clock.Now(), e.userID("stranger")
	require.NoError(e.t, e.db.Joining().Change(e.context(), func(joining.Tx) (changes []joining.Change, err error) {
		for n := range 5 {
			g := joining.GroupInvitation{
				UUID: uuid.MustParse(leakedGroup(n)), Created: now, NotCanceled: n != 3,
				RoleUUID: uuid.MustParse(member), ScopeUUID: uuid.MustParse(apollo), CustomerUUID: uuid.MustParse(acme),
				EmailPatterns: []string{}, Affiliations: []string{}, IdentitySources: []string{}, MultipleRequests: true,
			}
			if n == 4 {
				g.RoleUUID, g.ScopeUUID = uuid.MustParse(reader), g.CustomerUUID
			}
			r := joining.Request{
				UUID: g.UUID, GroupInvitationUUID: uuid.MustParse(leakedGroup(0)), State: joining.Pending, Created: now, CreatedByUUID: stranger,
				ScopeUUID: uuid.MustParse(apollo), CustomerUUID: uuid.MustParse(acme),
			}
			changes = append(changes, joining.Change{After: &g, RequestAfter: &r})
		}
		return changes, nil
	}))
}

// groupRequests returns a request for each operation on group invitations and permission requests, by a short name of the
// operation. Each of them succeeds, in any order.
func (e *env) groupRequests() map[string]*http.Request {
	e.t.Helper()
	return map[string]*http.Request{
		"groups":         e.newRequest("GET", groups+"?role_name=a&is_active=true", "staff", nil),
		"group":          e.newRequest("GET", groupAt(leakedGroup(0)), "staff", nil),
		"create group":   e.newRequest("POST", groups, "staff", groupDraft(admin, apollo)),
		"update group":   e.newRequest("PATCH", groupAt(leakedGroup(1)), "staff", map[string]any{"custom_text": "x"}),
		"cancel group":   e.newRequest("POST", groupAt(leakedGroup(2), "cancel"), "staff", nil),
		"delete group":   e.newRequest("DELETE", groupAt(leakedGroup(3)), "staff", nil),
		"group projects": e.newRequest("GET", groupAt(leakedGroup(4), "projects"), "staff", nil),
		"group events":   e.newRequest("GET", groupAt(leakedGroup(0), "events"), "staff", nil),

		"submit request":           e.newRequest("POST", groupAt(leakedGroup(0), "submit_request"), "staff", nil),
		"requests":                 e.newRequest("GET", permissionRequests+"?state=pending&o=state", "staff", nil),
		"request":                  e.newRequest("GET", requestAt(leakedGroup(0)), "staff", nil),
		"approve request by group": e.newRequest("POST", requestAt(leakedGroup(1), "approve"), "staff", nil),
		"reject request by group":  e.newRequest("POST", requestAt(leakedGroup(2), "reject"), "staff", nil),
		"cancel request":           e.newRequest("POST", requestAt(leakedGroup(3), "cancel_request"), "staff", nil),
		"destroy request":          e.newRequest("DELETE", requestAt(leakedGroup(4)), "staff", nil),
	}
}

// The requests of groupRequests reach the end of their operations: where a part of the database is broken, another one fails.
func TestGroupRequestsSucceed(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.prepareGroups()
		for name, r := range e.groupRequests() {
			answer := e.send(r)
			require.Less(e.t, answer.Status, 300, "%s: %s", name, answer.Body)
		}
	})
}

// tokenRequests returns a request for each operation about tokens, by a short name of the operation. Their credentials were
// made by prepareTokens.
func (e *env) tokenRequests() map[string]*http.Request {
	e.t.Helper()
	all := map[string]*http.Request{
		"tokens":       e.newRequest("GET", tokensPath, "", nil),
		"token":        e.newRequest("GET", tokensPath+leakedToken+"/", "", nil),
		"create token": e.newRequest("POST", tokensPath, "", map[string]any{"name": "x", "scopes": []string{"invitations:read"}}),
		"revoke token": e.newRequest("DELETE", tokensPath+leakedToken+"/", "", nil),
	}
	for _, r := range all {
		r.AddCookie(&http.Cookie{Name: "__Host-invited", Value: leakedSession})
	}
	all["user token"] = e.newRequest("POST", userTokenPath(uuid.MustParse(leakedUser)), "portal", nil)
	return all
}

// What the requests of tokenRequests name.
const (
	leakedSession = "SESSIONSESSIONSESSIONSESSIONSESSIONSESSIONSESSIONSES"
	leakedToken   = "50000000-0000-4000-8000-000000000001"
	leakedUser    = "60000000-0000-4000-8000-000000000001"
)

// prepareTokens makes the credentials of tokenRequests.
func (e *env) prepareTokens() {
	e.t.Helper()
	e.apply("users: [{username: portal, kind: service}, {username: leaked, uuid: " + leakedUser + "}]")
	now := e.clock.Now()
	require.NoError(e.t, e.db.Identities().Write(e.context(), func(tx identity.Tx) error {
		user := e.userID("staff")
		if err := tx.SaveSession(identity.Session{Digest: token.Digest(leakedSession), UserUUID: user, Created: now, LastUsed: now}); err != nil {
			return err
		}
		return tx.SaveTokens([]directory.APIToken{
			{Digest: token.Digest("x"), UUID: uuid.MustParse(leakedToken), UserUUID: user, Created: now},
			{
				Digest: token.Digest("portal-key"), UUID: uuid.New(), UserUUID: e.userID("portal"), Created: now,
				Scopes: []directory.TokenScope{directory.IssueUserTokens},
			},
		})
	}))
}

// Every operation fails where the database is closed. The responses do not show why.
func TestClosedDatabase(t *testing.T) {
	onEachBreakableEngine(t, func(e *env, _ *sql.DB) {
		made := e.create("owner", "a@example.org", admin, apollo)
		e.prepareTokens()
		e.prepareGroups()
		require.NoError(e.t, e.db.Close())
		for name, answer := range e.everyOperation(made.UUID.String()) {
			require.Contains(e.t, []int{500, 503}, answer.Status, "%s: %s", name, answer.Body)
			e.requireNoLeak(answer, "closed")
		}
	})
}

// The driver's error about a missing table or an unreadable row is logged, and not shown.
func TestBrokenDatabase(t *testing.T) {
	for name, each := range map[string]struct {
		breaks []string
		fails  map[string]bool // operations that fail; nil: all except spared
		spared map[string]bool
		cause  map[string]string
	}{
		"no users": {
			[]string{"ALTER TABLE users RENAME TO people"},
			nil,
			map[string]bool{"check": true, "exchange": true},
			map[string]string{"sqlite": "no such table", "postgres": "42P01"},
		},
		"no invitations": {
			[]string{"ALTER TABLE invitations RENAME TO gone"},
			map[string]bool{
				"list": true, "mine": true, "retrieve": true, "create": true, "details": true, "check": true, "send": true, "accept": true,
				"cancel": true, "delete": true, "destroy": true, "update": true, "duplicates": true, "link": true, "decline": true,
				"undo-decline": true, "ask-again": true, "approve-request": true, "reject-request": true, "bulk action": true, "bulk": true,
				"bulk dry run": true,
			},
			nil,
			map[string]string{"sqlite": "no such table", "postgres": "42P01"},
		},
		"no tokens": {
			[]string{"ALTER TABLE api_tokens RENAME TO gone"},
			nil,
			map[string]bool{"check": true, "approve": true, "exchange": true},
			map[string]string{"sqlite": "no such table", "postgres": "42P01"},
		},
		"no kinds of users": {
			[]string{"ALTER TABLE users RENAME COLUMN kind TO gone"},
			nil,
			map[string]bool{"check": true, "approve": true, "exchange": true},
			map[string]string{"sqlite": "no such column", "postgres": "42703"},
		},
		"no group invitations": {
			[]string{"ALTER TABLE group_invitations RENAME TO gone"},
			map[string]bool{
				"groups": true, "group": true, "create group": true, "update group": true, "cancel group": true, "delete group": true,
				"group projects": true, "group events": true, "submit request": true, "requests": true, "request": true,
				"approve request by group": true, "reject request by group": true, "cancel request": true, "destroy request": true,
			},
			nil,
			map[string]string{"sqlite": "no such table", "postgres": "42P01"},
		},
		"no permission requests": {
			[]string{"ALTER TABLE permission_requests RENAME TO gone"},
			map[string]bool{
				"submit request": true, "requests": true, "request": true, "approve request by group": true,
				"reject request by group": true, "cancel request": true, "destroy request": true,
			},
			nil,
			map[string]string{"sqlite": "no such table", "postgres": "42P01"},
		},
		"no events of group invitations": {
			[]string{"ALTER TABLE group_invitation_events RENAME TO gone"},
			map[string]bool{
				"create group": true, "update group": true, "cancel group": true, "delete group": true, "group events": true,
				"submit request": true, "approve request by group": true, "reject request by group": true, "cancel request": true,
				"destroy request": true,
			},
			nil,
			map[string]string{"sqlite": "no such table", "postgres": "42P01"},
		},
		"no bulk invitations": {
			[]string{"ALTER TABLE bulk_invitations RENAME TO gone"},
			map[string]bool{"bulk list": true, "bulk retrieve": true, "bulk csv": true, "bulk cancel": true},
			nil,
			map[string]string{"sqlite": "no such table", "postgres": "42P01"},
		},
		"no events": {
			[]string{"ALTER TABLE invitation_events RENAME TO gone"},
			map[string]bool{"bulk": true, "events": true, "feed": true, "create": true, "send": true, "update": true, "accept": true, "delete": true},
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
			map[string]bool{"bulk": true, "create": true, "send": true, "update": true, "submit request": true, "reject request by group": true},
			nil,
			map[string]string{"sqlite": "no such table", "postgres": "42P01"},
		},
		"no memberships": {
			[]string{"ALTER TABLE memberships RENAME COLUMN created_by_uuid TO gone"},
			map[string]bool{"approve request by group": true},
			nil,
			map[string]string{"sqlite": "no column named", "postgres": "42703"},
		},
		"patterns that are no JSON": {
			[]string{"UPDATE scopes SET user_email_patterns = 'SELECT {'"},
			map[string]bool{
				"create": true, "send": true, "accept": true, "cancel": true, "delete": true, "destroy": true, "update": true,
				"create group": true, "update group": true, "cancel group": true, "delete group": true, "submit request": true,
				"approve request by group": true, "reject request by group": true, "cancel request": true, "destroy request": true,
			},
			nil,
			map[string]string{"sqlite": "invalid character", "postgres": "invalid character"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			onEachBreakableEngine(t, func(e *env, direct *sql.DB) {
				made := e.create("owner", "a@example.org", admin, apollo)
				e.prepareTokens()
				e.prepareGroups()
				for _, statement := range each.breaks {
					_, err := direct.ExecContext(e.context(), statement)
					require.NoError(e.t, err)
				}
				for name, answer := range e.everyOperation(made.UUID.String()) {
					if each.fails[name] || (each.fails == nil && !each.spared[name]) {
						require.Equal(e.t, 500, answer.Status, "%s: %s\n%.2000s", name, answer.Body, e.log)
						answer.is(500, `{"detail": "Internal server error."}`)
						e.requireNoLeak(answer, each.cause[e.engine.Name])
					}
					e.requireNoLeak(answer, "")
				}
			})
		})
	}
}

// badKeys looks up callers with a function that fails.
type badKeys func(ctx context.Context) (directory.User, error)

func (f badKeys) Credential(ctx context.Context, _ string) (directory.Credential, error) {
	user, err := f(ctx)
	return directory.Credential{Actor: directory.Actor{User: user}}, err
}

// withKeys returns another API on the same database that looks up callers in keys, and is not ready.
func (e *env) withKeys(keys directory.Authenticator) http.Handler {
	e.t.Helper()
	return e.handler(func(c *api.Config) {
		c.Callers = e.callers(func(c *signin.ChainConfig) { c.Tokens = keys })
		c.Ready = func(context.Context) map[string]error {
			return map[string]error{"database": errors.New("pq: SELECT failed at /srv/x.go:1"), "workers": nil}
		}
	})
}

// A panic and an internal error have the same response. The log has the cause under the request's id.
func TestInternalErrors(t *testing.T) {
	onEachEngine(t, func(e *env) {
		for cause, fail := range map[string]func(context.Context) (directory.User, error){
			"a panic with a secret":   func(context.Context) (directory.User, error) { panic("a panic with a secret") },
			"a panic with an error":   func(context.Context) (directory.User, error) { panic(errors.New("a panic with an error")) },
			"nil pointer dereference": func(context.Context) (directory.User, error) { var none *directory.User; return *none, nil }, //nolint:govet // nilness: the test is about the panic
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
			server := httptest.NewServer(e.withKeys(badKeys(fail)))
			for _, path := range []string{base, base + "?page=x", at(uuid.NewString()), at(uuid.NewString(), "details")} {
				r := e.newRequest("GET", path, "owner", nil)
				r.URL.Host = strings.TrimPrefix(server.URL, "http://")
				r.Header.Set("X-Request-ID", "the-request-1")
				answer := e.send(r).is(500, `{"detail": "Internal server error."}`)
				require.Equal(e.t, "the-request-1", answer.Header.Get("X-Request-ID"))
				e.requireNoLeak(answer, cause)
			}
			r := e.newRequest("GET", "/readyz", "", nil)
			r.URL.Host = strings.TrimPrefix(server.URL, "http://")
			e.send(r).is(503, `{"status": "unavailable", "checks": {"database": "failed", "workers": "ok"}}`)
			require.Contains(e.t, e.log.String(), "pq: SELECT failed")
			server.Close()
		}
	})
}

// A request whose client left or whose time is over changes nothing, and is logged.
func TestCanceledRequests(t *testing.T) {
	onEachEngine(t, func(e *env) {
		handler := e.withKeys(e.db)
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
			ctx, cancel := end(e.context())
			for _, r := range []*http.Request{
				e.newRequest("GET", base, "owner", nil),
				e.newRequest("POST", base, "owner", draft("a@example.org", admin, apollo)),
				e.newRequest("POST", at(acme, "check"), "", nil),
				e.newRequest("POST", base+"approve/", "", map[string]string{"token": e.service.Signer.Sign(token.Approval{
					Purpose: token.Approve, Issued: e.clock.Now(),
				})}),
			} {
				recorder := httptest.NewRecorder()
				ended := r.Clone(ctx)
				if ended.Body == nil {
					ended.Body = http.NoBody // as a server sees it
				}
				handler.ServeHTTP(recorder, ended)
				result := recorder.Result()
				conforms(e.t, r, result, recorder.Body.Bytes())
				require.GreaterOrEqual(e.t, result.StatusCode, 500)
				e.requireNoLeak(response{e.t, result.StatusCode, result.Header, recorder.Body.String()}, name)
			}
			cancel()
		}
		require.Zero(e.t, e.countInvitations())
	})
}

// truncatedBody is a body that ends too early.
type truncatedBody struct{}

func (truncatedBody) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
func (truncatedBody) Close() error             { return nil }

// Every operation answers an unreadable request with an error of its contract.
func TestUnreadableRequests(t *testing.T) {
	onEachEngine(t, func(e *env) {
		id := e.create("owner", "a@example.org", admin, apollo).UUID.String()
		handler := e.withKeys(e.db)
		for path, method := range map[string]string{
			base + " ": "GET", base: "POST", at(id): "GET", at(id, "details"): "GET", at(id, "events"): "GET", feedPath: "GET", at(id, "check"): "POST", at(id, "accept"): "POST",
			at(id, "cancel"): "POST", at(id, "send"): "POST", at(id, "delete"): "POST", base + "approve/": "POST", base + "reject/": "POST",
			customersPath: "GET", projectsPath: "GET", rolesPath: "GET", permissionsPath: "GET", me: "GET", customersPath + acme + "/": "GET",
			projectsPath + apollo + "/": "GET", customersPath + acme + "/list_users/": "GET", projectsPath + apollo + "/list_users/": "GET", rolesPath + owner + "/": "GET",
			"/api/configuration/": "GET", "/api/identity-providers/": "GET", "/api/identity-providers/campus/": "GET",
			"/api-auth/none/init/": "GET", "/api-auth/campus/complete/": "GET", "/api-auth/campus/": "POST", "/api-auth/token-exchange/": "POST",
		} {
			path = strings.TrimSpace(path)
			for _, query := range []string{"%zz", "a;b", "a=%ff"} {
				answer := e.request(method, path+"?"+query, "stranger", nil) // request checks that the response conforms
				require.Less(e.t, answer.Status, 500)
				e.requireNoLeak(answer, "")
			}
			r := e.newRequest(method, path, "stranger", "{}")
			recorder, cut := httptest.NewRecorder(), r.Clone(e.context())
			cut.Body = truncatedBody{}
			handler.ServeHTTP(recorder, cut)
			result := recorder.Result()
			require.Less(e.t, result.StatusCode, 500, "%s %s\n%.3000s", method, path, e.log)
			conforms(e.t, r, result, recorder.Body.Bytes())
		}
	})
}

// Client errors show nothing of how the server found them.
func TestClientErrorsShowNoInternals(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "a@example.org", admin, apollo)
		for _, body := range []string{
			"", "{", "[]", "null", `{"role": 5, "scope": 5, "email": 5}`, `{"role": "x", "scope": "x", "email": "x"}`,
			`{"a": 1, "a": 2}`, `{"role": "` + "\xff" + `"}`, bodyWith(`, "full_name": "` + "\\u0000" + `"`), bodyWith(`, "full_name": {}`),
			`{"email": "` + strings.Repeat("x", 10_000) + `"}`, strings.Repeat("[", 15_000), "{}{}", `{"role": 1e999999}`,
			bodyWith(`, "job_title": "` + strings.Repeat("x", 121) + `"`), bodyWith(`, "email": "x"`), `{"\ud800": 1}`, "tru", "-", `"\x"`,
		} {
			for _, path := range []string{base, base + "approve/", base + "reject/"} {
				answer := e.request("POST", path, "owner", body)
				require.Equal(e.t, 400, answer.Status)
				e.requireNoLeak(answer, "")
			}
		}
		for _, query := range []string{
			"o=x", "state=x", "page_size=x", "page=x", "customer_uuid=x", "role_uuid=%00", "email=%ff", "%", "o=a,b,c,d,e,f,g,h,i",
			"page_size=99999999999999999999x", "email=a&email=b", "scope_type=" + strings.Repeat("x", 3000), "page=99999999999999999999",
		} {
			answer := e.request("GET", base+"?"+query, "owner", nil)
			require.Contains(e.t, []int{400, 404}, answer.Status, query)
			e.requireNoLeak(answer, "")
		}
		for _, answer := range []response{
			e.request("GET", "/x", "", nil), e.request("PUT", base, "", nil), e.request("GET", base, "x", nil),
			e.request("GET", base, "inactive", nil), e.request("POST", at(made.UUID.String(), "delete"), "owner", nil),
			e.request("POST", base, "rival", draft("a@example.org", admin, apollo)),
			e.request("POST", base, "owner", draft("a@example.org", admin, apollo)),
		} {
			require.GreaterOrEqual(e.t, answer.Status, 400)
			e.requireNoLeak(answer, "")
		}
		require.NotContains(e.t, e.log.String(), "owner-key")
		require.NotContains(e.t, e.log.String(), "a@example.org")
	})
}

// The request id of a client is used only where it has harmless characters.
func TestRequestIDs(t *testing.T) {
	onEachEngine(t, func(e *env) {
		for _, id := range []string{
			"", " ", "a b", `a"b`, "a=b", "<script>", "a\tb", "ä", "\xff", "a,b", "a:b", "a/b", "%00", "${jndi:ldap://x}", "{}", "a\\nb",
			strings.Repeat("a", 65), strings.Repeat("a", 10_000),
		} {
			r := e.newRequest("GET", base, "owner", nil)
			r.Header["X-Request-Id"] = []string{id}
			got := e.send(r).is(200, "").Header.Values("X-Request-Id")
			require.Len(e.t, got, 1)
			_, err := uuid.Parse(got[0])
			require.NoError(e.t, err, "%q", id)
			require.Contains(e.t, e.log.String(), "request_id="+got[0])
		}
		for _, id := range []string{"a", "A-z_0.9", strings.Repeat("a", 64)} {
			r := e.newRequest("GET", base+"x/", "owner", nil)
			r.Header.Set("X-Request-ID", id)
			require.Equal(e.t, id, e.send(r).is(404, notFound).Header.Get("X-Request-ID"))
		}
		// net/http answers a request that it can't parse.
		for _, head := range []string{
			"GET " + base + " HTTP/1.1\r\nHost: x\r\nX-Request-ID: a\x00b\r\n\r\n",
			"GET " + base + "\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
			"GET " + base + "?%zz HTTP/1.1\r\nHost: x\r\nX-A\x00: b\r\n\r\n",
			"GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n",
			"GET " + base + " HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
			"POST " + base + " HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
		} {
			require.Equal(e.t, 400, e.sendRaw(head).StatusCode, "%q", head)
		}
	})
}

// URLs in responses use the configured address, whatever host the request names.
func TestSpoofedHostHeaders(t *testing.T) {
	onEachEngine(t, func(e *env) {
		poison := map[string]string{
			"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "gopher", "X-Forwarded-Prefix": "/evil", "X-Host": "evil.example",
			"X-Forwarded-Server": "evil.example", "Forwarded": "host=evil.example;proto=gopher", "X-Original-URL": "/evil",
			"X-Rewrite-URL": "/evil", "X-Forwarded-For": "6.6.6.6", "X-Real-IP": "6.6.6.6", "Origin": "https://evil.example",
			"Referer": "https://evil.example/",
		}
		send := func(method, path string, body any) response {
			r := e.newRequest(method, path, "owner", body)
			r.Host = "evil.example"
			for name, value := range poison {
				r.Header.Set(name, value)
			}
			answer := e.send(r)
			said := answer.Body + fmt.Sprint(answer.Header)
			for _, each := range []string{"evil.example", "evil/", "gopher", "6.6.6.6"} {
				require.NotContains(e.t, said, each, path)
			}
			for name := range answer.Header {
				require.NotContains(e.t, name, "Access-Control", "CORS is off")
			}
			return answer
		}
		made := send("POST", base, draft("a@example.org", admin, apollo)).is(201, "")
		require.Regexp(e.t, `^https://api\.example/api/user-invitations/[0-9a-f-]{36}/$`, made.Header.Get("Location"))
		require.Contains(e.t, made.Body, `"url":"`+made.Header.Get("Location")+`"`)
		seen := send("GET", base+"?page_size=1&email=example&x=%0d%0aLocation:x%3E", nil).is(200, "")
		require.Regexp(e.t, `^(<https://api\.example/api/user-invitations/\?[^<>\s]*>; rel="[a-z]+"(, )?)+$`, seen.Header.Get("Link"))
		send("GET", base+"x/", nil).is(404, notFound)
		send("PUT", base, nil).is(405, "")
		require.NotContains(e.t, e.log.String(), "6.6.6.6", "X-Forwarded-For is ignored")

		answer := e.sendRaw("GET http://evil.example" + base + " HTTP/1.1\r\nHost: evil.example\r\nAuthorization: Token owner-key\r\n\r\n")
		require.Equal(e.t, 200, answer.StatusCode)
		require.NotContains(e.t, answer.Header.Get("Link"), "evil")
	})
}
