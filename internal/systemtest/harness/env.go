package harness

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"invited/internal/storetest"
)

// exitDelay is the time that the output of an ended process may take: a child of the process can hold it open.
const exitDelay = 5 * time.Second

// Env is a program with a working directory, environment variables and a database of its own.
type Env struct {
	T       testing.TB
	Dir     string   // the working directory of every process
	Environ []string // KEY=VALUE; a later one overrides an earlier one
	Program string   // path of the binary
}

// OnEachEngine runs a test in parallel on both engines, each time with an Env on a migrated database.
func OnEachEngine(t *testing.T, test func(t *testing.T, env *Env)) {
	t.Helper()
	t.Parallel()
	storetest.Each(t, func(t *testing.T, engine storetest.Engine) { test(t, New(t, engine.Fresh(t))) })
}

// New returns an Env that listens on a free port. databaseURL is a value of INVITED_DATABASE_URL; empty for the default.
func New(t testing.TB, databaseURL string) *Env {
	t.Helper()
	env := &Env{T: t, Dir: t.TempDir(), Program: Program}
	env.Set("PATH="+os.Getenv("PATH"), "INVITED_LISTEN_ADDR=127.0.0.1:0", "INVITED_SECRET_KEY="+SecretKey,
		"INVITED_REQUEST_MAIL_INTERVAL=1ms") // tests wait for each request's mail
	if databaseURL != "" {
		env.Set("INVITED_DATABASE_URL=" + databaseURL)
	}
	return env
}

// Set sets environment variables, given as KEY=VALUE, and returns the Env.
func (env *Env) Set(variables ...string) *Env {
	env.Environ = append(env.Environ, variables...)
	return env
}

// With returns a copy of the Env with further environment variables.
func (env *Env) With(variables ...string) *Env {
	copied := *env
	copied.Environ = slices.Concat(env.Environ, variables)
	return &copied
}

// Getenv returns the value of an environment variable, or "".
func (env *Env) Getenv(name string) string {
	for _, variable := range slices.Backward(env.Environ) {
		if value, found := strings.CutPrefix(variable, name+"="); found {
			return value
		}
	}
	return ""
}

// OnSQLite reports whether the Env's database is SQLite.
func (env *Env) OnSQLite() bool {
	return strings.HasPrefix(env.Getenv("INVITED_DATABASE_URL"), "sqlite:")
}

// Command returns a command of the program that is not started. The command is killed when ctx ends.
func (env *Env) Command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, env.Program, args...)
	cmd.Dir, cmd.Env, cmd.WaitDelay = env.Dir, env.Environ, exitDelay
	return cmd
}

// Result is how a command ended.
type Result struct {
	T              testing.TB
	Code           int
	Stdout, Stderr string
}

// Run runs a command of the program to its end, and kills it after 30 s.
func (env *Env) Run(stdin string, args ...string) Result {
	env.T.Helper()
	ctx, cancel := context.WithTimeout(env.T.Context(), waitLimit)
	defer cancel()
	cmd := env.Command(ctx, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &stdout, &stderr
	if err := cmd.Run(); err != nil {
		var exit *exec.ExitError
		require.ErrorAs(env.T, err, &exit)
	}
	return Result{env.T, cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// OK asserts that the command succeeded and wrote nothing to stderr. It returns what the command printed.
func (r Result) OK() string {
	r.T.Helper()
	require.Zero(r.T, r.Code, r.Stderr)
	require.Empty(r.T, r.Stderr)
	return r.Stdout
}

var logLine = regexp.MustCompile(`(?m)^time=.*\n`)

// Fails asserts that the command failed with exit code 1, and with one line on stderr that has these words and no secret.
// A server may have written log lines before.
func (r Result) Fails(words ...string) {
	r.T.Helper()
	require.Equal(r.T, 1, r.Code, "%s%s", r.Stdout, r.Stderr)
	require.Empty(r.T, r.Stdout)
	message := logLine.ReplaceAllString(r.Stderr, "")
	require.Regexp(r.T, `^invited: [^\n\t]+\n$`, message, "one clear line")
	for _, word := range words {
		require.Contains(r.T, r.Stderr, word)
	}
	require.NotContains(r.T, r.Stderr, SecretKey)
	require.NotContains(r.T, r.Stderr, Password)
}

// Apply loads Directory, and returns the Env.
func (env *Env) Apply() *Env {
	env.T.Helper()
	env.Run(Directory, "directory", "apply", "-f", "-").OK()
	return env
}

// WriteFile writes a file into the working directory.
func (env *Env) WriteFile(name, content string) {
	env.T.Helper()
	require.NoError(env.T, os.WriteFile(filepath.Join(env.Dir, name), []byte(content), 0o600))
}

// Mails returns the contents of the files in the mail folder.
func (env *Env) Mails() []string {
	env.T.Helper()
	files, err := filepath.Glob(filepath.Join(env.Dir, "data", "mail", "*.eml"))
	require.NoError(env.T, err)
	contents := make([]string, len(files))
	for i, file := range files {
		content, err := os.ReadFile(file)
		require.NoError(env.T, err)
		contents[i] = string(content)
	}
	return contents
}

// Members returns the members of a project from the export of the directory, each as "USER ROLE".
func (env *Env) Members(project string) []string {
	env.T.Helper()
	var content struct {
		Customers []struct {
			Projects []struct {
				Name    string
				Members []struct{ User, Role string }
			}
		}
	}
	require.NoError(env.T, yaml.Unmarshal([]byte(env.Run("", "directory", "export").OK()), &content))
	members := []string{}
	for _, customer := range content.Customers {
		for _, p := range customer.Projects {
			for _, m := range p.Members {
				if p.Name == project {
					members = append(members, m.User+" "+m.Role)
				}
			}
		}
	}
	return members
}
