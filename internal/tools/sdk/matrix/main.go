// Command matrix generates clients from openapi.yaml with the tools that people use, compiles the clients, and runs a program
// with each of them against a server of its own on SQLite:
//
//	go run ./internal/tools/sdk/matrix [-form short|full] [-tools NAME,NAME]
//
// It prints a table of what worked, and writes what each tool prints to build/sdk-matrix/NAME.log. The reasons of known
// failures stand in tools.go, and are printed under the table. matrix exits with 0 where everything worked but the known
// failures, and no known failure works after all.
//
// A tool is a folder with the executable tool.sh, which is called with one argument in the root of the repository. The
// environment variable OUT is the tool's working folder.
//
//	version   prints the version in one line; files of the repository pin it
//	generate  installs the tool where it is not installed, and generates the client
//	compile   compiles the client and a program that uses it, with strict settings
//	play      runs the program
//
// Where tool.sh needs a program that the machine does not have, it says so in one sentence and exits with 75.
//
// The program sends each request with the generated client. Its environment is that of live.Server.Environ, and:
//
//	INVITED_TEST_PENDING, INVITED_TEST_CANCELED  uuids of two invitations
//	INVITED_TEST_NEWER_URL                       the same server, with a field more in each JSON object of its responses
//
// It prints a line for each of these steps: "step NAME ok", or "step NAME failed: why".
//
//	list           the list of the states canceled and expired has CANCELED, and not PENDING
//	count          the count of that list, from the header X-Result-Count of a HEAD request
//	create         an invitation to INVITEE_EMAIL
//	details        of the invitation, as the invitee
//	accept         the invitation, as the invitee
//	field_error    the message under email where an invitation to "nonsense" is refused
//	rule_error     the messages where the accepted invitation can't be canceled and can't be edited
//	not_found      the detail of a 404
//	unknown_field  the list and an invitation, from NEWER_URL
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/google/uuid"

	"invited/gen/client"
	"invited/internal/tools/sdk/live"
)

const (
	folder = "internal/tools/sdk/matrix"
	build  = "build/sdk-matrix"

	// phaseTime is the longest that a phase of a tool may take. A first compilation of Rust takes some minutes.
	phaseTime = 20 * time.Minute
	// exitMissing is the exit code of a tool.sh that needs a program that is not installed.
	exitMissing = 75
)

// phases come before the steps in the table, and have the names of arguments of tool.sh.
var phases = []string{"generate", "compile"}

// steps are what a program with a generated client does.
var steps = []string{"list", "count", "create", "details", "accept", "field_error", "rule_error", "not_found", "unknown_field"}

func main() {
	form := flag.String("form", "full", "`short` runs the five tools that show most, full runs all")
	names := flag.String("tools", "", "run only these tools, separated by commas, whatever the form is")
	invited := flag.String("invited", "build/invited", "the server's `program`")
	flag.Parse()
	chosen, err := choose(*form, *names)
	if err != nil {
		fmt.Fprintln(os.Stderr, "matrix:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err = run(ctx, os.Stdout, *invited, chosen)
	if ctx.Err() != nil {
		err = errors.New("interrupted")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "matrix:", err)
		os.Exit(1)
	}
}

// choose returns the tools of a form, or those that are named.
func choose(form, names string) ([]tool, error) {
	if form != "short" && form != "full" {
		return nil, fmt.Errorf("the form is short or full, not %q", form)
	}
	if names == "" {
		return slices.DeleteFunc(slices.Clone(tools), func(t tool) bool { return form == "short" && !slices.Contains(short, t.name) }), nil
	}
	var chosen []tool
	for name := range strings.SplitSeq(names, ",") {
		at := slices.IndexFunc(tools, func(t tool) bool { return t.name == name })
		if at < 0 {
			return nil, fmt.Errorf("there is no tool %q: the tools are the folders of %s that have a tool.sh", name, folder)
		}
		chosen = append(chosen, tools[at])
	}
	return chosen, nil
}

// run runs the tools one after the other, and prints the table. It returns an error where something is not as tools.go says.
func run(ctx context.Context, out io.Writer, invited string, chosen []tool) error {
	leftOutFile := filepath.Join(build, "left-out") // .ci/run reads it
	if err := os.RemoveAll(leftOutFile); err != nil {
		return err
	}
	var results []result
	for i, t := range chosen {
		fmt.Fprintf(out, "%d of %d: %s\n", i+1, len(chosen), t.name)
		r, err := runTool(ctx, out, invited, t)
		if err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
		results = append(results, r)
	}
	problems := printTable(out, results)
	if len(problems) > 0 {
		return fmt.Errorf("not as stated in %s/tools.go:\n  %s", folder, strings.Join(problems, "\n  "))
	}
	var missing []string
	for _, r := range results {
		if r.missing != "" {
			missing = append(missing, r.tool.name)
		}
	}
	if len(missing) > 0 {
		names := strings.Join(missing, ", ")
		return errors.Join(errors.New("left out, and not passed: "+names), os.WriteFile(leftOutFile, []byte(names+"\n"), 0o600))
	}
	return nil
}

// runTool runs the phases of a tool until one fails, and prints how long each takes. It returns an error where the runner
// itself failed.
func runTool(ctx context.Context, out io.Writer, invited string, t tool) (r result, err error) {
	r = result{tool: t, failed: map[string]string{}, passed: map[string]bool{}}
	dir, err := filepath.Abs(filepath.Join(build, t.name))
	if err != nil {
		return r, err
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return r, err
	}
	log, err := os.Create(dir + ".log")
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	environ := append(os.Environ(), "OUT="+dir)

	version, err := t.call(ctx, log, "version", environ)
	if r.missing = missingProgram(version, err); r.missing != "" {
		return r, ctx.Err()
	}
	if err != nil {
		return r, fmt.Errorf("tool.sh version: %w\n%s", err, version)
	}
	r.version = strings.TrimSpace(version)
	for _, phase := range phases {
		fmt.Fprintf(out, "  %-8s  ", phase)
		begun := time.Now()
		output, err := t.call(ctx, log, phase, environ)
		fmt.Fprintf(out, "%3.0f s\n", time.Since(begun).Seconds())
		if r.missing = missingProgram(output, err); r.missing != "" {
			return r, ctx.Err()
		}
		if err != nil {
			r.failed[phase] = err.Error() + "\n" + lastLines(output)
			return r, ctx.Err()
		}
		r.passed[phase] = true
	}
	fmt.Fprintln(out, "  play")
	return r, errors.Join(r.play(ctx, invited, log, environ), ctx.Err())
}

// play runs the program of a tool with a server of its own.
func (r *result) play(ctx context.Context, invited string, log io.Writer, environ []string) (err error) {
	server, err := live.Start(ctx, invited, live.Database{Name: "SQLite"})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	newer, err := serveNewer(server.URL)
	if err != nil {
		return err
	}
	defer newer.Close()
	pending, canceled, err := invite(ctx, server)
	if err != nil {
		return err
	}
	environ = slices.Concat(environ, server.Environ(), []string{
		"INVITED_TEST_PENDING=" + pending, "INVITED_TEST_CANCELED=" + canceled, "INVITED_TEST_NEWER_URL=" + newer.URL,
		"NO_PROXY=*", "no_proxy=*", // the requests go to this machine
	})
	output, err := r.tool.call(ctx, log, "play", environ)
	if err != nil {
		output += "\n" + err.Error()
	}
	r.readSteps(output)
	return nil
}

// call runs tool.sh with one argument, and returns its output. It writes the output to the log, too.
func (t tool) call(ctx context.Context, log io.Writer, phase string, environ []string) (string, error) {
	ctx, stop := context.WithTimeout(ctx, phaseTime)
	defer stop()
	script := filepath.Join(folder, t.name, "tool.sh")
	cmd := exec.CommandContext(ctx, "./"+script, phase) // #nosec G204 -- the name is one of tools.go
	cmd.Env = environ
	// The processes that tool.sh starts end with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 10 * time.Second
	fmt.Fprintf(log, "== %s %s\n", script, phase)
	var output strings.Builder
	cmd.Stdout = io.MultiWriter(&output, log)
	cmd.Stderr = cmd.Stdout
	err := cmd.Run()
	if ctx.Err() != nil {
		err = fmt.Errorf("took longer than %s", phaseTime)
	}
	return output.String(), err
}

// missingProgram returns the sentence of a tool.sh that needs a program that is not installed, or "".
func missingProgram(output string, err error) string {
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == exitMissing {
		return strings.TrimSpace(lastLines(output))
	}
	return ""
}

// lastLines returns the end of a program's output.
func lastLines(output string) string {
	lines := strings.Split(strings.TrimRight(output, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-15):], "\n")
}

// invite creates two invitations of the owner, cancels the second, and returns their uuids.
func invite(ctx context.Context, server *live.Server) (pending, canceled string, err error) {
	owner, err := client.NewClientWithResponses(server.URL, client.WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
		r.Header.Set("Authorization", "Token "+live.Token(live.Owner))
		return nil
	}))
	if err != nil {
		return "", "", err
	}
	var uuids [2]string
	for i, email := range []string{"pending@university.example", "canceled@university.example"} {
		made, err := owner.UserInvitationsCreateWithResponse(ctx, client.InvitationRequest{Email: email, Role: uuid.MustParse(live.Role), Scope: server.Scope})
		if err != nil {
			return "", "", err
		}
		if made.JSON201 == nil {
			return "", "", fmt.Errorf("creating an invitation: %s: %s", made.Status(), made.Body)
		}
		uuids[i] = made.JSON201.UUID.String()
		if i == 0 {
			continue
		}
		response, err := owner.UserInvitationsCancelWithResponse(ctx, made.JSON201.UUID)
		if err != nil {
			return "", "", err
		}
		if response.JSON200 == nil {
			return "", "", fmt.Errorf("canceling an invitation: %s: %s", response.Status(), response.Body)
		}
	}
	return uuids[0], uuids[1], nil
}
