// Command examples runs the examples of the API's documentation as they stand, on each database:
//
//	go run ./internal/tools/sdk/examples -postgres URL -document FILE
//
// Into an example go only the server's address, a token, and the invitation, role, scope or address that it is about.
// A proxy between example and server sees whether it sent the one request that its heading promises, and got a 2xx;
// then the invitation is looked at, because a client may take no for an answer. HTTPie, the Python wheel and the npm
// package are those that `make sdk` and the consumers' set-ups have put in place.
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
	postgres := flag.String("postgres", "", "`URL` of a PostgreSQL server where databases may be made")
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

// A runner knows where the programs are that examples are run with.
type runner struct {
	invited, python, node string
	out                   io.Writer
}

func (r runner) run(ctx context.Context, document, postgres string) (err error) {
	content, err := os.ReadFile(document)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is not there: name the document with the examples, as in `make examples DOCUMENT=user-invitations.md`", document)
	}
	if err != nil {
		return err
	}
	blocks, err := parse(string(content))
	if err == nil {
		err = complete(blocks, operations)
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
		err = errors.Join(err, r.on(ctx, db, blocks), db.Drop())
	}
	if ctx.Err() != nil {
		return errors.New("interrupted")
	}
	return err
}

// on runs all examples on one database.
func (r runner) on(ctx context.Context, db live.Database, blocks []block) (err error) {
	begun := time.Now()
	server, err := live.Start(ctx, r.invited, db, worldPolicy)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	dir, err := os.MkdirTemp(r.node, "examples-") // within, where the package is found
	if err != nil {
		return fmt.Errorf("%w: make sdk first", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	upstream, err := url.Parse(server.URL)
	if err != nil {
		return err
	}
	watch := newProxy(upstream)
	defer watch.Close()

	fmt.Fprintf(r.out, "On %s: preparing an invitation for each of %d examples\n", db.Name, len(blocks))
	trials := make([]*trial, len(blocks))
	w := world{server}
	for i, b := range blocks {
		if trials[i], err = w.set(ctx, b, watch.URL, filepath.Join(dir, fmt.Sprintf("example%02d", i+1))); err != nil {
			return fmt.Errorf("preparing the example of %s in %s: %w", b.operation, b.language, err)
		}
	}
	if err := r.compile(ctx, dir, trials); err != nil {
		return err
	}
	good := 0
	for _, t := range trials {
		printed, err := r.try(ctx, w, watch, t)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		status := "-"
		if seen := watch.seen(); len(seen) > 0 {
			status = fmt.Sprint(seen[len(seen)-1].status)
		}
		fmt.Fprintf(r.out, "%3s  %-10s  %-4s %-43s  %s\n", status, t.language, t.op.method, t.op.path, shortened(t.operation))
		if err == nil {
			good++
			continue
		}
		fmt.Fprintf(r.out, "     FAILED: %v\n     line %d of the document; the example printed:\n%s\n", err, t.line, indented(printed))
	}
	fmt.Fprintf(r.out, "%s: %d of %d, in %.0f s\n", db.Name, good, len(trials), time.Since(begun).Seconds())
	if good < len(trials) {
		return fmt.Errorf("on %s %d of %d examples failed", db.Name, len(trials)-good, len(trials))
	}
	return nil
}

func shortened(heading string) string {
	if runes := []rune(heading); len(runes) > 40 {
		return string(runes[:39]) + "…"
	}
	return heading
}

func indented(text string) string {
	if text = strings.TrimSpace(text); text == "" {
		return "       (nothing)"
	}
	const enough = 3000
	if len(text) > enough {
		text = strings.ToValidUTF8(text[:enough], "") + " …"
	}
	return "       " + strings.ReplaceAll(text, "\n", "\n       ")
}

// A trial is an example with values put in, and what it is about.
type trial struct {
	block
	op    operation
	file  string // without its extension
	email string
	id    uuid.UUID // of the invitation; none where the example makes it
	path  string    // that the example has to ask for
}

// set makes what an example needs, and writes it with real values into a file.
func (w world) set(ctx context.Context, b block, address, file string) (*trial, error) {
	t := &trial{block: b, file: file}
	who := ""
	for i, l := range languages {
		if l.name == b.language {
			who = live.Invitees[i]
		}
	}
	for _, o := range operations {
		if o.heading == b.operation {
			t.op = o
		}
	}
	t.email = live.Email(fmt.Sprintf("line%d", b.line))
	if t.op.ends == "accepted" {
		t.email = live.Email(who)
	}
	before := map[string]bool{}
	mails, err := w.mails()
	if err != nil {
		return nil, err
	}
	for _, each := range mails {
		before[each] = true
	}
	id, err := w.prepare(ctx, t.op, t.email)
	if err != nil {
		return nil, err
	}
	t.id = id
	t.path = strings.ReplaceAll(t.op.path, "{uuid}", id.String())

	if t.op.as != invitee {
		who = t.op.as
	}
	values := map[string]string{anyToken: live.Token(who)}
	if b.language != "TypeScript" { // where the address is set once for the package: see compile
		values[anyServer] = address
	}
	if strings.Contains(t.op.path, "{uuid}") {
		values[anyUUID] = id.String()
	}
	if t.op.begins == nothing {
		values[anyUUID], values[anyScope], values[anyEmail] = live.Role, w.server.Scope, t.email
	}
	if t.op.signed != "" {
		if values[anySigned], err = w.signed(ctx, t.op.signed, before); err != nil {
			return nil, err
		}
	}
	code, err := b.fill(values)
	if err != nil {
		return nil, err
	}
	return t, os.WriteFile(file+map[string]string{"HTTPie": ".sh", "Python": ".py", "TypeScript": ".ts"}[b.language], []byte(code), 0o600)
}

// An example in TypeScript does not say where the server is: an application says so once, before all else.
const addressModule = `import { client } from 'waldur-js-client';
client.setConfig({ baseUrl: process.env.INVITED_TEST_URL });
`

// As an application of today has it.
const compilerOptions = `{
  "compilerOptions": {
    "strict": true, "target": "es2022", "lib": ["es2022", "dom", "dom.iterable"], "module": "nodenext", "types": []
  }
}
`

// compile checks the examples in TypeScript against the package's types.
func (r runner) compile(ctx context.Context, dir string, trials []*trial) error {
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
	for _, t := range trials {
		out = bytes.ReplaceAll(out, []byte(filepath.Base(t.file)+".ts"), fmt.Appendf(nil, "%s (line %d of the document)", t.operation, t.line))
	}
	return fmt.Errorf("the examples in TypeScript do not compile: %w\n%s", err, out)
}

// try runs an example, and returns what it printed.
func (r runner) try(ctx context.Context, w world, watch *proxy, t *trial) (string, error) {
	watch.forget()
	// Many times what the slowest takes on a busy machine.
	limited, stop := context.WithTimeout(ctx, 2*time.Minute)
	defer stop()
	var cmd *exec.Cmd
	bin := filepath.Join(r.python, "bin")
	dir := filepath.Dir(t.file)
	switch t.language {
	case "HTTPie":
		cmd = exec.CommandContext(limited, "sh", t.file+".sh")
	case "Python":
		cmd = exec.CommandContext(limited, filepath.Join(bin, "python"), t.file+".py")
	case "TypeScript":
		cmd = exec.CommandContext(limited, "node", "--import", "./address.mjs", t.file+".js")
	}
	cmd.Dir = dir
	// Without the caller's proxies and HTTPie settings. HTTPie takes its standard input for a body where that is no
	// terminal, and its own configuration is the place to say that it is none.
	config := filepath.Join(dir, "config.json")
	if err := os.WriteFile(config, []byte(`{"default_options": ["--ignore-stdin"], "disable_update_warnings": true}`), 0o600); err != nil {
		return "", err
	}
	cmd.Env = []string{
		"PATH=" + bin + string(os.PathListSeparator) + pathVariable(), "HOME=" + dir, "HTTPIE_CONFIG_DIR=" + dir,
		"PYTHONUTF8=1", "NO_COLOR=1", "INVITED_TEST_URL=" + watch.URL,
	}
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	printed := string(out)
	if err != nil {
		return printed, err
	}
	seen := watch.seen()
	switch {
	case len(seen) != 1:
		return printed, fmt.Errorf("it sent %d requests: %v", len(seen), seen)
	case seen[0].method != t.op.method || seen[0].path != t.path:
		return printed, fmt.Errorf("it asked for %s %s", seen[0].method, seen[0].path)
	case seen[0].status/100 != 2:
		return printed, fmt.Errorf("the server said %d", seen[0].status)
	}
	want := t.op.prints
	if want == "" {
		want = t.email
	}
	if !strings.Contains(printed, want) {
		return printed, fmt.Errorf("it did not print %q", want)
	}
	return printed, w.after(ctx, t)
}

// after is an error where an example left its invitation in another state than it should.
func (w world) after(ctx context.Context, t *trial) error {
	id := t.id
	if t.op.begins == nothing {
		var err error
		if id, err = w.find(ctx, t.email); err != nil {
			return err
		}
	}
	return w.in(ctx, id, t.op.ends)
}

func pathVariable() string {
	for _, each := range os.Environ() {
		if value, ok := strings.CutPrefix(each, "PATH="); ok {
			return value
		}
	}
	return ""
}

// A proxy stands between examples and server, and notes what was asked and answered.
type proxy struct {
	*httptest.Server
	mu    sync.Mutex
	calls []call
}

type call struct {
	method, path string
	status       int
}

func newProxy(upstream *url.URL) *proxy {
	p := &proxy{}
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

func (p *proxy) seen() []call {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]call{}, p.calls...)
}

func (p *proxy) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls = nil
}
