package app_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"invited/internal/app"
	"invited/internal/identity"
	"invited/internal/storetest"
	"invited/internal/systemtest/harness"
)

// programVariable makes this test binary behave as the program: the tests run commands as processes, each in a working
// directory of its own, without building the program first.
const programVariable = "INVITED_TEST_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(programVariable) != "" {
		environ := slices.DeleteFunc(os.Environ(), func(variable string) bool { return strings.HasPrefix(variable, programVariable+"=") })
		os.Exit(app.Main(os.Args, environ))
	}
	os.Exit(m.Run())
}

// setup returns an Env whose program is this test binary.
func setup(t *testing.T, databaseURL string) *harness.Env {
	t.Helper()
	program, err := os.Executable()
	require.NoError(t, err)
	env := harness.New(t, databaseURL)
	env.Program = program
	return env.Set(programVariable + "=1")
}

func TestHelp(t *testing.T) {
	t.Parallel()
	env := setup(t, "")
	for _, each := range []string{
		"", "serve", "migrate", "migrate up", "migrate status", "directory", "directory apply", "directory export",
		"token", "token create", "token list", "token revoke", "user", "user sign-out", "person", "person export", "person erase", "mail", "mail preview", "events", "events redeliver",
		"invite", "health", "config", "man", "openapi", "version", "doctor", "backup", "restore", "jobs", "jobs list", "jobs hold", "jobs release",
	} {
		output := env.Run("", append(strings.Fields(each), "--help")...).OK()
		require.Contains(t, output, strings.TrimSpace("invited "+each), each)
		require.Contains(t, output, "Usage:", each)
	}
	require.Contains(t, env.Run("").OK(), "Available Commands:")
	entries, err := os.ReadDir(env.Dir)
	require.NoError(t, err)
	require.Empty(t, entries, "help creates no file")
}

func TestWrongUsage(t *testing.T) {
	t.Parallel()
	env := setup(t, "")
	for _, each := range [][]string{
		{"bogus"},
		{"--bogus"},
		{"serve", "now"},
		{"serve", "--bogus"},
		{"serve", "--migrate=perhaps"},
		{"migrate"},
		{"migrate", "down"},
		{"migrate", "up", "2"},
		{"directory"},
		{"directory", "apply"},
		{"directory", "apply", "file.yaml"},
		{"directory", "export", "file.yaml"},
		{"token"},
		{"token", "create"},
		{"token", "create", "olivia"},
		{"token", "create", "--user", "olivia", "--ttl", "soon"},
		{"token", "create", "--user", "olivia", "--ttl", "-1h"},
		{"token", "create", "--user", "olivia", "--ttl", "0"},
		{"token", "create", "--user", "olivia", "--scope", "everything"},
		{"token", "create", "--user", "olivia", "--scope", ""},
		{"token", "list", "olivia"},
		{"token", "revoke"},
		{"token", "revoke", "--user", ""},
		{"token", "revoke", "0f5a9f2e-7a55-4c7e-9f0a-6b3a6a0c6a11", "3c5e2f80-0b9d-4a7e-9c21-6f4d8a1b7e03"},
		{"token", "revoke", "0f5a9f2e-7a55-4c7e-9f0a-6b3a6a0c6a11", "--user", "olivia"},
		{"mail"},
		{"mail", "preview"},
		{"mail", "preview", "bogus"},
		{"mail", "preview", "invitation_created", "now"},
		{"mail", "preview", "invitation_created", "--output", "mail.pdf"},
		{"events"},
		{"events", "redeliver"},
		{"events", "redeliver", "--since", "1h", "now"},
		{"invite"},
		{"invite", "people.csv"},
		{"invite", "-f", "people.csv", "now"},
		{"invite", "-f", "people.csv", "--on-duplicate", "replace"},
		{"invite", "-f", "people.csv", "-o", "./people.csv"},
		{"invite", "-f", "people.csv", "--follow", "0f5a9f2e-7a55-4c7e-9f0a-6b3a6a0c6a11"},
		{"invite", "--cancel", "all"},
		{"invite", "--cancel", "0f5a9f2e-7a55-4c7e-9f0a-6b3a6a0c6a11", "--dry-run"},
		{"invite", "--cancel", "0f5a9f2e-7a55-4c7e-9f0a-6b3a6a0c6a11", "--role", "PROJECT.ADMIN"},
		{"invite", "--follow", "0f5a9f2e-7a55-4c7e-9f0a-6b3a6a0c6a11", "--scope", "0f5a9f2e-7a55-4c7e-9f0a-6b3a6a0c6a11"},
		{"invite", "--follow", "0f5a9f2e-7a55-4c7e-9f0a-6b3a6a0c6a11", "--on-duplicate", "skip"},
		{"health", "now"},
		{"jobs", "now"},
		{"jobs", "list", "--limit", "0"},
		{"jobs", "hold", "now"},
		{"jobs", "release", "all"},
		{"restore"},
		{"restore", "one.db", "two.db"},
		{"doctor", "now"},
		{"doctor", "--dns", "192.0.2.53"},
		{"config", "now"},
		{"man"},
		{"man", "now"},
		{"openapi", "now"},
		{"version", "now"},
	} {
		got := env.Run("", each...)
		require.Equal(t, 2, got.Code, "%q: %s%s", each, got.Stdout, got.Stderr)
		require.Empty(t, got.Stdout, "%q", each)
		require.True(t, strings.HasPrefix(got.Stderr, "invited: "), "%q: %s", each, got.Stderr)
		require.Contains(t, got.Stderr, "--help", "%q", each)
	}
	entries, err := os.ReadDir(env.Dir)
	require.NoError(t, err)
	require.Empty(t, entries, "a wrong command line creates no file")
}

// databaseCommands are the commands that open the database.
var databaseCommands = [][]string{
	{"serve"},
	{"serve", "--demo"},
	{"migrate", "up"},
	{"migrate", "status"},
	{"directory", "apply", "-f", "people.yaml"},
	{"directory", "export"},
	{"token", "create", "--user", "olivia"},
	{"user", "sign-out", "olivia"},
	{"token", "list"},
	{"token", "revoke", "--user", "olivia"},
	{"events", "redeliver", "--since", "1h"},
	{"jobs"},
	{"jobs", "hold"},
	{"person", "export", "--email", "ann@x.example"},
	{"person", "erase", "--email", "ann@x.example", "--yes"},
}

func TestDatabaseIsUnreachable(t *testing.T) {
	t.Parallel()
	for _, each := range databaseCommands {
		t.Run(strings.Join(each, " "), func(t *testing.T) {
			t.Parallel()
			env := setup(t, "postgres://invited:pa55word@127.0.0.1:1/nosuch")
			env.WriteFile("people.yaml", harness.Directory)
			env.Run("", each...).Fails("127.0.0.1:1", "connection refused")
		})
	}
}

func TestDatabaseFileCannotBeCreated(t *testing.T) {
	t.Parallel()
	for _, each := range databaseCommands {
		t.Run(strings.Join(each, " "), func(t *testing.T) {
			t.Parallel()
			env := setup(t, "sqlite://people.yaml/invited.db")
			env.WriteFile("people.yaml", harness.Directory)
			env.Run("", each...).Fails("people.yaml", "not a directory")
		})
	}
}

// Commands that do not migrate name the remedy.
func TestDatabaseIsNotMigrated(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		env := setup(t, e.Empty(t))
		for _, each := range [][]string{
			{"serve", "--migrate=false"},
			{"directory", "export"},
			{"token", "create", "--user", "olivia"},
			{"token", "list"},
			{"token", "revoke", "--user", "olivia"},
		} {
			env.Run("", each...).Fails("schema is not current", "invited migrate up")
		}
		status := env.Run("", "migrate", "status").OK()
		require.Equal(t, strings.Count(status, "\n"), strings.Count(status, "pending"), status)
	})
}

func TestBadVariables(t *testing.T) {
	t.Parallel()
	env := setup(t, "")
	env.WriteFile("file", "")
	for variable, word := range map[string]string{
		"INVITED_INVITATION_LIFETIME=soon":                      "soon",
		"INVITED_LISTEN_ADDR=8080":                              "HOST:PORT",
		"INVITED_LISTEN_ADDR=192.0.2.1:80":                      "192.0.2.1:80",
		"INVITED_DATABASE_URL=mysql://root:pa55word@db/invited": "sqlite://PATH",
		"INVITED_SMTP_URL=smtp://user:pa55word@mail:25/path":    "smtp://USER:PASSWORD@HOST:PORT",
		"INVITED_SECRET_KEY=pa55word":                           "openssl rand",
		"INVITED_LOG_LEVEL=loud":                                "loud",
		"INVITED_TEMPLATES_DIR=nowhere":                         "nowhere",
		"INVITED_MAIL_DIR=file/mail":                            "file",
		"INVITED_MAIL_REPLY_TO=everybody":                       "neither inviter nor none",
		"INVITED_MAIL_REPLY_TO=ünal@example.com":                "not an address that mails can go to",
		"INVITED_WORKERS=perhaps":                               "perhaps",
	} {
		name, _, _ := strings.Cut(variable, "=")
		env.With(variable).Run("", "serve").Fails(name, word)
	}
	mailed := env.With("INVITED_SMTP_URL=smtp://127.0.0.1:1")
	mailed.With("INVITED_SMTP_HELO=my host").Run("", "serve").Fails("INVITED_SMTP_HELO", "a host name")
	mailed.With("INVITED_SMTP_CA_FILE=nowhere").Run("", "serve").Fails("INVITED_SMTP_CA_FILE", "nowhere")
	mailed.With("INVITED_SMTP_CA_FILE=file").Run("", "serve").Fails("INVITED_SMTP_CA_FILE", "no certificate")
	got := env.With("INVITED_WORKERS=perhaps", "INVITED_LOG_LEVEL=loud").Run("", "serve")
	require.Equal(t, 1, got.Code)
	require.Equal(t, 2, strings.Count(got.Stderr, "\n"), "a line for each")

	postgres := env.With("INVITED_DATABASE_URL=postgres://invited:pa55word@127.0.0.1:1/x", "INVITED_SECRET_KEY=")
	require.Contains(t, postgres.Run("", "migrate", "up").Stderr, "127.0.0.1:1", "only serve needs the key")
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		if e.Name == "postgres" {
			setup(t, e.Fresh(t)).Set("INVITED_SECRET_KEY=").Run("", "serve").Fails("INVITED_SECRET_KEY", "openssl")
		}
	})
	env.With("INVITED_LISTEN_ADDR=0.0.0.0:0").Run("", "serve", "--demo").Fails("--demo", "INVITED_LISTEN_ADDR")
}

func TestUnknownVariableGivesWarning(t *testing.T) {
	t.Parallel()
	got := setup(t, "").Set("INVITED_LIFETIME=1h").Run("", "migrate", "up")
	require.Zero(t, got.Code)
	require.Equal(t, "invited: warning: INVITED_LIFETIME is no variable of this program\n", got.Stderr)
}

func TestOutputCannotBeWritten(t *testing.T) {
	t.Parallel()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("this system has no /dev/full")
	}
	t.Cleanup(func() { require.NoError(t, full.Close()) })
	env := setup(t, "")
	env.Apply()
	for _, each := range [][]string{
		{"openapi"},
		{"version"},
		{"migrate", "status"},
		{"migrate", "up"},
		{"directory", "export"},
		{"token", "create", "--user", "olivia"},
		{"token", "list"},
		{"token", "revoke", "--user", "olivia"},
	} {
		t.Run(strings.Join(each, " "), func(t *testing.T) {
			cmd := env.Command(t.Context(), each...)
			var stderr strings.Builder
			cmd.Stdout, cmd.Stderr = full, &stderr
			_ = cmd.Run() // Result has the exit code
			harness.Result{T: t, Code: cmd.ProcessState.ExitCode(), Stderr: stderr.String()}.Fails("no space left")
		})
	}
}

func TestOpenAPI(t *testing.T) {
	t.Parallel()
	printed := setup(t, "").Run("", "openapi").OK()
	document, err := openapi3.NewLoader().LoadFromData([]byte(printed))
	require.NoError(t, err)
	require.NoError(t, document.Validate(t.Context()))
	operations := 0
	for path, item := range document.Paths.Map() {
		for method, operation := range item.Operations() {
			require.NotEmpty(t, operation.OperationID, "%s %s", method, path)
			operations++
		}
	}
	require.GreaterOrEqual(t, operations, 11)

	written, err := openapi3.NewLoader().LoadFromFile(filepath.Join("..", "..", "openapi.yaml"))
	require.NoError(t, err)
	one, err := written.MarshalJSON()
	require.NoError(t, err)
	other, err := document.MarshalJSON()
	require.NoError(t, err)
	require.JSONEq(t, string(one), string(other))
}

func TestVersion(t *testing.T) {
	t.Parallel()
	require.Regexp(t, `^invited \S+ \(commit \S+, go1\.\d+\S*\)\n$`, setup(t, "").Run("", "version").OK())
}

func TestMigrateCommands(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		env := setup(t, e.Empty(t))
		require.Regexp(t, `(?m)^ +1 +pending +0001_initial\.sql$`, env.Run("", "migrate", "status").OK())
		require.Regexp(t, `(?m)^applied +1 +0001_initial\.sql$`, env.Run("", "migrate", "up").OK())
		status := env.Run("", "migrate", "status").OK()
		require.NotContains(t, status, "pending")
		require.Regexp(t, `(?m)^ +1 +\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ +0001_initial\.sql$`, status)
		require.Equal(t, "The schema is current.\n", env.Run("", "migrate", "up").OK())
		require.Equal(t, status, env.Run("", "migrate", "status").OK())
	})
}

func TestDirectoryCommands(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		env := setup(t, e.Empty(t)) // directory apply migrates
		env.WriteFile("people.yaml", harness.Directory)
		first := env.Run("", "directory", "apply", "-f", "people.yaml").OK()
		require.Contains(t, strings.ToLower(first), "created")
		require.NotContains(t, first, "{", "the output is for people")
		again := env.Run(harness.Directory, "directory", "apply", "-f", "-").OK()
		require.NotEqual(t, first, again)

		exported := env.Run("", "directory", "export").OK()
		require.NotContains(t, exported, "token")
		require.NotContains(t, exported, "-key")
		env.Run(exported, "directory", "apply", "-f", "-").OK()
		require.Equal(t, exported, env.Run("", "directory", "export").OK())
		var content map[string][]map[string]any
		require.NoError(t, yaml.Unmarshal([]byte(exported), &content))
		require.Len(t, content["users"], 3)

		bad := strings.Replace(harness.Directory, "user: olivia, role: CUSTOMER.OWNER", "user: olivia, role: NOBODY", 1)
		bad = strings.Replace(bad, "email: sam@staff.example", "email: other@staff.example", 1)
		env.Run(bad, "directory", "apply", "-f", "-").Fails("customers[0].members[0].role")
		env.Run("users: {", "directory", "apply", "-f", "-").Fails()
		env.Run("", "directory", "apply", "-f", "nowhere.yaml").Fails("nowhere.yaml")
		require.Equal(t, exported, env.Run("", "directory", "export").OK(), "nothing was written")
	})
}

// A token that can be guessed is a warning, so that directories that were made before go on working; the profile secure
// refuses it.
func TestShortTokensInTheDirectoryFile(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		env := setup(t, e.Empty(t))
		const file = "users:\n- {username: alice, tokens: [0123456789abcdefghij, alice-token]}\n- {username: bob, tokens: [0123456789abcdefghi]}\n"
		env.WriteFile("people.yaml", file)
		got := env.With("INVITED_PROFILE=secure").Run("", "directory", "apply", "-f", "people.yaml")
		require.Equal(t, 1, got.Code)
		require.Empty(t, got.Stdout)
		const why = "is shorter than 20 characters, so that it can be guessed: take what `openssl rand -hex 20` prints"
		require.Equal(t, "invited: people.yaml: users[0].tokens[1]: "+why+" (line 2)\n"+
			"invited: people.yaml: users[1].tokens[0]: "+why+" (line 3)\n", got.Stderr)
		env.Run("", "migrate", "up").OK()
		require.Equal(t, "There are no tokens.\n", env.Run("", "token", "list").OK(), "nothing was written")

		got = env.Run("", "directory", "apply", "-f", "people.yaml")
		require.Zero(t, got.Code)
		require.Contains(t, got.Stdout, "tokens:             3 created")
		require.Equal(t, "invited: warning: people.yaml: users[0].tokens[1]: "+why+" (line 2)\n"+
			"invited: warning: people.yaml: users[1].tokens[0]: "+why+" (line 3)\n", got.Stderr)
		require.NotContains(t, got.Stdout+got.Stderr, "alice-token")

		long := strings.NewReplacer("alice-token", "alice-token-of-20-cs", "ghi]", "ghijk]").Replace(file)
		env.With("INVITED_PROFILE=secure").Run(long, "directory", "apply", "-f", "-").OK()
	})
}

// Whoever deletes is_staff from the file is told, before and after, that it takes nothing away.
func TestStaffLeftOutOfTheDirectoryFile(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		env := setup(t, e.Fresh(t))
		env.Run("users: [{username: alice, is_staff: true}]", "directory", "apply", "-f", "-").OK()
		for _, flag := range []string{"--dry-run=true", "--dry-run=false"} {
			got := env.Run("users: [{username: alice}]", "directory", "apply", "-f", "-", flag)
			require.Zero(t, got.Code)
			require.Equal(t, "invited: warning: standard input: users[0].is_staff: "+
				"alice stays staff: write is_staff: false to take it away (line 1)\n", got.Stderr)
		}
	})
}

func TestTokenCommand(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		env := setup(t, e.Fresh(t)).Apply()
		env.Run("", "token", "create", "--user", "nobody").Fails("nobody")
		env.Run("", "token", "create", "--user", "olivia", "--scope", "users:token").Fails("only tokens of service users")
		lasting := strings.TrimSpace(env.Run("", "token", "create", "--user", "olivia").OK())
		short := strings.TrimSpace(env.Run("", "token", "create", "--user", "olivia", "--ttl", "2s").OK())
		require.NotEqual(t, lasting, short)
		p := env.Set("INVITED_WORKERS=false").Serve()
		list := func(key string) harness.Response {
			return p.Do("GET", harness.InvitationsPath, "", "", "Authorization", "Token "+key)
		}
		list(lasting).Is(200)
		p.WaitUntil("the token has expired", func() bool {
			got := list(short)
			return got.Status == 401 && strings.Contains(got.Body, "Token has expired.")
		})
		list(lasting).Is(200)
		require.NotContains(t, p.Stderr.String(), lasting)
		require.NotContains(t, p.Stderr.String(), short)
	})
}

// A revoked token is refused with the next request, by every replica: none keeps what it read of a token.
func TestRevokedTokenIsRefusedEverywhere(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		env := setup(t, e.Fresh(t)).Apply()
		require.Equal(t, 3, strings.Count(env.Run("", "token", "list").OK(), "never"), "the file's tokens")
		require.Equal(t, "tokens revoked: 1\n", env.Run("", "token", "revoke", "--user", "ina").OK())
		require.Equal(t, "There are no tokens.\n", env.Run("", "token", "list", "--user", "ina").OK())

		kept := strings.TrimSpace(env.Run("", "token", "create", "--user", "ina").OK())
		leaked := strings.TrimSpace(env.Run("", "token", "create", "--user", "ina", "--ttl", "720h", "--name", "build server", "--scope", "invitations:read").OK())
		listed := env.Run("", "token", "list", "--user", "ina").OK()
		lines := strings.Split(listed, "\n")
		require.Len(t, lines, 4, listed)
		require.Equal(t, strings.Fields("ID USER NAME SCOPES CREATED LAST USE EXPIRES"), strings.Fields(lines[0]))
		const at = `20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ`
		require.Regexp(t, `^[0-9a-f-]{36}  ina   -             all               `+at+`  -         never$`, lines[1])
		require.Regexp(t, `^[0-9a-f-]{36}  ina   build server  invitations:read  `+at+`  -         `+at+`$`, lines[2])
		require.NotContains(t, listed, kept)
		require.NotContains(t, listed, leaked)

		var replicas []*harness.Process
		status := func(key string) (seen []int) {
			for _, p := range replicas {
				seen = append(seen, p.Do("GET", harness.InvitationsPath, "", "", "Authorization", "Token "+key).Status)
			}
			return seen
		}
		for range 2 {
			replicas = append(replicas, env.With("INVITED_WORKERS=false").Serve())
		}
		for range 3 {
			require.Equal(t, []int{200, 200}, status(leaked))
		}
		require.Equal(t, "tokens revoked: 1\n", env.Run("", "token", "revoke", strings.Fields(lines[2])[0]).OK())
		require.Equal(t, []int{401, 401}, status(leaked))
		require.Equal(t, []int{200, 200}, status(kept))

		env.Run("", "token", "revoke", strings.Fields(lines[2])[0]).Fails("there is no token with the id", "token list")
		for _, mistake := range []string{leaked, kept} { // a token in place of its id
			got := env.Run("", "token", "revoke", mistake)
			got.Fails("there is no token with this id", "token list")
			require.NotContains(t, got.Stderr, mistake)
		}
		env.Run("", "token", "revoke", "--user", "nobody").Fails("there is no user nobody")
		env.Run("", "token", "list", "--user", "nobody").Fails("there is no user nobody")
		require.Equal(t, []int{200, 200}, status(kept))
	})
}

// The limit on unknown keys is the configured one, and counts by the address of the connection.
func TestLimitOnUnknownKeys(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		env := setup(t, e.Fresh(t)).Apply()
		p := env.Set("INVITED_WORKERS=false", "INVITED_LIMIT_UNKNOWN_KEYS=2/1h").Serve()
		guess := func(forwarded string) harness.Response {
			return p.Do("GET", harness.InvitationsPath, "", "", "Authorization", "Token guess", "X-Forwarded-For", forwarded)
		}
		p.Do("GET", harness.InvitationsPath, "olivia", "").Is(200)
		guess("203.0.113.1").Is(401)
		guess("203.0.113.2").Is(401)
		throttled := guess("203.0.113.3").Is(429)
		seconds := throttled.Header.Get("Retry-After")
		require.Regexp(t, `^1[78]\d\d$`, seconds)
		require.JSONEq(t, `{"detail": "Request was throttled. Expected available in `+seconds+` seconds."}`, throttled.Body)
		p.Do("GET", harness.InvitationsPath, "sam", "").Is(429)
		p.Do("GET", harness.InvitationsPath, "olivia", "").Is(200)
	})
}

func TestUserSignOut(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, engine storetest.Engine) {
		env := setup(t, engine.Fresh(t)).Apply()
		require.Equal(t, "sessions ended: 0\n", env.Run("", "user", "sign-out", "olivia").OK())
		env.Run("", "user", "sign-out", "nobody").Fails("there is no user", "nobody")
		for _, wrong := range [][]string{
			{"user"}, {"user", "sign-out"}, {"user", "sign-out", "olivia", "ina"}, {"user", "events", "a", "b"}, {"user", "events", "--limit", "0"},
		} {
			require.Equal(t, 2, env.Run("", wrong...).Code, "%q", wrong)
		}
	})
}

func TestEventsRedeliver(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, engine storetest.Engine) {
		address := engine.Fresh(t)
		env := setup(t, address).Apply()
		for _, flags := range [][]string{
			{"--since", "36h"},
			{"--since", "2026-11-23T09:30:00Z", "--until", "2026-11-23T10:30:00+01:00"},
			{"--since", "1h", "--until", "1m", "--invitation", "0f5a9f2e7a554c7e9f0a6b3a6a0c6a11"},
		} {
			require.Equal(t, "0 events of 0 invitations will be sent again by a server with workers and INVITED_EVENTS_WEBHOOK_URL\n", env.Run("", append([]string{"events", "redeliver"}, flags...)...).OK())
		}
		_, err := storetest.Open(t, address, nil).QueuePool().ExecContext(t.Context(), `INSERT INTO event_deliveries
			(position, invitation_uuid, state, failures, ended) VALUES (1, '0f5a9f2e-7a55-4c7e-9f0a-6b3a6a0c6a11', 'sent', 0,
			'2026-11-23T09:30:00.000000Z')`)
		require.NoError(t, err)
		for _, want := range []string{"1 event of 1 invitation would be", "1 event of 1 invitation will be", "0 events of 0 invitations would be"} {
			flags := []string{"events", "redeliver", "--since", "2026-11-23T09:00:00Z", "--until", "2026-11-23T10:00:00Z"}
			if strings.Contains(want, "would") {
				flags = append(flags, "--dry-run")
			}
			require.Contains(t, env.Run("", flags...).OK(), want)
		}
		for _, wrong := range [][]string{
			{"--since", "yesterday"},
			{"--since", "-1h"},
			{"--since", "2026-11-23"},
			{"--since", "1h", "--until", "x"},
			{"--since", "1h", "--invitation", "x"},
		} {
			got := env.Run("", append([]string{"events", "redeliver"}, wrong...)...)
			require.Equal(t, 2, got.Code, "%q: %s%s", wrong, got.Stdout, got.Stderr)
			require.Contains(t, got.Stderr, wrong[len(wrong)-2]+": ", "%q", wrong)
		}
	})
}

func TestUserEvents(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, engine storetest.Engine) {
		address := engine.Fresh(t)
		env := setup(t, address).Apply()
		service := &identity.Service{Store: storetest.Open(t, address, nil).Identities(), Create: identity.CreateNone}
		_, _, err := service.SignInPerson(t.Context(), identity.Person{Issuer: "https://a.example", Subject: "x\x1b[2J"}, "192.0.2.1")
		require.ErrorContains(t, err, "Nobody here is known by your account")
		_, err = service.SignInAs(t.Context(), "olivia", "192.0.2.2")
		require.NoError(t, err)
		env.Run("", "user", "sign-out", "olivia").OK()

		olivia := env.Run("", "user", "events", "olivia").OK()
		require.Regexp(t, `(?s)\ATIME .* signed_out +olivia +- +- +- +by the operator\n.* signed_in +olivia +- +- +192\.0\.2\.2 .*\n\z`, olivia)
		require.NotContains(t, olivia, "a.example")
		everybody := env.Run("", "user", "events").OK()
		require.Regexp(t, `sign_in_refused +- +https://a\.example +"x\\x1b\[2J" +192\.0\.2\.1 +Nobody here is known`, everybody)
		require.Equal(t, 2, strings.Count(env.Run("", "user", "events", "--limit", "1").OK(), "\n"))
		env.Run("", "user", "events", "nobody").Fails("there is no user", "nobody")
	})
}

func TestMailPreview(t *testing.T) {
	t.Parallel()
	env := setup(t, "").Set("INVITED_FRONTEND_URL=https://front.example/", "INVITED_SITE_NAME=Portal")
	kinds := []string{
		"invitation_created", "invitation_reminder", "invitation_requested", "invitation_requests", "invitation_rejected", "invitation_expired", "invitation_refused",
		"invitation_declined", "invitation_scope_removed", "invitation_accepted", "invitation_undeliverable", "invitation_renewal_asked",
		"permission_request_submitted", "permission_requests_submitted",
	}
	for _, each := range kinds {
		output := env.Run("", "mail", "preview", each).OK()
		require.Regexp(t, `^To: \S+\nSubject: .+\n\n`, output, each)
		base := "https://front.example/"
		if each == "invitation_scope_removed" { // there is nothing to open
			base = ""
		}
		require.Contains(t, output, base, each)
		for _, extension := range []string{".html", ".txt", ".eml"} {
			file := filepath.Join(env.Dir, each+extension)
			require.Empty(t, env.Run("", "mail", "preview", each, "-o", file).OK())
			content, err := os.ReadFile(file)
			require.NoError(t, err)
			require.Contains(t, string(content), map[string]string{
				".html": "<!DOCTYPE html>", ".txt": base, ".eml": "Auto-Submitted: auto-generated\r\n",
			}[extension], file)
		}
	}
	require.Contains(t, env.Run("", "mail", "preview", "invitation_reminder").OK(), "Subject: REMINDER: ")
	require.Contains(t, env.Run("", "mail", "preview", "sign_in_code").OK(), "is your code for Portal")
	require.NoDirExists(t, filepath.Join(env.Dir, "data"), "a preview creates no other file")

	// The operator's templates replace the built-in ones, and the message about a broken one has the file and the line.
	folder := filepath.Join(env.Dir, "templates")
	require.NoError(t, os.Mkdir(folder, 0o700))
	broken := filepath.Join(folder, "invitation_created.txt.tmpl")
	env.Set("INVITED_TEMPLATES_DIR=" + folder)
	require.NoError(t, os.WriteFile(broken, []byte("{{define \"subject\"}}Ours{{end}}{{.Inviter}} invites you.\n"), 0o600))
	require.Contains(t, env.Run("", "mail", "preview", "invitation_created").OK(), "Subject: Ours\n\nOlivia Owner invites you.\n")
	require.NoError(t, os.WriteFile(broken, []byte("{{define \"subject\"}}Ours{{end}}\n{{.Invter}}\n"), 0o600))
	for _, command := range [][]string{{"mail", "preview", "invitation_expired"}, {"serve"}} {
		env.Run("", command...).Fails("INVITED_TEMPLATES_DIR", folder, "invitation_created.txt.tmpl:2", "Invter")
	}
}
