package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	superuser = "invited"
	startTime = time.Minute
	stopTime  = 10 * time.Second // for each way of asking
)

var errEnded = errors.New("ended while starting")

// A server is a running throw-away cluster and all it has written.
type server struct {
	url   string
	dir   string
	cmd   *exec.Cmd
	ended chan struct{}
}

// start makes a cluster in a folder of its own and returns when it answers.
func start(ctx context.Context, bin string) (*server, error) {
	dir, err := os.MkdirTemp("", "invited-postgres-")
	if err != nil {
		return nil, err
	}
	// Other users of the machine can reach the port, so there is a password.
	password := rand.Text()
	if err := initialise(ctx, bin, dir, password); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	// Between finding a free port and taking it, another process may.
	for range 5 {
		var s *server
		if s, err = launch(ctx, bin, dir, password); err == nil {
			return s, nil
		}
		if !errors.Is(err, errEnded) {
			break
		}
	}
	return nil, errors.Join(err, os.RemoveAll(dir))
}

func initialise(ctx context.Context, bin, dir, password string) error {
	secret := filepath.Join(dir, "password")
	if err := os.WriteFile(secret, []byte(password), 0o600); err != nil {
		return err
	}
	letters := "C.UTF-8" // what is a letter, and its other case
	if runtime.GOOS == "darwin" {
		letters = "en_US.UTF-8"
	}
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "initdb"),
		"--pgdata="+filepath.Join(dir, "data"), "--username="+superuser, "--pwfile="+secret, "--auth=scram-sha-256",
		"--encoding=UTF8", "--locale=C", "--lc-ctype="+letters, "--no-sync")
	cmd.Dir = dir
	if err := unprivileged(cmd, dir, secret); err != nil {
		return err
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return os.Remove(secret)
}

func launch(ctx context.Context, bin, dir, password string) (*server, error) {
	port, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	s := &server{
		url:   fmt.Sprintf("postgres://%s:%s@127.0.0.1:%d/postgres?sslmode=disable", superuser, password, port),
		dir:   dir,
		ended: make(chan struct{}),
	}
	// Not a CommandContext, which would kill: see end.
	s.cmd = exec.Command(filepath.Join(bin, "postgres"), "-D", filepath.Join(dir, "data"), //nolint:noctx // see above
		"-c", "listen_addresses=127.0.0.1", "-c", "port="+strconv.Itoa(port), "-c", "unix_socket_directories=",
		"-c", "max_connections=300",
		// What a crash of the machine loses is thrown away anyhow.
		"-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off")
	s.cmd.Dir = dir
	// A file rather than a pipe: the server must not notice how this process ends.
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }() // the server has its own
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := unprivileged(s.cmd); err != nil {
		return nil, err
	}
	apart(s.cmd)
	endWithUs(s.cmd, syscall.SIGINT)
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = s.cmd.Wait() // how it ended stands in its log
		close(s.ended)
	}()
	if err := s.ready(ctx); err != nil {
		s.end()
		said, _ := os.ReadFile(log.Name()) // the error stands without it
		return nil, fmt.Errorf("postgres: %w\n%s", err, said)
	}
	return s, nil
}

func freePort(ctx context.Context) (int, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// ready waits until the server lets its user in, which no other server on the
// port would.
func (s *server) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		conn, err := pgx.Connect(ctx, s.url)
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-s.ended:
			return errEnded
		case <-ctx.Done():
			return fmt.Errorf("not ready: %w", ctx.Err())
		case <-again.C:
		}
	}
}

// stop ends the server and removes all it has written.
func (s *server) stop() {
	s.end()
	if err := os.RemoveAll(s.dir); err != nil {
		say("%v", err)
	}
}

// end asks for a fast shutdown, then for an immediate one, then kills.
func (s *server) end() {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT, syscall.SIGKILL} {
		_ = s.cmd.Process.Signal(sig) // fails only where it has just ended
		select {
		case <-s.ended:
			return
		case <-time.After(stopTime):
		}
	}
}
