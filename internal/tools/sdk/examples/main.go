// Command examples runs the unchanged examples of the API's documentation on each database:
//
//	go run ./internal/tools/sdk/examples -postgres URL -document FILE
//
// It replaces only placeholders in an example: the server's address, a token, and the invitation, role, scope or e-mail
// address. A proxy between the example and the server checks that the example sends the one request of its heading and gets a
// 2xx response. Then the state of the invitation is checked, because a client may ignore an error. HTTPie, the Python wheel and
// the npm package are those that sdk/python/build.sh and sdk/typescript/build.sh install.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/google/uuid"

	"invited/internal/tools/sdk/live"
)

func main() {
	r := runner{out: os.Stdout}
	document := flag.String("document", "../shared/seed/user-invitations.md", "`file` with the examples")
	postgres := flag.String("postgres", "", "`URL` of a PostgreSQL server where databases may be created")
	flag.StringVar(&r.invited, "invited", "build/invited", "the server's `program`")
	flag.StringVar(&r.python, "python", "build/sdk/python/consumer", "the virtual environment (`folder`) with HTTPie and the wheel")
	flag.StringVar(&r.node, "node", "build/sdk/typescript/consumer", "the `folder` where the npm package and TypeScript are installed")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := r.run(ctx, *document, *postgres); err != nil {
		fmt.Fprintln(os.Stderr, "examples:", err)
		os.Exit(1)
	}
}

// A runner has the paths of the programs that run examples.
type runner struct {
	invited, python, node string
	out                   io.Writer
}

func (r runner) run(ctx context.Context, document, postgres string) (err error) {
	content, err := os.ReadFile(document)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s does not exist: name the document with the examples, as in `make examples DOCUMENT=user-invitations.md`", document)
	}
	if err != nil {
		return err
	}
	blocks, err := parse(string(content))
	if err == nil {
		err = checkComplete(blocks, operations)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", document, err)
	}
	for _, dir := range []*string{&r.python, &r.node} {
		if *dir, err = filepath.Abs(*dir); err != nil {
			return err
		}
	}
	databases, err := live.Databases(ctx, postgres)
	if err != nil {
		return err
	}
	for _, db := range databases {
		err = errors.Join(err, r.runOn(ctx, db, blocks), db.Drop())
	}
	if ctx.Err() != nil {
		return errors.New("interrupted")
	}
	return err
}

// runOn runs all examples on one database.
func (r runner) runOn(ctx context.Context, db live.Database, blocks []block) (err error) {
	begun := time.Now()
	server, err := live.Start(ctx, r.invited, db, envPolicy)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	dir, err := os.MkdirTemp(r.node, "examples-") // Node.js looks for the package in the folders above
	if err != nil {
		return fmt.Errorf("%w: the npm package is not installed: run make examples", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	upstream, err := url.Parse(server.URL)
	if err != nil {
		return err
	}
	proxy := newRecorder(upstream)
	defer proxy.Close()

	fmt.Fprintf(r.out, "On %s: preparing an invitation for each of %d examples\n", db.Name, len(blocks))
	examples := make([]*example, len(blocks))
	e := env{server}
	for i, b := range blocks {
		if examples[i], err = e.newExample(ctx, b, proxy.URL, filepath.Join(dir, fmt.Sprintf("example%02d", i+1))); err != nil {
			return fmt.Errorf("preparing the example of %s in %s: %w", b.operation, b.language, err)
		}
	}
	if err := r.compile(ctx, dir, examples); err != nil {
		return err
	}
	passed := 0
	for _, x := range examples {
		printed, err := r.runExample(ctx, e, proxy, x)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		status := "-"
		if calls := proxy.recorded(); len(calls) > 0 {
			status = fmt.Sprint(calls[len(calls)-1].status)
		}
		fmt.Fprintf(r.out, "%3s  %-10s  %-4s %-43s  %s\n", status, x.language, x.op.method, x.op.path, shorten(x.operation))
		if err == nil {
			passed++
			continue
		}
		fmt.Fprintf(r.out, "     FAILED: %v\n     line %d of the document; the example printed:\n%s\n", err, x.line, indent(printed))
	}
	fmt.Fprintf(r.out, "%s: %d of %d, in %.0f s\n", db.Name, passed, len(examples), time.Since(begun).Seconds())
	if passed < len(examples) {
		return fmt.Errorf("on %s %d of %d examples failed", db.Name, len(examples)-passed, len(examples))
	}
	return nil
}

func shorten(heading string) string {
	if runes := []rune(heading); len(runes) > 40 {
		return string(runes[:39]) + "…"
	}
	return heading
}

func indent(text string) string {
	if text = strings.TrimSpace(text); text == "" {
		return "       (nothing)"
	}
	const maxBytes = 3000
	if len(text) > maxBytes {
		text = strings.ToValidUTF8(text[:maxBytes], "") + " …"
	}
	return "       " + strings.ReplaceAll(text, "\n", "\n       ")
}

// An example is a block with values for its placeholders, and the invitation that it uses.
type example struct {
	block
	op    operation
	file  string // without its extension
	email string
	id    uuid.UUID // of the invitation; zero where the example creates it
	path  string    // of the request that the example must send
}

// newExample creates the invitation that an example needs, fills the example's placeholders, and writes it to a file. address
// is the URL that the example sends its request to.
func (e env) newExample(ctx context.Context, b block, address, file string) (*example, error) {
	x := &example{block: b, file: file}
	user := ""
	for i, l := range languages {
		if l.name == b.language {
			user = live.Invitees[i] // one each, because an invitee accepts a role only once
		}
	}
	for _, o := range operations {
		if o.heading == b.operation {
			x.op = o
		}
	}
	x.email = live.Email(fmt.Sprintf("line%d", b.line))
	if x.op.ends == "accepted" {
		x.email = live.Email(user)
	}
	id, err := e.prepare(ctx, x.op, x.email)
	if err != nil {
		return nil, err
	}
	x.id = id
	x.path = strings.ReplaceAll(x.op.path, "{uuid}", id.String())

	if x.op.as != invitee {
		user = x.op.as
	}
	values := map[string]string{anyToken: live.Token(user)}
	if b.language != "TypeScript" { // TypeScript has the address in addressModule
		values[anyServer] = address
	}
	if strings.Contains(x.op.path, "{uuid}") {
		values[anyUUID] = id.String()
	}
	if x.op.begins == none {
		values[anyUUID], values[anyScope], values[anyEmail] = live.Role, e.server.Scope, x.email
	}
	if x.op.tokenPage != "" {
		if values[anySigned], err = e.approvalToken(ctx, x.op.tokenPage, x.email); err != nil {
			return nil, err
		}
	}
	code, err := b.fill(values)
	if err != nil {
		return nil, err
	}
	return x, os.WriteFile(file+map[string]string{"HTTPie": ".sh", "Python": ".py", "TypeScript": ".ts"}[b.language], []byte(code), 0o600)
}

// addressModule sets the server's address: an example in TypeScript does not have it, because an application sets it once.
const addressModule = `import { client } from 'waldur-js-client';
client.setConfig({ baseUrl: process.env.INVITED_TEST_URL });
`

// compilerOptions are those of a current application.
const compilerOptions = `{
  "compilerOptions": {
    "strict": true, "target": "es2022", "lib": ["es2022", "dom", "dom.iterable"], "module": "nodenext", "types": []
  }
}
`

// compile type-checks and compiles the examples in TypeScript.
func (r runner) compile(ctx context.Context, dir string, examples []*example) error {
	for name, content := range map[string]string{"tsconfig.json": compilerOptions, "address.mjs": addressModule} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			return err
		}
	}
	cmd := exec.CommandContext(ctx, filepath.Join(r.node, "node_modules/.bin/tsc"), "-p", dir)
	out, err := cmd.CombinedOutput()
	if err == nil {
		return nil
	}
	for _, x := range examples {
		out = bytes.ReplaceAll(out, []byte(filepath.Base(x.file)+".ts"), fmt.Appendf(nil, "%s (line %d of the document)", x.operation, x.line))
	}
	return fmt.Errorf("the examples in TypeScript do not compile: %w\n%s", err, out)
}

// runExample runs an example and checks its request, its output and its effect. It returns the output.
func (r runner) runExample(ctx context.Context, e env, proxy *recorder, x *example) (string, error) {
	proxy.reset()
	// Many times what the slowest takes on a busy machine.
	limited, stop := context.WithTimeout(ctx, 2*time.Minute)
	defer stop()
	var cmd *exec.Cmd
	bin := filepath.Join(r.python, "bin")
	dir := filepath.Dir(x.file)
	switch x.language {
	case "HTTPie":
		cmd = exec.CommandContext(limited, "sh", x.file+".sh")
	case "Python":
		cmd = exec.CommandContext(limited, filepath.Join(bin, "python"), x.file+".py")
	case "TypeScript":
		cmd = exec.CommandContext(limited, "node", "--import", "./address.mjs", x.file+".js")
	}
	cmd.Dir = dir
	// The caller's proxies and HTTPie settings are left out. HTTPie would send its standard input as the body, because it is not a
	// terminal, unless its configuration says otherwise.
	config := filepath.Join(dir, "config.json")
	if err := os.WriteFile(config, []byte(`{"default_options": ["--ignore-stdin"], "disable_update_warnings": true}`), 0o600); err != nil {
		return "", err
	}
	cmd.Env = []string{
		"PATH=" + bin + string(os.PathListSeparator) + pathVariable(), "HOME=" + dir, "HTTPIE_CONFIG_DIR=" + dir,
		"PYTHONUTF8=1", "NO_COLOR=1", "INVITED_TEST_URL=" + proxy.URL,
	}
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	printed := string(out)
	if err != nil {
		return printed, err
	}
	calls := proxy.recorded()
	switch {
	case len(calls) != 1:
		return printed, fmt.Errorf("the example sent %d requests: %v", len(calls), calls)
	case calls[0].method != x.op.method || calls[0].path != x.path:
		return printed, fmt.Errorf("the example sent %s %s", calls[0].method, calls[0].path)
	case calls[0].status/100 != 2:
		return printed, fmt.Errorf("the server responded with status %d", calls[0].status)
	}
	want := x.op.prints
	if want == "" {
		want = x.email
	}
	if !strings.Contains(printed, want) {
		return printed, fmt.Errorf("the example did not print %q", want)
	}
	return printed, e.checkAfter(ctx, x)
}

// checkAfter returns an error where the example's invitation is not in the state that the operation ends with.
func (e env) checkAfter(ctx context.Context, x *example) error {
	id := x.id
	if x.op.begins == none {
		var err error
		if id, err = e.find(ctx, x.email); err != nil {
			return err
		}
	}
	return e.checkState(ctx, id, x.op.ends)
}

func pathVariable() string {
	for _, variable := range os.Environ() {
		if value, ok := strings.CutPrefix(variable, "PATH="); ok {
			return value
		}
	}
	return ""
}

// A recorder is a proxy between examples and server that records each request and its status.
type recorder struct {
	*httptest.Server
	mu    sync.Mutex
	calls []call
}

type call struct {
	method, path string
	status       int
}

func newRecorder(upstream *url.URL) *recorder {
	p := &recorder{}
	p.Server = httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(upstream) },
		ModifyResponse: func(r *http.Response) error {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.calls = append(p.calls, call{r.Request.Method, r.Request.URL.Path, r.StatusCode})
			return nil
		},
	})
	return p
}

func (p *recorder) recorded() []call {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]call{}, p.calls...)
}

func (p *recorder) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls = nil
}
