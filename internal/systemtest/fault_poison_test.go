package systemtest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/internal/systemtest/harness"
)

// enqueue enqueues a job as the program itself never would.
func (f *faultCase) enqueue(kind, args string) {
	f.t.Helper()
	query := "INSERT INTO river_job (kind, args, max_attempts) VALUES ($1, $2::jsonb, 1000)"
	if f.env.OnSQLite() {
		query = "INSERT INTO river_job (kind, args, max_attempts) VALUES ($1, jsonb($2), 1000)"
	}
	f.exec(query, kind, args)
}

// Jobs that no worker understands, and jobs whose rows were deleted, do no harm to other jobs.
func TestFaultPoisonedQueue(t *testing.T) {
	onEachFault(t, "poison in the queue", func(f *faultCase) {
		p := f.env.With("INVITED_WORKERS=false").Serve()
		before := f.createQuickly(p, "before", 3)
		deleted := p.Create("deleted@university.example").UUID
		p.Stop()

		bad := []string{
			`{"invitation": 5}`, `[]`, `"text"`, `null`, `{"invitation": "no uuid"}`,
			`{"invitation": "` + before[0] + `", "delivery": "no number"}`, // beside the valid job of this invitation
		}
		for _, args := range bad {
			f.enqueue("deliver_invitation", args)
			f.enqueue("notify_user", args)
		}
		for _, args := range []string{
			`{}`, `{"invitation": "` + uuid.NewString() + `", "delivery": 0}`,
			`{"invitation": "` + before[0] + `", "delivery": 99}`,
		} {
			f.enqueue("deliver_invitation", args)
			f.enqueue("notify_user", args)
		}
		f.enqueue("notify_user", `{"notice": "of another version", "invitation": "`+before[0]+`"}`)
		f.enqueue("of_another_version", `{}`)
		f.exec("DELETE FROM invitations WHERE email = 'deleted@university.example'")
		// The creator's row is deleted. SQLite enforces foreign keys only where a connection asks for it.
		conn, err := f.db.Conn(f.t.Context())
		require.NoError(f.t, err)
		if f.env.OnSQLite() {
			_, err = conn.ExecContext(f.t.Context(), "PRAGMA foreign_keys = ON")
			require.NoError(f.t, err)
		}
		_, err = conn.ExecContext(f.t.Context(), "DELETE FROM users WHERE username = 'olivia'")
		require.NoError(f.t, err)
		require.NoError(f.t, conn.Close())

		f.markHealed() // the other jobs need no help
		p = f.env.Serve()
		for _, id := range before {
			p.WaitDelivered(id)
		}
		p.WaitUntil("all bad jobs were tried", func() bool {
			return len(f.column("SELECT '' || id FROM river_job WHERE attempt = 0 OR state = 'running'")) == 0
		})
		require.Empty(f.t, f.column("SELECT '' || uuid FROM invitations WHERE execution_state <> 'OK'"))
		require.Len(f.t, f.smtp.Mails(), len(before))
		for _, each := range f.smtp.Mails() {
			require.Contains(f.t, each.Text, "You are invited", "a deleted creator is not named")
			require.NotContains(f.t, each.ID, deleted)
		}
		p.WaitLog(`level=ERROR msg="job failed" kind=of_another_version`)
		p.WaitLog(`level=ERROR msg="job failed" kind=deliver_invitation`)
		p.WaitLog(`no uuid`)
		status, _ := p.Readiness()
		require.Equal(f.t, "ok", status)

		// The bad jobs stay in the queue until somebody deletes them: a newer version may understand them.
		require.NotEmpty(f.t, f.column("SELECT '' || id FROM river_job WHERE kind = 'of_another_version' AND state = 'retryable'"))
		f.exec("DELETE FROM river_job WHERE state = 'retryable'")
		f.verify(retryLimit, 0)
		p.Stop()
	})
}

// A template of the operator passes the check at start and fails for the text of one inviter. Other mails are sent, and the
// one mail is sent once the template is fixed.
func TestFaultTemplateThatFailsForOne(t *testing.T) {
	onEachFault(t, "mail template that fails for one invitation", func(f *faultCase) {
		folder := f.t.TempDir()
		write := func(body string) {
			content := `{{define "subject"}}Invitation{{end}}` + body + "\n{{.Link}}\n"
			require.NoError(f.t, os.WriteFile(filepath.Join(folder, "invitation_created.txt.tmpl"), []byte(content), 0o600))
		}
		write(`{{with .ExtraLines}}{{index . 1}}{{end}}`) // fails where there is exactly one line
		f.env.Set("INVITED_TEMPLATES_DIR=" + folder)
		p := f.env.Serve()
		body := harness.InvitationBody("one-line@university.example")
		one := p.Do("POST", harness.InvitationsPath, "olivia", body[:len(body)-1]+`, "extra_invitation_text": "Only one line."}`).
			Is(201).Invitation().UUID
		f.created = append(f.created, one)
		for _, id := range f.createQuickly(p, "other", 5) {
			p.WaitDelivered(id)
		}
		f.waitErred(p, []string{one}, "The mail could not be written; the operator has to check the mail templates", "tried again")
		p.WaitLog("level=ERROR")
		p.WaitLog("invitation_created.txt.tmpl:1:")
		p.WaitLog("index out of range")
		p.WaitDelivered(f.createQuickly(p, "after", 1)[0])
		f.waitUntil(quickLimit, "only the one job is left", func() bool {
			open := f.openJobs()
			return len(open) == 1 && open[0] == "deliver_invitation retryable"
		})

		write(`{{range .ExtraLines}}{{.}}{{end}}`)
		p.Stop()
		f.markHealed()
		p = f.env.Serve()
		f.verify(retryLimit, 0)
		require.Equal(f.t, "OK", p.Get(one).ExecutionState)
		p.Stop()
	})
}
