package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"invited/internal/storetest"
)

// binary is the program, built once: what is tested is what is deployed.
var binary string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	if where := os.Getenv(killVariable); where != "" {
		return child(where)
	}
	flag.Parse()
	// Most of these tests wait for processes and pauses rather than for a processor.
	if err := flag.Set("test.parallel", "24"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	dir, err := os.MkdirTemp("", "invited-binary-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	binary = filepath.Join(dir, "invited")
	args := []string{"build", "-o", binary}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, each := range info.Settings {
			if each.Key == "-race" && each.Value == "true" {
				args = append(args, "-race")
			}
		}
	}
	if out, err := exec.Command("go", append(args, ".")...).CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		return 1
	}
	code := m.Run()
	if path := os.Getenv(tableVariable); path != "" {
		if err := verdicts.write(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return code
}

// tableVariable names the file into which the table of faults is written; none: nowhere.
const tableVariable = "INVITED_TEST_FAULT_TABLE"

// The people and things that the tests of this package are about. A user's API key is the username and "-key".
const (
	project     = "20000000-0000-4000-8000-000000000001"
	projectRole = "40000000-0000-4000-8000-000000000001"

	people = `
roles:
  - {name: CUSTOMER.OWNER, scope_type: customer, permissions: [PROJECT.CREATE_PERMISSION, INVITATION.LIST]}
  - {name: PROJECT.ADMIN, uuid: ` + projectRole + `, scope_type: project}
users:
  - {username: sam, email: sam@staff.example, is_staff: true, tokens: [sam-key]}
  - {username: olivia, email: olivia@acme.example, full_name: Olivia Owner, tokens: [olivia-key]}
  - {username: ina, email: ina@university.example, tokens: [ina-key]}
customers:
  - name: Acme
    members: [{user: olivia, role: CUSTOMER.OWNER}]
    projects: [{name: Apollo, uuid: ` + project + `}]
`
	secretKey = "a-secret-key-that-nobody-may-ever-see-in-a-log"
)

// site is a folder, an environment and a database of their own.
type site struct {
	t       testing.TB
	dir     string
	environ []string
	binary  string // the program
}

// onEach runs a test on both engines, at a site each with a migrated database.
func onEach(t *testing.T, test func(t *testing.T, s *site)) {
	t.Helper()
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) { test(t, newSite(t, e.Fresh(t))) })
}

func newSite(t testing.TB, database string) *site {
	t.Helper()
	s := &site{t: t, dir: t.TempDir(), binary: binary}
	s.set("PATH="+os.Getenv("PATH"), "INVITED_LISTEN_ADDR=127.0.0.1:0", "INVITED_SECRET_KEY="+secretKey)
	if database != "" {
		s.set("INVITED_DATABASE_URL=" + database)
	}
	return s
}

// set adds to the environment, over what it has.
func (s *site) set(variables ...string) *site {
	s.environ = append(s.environ, variables...)
	return s
}

// with is the site with another environment.
func (s *site) with(variables ...string) *site {
	other := *s
	other.environ = append(append([]string{}, s.environ...), variables...)
	return &other
}

func (s *site) onSQLite() bool {
	return strings.Contains(strings.Join(s.environ, "\n"), "INVITED_DATABASE_URL=sqlite:")
}

func (s *site) command(args ...string) *exec.Cmd {
	cmd := exec.Command(s.binary, args...)
	cmd.Dir, cmd.Env = s.dir, s.environ
	return cmd
}

// outcome is how a command ended.
type outcome struct {
	t              testing.TB
	code           int
	stdout, stderr string
}

// run runs a command to its end.
func (s *site) run(stdin string, args ...string) outcome {
	s.t.Helper()
	cmd := s.command(args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &stdout, &stderr
	timer := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	if err := cmd.Run(); err != nil {
		var exit *exec.ExitError
		require.ErrorAs(s.t, err, &exit)
	}
	return outcome{s.t, cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// ok asserts that the command succeeded, and returns what it printed.
func (o outcome) ok() string {
	o.t.Helper()
	require.Zero(o.t, o.code, o.stderr)
	require.Empty(o.t, o.stderr)
	return o.stdout
}

// fails asserts that the command failed with one line that says these words and no secret.
func (o outcome) fails(words ...string) {
	o.t.Helper()
	require.Equal(o.t, 1, o.code, "%s%s", o.stdout, o.stderr)
	require.Empty(o.t, o.stdout)
	// A server may have logged what it did before.
	said := logged.ReplaceAllString(o.stderr, "")
	require.Regexp(o.t, `^invited: [^\n\t]+\n$`, said, "one clear line")
	for _, each := range words {
		require.Contains(o.t, o.stderr, each)
	}
	require.NotContains(o.t, o.stderr, secretKey)
	require.NotContains(o.t, o.stderr, "pa55word")
}

var logged = regexp.MustCompile(`(?m)^time=.*\n`)

// apply brings in the people.
func (s *site) apply() *site {
	s.t.Helper()
	s.run(people, "directory", "apply", "-f", "-").ok()
	return s
}

// served is a process that serves.
type served struct {
	t              testing.TB
	cmd            *exec.Cmd
	address        string // host:port
	stdout, stderr *tail
	ended          chan struct{}
}

var servingLine = regexp.MustCompile(`serving.*address"?[=:]"?([0-9.]+:[0-9]+)`)

// serve starts a process and returns when it serves. It is killed with the test where it still runs.
func (s *site) serve(flags ...string) *served {
	s.t.Helper()
	p := s.start(flags...)
	p.until("it serves", func() bool {
		select {
		case <-p.ended:
			require.FailNow(s.t, "it ended instead of serving", p.stderr.String())
		default:
		}
		found := servingLine.FindStringSubmatch(p.stderr.String())
		if found != nil {
			p.address = found[1]
		}
		return found != nil
	})
	return p
}

func (s *site) start(flags ...string) *served {
	s.t.Helper()
	p := &served{
		t: s.t, cmd: s.command(append([]string{"serve"}, flags...)...), stdout: &tail{}, stderr: &tail{},
		ended: make(chan struct{}),
	}
	p.cmd.Stdout, p.cmd.Stderr = p.stdout, p.stderr
	require.NoError(s.t, p.cmd.Start())
	go func() {
		_ = p.cmd.Wait() // how it ended is asked of ProcessState
		close(p.ended)
	}()
	s.t.Cleanup(func() {
		p.kill()
		if s.t.Failed() {
			s.t.Logf("log of process %d:\n%.20000s", p.cmd.Process.Pid, p.stderr.String())
		}
	})
	return p
}

// kill ends the process without its having a say.
func (p *served) kill() {
	_ = p.cmd.Process.Kill() // fails only where it has ended
	<-p.ended
}

func (p *served) signal(s os.Signal) {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(s))
}

// end waits until the process has ended by itself, with this code.
func (p *served) end(code int) {
	p.t.Helper()
	p.until("it ends", p.dead)
	require.Equal(p.t, code, p.cmd.ProcessState.ExitCode(), p.stderr.String())
}

func (p *served) dead() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// stop ends the process in good order.
func (p *served) stop() {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
	p.end(0)
}

// until waits for something to become true.
func (p *served) until(what string, holds func() bool) {
	p.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for tick := time.NewTicker(10 * time.Millisecond); !holds(); <-tick.C {
		if time.Now().After(deadline) {
			require.FailNow(p.t, "never happened: "+what, p.stderr.String())
		}
	}
}

var browser = &http.Client{Timeout: 30 * time.Second}

// answer is what a request got.
type answer struct {
	t      testing.TB
	status int
	header http.Header
	body   string
}

// ask sends a request as a user; "" is nobody.
func (p *served) ask(method, path, user, body string, headers ...string) answer {
	p.t.Helper()
	a, err := p.try(method, path, user, body, headers...)
	require.NoError(p.t, err)
	return a
}

func (p *served) try(method, path, user, body string, headers ...string) (answer, error) {
	r, err := http.NewRequest(method, "http://"+p.address+path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if user != "" {
		r.Header.Set("Authorization", "Token "+user+"-key")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	response, err := browser.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	return answer{p.t, response.StatusCode, response.Header, string(content)}, err
}

func (a answer) is(status int) answer {
	a.t.Helper()
	require.Equal(a.t, status, a.status, a.body)
	return a
}

// made is what the tests need of an invitation.
type made struct {
	UUID           string `json:"uuid"`
	URL            string `json:"url"`
	State          string `json:"state"`
	ExecutionState string `json:"execution_state"`
	ErrorMessage   string `json:"error_message"`
}

func (a answer) invitation() (m made) {
	a.t.Helper()
	require.NoError(a.t, json.Unmarshal([]byte(a.body), &m), a.body)
	return m
}

const invitations = "/api/user-invitations/"

func draft(email string) string {
	return fmt.Sprintf(`{"email": %q, "role": %q, "scope": "http://any.example/api/projects/%s/"}`, email, projectRole, project)
}

// create has olivia invite somebody into Apollo.
func (p *served) create(email string) made {
	p.t.Helper()
	return p.ask("POST", invitations, "olivia", draft(email)).is(http.StatusCreated).invitation()
}

func (p *served) see(id string) made {
	p.t.Helper()
	return p.ask("GET", invitations+id+"/", "sam", "").is(http.StatusOK).invitation()
}

// delivered waits until an invitation was delivered.
func (p *served) delivered(id string) {
	p.t.Helper()
	p.until(id+" is delivered", func() bool { return p.see(id).ExecutionState == "OK" })
}

// mails are the contents of the mail folder.
func (s *site) mails() []string {
	s.t.Helper()
	files, err := filepath.Glob(filepath.Join(s.dir, "data", "mail", "*.eml"))
	require.NoError(s.t, err)
	contents := make([]string, len(files))
	for i, each := range files {
		content, err := os.ReadFile(each)
		require.NoError(s.t, err)
		contents[i] = string(content)
	}
	return contents
}

// tail is what a process has written so far.
type tail struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *tail) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *tail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
