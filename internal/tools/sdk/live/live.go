package live

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// The things that the directory has. A person's token is the username and "-key".
const (
	Staff = "sam"
	Owner = "olivia" // of the organization that the project is in
	Role  = "40000000-0000-4000-8000-000000000001"

	project = "20000000-0000-4000-8000-000000000001"
)

// Invitees are people who hold no role yet.
var Invitees = []string{"ina", "ivo", "ida"}

// Email is the address of a person.
func Email(name string) string { return name + "@university.example" }

// Token is what a person authenticates with.
func Token(name string) string { return name + "-key" }

func directory() string {
	var b strings.Builder
	b.WriteString(`
roles:
  - {name: CUSTOMER.OWNER, scope_type: customer, permissions: [PROJECT.CREATE_PERMISSION, INVITATION.LIST]}
  - {name: PROJECT.ADMIN, uuid: ` + Role + `, scope_type: project}
customers:
  - name: Acme
    members: [{user: ` + Owner + `, role: CUSTOMER.OWNER}]
    projects: [{name: Apollo, uuid: ` + project + `}]
users:
`)
	for _, name := range append([]string{Staff, Owner}, Invitees...) {
		fmt.Fprintf(&b, "  - {username: %s, email: %s, is_staff: %v, tokens: [%s]}\n", name, Email(name), name == Staff, Token(name))
	}
	return b.String()
}

// A Database is one that nobody else uses. Drop removes it.
type Database struct {
	Name, URL string
	Drop      func() error
}

// Databases makes an empty one on each engine. Where it fails nothing is left behind.
func Databases(ctx context.Context, postgres string) ([]Database, error) {
	if postgres == "" {
		return nil, errors.New("no PostgreSQL was named: run this by its make target, which brings one")
	}
	server, err := url.Parse(postgres)
	if err != nil {
		return nil, errors.New("the URL of the PostgreSQL server is no URL")
	}
	name := "invited_sdk_" + strings.ToLower(rand.Text()[:12])
	do := func(ctx context.Context, statement string) error {
		conn, err := pgx.Connect(ctx, postgres)
		if err != nil {
			return err
		}
		_, err = conn.Exec(ctx, statement)
		return errors.Join(err, conn.Close(ctx))
	}
	if err := do(ctx, "CREATE DATABASE "+name); err != nil {
		return nil, err
	}
	server.Path = "/" + name
	drop := func() error { // also after the run was interrupted
		ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer stop()
		return do(ctx, "DROP DATABASE "+name+" WITH (FORCE)")
	}
	return []Database{
		{"SQLite", "", func() error { return nil }}, // a file in the server's folder, which goes with it
		{"PostgreSQL", server.String(), drop},
	}, nil
}

// A Server is the program in a folder of its own, and its process while it runs.
type Server struct {
	URL   string // without a slash at the end
	Mails string // the folder that mails are put into
	Scope string // URL of the project that people are invited into

	dir     string
	binary  string
	environ []string
	cmd     *exec.Cmd
	ended   chan error
	log     output
}

// Start starts the binary on a database, with more of an environment where that is wanted, and returns when it serves.
func Start(ctx context.Context, binary string, db Database, environ ...string) (*Server, error) {
	s, err := Prepare(ctx, binary, db, directory())
	if err != nil {
		return nil, err
	}
	if err := s.Run(ctx, environ...); err != nil {
		return nil, errors.Join(err, s.Remove())
	}
	return s, nil
}

// Prepare makes a server that does not run yet, with a directory in its database.
func Prepare(ctx context.Context, binary string, db Database, directory string) (*Server, error) {
	binary, err := filepath.Abs(binary)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "invited-live-")
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir, binary: binary, Mails: filepath.Join(dir, "data", "mail")}
	// Nothing of the caller's environment: an INVITED_ variable there would be tried too.
	s.environ = []string{"INVITED_LISTEN_ADDR=127.0.0.1:0", "INVITED_SECRET_KEY=" + rand.Text() + rand.Text()}
	if db.URL != "" {
		s.environ = append(s.environ, "INVITED_DATABASE_URL="+db.URL)
	}
	apply := exec.CommandContext(ctx, binary, "directory", "apply", "-f", "-")
	apply.Dir, apply.Env, apply.Stdin = dir, s.environ, strings.NewReader(directory)
	if said, err := apply.CombinedOutput(); err != nil {
		return nil, errors.Join(fmt.Errorf("%s directory apply: %w\n%s", binary, err, said), s.Remove())
	}
	return s, nil
}

// Run starts the process, and returns when it serves.
func (s *Server) Run(ctx context.Context, environ ...string) error {
	before := len(s.log.String())
	s.cmd = exec.CommandContext(context.WithoutCancel(ctx), s.binary, "serve") // End ends it, in good order
	s.cmd.Dir, s.cmd.Env, s.cmd.Stdout, s.cmd.Stderr = s.dir, slices.Concat(s.environ, environ), &s.log, &s.log
	if err := s.cmd.Start(); err != nil {
		return err
	}
	s.ended = make(chan error, 1)
	go func() { s.ended <- s.cmd.Wait() }()
	if err := s.serving(ctx, before); err != nil {
		_ = s.cmd.Process.Kill() // fails only where it has ended
		return err
	}
	s.Scope = s.URL + "/api/projects/" + project + "/"
	return nil
}

// Log is what the server has written so far.
func (s *Server) Log() string { return s.log.String() }

var servingLine = regexp.MustCompile(`serving.*address"?[=:]"?([0-9.]+:[0-9]+)`)

func (s *Server) serving(ctx context.Context, before int) error {
	deadline := time.After(time.Minute)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if found := servingLine.FindStringSubmatch(s.Log()[before:]); found != nil {
			s.URL = "http://" + found[1]
			return nil
		}
		select {
		case <-tick.C:
		case err := <-s.ended:
			return fmt.Errorf("the server ended instead of serving: %w\n%s", err, s.Log())
		case <-deadline:
			return fmt.Errorf("the server does not serve after a minute\n%s", s.Log())
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Stop ends the server, and removes what it kept.
func (s *Server) Stop() error { return errors.Join(s.End(), s.Remove()) }

// Remove removes what a server kept that does not run.
func (s *Server) Remove() error { return os.RemoveAll(s.dir) }

// End ends the process. It is an error where it had ended by itself, or not well.
func (s *Server) End() error {
	err := s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case ended := <-s.ended:
		err = errors.Join(err, ended)
	case <-time.After(30 * time.Second):
		err = errors.Join(err, errors.New("the server does not stop"), s.cmd.Process.Kill())
	}
	if err != nil {
		err = fmt.Errorf("%w\n%s", err, s.Log())
	}
	return err
}

// output is what a process has written so far.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
