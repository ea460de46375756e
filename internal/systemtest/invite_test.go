package systemtest

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"invited/internal/systemtest/harness"
)

// people returns a CSV table of n people. The addresses of the last bad ones are none.
func people(n, bad int) string {
	var table strings.Builder
	table.WriteString("email;full_name\r\n")
	for i := range n {
		host := "example.org"
		if i >= n-bad {
			host = "example"
		}
		fmt.Fprintf(&table, "guest%d@%s;\"Guest, %d\"\r\n", i, host, i)
	}
	return table.String()
}

// inviting returns a copy of an Env in which commands call a server as Olivia.
func inviting(env *harness.Env, address string) *harness.Env {
	return env.With("INVITED_SERVER_URL=http://"+address, "INVITED_TOKEN="+harness.Key("olivia"))
}

var intoApollo = []string{"--role", "PROJECT.ADMIN", "--scope", harness.ProjectUUID}

func invite(env *harness.Env, stdin string, args ...string) harness.Result {
	env.T.Helper()
	return env.Run(stdin, append([]string{"invite"}, args...)...)
}

func storedInvitations(env *harness.Env) (n int) {
	env.T.Helper()
	require.NoError(env.T, env.DB().QueryRow("SELECT count(*) FROM invitations").Scan(&n))
	return n
}

// requireFailed asserts that a command failed because some rows did, and returns the rows of its file, without the header.
func requireFailed(env *harness.Env, got harness.Result, counts, failed, file string) [][]string {
	env.T.Helper()
	require.Equal(env.T, 1, got.Code, "%s%s", got.Stdout, got.Stderr)
	require.Equal(env.T, counts+"\n", got.Stdout)
	lines := strings.Split(strings.TrimSpace(got.Stderr), "\n")
	require.Equal(env.T, "invited: "+failed+": "+file+" has each with its reason; correct that file, and send it", lines[len(lines)-1])
	path := filepath.Join(env.Dir, file)
	content, err := os.ReadFile(path)
	require.NoError(env.T, err)
	info, err := os.Stat(path)
	require.NoError(env.T, err)
	require.Equal(env.T, os.FileMode(0o600), info.Mode().Perm())
	rows, err := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(content, []byte("\xef\xbb\xbf")))).ReadAll()
	require.NoError(env.T, err, "%s", content)
	require.Contains(env.T, rows[0], "reason")
	return rows[1:]
}

// The command invites a small table in one request, a large one in the background, and says what became of each row.
func TestInviteCommand(t *testing.T) {
	harness.OnEachEngine(t, func(t *testing.T, env *harness.Env) {
		env.Apply()
		server := env.Serve()
		client := inviting(env, server.Address)
		client.WriteFile("people.csv", people(4, 1))
		file := append([]string{"-f", "people.csv"}, intoApollo...)

		rows := requireFailed(client, invite(client, "", append(file, "--dry-run")...), "4 rows, and nothing was written: 3 created, 1 invalid",
			"1 of 4 rows would not be invited", "people.failed.csv")
		require.Zero(t, storedInvitations(env))
		require.Len(t, rows, 1)
		require.Contains(t, rows[0], "guest3@example")
		require.Contains(t, rows[0], "Guest, 3")
		require.Contains(t, strings.Join(rows[0], " "), "Enter a valid email address.")

		rows = requireFailed(client, invite(client, "", append(file, "-o", "wrong.csv")...), "4 rows: 3 created, 1 invalid", "1 of 4 rows was not invited", "wrong.csv")
		require.Len(t, rows, 1)
		require.Equal(t, 3, storedInvitations(env))

		// Whoever corrects the rows sends the file again. Rows that are done already are no failure.
		wrong, err := os.ReadFile(filepath.Join(client.Dir, "wrong.csv"))
		require.NoError(t, err)
		client.WriteFile("right.csv", strings.Replace(string(wrong), "guest3@example", "guest3@example.net", 1))
		require.Equal(t, "1 row: 1 created\n", invite(client, "", "-f", "right.csv").OK())
		require.Equal(t, "3 rows: 3 duplicate\n", invite(client, people(3, 0), append(intoApollo, "-f", "-")...).OK())
		require.Equal(t, "3 rows: 3 sent\n", invite(client, people(3, 0), append(intoApollo, "-f", "-", "--on-duplicate", "send")...).OK())

		// A file with rows that failed is kept, since somebody may be correcting it. One that -o names is replaced.
		corrections := "email\nguest3@example.test\nguest4@example\n"
		client.WriteFile("people.failed.csv", corrections)
		failed := append([]string{"-f", "people.failed.csv"}, intoApollo...)
		requireFailed(client, invite(client, "", append(failed, "--dry-run")...), "2 rows, and nothing was written: 1 created, 1 invalid",
			"1 of 2 rows would not be invited", "people.failed-2.csv")
		client.WriteFile("people.tsv", "email\nguest4@example\n")
		requireFailed(client, invite(client, "", append([]string{"-f", "people.tsv"}, intoApollo...)...), "1 row: 1 invalid",
			"1 of 1 row was not invited", "people.failed-3.csv")
		requireFailed(client, invite(client, "", append([]string{"-f", "people.failed-2.csv"}, intoApollo...)...), "1 row: 1 invalid",
			"1 of 1 row was not invited", "people.failed-4.csv")
		requireFailed(client, invite(client, "", append(failed, "-o", "wrong.csv", "--dry-run")...), "2 rows, and nothing was written: 1 created, 1 invalid",
			"1 of 2 rows would not be invited", "wrong.csv")
		kept, err := os.ReadFile(filepath.Join(client.Dir, "people.failed.csv"))
		require.NoError(t, err)
		require.Equal(t, corrections, string(kept))

		client.WriteFile("many.csv", people(300, 12))
		many := append([]string{"-f", "many.csv"}, intoApollo...)
		began := time.Now()
		requireFailed(client, invite(client, "", append(many, "--dry-run")...),
			"300 rows, and nothing was written: 285 created, 3 duplicate, 12 invalid", "12 of 300 rows would not be invited", "many.failed.csv")
		t.Logf("dry run of 300 rows: %s", time.Since(began))
		began = time.Now()
		rows = requireFailed(client, invite(client, "", many...), "300 rows: 285 created, 3 duplicate, 12 invalid", "12 of 300 rows were not invited", "many.failed-2.csv")
		t.Logf("300 rows with 12 bad ones: %s", time.Since(began))
		require.Len(t, rows, 12)
		require.Equal(t, 289, storedInvitations(env))
	})
}

// A server that dies and comes back finishes, and the command waits for it. Nobody is invited twice.
func TestInviteCommandSurvivesRestart(t *testing.T) {
	harness.OnEachEngine(t, func(t *testing.T, env *harness.Env) {
		env.Apply().Set("INVITED_LISTEN_ADDR=" + harness.FreeAddress(t))
		server := env.Serve()
		client := inviting(env, server.Address)
		client.WriteFile("many.csv", people(300, 12))
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		var stdout, stderr harness.Output
		start := func(args ...string) (wait func() int) {
			command := client.Command(ctx, append([]string{"invite"}, args...)...)
			command.Stdout, command.Stderr = &stdout, &stderr
			require.NoError(t, command.Start())
			t.Cleanup(func() { _ = command.Process.Kill() })
			return func() int {
				_ = command.Wait()
				return command.ProcessState.ExitCode()
			}
		}
		wait := start(append([]string{"-f", "many.csv"}, intoApollo...)...)
		server.WaitUntil("some rows are done", func() bool { return storedInvitations(env) > 0 })
		server.Kill()
		before := storedInvitations(env)
		env.Serve()
		require.Equal(t, 1, wait(), stderr.String())
		require.Equal(t, "300 rows: 288 created, 12 invalid\n", stdout.String(), stderr.String())
		require.Equal(t, 288, storedInvitations(env))
		t.Logf("%d rows were done when the server was killed: %s", before, stderr.String())
	})
}

// Ctrl-C ends the command and not the server, and says how to go on.
func TestInviteCommandInterrupted(t *testing.T) {
	harness.OnEachEngine(t, func(t *testing.T, env *harness.Env) {
		env.Apply().Set("INVITED_LISTEN_ADDR=" + harness.FreeAddress(t))
		server := env.With("INVITED_WORKERS=false").Serve() // the rows wait
		client := inviting(env, server.Address)
		client.WriteFile("many.csv", people(101, 0))
		command := client.Command(t.Context(), append([]string{"invite", "-f", "many.csv"}, intoApollo...)...)
		var stderr harness.Output
		command.Stderr = &stderr
		require.NoError(t, command.Start())
		server.WaitUntil("the command waits", func() bool { return strings.Contains(stderr.String(), "0 of 101 rows are done") })
		require.NoError(t, command.Process.Signal(syscall.SIGINT))
		require.Error(t, command.Wait())
		require.Equal(t, 1, command.ProcessState.ExitCode())
		_, id, found := strings.Cut(stderr.String(), "--follow ")
		require.True(t, found, stderr.String())
		id = id[:36]

		require.Equal(t, "Bulk invitation has been canceled.\n", invite(client, "", "--cancel", id).OK())
		rows := requireFailed(client, invite(client, "", "--follow", id), "101 rows: 101 canceled", "101 of 101 rows were not invited", id+".failed.csv")
		require.Len(t, rows, 101)
		require.Zero(t, storedInvitations(env))
		invite(client, "", "--cancel", id).Fails(id, "Only a queued or running bulk invitation can be canceled.")
		invite(client, "", "--follow", harness.ProjectUUID).Fails("404 Not Found: Not found.")
	})
}

// What is wrong is said in one line, without the token.
func TestInviteCommandRefused(t *testing.T) {
	harness.OnEachEngine(t, func(t *testing.T, env *harness.Env) {
		env.Apply()
		server := env.Serve()
		client := inviting(env, server.Address)
		client.WriteFile("people.csv", people(2, 0))
		client.WriteFile("quote.csv", "email,full_name\na@example.org,A\nb@example.org,\"B\n")
		client.WriteFile("sheet.xlsx", "PK\x03\x04"+strings.Repeat("\x00", 100))
		client.WriteFile("empty.csv", "")
		client.WriteFile("token", harness.Key("olivia")+"\n")
		client.WriteFile("wrong", "no-such-token\n")
		file := append([]string{"-f", "people.csv"}, intoApollo...)

		invite(client, "", append(file, "--token-file", "wrong")...).Fails(server.Address+" does not take the token: Invalid token.", "invited token create --user NAME")
		invite(client, "", append(file, "--token-file", "missing")...).Fails("reading the token", "missing")
		invite(client.With("INVITED_TOKEN="), "", file...).Fails("INVITED_TOKEN is missing")
		invite(client.With("INVITED_TOKEN=two words"), "", file...).Fails("INVITED_TOKEN is no API token")
		invite(client, "", "-f", "quote.csv").Fails("quote.csv: ", "ine 3")
		invite(client, "", "-f", "sheet.xlsx").Fails("sheet.xlsx: ")
		invite(client, "", "-f", "empty.csv").Fails("empty.csv: ")
		invite(client, "", "-f", "missing.csv").Fails("missing.csv")
		invite(client, "", append(file, "--server", "http://invite.example.com")...).Fails("the token would cross the network in the clear")
		invite(client, "", append(file, "--server", "ftp://invite.example.com")...).Fails("not an absolute http or https URL")
		require.Zero(t, storedInvitations(env))

		// Another server gets no token by a redirect.
		elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/elsewhere/" {
				http.Redirect(w, r, "/elsewhere/", http.StatusPermanentRedirect)
				return
			}
			t.Error("the redirect was followed")
		}))
		defer elsewhere.Close()
		invite(client, "", append(file, "--server", elsewhere.URL)...).Fails("sends requests on to /elsewhere/")
		odd := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusTeapot)
			_, _ = w.Write([]byte("{\"detail\": \"\\u001b[31mred\"}"))
		}))
		defer odd.Close()
		require.NotContains(t, invite(client, "", append(file, "--server", odd.URL)...).Stderr, "\x1b")
		require.Equal(t, "2 rows: 2 created\n", invite(client.With("INVITED_TOKEN="), "", append(file, "--token-file", "token")...).OK())
	})
}
