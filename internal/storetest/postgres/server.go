package postgres

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
	stopTime  = 10 * time.Second // for each signal
)

// Ways to stop a server.
const (
	Fast      = syscall.SIGINT  // closes all connections, and shuts down in order
	Immediate = syscall.SIGQUIT // like a crash: the next start has to recover
)

var errEnded = errors.New("ended while starting")

// Server is a throw-away PostgreSQL cluster. Its methods are not safe for concurrent use.
type Server struct {
	URL string // of the database postgres, for the superuser

	bin, dir string
	port     int
	settings []string
	cmd      *exec.Cmd
	ended    chan struct{}
	paused   []int // process ids
}

// New creates a cluster in a temporary folder, starts it, and returns when it accepts connections. Durability is off, because
// it costs time and the data is thrown away: a crash of the machine or of the server loses data, unless settings, each like
// "fsync=on", say otherwise.
func New(ctx context.Context, bin string, settings ...string) (*Server, error) {
	dir, err := os.MkdirTemp("", "invited-postgres-")
	if err != nil {
		return nil, err
	}
	// Other users of the machine can reach the port: a password keeps them out.
	password := rand.Text()
	if err := initialise(ctx, bin, dir, password); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	s := &Server{bin: bin, dir: dir, settings: settings}
	// Another process may take the free port before the server does.
	for range 5 {
		if s.port, err = freePort(ctx); err != nil {
			break
		}
		s.URL = fmt.Sprintf("postgres://%s:%s@127.0.0.1:%d/postgres?sslmode=disable", superuser, password, s.port)
		if err = s.Start(ctx); err == nil {
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
	characterType := "C.UTF-8" // decides which characters are letters, and their upper and lower case
	if runtime.GOOS == "darwin" {
		characterType = "en_US.UTF-8"
	}
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "initdb"),
		"--pgdata="+filepath.Join(dir, "data"), "--username="+superuser, "--pwfile="+secret, "--auth=scram-sha-256",
		"--encoding=UTF8", "--locale=C", "--lc-ctype="+characterType, "--no-sync")
	cmd.Dir = dir
	if err := dropRoot(cmd, dir, secret); err != nil {
		return err
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return os.Remove(secret)
}

// Start starts a stopped server on its port and its data, and returns when it accepts connections.
func (s *Server) Start(ctx context.Context) error {
	args := []string{
		"-D", filepath.Join(s.dir, "data"),
		"-c", "listen_addresses=127.0.0.1", "-c", "port=" + strconv.Itoa(s.port), "-c", "unix_socket_directories=",
		"-c", "max_connections=300", "-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off",
	}
	for _, setting := range s.settings {
		args = append(args, "-c", setting)
	}
	// A CommandContext would kill the server instead of stopping it: see Stop.
	s.cmd = exec.Command(filepath.Join(s.bin, "postgres"), args...) //nolint:noctx // see above
	s.cmd.Dir = s.dir
	// A file and not a pipe: writing the log must not fail when this process has ended.
	log, err := os.Create(filepath.Join(s.dir, "log"))
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the server has its own descriptor
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := dropRoot(s.cmd); err != nil {
		return err
	}
	detach(s.cmd)
	signalAtOurDeath(s.cmd, syscall.SIGINT)
	if err := s.cmd.Start(); err != nil {
		return err
	}
	cmd, ended := s.cmd, make(chan struct{})
	s.ended = ended
	go func() {
		_ = cmd.Wait() // the server's log has the reason
		close(ended)
	}()
	if err := s.ready(ctx); err != nil {
		s.Stop(Fast)
		output, _ := os.ReadFile(log.Name()) // without it the error is still useful
		return fmt.Errorf("postgres: %w\n%s", err, output)
	}
	return nil
}

func freePort(ctx context.Context) (int, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// ready waits until the server accepts its user and password, which no other server on the port does.
func (s *Server) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	retry := time.NewTicker(20 * time.Millisecond)
	defer retry.Stop()
	for {
		conn, err := pgx.Connect(ctx, s.URL)
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-s.ended:
			return errEnded
		case <-ctx.Done():
			return fmt.Errorf("not ready: %w", ctx.Err())
		case <-retry.C:
		}
	}
}

// Stop sends the server a signal, Fast or Immediate, and returns when the server has ended. Where the server does not end in
// 10 seconds, Stop sends Immediate, and then SIGKILL.
func (s *Server) Stop(signal syscall.Signal) {
	for _, sig := range []syscall.Signal{signal, Immediate, syscall.SIGKILL} {
		_ = s.cmd.Process.Signal(sig) // fails only where the process has just ended
		select {
		case <-s.ended:
			return
		case <-time.After(stopTime):
		}
	}
}

// Pause stops all processes of the server with SIGSTOP: connections stay open, and no request is answered.
func (s *Server) Pause(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, s.URL)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	// The postmaster comes first, because it starts the others. Each process is in a process group of its own.
	s.paused = []int{s.cmd.Process.Pid}
	if err := syscall.Kill(s.cmd.Process.Pid, syscall.SIGSTOP); err != nil {
		return err
	}
	rows, err := conn.Query(ctx, "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
	if err != nil {
		return err
	}
	others, err := pgx.CollectRows(rows, pgx.RowTo[int])
	if err != nil {
		return err
	}
	for _, pid := range others {
		if err := syscall.Kill(pid, syscall.SIGSTOP); err == nil { // else the process has just ended
			s.paused = append(s.paused, pid)
		}
	}
	return nil
}

// Resume continues a paused server.
func (s *Server) Resume() {
	for _, pid := range s.paused {
		_ = syscall.Kill(pid, syscall.SIGCONT) // fails only where the process has ended
	}
	s.paused = nil
}

// Remove stops the server and deletes its data.
func (s *Server) Remove() error {
	s.Resume()
	s.Stop(Fast)
	return os.RemoveAll(s.dir)
}
