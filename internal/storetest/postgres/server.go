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
	stopTime  = 10 * time.Second // for each way of asking
)

// Ways to stop a server.
const (
	Fast      = syscall.SIGINT  // ends all connections, and then in good order
	Immediate = syscall.SIGQUIT // as in a crash: the next start has to recover
)

var errEnded = errors.New("ended while starting")

// Server is a throw-away cluster and all it has written. Its methods are not for use by several goroutines at once.
type Server struct {
	URL string // of its first database, for its superuser

	bin, dir string
	port     int
	settings []string
	cmd      *exec.Cmd
	ended    chan struct{}
	paused   []int // processes
}

// New makes a cluster in a folder of its own and returns when it answers. What a crash of the machine would lose is
// thrown away anyhow, and what one of the server would lose as well, unless settings, each like "fsync=on", say
// otherwise.
func New(ctx context.Context, bin string, settings ...string) (*Server, error) {
	dir, err := os.MkdirTemp("", "invited-postgres-")
	if err != nil {
		return nil, err
	}
	// Other users of the machine can reach the port, so there is a password.
	password := rand.Text()
	if err := initialise(ctx, bin, dir, password); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	s := &Server{bin: bin, dir: dir, settings: settings}
	// Between finding a free port and taking it, another process may.
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

// Start starts a server that was stopped, where it was, and returns when it answers.
func (s *Server) Start(ctx context.Context) error {
	args := []string{
		"-D", filepath.Join(s.dir, "data"),
		"-c", "listen_addresses=127.0.0.1", "-c", "port=" + strconv.Itoa(s.port), "-c", "unix_socket_directories=",
		"-c", "max_connections=300", "-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off",
	}
	for _, each := range s.settings {
		args = append(args, "-c", each)
	}
	// Not a CommandContext, which would kill: see Stop.
	s.cmd = exec.Command(filepath.Join(s.bin, "postgres"), args...) //nolint:noctx // see above
	s.cmd.Dir = s.dir
	// A file rather than a pipe: the server must not notice how this process ends.
	log, err := os.Create(filepath.Join(s.dir, "log"))
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the server has its own
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := unprivileged(s.cmd); err != nil {
		return err
	}
	apart(s.cmd)
	endWithUs(s.cmd, syscall.SIGINT)
	if err := s.cmd.Start(); err != nil {
		return err
	}
	cmd, ended := s.cmd, make(chan struct{})
	s.ended = ended
	go func() {
		_ = cmd.Wait() // how it ended stands in its log
		close(ended)
	}()
	if err := s.ready(ctx); err != nil {
		s.Stop(Fast)
		said, _ := os.ReadFile(log.Name()) // the error stands without it
		return fmt.Errorf("postgres: %w\n%s", err, said)
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

// ready waits until the server lets its user in, which no other server on the
// port would.
func (s *Server) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
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
		case <-again.C:
		}
	}
}

// Stop stops the server and returns when it has ended. One that does not is stopped the harder way.
func (s *Server) Stop(how syscall.Signal) {
	for _, sig := range []syscall.Signal{how, Immediate, syscall.SIGKILL} {
		_ = s.cmd.Process.Signal(sig) // fails only where it has just ended
		select {
		case <-s.ended:
			return
		case <-time.After(stopTime):
		}
	}
}

// Pause has the server stand still with all of its processes: connections stay, and nothing is answered.
func (s *Server) Pause(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, s.URL)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	// First the one that starts the others. Each of them is in a process group of its own.
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
	for _, each := range others {
		if err := syscall.Kill(each, syscall.SIGSTOP); err == nil { // else it has just ended
			s.paused = append(s.paused, each)
		}
	}
	return nil
}

// Resume lets a server go on that was paused.
func (s *Server) Resume() {
	for _, each := range s.paused {
		_ = syscall.Kill(each, syscall.SIGCONT) // fails only where it has ended
	}
	s.paused = nil
}

// Remove stops the server and removes all it has written.
func (s *Server) Remove() error {
	s.Resume()
	s.Stop(Fast)
	return os.RemoveAll(s.dir)
}
