package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"invited/internal/storetest"
)

func TestHelp(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	for _, each := range []string{
		"", "serve", "migrate", "migrate up", "migrate status", "directory", "directory apply", "directory export",
		"token", "token create", "mail", "mail preview", "openapi", "version",
	} {
		said := s.run("", append(strings.Fields(each), "--help")...).ok()
		require.Contains(t, said, strings.TrimSpace("invited "+each), each)
		require.Contains(t, said, "Usage:", each)
	}
	require.Contains(t, s.run("").ok(), "Available Commands:")
	entries, err := os.ReadDir(s.dir)
	require.NoError(t, err)
	require.Empty(t, entries, "help makes nothing")
}

func TestWrongUsage(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
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
		{"mail"},
		{"mail", "preview"},
		{"mail", "preview", "bogus"},
		{"mail", "preview", "invitation_created", "now"},
		{"mail", "preview", "invitation_created", "--output", "mail.pdf"},
		{"openapi", "now"},
		{"version", "now"},
	} {
		got := s.run("", each...)
		require.Equal(t, 2, got.code, "%q: %s%s", each, got.stdout, got.stderr)
		require.Empty(t, got.stdout, "%q", each)
		require.True(t, strings.HasPrefix(got.stderr, "invited: "), "%q: %s", each, got.stderr)
		require.Contains(t, got.stderr, "--help", "%q", each)
	}
	entries, err := os.ReadDir(s.dir)
	require.NoError(t, err)
	require.Empty(t, entries, "a wrong command line makes nothing")
}

// commands need a database, each with what it needs besides.
var commands = [][]string{
	{"serve"},
	{"serve", "--demo"},
	{"migrate", "up"},
	{"migrate", "status"},
	{"directory", "apply", "-f", "people.yaml"},
	{"directory", "export"},
	{"token", "create", "--user", "olivia"},
}

func TestDatabaseThatCannotBeReached(t *testing.T) {
	t.Parallel()
	for _, each := range commands {
		t.Run(strings.Join(each, " "), func(t *testing.T) {
			t.Parallel()
			s := newSite(t, "postgres://invited:pa55word@127.0.0.1:1/nosuch")
			s.write("people.yaml", people)
			s.run("", each...).fails("127.0.0.1:1", "connection refused")
		})
	}
}

func TestDatabaseFileThatCannotBeMade(t *testing.T) {
	t.Parallel()
	for _, each := range commands {
		t.Run(strings.Join(each, " "), func(t *testing.T) {
			t.Parallel()
			s := newSite(t, "sqlite://people.yaml/invited.db")
			s.write("people.yaml", people)
			s.run("", each...).fails("people.yaml", "not a directory")
		})
	}
}

// Other commands than those that migrate say what there is to do.
func TestDatabaseThatIsNotMigrated(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		s := newSite(t, e.Empty(t))
		for _, each := range [][]string{
			{"serve", "--migrate=false"}, {"directory", "export"}, {"token", "create", "--user", "olivia"},
		} {
			s.run("", each...).fails("schema is not current", "invited migrate up")
		}
		status := s.run("", "migrate", "status").ok()
		require.Equal(t, strings.Count(status, "\n"), strings.Count(status, "pending"), status)
	})
}

func TestBadVariables(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	s.write("file", "")
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
		"INVITED_WORKERS=perhaps":                               "perhaps",
	} {
		name, _, _ := strings.Cut(variable, "=")
		s.with(variable).run("", "serve").fails(name, word)
	}
	got := s.with("INVITED_WORKERS=perhaps", "INVITED_LOG_LEVEL=loud").run("", "serve")
	require.Equal(t, 1, got.code)
	require.Equal(t, 2, strings.Count(got.stderr, "\n"), "a line for each")

	postgres := s.with("INVITED_DATABASE_URL=postgres://invited:pa55word@127.0.0.1:1/x", "INVITED_SECRET_KEY=")
	require.Contains(t, postgres.run("", "migrate", "up").stderr, "127.0.0.1:1", "only a server needs the key")
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		if e.Name == "postgres" {
			newSite(t, e.Fresh(t)).set("INVITED_SECRET_KEY=").run("", "serve").fails("INVITED_SECRET_KEY", "openssl")
		}
	})
	s.with("INVITED_LISTEN_ADDR=0.0.0.0:0").run("", "serve", "--demo").fails("--demo", "INVITED_LISTEN_ADDR")
}

func TestUnknownVariableIsWarnedOf(t *testing.T) {
	t.Parallel()
	got := newSite(t, "").set("INVITED_LIFETIME=1h").run("", "migrate", "up")
	require.Zero(t, got.code)
	require.Equal(t, "invited: warning: INVITED_LIFETIME is no variable of this program\n", got.stderr)
}

func TestOutputThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("this system has no /dev/full")
	}
	t.Cleanup(func() { require.NoError(t, full.Close()) })
	s := newSite(t, "")
	s.apply()
	for _, each := range [][]string{
		{"openapi"},
		{"version"},
		{"migrate", "status"},
		{"migrate", "up"},
		{"directory", "export"},
		{"token", "create", "--user", "olivia"},
	} {
		t.Run(strings.Join(each, " "), func(t *testing.T) {
			cmd := s.command(each...)
			var stderr strings.Builder
			cmd.Stdout, cmd.Stderr = full, &stderr
			_ = cmd.Run() // the code says it
			outcome{t: t, code: cmd.ProcessState.ExitCode(), stderr: stderr.String()}.fails("no space left")
		})
	}
}

func TestOpenAPI(t *testing.T) {
	t.Parallel()
	printed := newSite(t, "").run("", "openapi").ok()
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
	require.Regexp(t, `^invited \S+ \(commit \S+, go1\.\d+\S*\)\n$`, newSite(t, "").run("", "version").ok())
}

func TestMigrateCommands(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		s := newSite(t, e.Empty(t))
		require.Regexp(t, `(?m)^ +1 +pending +0001_initial\.sql$`, s.run("", "migrate", "status").ok())
		require.Regexp(t, `(?m)^applied +1 +0001_initial\.sql$`, s.run("", "migrate", "up").ok())
		status := s.run("", "migrate", "status").ok()
		require.NotContains(t, status, "pending")
		require.Regexp(t, `(?m)^ +1 +\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ +0001_initial\.sql$`, status)
		require.Equal(t, "The schema is current.\n", s.run("", "migrate", "up").ok())
		require.Equal(t, status, s.run("", "migrate", "status").ok())
	})
}

func TestDirectoryCommands(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		s := newSite(t, e.Empty(t)) // apply migrates
		s.write("people.yaml", people)
		first := s.run("", "directory", "apply", "-f", "people.yaml").ok()
		require.Contains(t, strings.ToLower(first), "created")
		require.NotContains(t, first, "{", "meant for people")
		again := s.run(people, "directory", "apply", "-f", "-").ok()
		require.NotEqual(t, first, again)

		exported := s.run("", "directory", "export").ok()
		require.NotContains(t, exported, "token")
		require.NotContains(t, exported, "-key")
		s.run(exported, "directory", "apply", "-f", "-").ok()
		require.Equal(t, exported, s.run("", "directory", "export").ok())
		var content map[string][]map[string]any
		require.NoError(t, yaml.Unmarshal([]byte(exported), &content))
		require.Len(t, content["users"], 3)

		bad := strings.Replace(people, "user: olivia, role: CUSTOMER.OWNER", "user: olivia, role: NOBODY", 1)
		bad = strings.Replace(bad, "email: sam@staff.example", "email: other@staff.example", 1)
		s.run(bad, "directory", "apply", "-f", "-").fails("customers[0].members[0].role")
		s.run("users: {", "directory", "apply", "-f", "-").fails()
		s.run("", "directory", "apply", "-f", "nowhere.yaml").fails("nowhere.yaml")
		require.Equal(t, exported, s.run("", "directory", "export").ok(), "nothing was written")
	})
}

func TestTokenCommand(t *testing.T) {
	onEach(t, func(t *testing.T, s *site) {
		s.apply()
		s.run("", "token", "create", "--user", "nobody").fails("nobody")
		lasting := strings.TrimSpace(s.run("", "token", "create", "--user", "olivia").ok())
		short := strings.TrimSpace(s.run("", "token", "create", "--user", "olivia", "--ttl", "2s").ok())
		require.NotEqual(t, lasting, short)
		p := s.set("INVITED_WORKERS=false").serve()
		list := func(key string) answer { return p.ask("GET", invitations, "", "", "Authorization", "Token "+key) }
		list(lasting).is(200)
		p.until("the token has expired", func() bool {
			got := list(short)
			return got.status == 401 && strings.Contains(got.body, "Token has expired.")
		})
		list(lasting).is(200)
		require.NotContains(t, p.stderr.String(), lasting)
		require.NotContains(t, p.stderr.String(), short)
	})
}

// write makes a file at the site.
func (s *site) write(name, content string) {
	s.t.Helper()
	require.NoError(s.t, os.WriteFile(filepath.Join(s.dir, name), []byte(content), 0o600))
}

func TestMailPreview(t *testing.T) {
	t.Parallel()
	s := newSite(t, "").set("INVITED_FRONTEND_URL=https://front.example/", "INVITED_SITE_NAME=Portal")
	kinds := []string{
		"invitation_created", "invitation_reminder", "invitation_requested", "invitation_rejected", "invitation_expired",
	}
	for _, each := range kinds {
		said := s.run("", "mail", "preview", each).ok()
		require.Regexp(t, `^To: \S+\nSubject: .+\n\n`, said, each)
		require.Contains(t, said, "https://front.example/", each)
		for _, extension := range []string{".html", ".txt", ".eml"} {
			file := filepath.Join(s.dir, each+extension)
			require.Empty(t, s.run("", "mail", "preview", each, "-o", file).ok())
			content, err := os.ReadFile(file)
			require.NoError(t, err)
			require.Contains(t, string(content), map[string]string{
				".html": "<!DOCTYPE html>", ".txt": "https://front.example/", ".eml": "Auto-Submitted: auto-generated\r\n",
			}[extension], file)
		}
	}
	require.Contains(t, s.run("", "mail", "preview", "invitation_reminder").ok(), "Subject: REMINDER: ")
	require.NoDirExists(t, filepath.Join(s.dir, "data"), "a preview makes nothing else")

	// The operator's own templates, and where one is broken.
	folder := filepath.Join(s.dir, "templates")
	require.NoError(t, os.Mkdir(folder, 0o700))
	broken := filepath.Join(folder, "invitation_created.txt.tmpl")
	s.set("INVITED_TEMPLATES_DIR=" + folder)
	require.NoError(t, os.WriteFile(broken, []byte("{{define \"subject\"}}Ours{{end}}{{.Inviter}} invites you.\n"), 0o600))
	require.Contains(t, s.run("", "mail", "preview", "invitation_created").ok(), "Subject: Ours\n\nOlivia Owner invites you.\n")
	require.NoError(t, os.WriteFile(broken, []byte("{{define \"subject\"}}Ours{{end}}\n{{.Invter}}\n"), 0o600))
	for _, command := range [][]string{{"mail", "preview", "invitation_expired"}, {"serve"}} {
		s.run("", command...).fails("INVITED_TEMPLATES_DIR", folder, "invitation_created.txt.tmpl:2", "Invter")
	}
}
