package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// publicURL is the base of the URLs in responses, the same for both servers.
const publicURL = "http://invited.example/"

// server is a measured process.
type server struct {
	name    string
	address string
	cmd     *exec.Cmd
	log     string
	ended   chan struct{}
	took    time.Duration // time from its start until it is ready
}

// startServer starts a program that listens on an address, and returns when the program responds there.
func startServer(ctx context.Context, dir, name string, command func(address string) *exec.Cmd) (*server, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := listener.Addr().String()
	_ = listener.Close() // another process may take the port: then the program reports it
	s := &server{name: name, address: address, cmd: command(address), log: filepath.Join(dir, name+".log"), ended: make(chan struct{})}
	log, err := os.Create(s.log)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }() // the process has its own descriptor
	s.cmd.Stdout, s.cmd.Stderr = log, log
	began := time.Now()
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = s.cmd.Wait() // the log has the reason
		close(s.ended)
	}()
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	for time.Since(began) < time.Minute {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err == nil {
			_ = conn.Close()
			s.took = time.Since(began)
			return s, nil
		}
		select {
		case <-s.ended:
			return nil, s.failed("ended while starting")
		case <-ctx.Done():
			s.stop()
			return nil, ctx.Err()
		case <-again.C:
		}
	}
	s.stop()
	return nil, s.failed("did not begin to listen")
}

func (s *server) failed(what string) error {
	said, _ := os.ReadFile(s.log)
	lines := strings.Split(strings.TrimSpace(string(said)), "\n")
	return fmt.Errorf("%s: %s: %s", s.name, what, strings.Join(lines[max(0, len(lines)-3):], " / "))
}

func (s *server) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM) // fails only where the process has just ended
	select {
	case <-s.ended:
	case <-time.After(30 * time.Second):
		_ = s.cmd.Process.Kill()
		<-s.ended
	}
}

// bench has the options and the state of all measurements.
type bench struct {
	options
	dir   string   // for temporary files
	begin func()   // called before the first request; may be nil
	jwts  []string // access tokens of the owners, where the server has an issuer
}

// environment of the measured program: defaults, except for paths and addresses.
func (b *bench) environment(d *database, more ...string) []string {
	return append([]string{
		"PATH=" + os.Getenv("PATH"),
		"INVITED_DATABASE_URL=" + d.address,
		"INVITED_PUBLIC_URL=" + publicURL,
		"INVITED_SECRET_KEY=" + strings.Repeat("bench", 8),
		"INVITED_MAIL_DIR=" + filepath.Join(b.dir, "mail"),
	}, more...)
}

func (b *bench) migrate(ctx context.Context, d *database) error {
	cmd := exec.CommandContext(ctx, b.binary, "migrate", "up")
	cmd.Env = b.environment(d)
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("migrating: %w: %s", err, said)
	}
	return nil
}

func (b *bench) invited(ctx context.Context, d *database, more ...string) (*server, error) {
	return startServer(ctx, b.dir, "invited", func(address string) *exec.Cmd {
		cmd := exec.Command(b.binary, "serve") //nolint:noctx // stop ends it in order
		cmd.Env = b.environment(d, append(more, "INVITED_LISTEN_ADDR="+address)...)
		return cmd
	})
}

func (b *bench) floor(ctx context.Context, d *database) (*server, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return startServer(ctx, b.dir, "floor", func(address string) *exec.Cmd {
		cmd := exec.Command(self, "floor", address, d.address) //nolint:noctx // stop ends it in order
		cmd.Env = os.Environ()
		return cmd
	})
}
