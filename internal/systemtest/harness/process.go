package harness

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// Process is a running `invited serve`.
type Process struct {
	T              testing.TB
	Cmd            *exec.Cmd
	Address        string // host:port; empty until the process serves
	Stdout, Stderr *Output

	exited chan struct{} // closed once Cmd.ProcessState is set
}

var servingLine = regexp.MustCompile(`serving.*address"?[=:]"?([0-9.]+:[0-9]+)`)

// Serve starts a process and returns when it serves. The process is killed when the test ends.
func (env *Env) Serve(flags ...string) *Process {
	env.T.Helper()
	p := env.Start(flags...)
	p.WaitUntil("it serves", func() bool {
		if p.HasExited() {
			require.FailNow(env.T, "it ended instead of serving", p.Stderr.String())
		}
		match := servingLine.FindStringSubmatch(p.Stderr.String())
		if match != nil {
			p.Address = match[1]
		}
		return match != nil
	})
	return p
}

// Start starts a process and returns at once. The process is killed when the test ends.
func (env *Env) Start(flags ...string) *Process {
	env.T.Helper()
	p := &Process{
		T: env.T, Cmd: env.Command(context.Background(), append([]string{"serve"}, flags...)...), Stdout: &Output{}, Stderr: &Output{},
		exited: make(chan struct{}),
	}
	p.Cmd.Stdout, p.Cmd.Stderr = p.Stdout, p.Stderr
	require.NoError(env.T, p.Cmd.Start())
	go func() {
		_ = p.Cmd.Wait() // ProcessState has the result
		close(p.exited)
	}()
	env.T.Cleanup(func() {
		p.Kill()
		if env.T.Failed() {
			env.T.Logf("log of process %d:\n%.20000s", p.Cmd.Process.Pid, p.Stderr.String())
		}
	})
	return p
}

// Kill ends the process by SIGKILL, and waits for its end.
func (p *Process) Kill() {
	_ = p.Cmd.Process.Kill() // fails only where the process has ended
	<-p.exited               // comes within exitDelay
}

// Signal sends a signal to the process.
func (p *Process) Signal(s os.Signal) {
	p.T.Helper()
	require.NoError(p.T, p.Cmd.Process.Signal(s))
}

// WaitExit waits until the process ends by itself.
func (p *Process) WaitExit() {
	p.T.Helper()
	p.WaitUntil("it ends", p.HasExited)
}

// WaitExitCode waits until the process ends by itself, and asserts its exit code.
func (p *Process) WaitExitCode(code int) {
	p.T.Helper()
	p.WaitExit()
	require.Equal(p.T, code, p.Cmd.ProcessState.ExitCode(), p.Stderr.String())
}

// HasExited reports whether the process has ended.
func (p *Process) HasExited() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// Stop ends the process by SIGTERM, and asserts the exit code 0.
func (p *Process) Stop() {
	p.T.Helper()
	p.Signal(syscall.SIGTERM)
	p.WaitExitCode(0)
}

// WaitUntil waits up to 30 s until holds returns true. It fails the test otherwise.
func (p *Process) WaitUntil(what string, holds func() bool) {
	p.T.Helper()
	WaitUntil(p.T, waitLimit, what, holds, p.Stderr.String)
}

// WaitLog waits until the log contains text: the line of a request is written after its response.
func (p *Process) WaitLog(text string) {
	p.T.Helper()
	p.WaitUntil("the log has "+text, func() bool {
		if p.HasExited() { // the log is complete
			require.Contains(p.T, p.Stderr.String(), text)
		}
		return strings.Contains(p.Stderr.String(), text)
	})
}

// Readiness asserts that /readyz answers 200, and returns its status and its checks.
func (p *Process) Readiness() (status string, checks map[string]string) {
	p.T.Helper()
	var body struct {
		Status string            `json:"status"`
		Checks map[string]string `json:"checks"`
	}
	response := p.Do("GET", "/readyz", "", "").Is(200)
	require.NoError(p.T, json.Unmarshal([]byte(response.Body), &body), response.Body)
	return body.Status, body.Checks
}

// Output holds the text that a process has written so far. It is safe for concurrent use.
type Output struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buffer.Write(p)
}

func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buffer.String()
}

// FreeAddress returns an address on which nothing listens.
func FreeAddress(t testing.TB) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	return listener.Addr().String()
}
