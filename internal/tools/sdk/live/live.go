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

// Users and other records of the directory.
const (
	Staff = "sam"
	Owner = "olivia" // owner of the project's organization
	Role  = "40000000-0000-4000-8000-000000000001"
	// CustomerRole is a role in organizations.
	CustomerRole = "40000000-0000-4000-8000-000000000002"

	project = "20000000-0000-4000-8000-000000000001"
)

// Invitees are users without a role.
var Invitees = []string{"ina", "ivo", "ida"}

// Strangers are users without a role whom nobody invites.
var Strangers = []string{"nils", "nora"}

// Email returns the e-mail address of a user.
func Email(name string) string { return name + "@university.example" }

// Token returns the API token of a user.
func Token(name string) string { return name + "-key-of-these-tests" }

func directory() string {
	var b strings.Builder
	b.WriteString(`
roles:
  - {name: CUSTOMER.OWNER, scope_type: customer, permissions: [CUSTOMER.CREATE_PERMISSION, PROJECT.CREATE_PERMISSION, INVITATION.LIST]}
  - {name: CUSTOMER.READER, uuid: ` + CustomerRole + `, scope_type: customer}
  - {name: PROJECT.ADMIN, uuid: ` + Role + `, scope_type: project}
customers:
  - name: Acme
    members: [{user: ` + Owner + `, role: CUSTOMER.OWNER}]
    projects: [{name: Apollo, uuid: ` + project + `}]
users:
`)
	for _, name := range slices.Concat([]string{Staff, Owner}, Invitees, Strangers) {
		fmt.Fprintf(&b, "  - {username: %s, email: %s, is_staff: %v, tokens: [%s]}\n", name, Email(name), name == Staff, Token(name))
	}
	return b.String()
}

// A Database is an empty database of its own. Drop removes it.
type Database struct {
	Name, URL string
	Drop      func() error
}

// Databases creates an empty database on each engine. Where it fails, it leaves nothing behind. postgres is the URL of a server
// where databases may be created.
func Databases(ctx context.Context, postgres string) ([]Database, error) {
	if postgres == "" {
		return nil, errors.New("-postgres is empty: run this with its make target, which starts a PostgreSQL server")
	}
	server, err := url.Parse(postgres)
	if err != nil {
		return nil, errors.New("-postgres is not a URL")
	}
	name := "invited_sdk_" + strings.ToLower(rand.Text()[:12])
	execute := func(ctx context.Context, statement string) error {
		conn, err := pgx.Connect(ctx, postgres)
		if err != nil {
			return err
		}
		_, err = conn.Exec(ctx, statement)
		return errors.Join(err, conn.Close(ctx))
	}
	if err := execute(ctx, "CREATE DATABASE "+name); err != nil {
		return nil, err
	}
	server.Path = "/" + name
	drop := func() error { // also after an interrupt, which cancels ctx
		ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer stop()
		return execute(ctx, "DROP DATABASE "+name+" WITH (FORCE)")
	}
	return []Database{
		{"SQLite", "", func() error { return nil }}, // Remove deletes the file with the server's folder
		{"PostgreSQL", server.String(), drop},
	}, nil
}

// A Server is the program with a folder, an environment and a database of its own, and its process while it runs.
type Server struct {
	URL   string // without a slash at the end
	Mails string // folder with the mails that the server sent, one file each
	Scope string // URL of the project

	dir     string
	binary  string
	environ []string
	cmd     *exec.Cmd
	ended   chan error // the result of the process
	log     output
}

// Start prepares a server with the directory of this package, runs it with more environment variables, and returns when it
// serves.
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

// Prepare creates a server and applies a directory file to its database. The server does not run yet.
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
	// The caller's environment is left out: its INVITED_ variables would change the server.
	s.environ = []string{
		"INVITED_LISTEN_ADDR=127.0.0.1:0", "INVITED_SECRET_KEY=" + rand.Text() + rand.Text(),
		// Checks send as often as they like, and wait for the mails.
		"INVITED_LIMIT_INVITATION=0", "INVITED_LIMIT_RECIPIENT=0", "INVITED_REQUEST_MAIL_INTERVAL=1ms",
	}
	if db.URL != "" {
		s.environ = append(s.environ, "INVITED_DATABASE_URL="+db.URL)
	}
	apply := exec.CommandContext(ctx, binary, "directory", "apply", "-f", "-")
	apply.Dir, apply.Env, apply.Stdin = dir, s.environ, strings.NewReader(directory)
	if output, err := apply.CombinedOutput(); err != nil {
		return nil, errors.Join(fmt.Errorf("%s directory apply: %w\n%s", binary, err, output), s.Remove())
	}
	return s, nil
}

// Run starts the process with more environment variables, and returns when it serves.
func (s *Server) Run(ctx context.Context, environ ...string) error {
	logged := len(s.log.String())
	s.cmd = exec.CommandContext(context.WithoutCancel(ctx), s.binary, "serve") // End stops the process in order
	s.cmd.Dir, s.cmd.Env, s.cmd.Stdout, s.cmd.Stderr = s.dir, slices.Concat(s.environ, environ), &s.log, &s.log
	if err := s.cmd.Start(); err != nil {
		return err
	}
	s.ended = make(chan error, 1)
	go func() { s.ended <- s.cmd.Wait() }()
	if err := s.waitUntilServing(ctx, logged); err != nil {
		_ = s.cmd.Process.Kill() // fails only where the process has ended
		return err
	}
	s.Scope = s.URL + "/api/projects/" + project + "/"
	return nil
}

// Environ returns what a program that tries the server has to know, as environment variables that begin with INVITED_TEST_.
func (s *Server) Environ() []string {
	return []string{
		"INVITED_TEST_URL=" + s.URL, "INVITED_TEST_SCOPE=" + s.Scope, "INVITED_TEST_ROLE=" + Role,
		"INVITED_TEST_OWNER_TOKEN=" + Token(Owner), "INVITED_TEST_INVITEE_TOKEN=" + Token(Invitees[0]),
		"INVITED_TEST_INVITEE_EMAIL=" + Email(Invitees[0]), "INVITED_TEST_OTHER_TOKEN=" + Token(Invitees[1]),
		"INVITED_TEST_OTHER_EMAIL=" + Email(Invitees[1]), "INVITED_TEST_STAFF_TOKEN=" + Token(Staff),
		"INVITED_TEST_CUSTOMER_ROLE=" + CustomerRole, "INVITED_TEST_STRANGER_TOKEN=" + Token(Strangers[0]),
		"INVITED_TEST_LATECOMER_TOKEN=" + Token(Strangers[1]),
	}
}

// Log returns what the server has written so far.
func (s *Server) Log() string { return s.log.String() }

var servingLine = regexp.MustCompile(`serving.*address"?[=:]"?([0-9.]+:[0-9]+)`)

// waitUntilServing waits for the server's line about its address, after the first logged bytes of its log.
func (s *Server) waitUntilServing(ctx context.Context, logged int) error {
	deadline := time.After(time.Minute)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if found := servingLine.FindStringSubmatch(s.Log()[logged:]); found != nil {
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

// Stop ends the process and removes the server's folder.
func (s *Server) Stop() error { return errors.Join(s.End(), s.Remove()) }

// Remove removes the folder of a server that does not run.
func (s *Server) Remove() error { return os.RemoveAll(s.dir) }

// End ends the process. It returns an error where the process had ended by itself, or exits with another code than 0.
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

// output collects what a process writes. It is safe for concurrent use.
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
