package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// poison puts a job into the queue as no program of ours would.
func (x *trial) poison(kind, args string) {
	x.t.Helper()
	query := "INSERT INTO river_job (kind, args, max_attempts) VALUES ($1, $2::jsonb, 1000)"
	if x.s.onSQLite() {
		query = "INSERT INTO river_job (kind, args, max_attempts) VALUES ($1, jsonb($2), 1000)"
	}
	_, err := x.db.ExecContext(x.t.Context(), query, kind, args)
	require.NoError(x.t, err)
}

// Jobs that make no sense, and sensible ones whose rows went away under them, harm nobody else.
func TestFaultPoisonedQueue(t *testing.T) {
	onEachTrial(t, "poison in the queue", func(x *trial) {
		p := x.s.with("INVITED_WORKERS=false").serve()
		before := x.createQuickly(p, "before", 3)
		deleted := p.create("deleted@university.example").UUID
		p.stop()

		bad := []string{
			`{"invitation": 5}`, `[]`, `"text"`, `null`, `{"invitation": "no uuid"}`,
			`{"invitation": "` + before[0] + `", "delivery": "no number"}`, // its own job is another
		}
		for _, args := range bad {
			x.poison("deliver_invitation", args)
			x.poison("notify_user", args)
		}
		for _, args := range []string{
			`{}`, `{"invitation": "` + uuid.NewString() + `", "delivery": 0}`,
			`{"invitation": "` + before[0] + `", "delivery": 99}`,
		} {
			x.poison("deliver_invitation", args)
			x.poison("notify_user", args)
		}
		x.poison("notify_user", `{"notice": "of another version", "invitation": "`+before[0]+`"}`)
		x.poison("of_another_version", `{}`)
		x.exec("DELETE FROM invitations WHERE email = 'deleted@university.example'")
		// The creator's account is gone, as `directory apply --prune` would have it; SQLite is strict where it is asked to.
		conn, err := x.db.Conn(x.t.Context())
		require.NoError(x.t, err)
		if x.s.onSQLite() {
			_, err = conn.ExecContext(x.t.Context(), "PRAGMA foreign_keys = ON")
			require.NoError(x.t, err)
		}
		_, err = conn.ExecContext(x.t.Context(), "DELETE FROM users WHERE username = 'olivia'")
		require.NoError(x.t, err)
		require.NoError(x.t, conn.Close())

		x.healed() // nobody has to mend anything for the others
		p = x.s.serve()
		for _, id := range before {
			p.delivered(id)
		}
		p.until("all of the poison was tried", func() bool {
			return len(x.rows("SELECT '' || id FROM river_job WHERE attempt = 0 OR state = 'running'")) == 0
		})
		require.Empty(x.t, x.rows("SELECT '' || uuid FROM invitations WHERE execution_state <> 'OK'"))
		require.Len(x.t, x.sink.got(), len(before))
		for _, each := range x.sink.got() {
			require.Contains(x.t, each.text, "You are invited", "nobody is named who is gone")
			require.NotContains(x.t, each.id, deleted)
		}
		p.logs(`level=ERROR msg="job failed" kind=of_another_version`)
		p.logs(`level=ERROR msg="job failed" kind=deliver_invitation`)
		p.logs(`no uuid`)
		status, _ := p.ready()
		require.Equal(x.t, "ok", status)

		// They stay in the queue, in case a newer version understands them, until somebody takes them out.
		require.NotEmpty(x.t, x.rows("SELECT '' || id FROM river_job WHERE kind = 'of_another_version' AND state = 'retryable'"))
		x.exec("DELETE FROM river_job WHERE state = 'retryable'")
		x.judge(patience, 0)
		p.stop()
	})
}

// A template of the operator's that stumbles over what some inviter wrote, and over nothing that it was tried with at
// the start, stops no other mail; and the one goes out when it has been mended.
func TestFaultTemplateThatFailsForOne(t *testing.T) {
	onEachTrial(t, "mail template that fails for one invitation", func(x *trial) {
		folder := x.t.TempDir()
		write := func(body string) {
			text := `{{define "subject"}}Invitation{{end}}` + body + "\n{{.Link}}\n"
			require.NoError(x.t, os.WriteFile(filepath.Join(folder, "invitation_created.txt.tmpl"), []byte(text), 0o600))
		}
		write(`{{with .ExtraLines}}{{index . 1}}{{end}}`) // there are none, or more than one?
		x.s.set("INVITED_TEMPLATES_DIR=" + folder)
		p := x.s.serve()
		said := draft("one-line@university.example")
		one := p.ask("POST", invitations, "olivia", said[:len(said)-1]+`, "extra_invitation_text": "Only one line."}`).
			is(201).invitation().UUID
		x.created = append(x.created, one)
		for _, id := range x.createQuickly(p, "other", 5) {
			p.delivered(id)
		}
		x.erred(p, []string{one}, "The mail could not be written; the operator has to check the mail templates", "tried again")
		p.logs("level=ERROR")
		p.logs("invitation_created.txt.tmpl:1:")
		p.logs("index out of range")
		p.delivered(x.createQuickly(p, "after", 1)[0])
		x.until(quick, "nothing but the one is left", func() bool {
			open := x.open()
			return len(open) == 1 && open[0] == "deliver_invitation retryable"
		})

		write(`{{range .ExtraLines}}{{.}}{{end}}`)
		p.stop()
		x.healed()
		p = x.s.serve()
		x.judge(patience, 0)
		require.Equal(x.t, "OK", p.see(one).ExecutionState)
		p.stop()
	})
}
